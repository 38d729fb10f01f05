//! The body of an upload on its way: hashed as it comes, passed on but for its last piece, and that only when all fits.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use claviger_domain::event::{Detail, Ending};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::step::Method;
use claviger_domain::upload::Upload;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::exchange::{How, Ready};
use super::guard::{Cut, Guard, Turn};
use super::hash::Running;
use super::resume::{to, within};
use super::session::Session;
use super::upload::{Course, Waiting};
use super::{LONGEST_MS, Uploading};
use crate::broker::Broker;
use crate::broker::usage::Begun;
use crate::port::{Answer, BoxFuture, Inbound, Outflow, PIECE, UpstreamFault};

/// How long the answer may take once the last piece was handed over, in milliseconds.
const ANSWER_MS: u64 = 120_000;
/// How long it may still take where the vault seals or stops, in milliseconds: no longer than a seal waits for any use.
const LAST_MS: u64 = 20_000;

/// From where an upload goes on.
pub(super) enum From {
    /// From its first byte, in one request.
    Plain,
    /// Within a session, from what the upstream has kept of it.
    Session(Session),
    /// It had come to its end before: this is what the upstream says of it.
    Done(Begun, Answer),
}

/// What an upstream answers.
type Answering<'a> = BoxFuture<'a, Result<Inbound, UpstreamFault>>;

/// How the body came.
enum Fed {
    /// All of it, and it fits: what was held back of it.
    Whole(Bytes),
    /// The upstream did not wait for it.
    Early(Result<Inbound, UpstreamFault>),
}

/// Which of two came first.
enum First<A, B> {
    Answer(A),
    Other(B),
}

/// A body under way.
struct Body<'a> {
    file: &'a Upload,
    field: &'a str,
    hash: Running,
    /// What the peer sends.
    pieces: mpsc::Receiver<Bytes>,
    /// Where it goes.
    onward: mpsc::Sender<Bytes>,
    /// How many bytes went there.
    passed: u64,
}

impl Broker {
    /// Takes the body and passes it on; returns the upstream's answer with its use still open, and the session it was in.
    pub(super) async fn transfer(
        self: &Arc<Self>,
        course: &Course<'_>,
        from: From,
        until: CancellationToken,
        waiting: &mut Waiting,
    ) -> Result<(Begun, Answer, Option<Session>), Denial> {
        let (errand, file) = (course.errand, course.file);
        let field = course.step.upload.as_ref().map_or("file", |upload| upload.arg.as_str());
        let (mut pieces, mut session) = (None, None);
        let mut go = |waiting: &mut Waiting, offset| {
            let (sender, receiver) = mpsc::channel(1);
            if let Some((go, done)) = waiting.take() {
                // Who is gone sends nothing, and that cuts it.
                drop(go.send(Ok(Uploading { offset, pieces: sender, done })));
            }
            pieces = Some(receiver);
        };
        match from {
            From::Plain => {}
            From::Session(found) => session = Some(found),
            From::Done(begun, answer) => {
                go(waiting, file.size());
                return Ok((begun, answer, None));
            }
        }
        let hash = session.as_ref().map_or_else(Running::new, |session| session.hash.clone());
        let (offset, size) = (hash.length(), file.size());
        // Of no bytes at all none can be held back.
        if size == 0 && hash.finish() != *file.sha256() {
            return Err(*mismatch(field).denial);
        }
        let (onward, outflow) = mpsc::channel(1);
        let mut request = course.request.clone();
        let mut how = How::default();
        if let Some(session) = &session {
            request.path_and_query = to(&session.url, Method::Put)?.path_and_query;
            how = within(&session.url);
            if offset > 0 {
                request.headers.push(("content-range", format!("bytes {offset}-{}/{size}", size - 1)));
            }
        }
        how.bytes = size - offset;
        how.timeout_ms = Some(LONGEST_MS);
        how.outflow = (size > offset).then_some(Outflow { length: size - offset, pieces: outflow });
        let made = self.make_ready(&errand.secret, &course.tool.scope, &errand.purpose, &request, how).await;
        let Ready { begun, streaming, lease, .. } = match made {
            Ok(ready) => ready,
            Err(denial) => {
                session.into_iter().for_each(|session| self.keep_session(course, session));
                return Err(denial);
            }
        };
        go(waiting, offset);
        let Some(pieces) = pieces else { return Err(Denial::new(Class::Unavailable)) };
        let mut body = Body { file, field, hash, pieces, onward, passed: 0 };
        let mut guard = Guard::new(self, errand, &lease, until.clone());
        let pin = lease.entry().pin.clone();
        let mut answering = self.ports.upstream.stream(&errand.secret, &pin, streaming);
        let fed = match size {
            0 => body.nothing(&mut guard).await,
            _ => body.feed(&mut guard, &mut answering).await,
        };
        let fed = match fed {
            Ok(Fed::Whole(last)) => self.hand_over(course, &mut guard, &mut body, &mut answering, last).await,
            other => other,
        };
        let Body { hash, onward, passed, .. } = body;
        let handed_over = matches!(fed, Ok(Fed::Whole(_)));
        let session = session.map(|session| Session { hash, handed_over, ..session });
        match fed {
            Err(cut) => {
                // The connection is closed before anything else happens: the body ends here, unfinished.
                drop((onward, answering));
                Err(self.cut_off(course, begun, passed, session, cut).await)
            }
            Ok(Fed::Early(result)) => {
                drop(onward);
                self.answered_early(course, begun, passed, session, result).await
            }
            Ok(Fed::Whole(_)) => {
                drop(onward);
                let answered = tokio::select! {
                    biased;
                    answered = &mut answering => answered,
                    () = self.ports.clock.sleep_ms(ANSWER_MS) => Err(UpstreamFault::Slow),
                    () = self.soon_after(&until) => Err(UpstreamFault::Slow),
                };
                match answered {
                    Ok(Inbound::Whole(answer)) => Ok((begun, answer, session)),
                    Ok(Inbound::Pieces(..)) => {
                        let fault = UpstreamFault::Answer("it came in pieces");
                        Err(self.fault(begun, &errand.purpose, &fault).await?)
                    }
                    Err(fault) => {
                        // Whether it was made is asked where it goes on, by whoever calls it again.
                        session.into_iter().for_each(|session| self.keep_session(course, session));
                        Err(self.fault(begun, &errand.purpose, &fault).await?)
                    }
                }
            }
        }
    }

