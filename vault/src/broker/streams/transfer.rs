//! The body of an upload on its way: hashed as it comes, passed on but for its last piece, and that only when all fits.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use claviger_domain::codec::rfc5322::Lines;
use claviger_domain::event::{Detail, Ending};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::step::Method;
use claviger_domain::upload::Upload;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::exchange::{How, Ready};
use super::guard::{Cut, Guard, SEAL, Turn};
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
    /// Of a file that stands in a mail: its lines, and what of the mail comes after them.
    mail: Option<(Lines, Vec<u8>)>,
    /// What was not passed on yet.
    held: BytesMut,
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
        // A mail begins at its beginning, and so does its hash.
        let (offset, length) = (hash.length(), course.length());
        let (onward, outflow) = mpsc::channel(1);
        let mut request = course.request.clone();
        let around = request.around.take();
        let mut how = How::default();
        if let Some(session) = &session {
            request.path_and_query = to(&session.url, Method::Put)?.path_and_query;
            how = within(&session.url);
            if offset > 0 {
                request
                    .headers
                    .push(("content-range".into(), format!("bytes {offset}-{}/{length}", length - 1)));
            }
        }
        how.bytes = length - offset;
        how.timeout_ms = Some(LONGEST_MS);
        how.outflow = (length > offset).then_some(Outflow { length: length - offset, pieces: outflow });
        let made = self.make_ready(&errand.secret, &course.tool.scope, &errand.purpose, &request, how).await;
        let Ready { begun, streaming, lease, .. } = match made {
            Ok(ready) => ready,
            Err(denial) => {
                if let Some(session) = session {
                    self.leave_session(course, session).await;
                }
                return Err(denial);
            }
        };
        go(waiting, offset);
        let Some(pieces) = pieces else { return Err(Denial::new(Class::Unavailable)) };
        let held = around.as_ref().map_or_else(BytesMut::new, |around| BytesMut::from(around.before()));
        let mail = around.map(|around| (Lines::default(), around.after().to_vec()));
        let mut body = Body { file, field, hash, mail, held, pieces, onward, passed: 0 };
        let mut guard = Guard::new(self, errand, &lease, until.clone());
        let pin = lease.entry().pin.clone();
        let mut answering = self.ports.upstream.stream(&errand.secret, &pin, streaming);
        let fed = match length {
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
            DIGEST if !course.goes_on() => (Ending::NotSent, denial),
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
            match word {
                DIGEST => drop(self.end_session(course, &session.url).await),
                // A seal waits for nothing that need not be.
                SEAL if !course.goes_on() => {}
                _ => self.leave_session(course, session).await,
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
                let denial = self.made_nothing(begun, purpose, &fault, Ending::NotSent).await;
                self.leave_session(course, session).await;
                return Err(denial);
            }
        };
        let status = answer.status;
        let early =
            Denial::new(Class::Upstream).field("status").fix(format!("the upstream answered {status} early"));
        let (denial, session) = match (status, session) {
            (308 | 500..=599, Some(session)) => (early, Some(session)),
            // It says that all is well with what it cannot have; or it may have made something of a part.
            (200..=299 | 308 | 500..=599, _) => (Denial { class: Class::Unknown, ..early }, None),
            _ => return Ok((begun, answer, None)),
        };
        let bytes = usize::try_from(passed).unwrap_or(usize::MAX);
        let ended = self.end(begun, Ending::Withheld, Some(status), bytes, Detail::default()).await;
        if let Some(session) = session {
            self.leave_session(course, session).await;
        }
        ended?;
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

    /// Passes on whatever comes, but for the last 64 KiB. What comes after the file in its mail is added once all fits.
    async fn feed(&mut self, guard: &mut Guard<'_>, answering: &mut Answering<'_>) -> Result<Fed, Cut> {
        let size = self.file.size();
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
            match &mut self.mail {
                None => self.held.extend_from_slice(&piece),
                Some((lines, _)) => self.held.extend_from_slice(&lines.push(&piece)),
            }
            if let Some(early) = self.pass_on(guard, answering).await? {
                return Ok(Fed::Early(early));
            }
        }
        if self.hash.length() != size {
            return Err(Cut::peer("fewer bytes came than the arguments say"));
        }
        if self.hash.finish() != *self.file.sha256() {
            return Err(mismatch(self.field));
        }
        if let Some((lines, after)) = self.mail.take() {
            self.held.extend_from_slice(&lines.finish());
            self.held.extend_from_slice(&after);
            if let Some(early) = self.pass_on(guard, answering).await? {
                return Ok(Fed::Early(early));
            }
        }
        Ok(Fed::Whole(std::mem::take(&mut self.held).freeze()))
    }

    /// Passes on all but the last 64 KiB of what is held; returns the answer, where the upstream did not wait for it.
    async fn pass_on(
        &mut self,
        guard: &mut Guard<'_>,
        answering: &mut Answering<'_>,
    ) -> Result<Option<Result<Inbound, UpstreamFault>>, Cut> {
        while self.held.len() > PIECE {
            let piece = self.held.split_to((self.held.len() - PIECE).min(PIECE)).freeze();
            let length = piece.len() as u64;
            match guard.wait(Turn::Upstream, race(answering, self.onward.send(piece))).await? {
                First::Answer(answer) => return Ok(Some(answer)),
                First::Other(Ok(())) => self.passed += length,
                First::Other(Err(_)) => return guard.wait(Turn::Upstream, answering).await.map(Some),
            }
        }
        Ok(None)
    }
}

/// The word for bytes that are not those of the arguments.
const DIGEST: &str = "digest";

pub(super) fn mismatch(field: &str) -> Cut {
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
