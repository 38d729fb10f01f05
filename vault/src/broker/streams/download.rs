//! Downloading: one step of a call whose answer is passed on as it comes.
//!
//! ```text
//! intent durable ─ checked again ─ sent ─ head judged ─ probed again ─ bytes charged ─ released durable ─ head ─ pieces
//!   ─ finished durable ─ end
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::arg::ArgValue;
use claviger_domain::codec::member::MemberReader;
use claviger_domain::event::{Actor, Detail, Event, Kind};
use claviger_domain::name::AdapterName;
use claviger_domain::range::{self, Extent, Told};
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::step::{AnswerKind, Step, Streamed};
use ring::digest::{Context, SHA256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::exchange::{How, Lease};
use super::guard::{Cut, Guard, Turn};
use super::{Downloading, Flow};
use crate::broker::Broker;
use crate::broker::errand::Errand;
use crate::broker::perform::require_success;
use crate::broker::refuse::About;
use crate::broker::send::HEADERS;
use crate::broker::usage::Begun;
use crate::port::{Answer, Head, Inbound, PIECE, Pieces, UpstreamFault};

/// Where the pieces go.
type Peer = mpsc::Sender<Result<Flow, Refusal>>;

/// An answer whose release is recorded.
struct Flowing {
    lease: Lease,
    head: Head,
    extent: Extent,
    source: Source,
    /// What the record of its end is made of.
    event: Event,
    started_us: u64,
}

/// What comes from the upstream, and what of it is passed on.
struct Source {
    pieces: Box<dyn Pieces>,
    /// Where it is a member of a JSON object.
    reader: Option<MemberReader>,
    /// How many bytes there are at most, and how many there must be, if that is known.
    max: u64,
    length: Option<u64>,
}

/// How far a stream has come.
struct Passed {
    length: u64,
    hash: Context,
}

impl Broker {
    /// Sends one step under a capability and passes its answer on as it comes. `until` cuts it: the vault seals or stops.
    ///
    /// # Errors
    /// The first rule that says no, or what the upstream did, before the first byte.
    pub async fn download(
        self: &Arc<Self>,
        adapter: &AdapterName,
        capability: &[u8],
        step: &str,
        params: BTreeMap<String, String>,
        until: CancellationToken,
    ) -> Result<Downloading, Refusal> {
        let mut about = About { adapter: Some(adapter.clone()), ..About::default() };
        let actor = Actor::Adapter(adapter.clone());
        let errand = match self.prepare(adapter, capability, step, &params, &mut about) {
            Ok(errand) => errand,
            Err(denial) => return Err(self.refuse(actor, about, denial)),
        };
        let (begun, beginning) = oneshot::channel();
        let broker = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(denial) = broker.run_download(&errand, until, begun).await {
                // Told where nothing was passed on yet; what is cut later tells it itself.
                let (begun, denial) = denial;
                let refusal = broker.refuse(actor, errand.purpose.about.clone(), denial);
                let _ = begun.send(Err(refusal));
            }
        });
        beginning.await.unwrap_or(Err(Refusal {
            class: Class::Unavailable,
            field: None,
            reference: None,
            approval: None,
        }))
    }

    async fn run_download(
        self: &Arc<Self>,
        errand: &Errand,
        until: CancellationToken,
        begun: oneshot::Sender<Result<Downloading, Refusal>>,
    ) -> Result<(), (oneshot::Sender<Result<Downloading, Refusal>>, Denial)> {
        let gone = || Denial::new(Class::ToolChanged);
        let begin = async {
            let catalog = self.catalog();
            let service = catalog.service(&errand.service).ok_or_else(gone)?;
            let tool = service.tools.get(&errand.tool).ok_or_else(gone)?;
            let step = tool.step(errand.step.as_str()).ok_or_else(gone)?;
            let AnswerKind::Stream(streamed) = &step.answer else {
                return Err(Denial::new(Class::BadStep).field("step").fix("the step is no stream: send it"));
            };
            let agent = errand.purpose.about.agent.as_ref().ok_or_else(gone)?;
            let place = self.places.begin(agent)?;
            let reading = self.begin_reading(&errand.purpose, step, &errand.secret).await?;
            let flowing = self.open_stream(errand, step, streamed).await?;
            Ok((place, reading, flowing, tool.untrusted))
        };
        let (_place, _reading, flowing, untrusted) = match begin.await {
            Ok(all) => all,
            Err(denial) => return Err((begun, denial)),
        };
        let (peer, pieces) = mpsc::channel(1);
        let Flowing { lease, head, extent, source, event, started_us } = flowing;
        let headers = head.headers.into_iter().filter(|(name, _)| HEADERS.contains(&name.as_str())).collect();
        let told = begun.send(Ok(Downloading { status: head.status, headers, extent, untrusted, pieces }));
        let mut passed = Passed { length: 0, hash: Context::new(&SHA256) };
        let ended = match told {
            Err(_) => Err(Cut::peer("it is gone")),
            Ok(()) => {
                let mut guard = Guard::new(self, errand, &lease, until.clone());
                self.pass_on(errand, &mut guard, source, &peer, &mut passed).await
            }
        };
        drop(lease);
        self.finish(errand, event, started_us, ended, passed, &peer, &until).await;
        Ok(())
    }

    /// Everything before the first byte: what bounds the call, the request, and the head of its answer. When this returns
    /// the release is durable.
    async fn open_stream(
        self: &Arc<Self>,
        errand: &Errand,
        step: &Step,
        streamed: &Streamed,
    ) -> Result<Flowing, Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let catalog = self.catalog();
        let service = catalog.service(&errand.service).ok_or_else(gone)?;
        let tool = service.tools.get(&errand.tool).ok_or_else(gone)?;
        self.probe(errand, service, step, |_| true).await?;
        let mut request = self.ready(errand, tool, step).await?;
        let offset = match streamed.offset.as_ref().and_then(|name| errand.args.get(name)) {
            None => 0,
            Some(ArgValue::Integer(number)) => u64::try_from(*number)
                .map_err(|_| Denial::new(Class::BadArguments).field("offset").fix("it is not negative"))?,
            Some(_) => return Err(Denial::new(Class::BadStep).field("offset")),
        };
        if offset > 0 {
            request.headers.push(("range".into(), format!("bytes={offset}-")));
        }
        let how = || How { in_pieces: true, ..How::default() };
        let started_us = self.ports.clock.mono_us();
        let (begun, lease, result) =
            self.converse(&errand.secret, &tool.scope, &errand.purpose, &request, how).await?;
        let inbound = match result {
            Ok(inbound) => inbound,
            Err(fault) => return Err(self.fault(begun, &errand.purpose, &fault).await?),
        };
        let (head, pieces) = match inbound {
            Inbound::Pieces(head, pieces) => (head, pieces),
            Inbound::Whole(answer) => {
                let denial = no_stream(&answer, offset, !errand.scope.is_unbounded());
                return Err(self.withhold(begun, &answer, denial).await);
            }
        };
        let judged = async {
            let extent = judge_head(&head, offset, streamed)?;
            // Where it lay when the answer began is where it must lie: what is passed on cannot be taken back.
            self.probe(errand, service, step, |probe| probe.again).await?;
            if let Some(length) = extent.length {
                self.bytes_out(&errand.purpose, usize::try_from(length).unwrap_or(usize::MAX)).await?;
            }
            // A child may have been ended, a rule made, while all this was asked.
            self.still_allowed(&errand.purpose)?;
            Ok(extent)
        };
        let extent = match judged.await {
            Ok(extent) => extent,
            Err(denial) => {
                let answer = Answer { status: head.status, headers: Vec::new(), body: Bytes::new() };
                return Err(self.withhold(begun, &answer, denial).await);
            }
        };
        let event = self.release_stream(begun, head.status, extent.length.unwrap_or(0)).await?;
        let reader = streamed.member.as_deref().map(MemberReader::new);
        let source = Source { pieces, reader, max: streamed.max, length: extent.length };
        Ok(Flowing { lease, head, extent, source, event, started_us })
    }

    /// Ends a use whose answer is not passed on; returns what the peer is told.
    async fn withhold(&self, begun: Begun, answer: &Answer, denial: Denial) -> Denial {
        match self.conclude(begun, answer, Err(denial)).await {
            Err(denial) => denial,
            // It never is anything else.
            Ok(_) => Denial::new(Class::Unavailable),
        }
    }

    /// Passes piece after piece on, each looked at before it goes.
    async fn pass_on(
        &self,
        errand: &Errand,
        guard: &mut Guard<'_>,
        mut source: Source,
        peer: &Peer,
        passed: &mut Passed,
    ) -> Result<(), Cut> {
        loop {
            let next = async {
                tokio::select! {
                    biased;
                    () = peer.closed() => None,
                    next = source.pieces.next() => Some(next),
                }
            };
            let next = guard.wait(Turn::Upstream, next).await?;
            let piece = match next.ok_or_else(|| Cut::peer("it is gone"))? {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(fault) => return Err(broken(&fault)),
            };
            for piece in source.decode(piece)? {
                let length = passed.length + piece.len() as u64;
                if length > source.length.unwrap_or(source.max) {
                    return Err(Cut::upstream("it is longer than it may be"));
                }
                if source.length.is_none() {
                    let charged = self.bytes_out(&errand.purpose, piece.len()).await;
                    charged.map_err(|denial| Cut::of("bytes", denial))?;
                }
                guard.check()?;
                passed.hash.update(&piece);
                let sent = guard.wait(Turn::Peer, peer.send(Ok(Flow::Piece(piece)))).await?;
                sent.map_err(|_| Cut::peer("it is gone"))?;
                passed.length = length;
            }
        }
        let whole = source.reader.as_ref().is_none_or(|reader| reader.finish().is_ok());
        if !whole || source.length.is_some_and(|length| length != passed.length) {
            return Err(Cut::upstream("it closed before the answer was complete"));
        }
        guard.check()
    }

    /// Records how it ended, durable before the peer is told.
    #[allow(clippy::too_many_arguments, reason = "all that is known of a stream comes together at its end")]
    async fn finish(
        &self,
        errand: &Errand,
        released: Event,
        started_us: u64,
        ended: Result<(), Cut>,
        passed: Passed,
        peer: &Peer,
        until: &CancellationToken,
    ) {
        let Passed { length, hash } = passed;
        let fresh = self.event(Kind::Finished, released.actor.clone());
        let mut event =
            Event { kind: Kind::Finished, reference: fresh.reference, at_ms: fresh.at_ms, ..released };
        event.ending = None;
        event.bytes = Some(length);
        event.micros = Some(self.ports.clock.mono_us().saturating_sub(started_us));
        let word = ended.as_ref().map_or_else(|cut| cut.word, |()| "complete");
        event.field = Some(word.to_owned());
        event.class = ended.as_ref().err().map(|cut| cut.denial.class);
        let mut detail = Detail::default();
        if let Err(cut) = &ended {
            detail.add("fix", cut.denial.fix.as_deref());
        }
        if word == "watch" {
            self.echo_in_stream(&errand.purpose).await;
        }
        let recorded = self.ports.audit.record(event, detail).await;
        let last = match (ended, recorded) {
            (Ok(()), Ok(())) => {
                let mut sha256 = [0; 32];
                sha256.copy_from_slice(hash.finish().as_ref());
                Ok(Flow::End { length, sha256 })
            }
            // Without a record of its end it has none.
            (Ok(()), Err(fault)) => {
                Err(Denial::new(Class::Unavailable).field("audit").fix(fault.to_string()))
            }
            (Err(cut), _) => Err(*cut.denial),
        };
        // Who has gone away is told nothing, and was refused nothing.
        if peer.is_closed() {
            return;
        }
        let actor = errand.purpose.actor.clone();
        let last = last.map_err(|denial| self.refuse(actor, errand.purpose.about.clone(), denial));
        // Who does not take it is not waited for: a stream without an end was cut.
        tokio::select! {
            biased;
            _ = peer.send(last) => {}
            () = until.cancelled() => {}
            () = self.ports.clock.sleep_ms(super::IDLE_MS) => {}
        }
    }
}