    /// Completes a while after intake was closed.
    async fn soon_after(&self, until: &CancellationToken) {
        until.cancelled().await;
        self.ports.clock.sleep_ms(LAST_MS).await;
    }

    /// Hands the last piece over, once everything was looked at again: it is what makes the upload.
    async fn hand_over(
        self: &Arc<Self>,
        course: &Course<'_>,
        guard: &mut Guard<'_>,
        body: &mut Body<'_>,
        answering: &mut Answering<'_>,
        last: Bytes,
    ) -> Result<Fed, Cut> {
        let Course { errand, service, tool, step, .. } = course;
        let look = async {
            self.probe(errand, service, step, |_| true).await?;
            self.ready(errand, tool, step).await
        };
        let looked = guard.wait(Turn::Upstream, look).await?;
        looked.map_err(|denial| Cut::of("scope", denial))?;
        guard.check()?;
        if last.is_empty() {
            return Ok(Fed::Whole(last));
        }
        let length = last.len() as u64;
        match guard.wait(Turn::Upstream, race(answering, body.onward.send(last))).await? {
            First::Answer(answer) => Ok(Fed::Early(answer)),
            First::Other(Ok(())) => {
                body.passed += length;
                Ok(Fed::Whole(Bytes::new()))
            }
            // Nobody takes it any more: the answer says why.
            First::Other(Err(_)) => guard.wait(Turn::Upstream, answering).await.map(Fed::Early),
        }
    }

    /// Ends an upload that was cut before its last piece was handed over; returns what the peer is told.
    async fn cut_off(
        self: &Arc<Self>,
        course: &Course<'_>,
        begun: Begun,
        passed: u64,
        session: Option<Session>,
        cut: Cut,
    ) -> Denial {
        let (word, denial) = (cut.word, *cut.denial);
        let in_session = session.is_some();
        let (ending, denial) = match word {
            DIGEST if in_session || passed == 0 => (Ending::Withheld, denial),
            _ if in_session || passed == 0 => (Ending::NotSent, denial),
            // What an upstream makes of a part of a plain request, it alone knows.
            _ => (Ending::Unknown, Denial { class: Class::Unknown, ..denial }),
        };
        let mut detail = Detail::default();
        detail.add("cut", Some(word));
        let bytes = usize::try_from(passed).unwrap_or(usize::MAX);
        let ended = self.end(begun, ending, None, bytes, detail).await;
        if let Some(session) = session {
            if word == DIGEST {
                self.end_session(course, &session.url).await;
            } else {
                self.keep_session(course, session);
            }
        }
        match ended {
            Err(unrecorded) if denial.class != Class::Unknown => unrecorded,
            _ => denial,
        }
    }

    /// What an answer means that came before the last piece went.
    async fn answered_early(
        self: &Arc<Self>,
        course: &Course<'_>,
        begun: Begun,
        passed: u64,
        session: Option<Session>,
        result: Result<Inbound, UpstreamFault>,
    ) -> Result<(Begun, Answer, Option<Session>), Denial> {
        let purpose = &course.errand.purpose;
        let answer = match result {
            Ok(Inbound::Whole(answer)) => answer,
            Ok(Inbound::Pieces(..)) => {
                let fault = UpstreamFault::Answer("it came in pieces");
                return Err(self.fault(begun, purpose, &fault).await?);
            }
            Err(fault) => {
                let Some(session) = session else { return Err(self.fault(begun, purpose, &fault).await?) };
                self.keep_session(course, session);
                return Err(self.made_nothing(begun, purpose, &fault, Ending::NotSent).await);
            }
        };
        let status = answer.status;
        let early =
            Denial::new(Class::Upstream).field("status").fix(format!("the upstream answered {status} early"));
        let denial = match status {
            // It says that all is well with what it cannot have.
            200..=299 => Denial { class: Class::Unknown, ..early },
            308 | 500..=599 => match session {
                Some(session) => {
                    self.keep_session(course, session);
                    early
                }
                None => Denial { class: Class::Unknown, ..early },
            },
            _ => return Ok((begun, answer, None)),
        };
        let bytes = usize::try_from(passed).unwrap_or(usize::MAX);
        self.end(begun, Ending::Withheld, Some(status), bytes, Detail::default()).await?;
        Err(denial)
    }
}

impl Body<'_> {
    /// Waits until the peer says that nothing comes. Only then may the request go, which makes an empty file.
    async fn nothing(&mut self, guard: &mut Guard<'_>) -> Result<Fed, Cut> {
        match guard.wait(Turn::Peer, self.pieces.recv()).await? {
            Some(end) if end.is_empty() => Ok(Fed::Whole(Bytes::new())),
            Some(_) => Err(Cut::peer("more bytes came than the arguments say")),
            None => Err(Cut::peer("it is gone")),
        }
    }

    /// Passes on whatever comes, but for the last 64 KiB.
    async fn feed(&mut self, guard: &mut Guard<'_>, answering: &mut Answering<'_>) -> Result<Fed, Cut> {
        let size = self.file.size();
        let mut held = BytesMut::new();
        loop {
            let piece = match guard.wait(Turn::Peer, race(answering, self.pieces.recv())).await? {
                First::Answer(answer) => return Ok(Fed::Early(answer)),
                First::Other(None) => return Err(Cut::peer("it is gone")),
                First::Other(Some(end)) if end.is_empty() => break,
                First::Other(Some(piece)) => piece,
            };
            if piece.len() > PIECE || piece.len() as u64 > size - self.hash.length() {
                return Err(Cut::peer("more bytes came than the arguments say"));
            }
            self.hash.update(&piece);
            held.extend_from_slice(&piece);
            while held.len() > PIECE {
                let piece = held.split_to((held.len() - PIECE).min(PIECE)).freeze();
                let length = piece.len() as u64;
                match guard.wait(Turn::Upstream, race(answering, self.onward.send(piece))).await? {
                    First::Answer(answer) => return Ok(Fed::Early(answer)),
                    First::Other(Ok(())) => self.passed += length,
                    First::Other(Err(_)) => {
                        return guard.wait(Turn::Upstream, answering).await.map(Fed::Early);
                    }
                }
            }
        }
        if self.hash.length() != size {
            return Err(Cut::peer("fewer bytes came than the arguments say"));
        }
        if self.hash.finish() != *self.file.sha256() {
            return Err(mismatch(self.field));
        }
        Ok(Fed::Whole(held.freeze()))
    }
}

/// The word for bytes that are not those of the arguments.
const DIGEST: &str = "digest";

fn mismatch(field: &str) -> Cut {
    Cut::of(
        DIGEST,
        Denial::new(Class::BadArguments)
            .field(field)
            .fix("the bytes that came are not those that the arguments name: the file changed meanwhile"),
    )
}

/// Whether the answer or the other comes first. The request is what makes progress, so it is always looked at.
async fn race<T>(
    answering: &mut Answering<'_>,
    other: impl Future<Output = T>,
) -> First<Result<Inbound, UpstreamFault>, T> {
    tokio::select! {
        biased;
        answer = answering => First::Answer(answer),
        other = other => First::Other(other),
    }
}