impl Source {
    /// What of a piece is passed on, in pieces.
    fn decode(&mut self, piece: Bytes) -> Result<Vec<Bytes>, Cut> {
        let Some(reader) = &mut self.reader else {
            return Ok(if piece.is_empty() { Vec::new() } else { vec![piece] });
        };
        let mut decoded = Vec::new();
        let read = reader.feed(&piece, &mut decoded);
        read.map_err(|error| Cut::upstream(&error.to_string()))?;
        let mut decoded = Bytes::from(decoded);
        let mut pieces = Vec::new();
        while !decoded.is_empty() {
            pieces.push(decoded.split_to(decoded.len().min(PIECE)));
        }
        Ok(pieces)
    }
}

/// Whether the head is that of what was asked for, and which bytes follow.
fn judge_head(head: &Head, offset: u64, streamed: &Streamed) -> Result<Extent, Denial> {
    let denial = |why: &str| Denial::new(Class::Upstream).field("answer").fix(why);
    let named = head.headers.iter().filter(|(name, _)| name == "content-range");
    let ranges: Option<Vec<&str>> = named.map(|(_, value)| std::str::from_utf8(value).ok()).collect();
    let ranges = ranges.ok_or_else(|| denial("its Content-Range is no text"))?;
    let told = Told { status: head.status, length: head.length, ranges: &ranges };
    let extent = range::judge(offset, told).map_err(denial)?;
    if streamed.member.is_some() {
        // How long the text is that holds it says little of how long it is.
        return Ok(Extent { offset: 0, length: None, total: None });
    }
    if extent.length.is_some_and(|length| length > streamed.max) {
        return Err(denial("it is longer than the step allows"));
    }
    Ok(extent)
}

/// Why an answer that is no success is none.
fn no_stream(answer: &Answer, offset: u64, bounded: bool) -> Denial {
    if answer.status == 416 && offset > 0 {
        return Denial::new(Class::BadArguments).field("offset").fix("the file has no byte there");
    }
    let odd = || Denial::new(Class::Upstream).field("answer").fix("it is not what was asked for");
    require_success(answer, bounded).err().unwrap_or_else(odd)
}

fn broken(fault: &UpstreamFault) -> Cut {
    match fault {
        UpstreamFault::Echo => Cut::of(
            "watch",
            Denial::new(Class::Withheld)
                .field("echo")
                .fix("the upstream sent the credential back; ask why it would"),
        ),
        fault => Cut::upstream(&fault.to_string()),
    }
}
