//! One use: a single credentialed request, from its durable intent to its durable outcome.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Ending, Event, Kind};
use claviger_domain::id::UseId;
use claviger_domain::origin::{Origin, Pin};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::Request;
use claviger_domain::step::Method;

use super::Broker;
use super::refuse::About;
use super::state::SecretEntry;
use crate::port::{Answer, AuditFault, Inject, Outbound, Room, UpstreamFault};

/// The longest answer that is taken whole, in bytes.
pub(super) const MAX_ANSWER: usize = 1 << 20;

/// The longest wait for an answer, in milliseconds.
pub(super) const TIMEOUT_MS: u64 = 30_000;

/// Whose authority a use is under, and what it is about.
#[derive(Clone)]
pub(super) struct Purposeful {
    /// Who caused it.
    pub(super) actor: Actor,
    /// Under which call, grant, handle.
    pub(super) about: About,
    /// The tool's effect; a probe is a read.
    pub(super) effect: Effect,
    /// Its ancestors, for the log.
    pub(super) ancestors: Vec<claviger_domain::id::HandleId>,
    /// Keyed digest of the arguments.
    pub(super) digest: Option<[u8; 32]>,
    /// Whether the answer will taint the agent.
    pub(super) taints: bool,
}

/// A use whose intent is durable. It ends by [`Broker::end`], and by nothing else.
pub(super) struct Begun {
    room: Room,
    event: Event,
    effect: Effect,
    started_us: u64,
}

impl Begun {
    /// What the use does to the account.
    pub(super) fn effect(&self) -> Effect {
        self.effect
    }
}

/// What one request is made of, besides its credential.
pub(super) struct Sending<'a> {
    pub(super) secret: &'a SecretEntry,
    pub(super) pin: &'a Pin,
    pub(super) origin: Origin,
    pub(super) request: Request,
    pub(super) inject: Inject,
    pub(super) watch: Vec<claviger_domain::secret::SecretBytes>,
    pub(super) answers_with_secrets: bool,
}

impl Broker {
    /// Records the intent; durable when this returns. Then what may have changed meanwhile is checked again.
    pub(super) async fn begin(
        &self,
        purpose: &Purposeful,
        secret: &SecretEntry,
        bytes: usize,
    ) -> Result<Begun, Denial> {
        let mut event = self.event(Kind::Intent, purpose.actor.clone());
        purpose.about.fill(&mut event);
        event.secret_version = Some(secret.current());
        event.use_id = Some(UseId::from_bytes(self.random()));
        event.effect = Some(purpose.effect);
        event.ancestors.clone_from(&purpose.ancestors);
        event.digest = purpose.digest;
        event.taints = purpose.taints;
        event.bytes = u64::try_from(bytes).ok();
        let mut detail = Detail::default();
        detail.add("arguments", purpose.about.arguments.as_deref());
        let room = self.ports.audit.intent(event.clone(), detail).await.map_err(|fault| no_record(&fault))?;
        let begun = Begun { room, event, effect: purpose.effect, started_us: self.ports.clock.mono_us() };
        match self.still_allowed(purpose) {
            Ok(()) => Ok(begun),
            Err(denial) => {
                self.end(begun, Ending::NotSent, None, 0, Detail::default()).await?;
                Err(denial)
            }
        }
    }

    /// A revocation or a freeze that was acknowledged before now holds. An admin's own uses stand under no grant.
    pub(super) fn still_allowed(&self, purpose: &Purposeful) -> Result<(), Denial> {
        self.require_clock()?;
        let state = self.read();
        if !state.unsealed {
            return Err(Denial::new(Class::Sealed));
        }
        if let Some(id) = purpose.about.grant {
            let gone = || Denial::new(Class::Revoked).field("grant");
            let now_ms = self.now_ms();
            state.grants.get(&id).ok_or_else(gone)?.alive(now_ms)?;
            for handle in purpose.about.handle.iter().chain(&purpose.ancestors) {
                state.handles.get(*handle).ok_or_else(gone)?.handle.alive(now_ms)?;
            }
            self.not_forbidden(&state, &purpose.about, &[])?;
            state.same_rules(&purpose.about)?;
        }
        if let Some(agent) = &purpose.about.agent {
            let entry = state.agents.get(agent).ok_or_else(|| Denial::new(Class::Revoked).field("agent"))?;
            if entry.record.frozen.is_some() {
                return Err(Denial::new(Class::Frozen)
                    .field("agent")
                    .fix("look at its log, then run `claviger thaw`"));
            }
        }
        Ok(())
    }

    /// Records what became of a use: durable when this returns, but for a read, whose outcome is queued.
    pub(super) async fn end(
        &self,
        begun: Begun,
        ending: Ending,
        status: Option<u16>,
        bytes: usize,
        detail: Detail,
    ) -> Result<(), Denial> {
        let Begun { room, event: intent, effect, started_us } = begun;
        let mut event = self.event(Kind::Outcome, intent.actor.clone());
        let reference = event.reference;
        let at_ms = event.at_ms;
        event = Event { kind: Kind::Outcome, reference, at_ms, ..intent };
        event.ending = Some(ending);
        event.status = status;
        event.bytes = u64::try_from(bytes).ok();
        event.micros = Some(self.ports.clock.mono_us().saturating_sub(started_us));
        let recorded = if effect.is_read() {
            self.ports.audit.outcome_queued(room, event, detail)
        } else {
            self.ports.audit.outcome(room, event, detail).await
        };
        // Once the upstream may have acted, "try again" would be an invitation to do it twice.
        recorded.map_err(|fault| match ending {
            Ending::NotSent => no_record(&fault),
            _ if effect.is_read() => no_record(&fault),
            _ => Denial::new(Class::Unknown).field("audit").fix(fault.to_string()),
        })
    }

    /// Sends one request under a durable intent and returns its answer with the use still open: whoever judges the
    /// answer ends it. A fault ends it here.
    pub(super) async fn send_begun(
        &self,
        begun: Begun,
        purpose: &Purposeful,
        sending: Sending<'_>,
    ) -> Result<(Begun, Answer), Denial> {
        let Sending { secret, pin, origin, request, inject, watch, answers_with_secrets } = sending;
        let name = match secret.name().parse() {
            Ok(name) => name,
            Err(_) => {
                self.end(begun, Ending::NotSent, None, 0, Detail::default()).await?;
                return Err(Denial::new(Class::Unavailable).field("secret"));
            }
        };
        let outbound = match outbound(origin, request, inject, watch, answers_with_secrets) {
            Ok(outbound) => outbound,
            Err(denial) => {
                self.end(begun, Ending::NotSent, None, 0, Detail::default()).await?;
                return Err(denial);
            }
        };
        match self.ports.upstream.send(&name, pin, outbound).await {
            Ok(answer) => Ok((begun, answer)),
            Err(fault) => Err(self.fault(begun, purpose, &fault).await?),
        }
    }

    /// Ends a use that brought no answer, and says what the peer is told.
    pub(super) async fn fault(
        &self,
        begun: Begun,
        purpose: &Purposeful,
        fault: &UpstreamFault,
    ) -> Result<Denial, Denial> {
        let mut detail = Detail::default();
        detail.add("upstream", Some(&fault.to_string()));
        let (ending, denial) = match fault {
            UpstreamFault::Echo => (
                Ending::Withheld,
                Denial::new(Class::Withheld)
                    .field("echo")
                    .fix("the upstream sent the credential back; ask why it would"),
            ),
            // It was answered, so it may have been done.
            UpstreamFault::Redirect(_) | UpstreamFault::Answer(_) if !begun.effect.is_read() => (
                Ending::Withheld,
                Denial::new(Class::Unknown)
                    .field("answer")
                    .fix(format!("{fault}: look at the account before doing it again")),
            ),
            UpstreamFault::Redirect(_) => {
                (Ending::Withheld, Denial::new(Class::Upstream).field("redirect").fix(fault.to_string()))
            }
            UpstreamFault::Answer(_) => {
                (Ending::Withheld, Denial::new(Class::Upstream).field("answer").fix(fault.to_string()))
            }
            fault if fault.nothing_sent() => {
                (Ending::NotSent, Denial::new(Class::Upstream).field("connection").fix(fault.to_string()))
            }
            // A read that broke changed nothing, so it is the upstream's trouble; anything else is not known.
            _ if begun.effect.is_read() => {
                (Ending::Unknown, Denial::new(Class::Upstream).field("connection").fix(fault.to_string()))
            }
            _ => (
                Ending::Unknown,
                Denial::new(Class::Unknown).fix("look at the account before doing it again"),
            ),
        };
        // Counted, told and bitten even where the outcome cannot be recorded, and before anything waits for the log.
        let freezes = *fault == UpstreamFault::Echo && self.count_echo(purpose);
        let ended = self.end(begun, ending, None, 0, detail).await;
        if *fault == UpstreamFault::Echo {
            self.echoed(purpose, freezes).await;
        }
        // That nobody knows is the worst there is to say: a log in trouble does not replace it.
        if denial.class == Class::Unknown { Ok(denial) } else { ended.map(|()| denial) }
    }

    /// An answer held the secret after a part of it had been passed on: what held it was not.
    pub(super) async fn echo_in_stream(&self, purpose: &Purposeful) {
        let freezes = self.count_echo(purpose);
        self.echoed(purpose, freezes).await;
    }

    /// Records that an answer is about to be passed on piece by piece, durable when this returns; returns what the record
    /// of its end is made of.
    pub(super) async fn release_stream(
        &self,
        begun: Begun,
        status: u16,
        bytes: u64,
    ) -> Result<Event, Denial> {
        let Begun { room, event: intent, effect: _, started_us } = begun;
        let fresh = self.event(Kind::Outcome, intent.actor.clone());
        let mut event =
            Event { kind: Kind::Outcome, reference: fresh.reference, at_ms: fresh.at_ms, ..intent };
        event.ending = Some(Ending::Released);
        event.status = Some(status);
        event.bytes = Some(bytes);
        event.micros = Some(self.ports.clock.mono_us().saturating_sub(started_us));
        let recorded = self.ports.audit.outcome(room, event.clone(), Detail::default()).await;
        recorded.map_err(|fault| no_record(&fault))?;
        Ok(event)
    }

    /// Counts an answer that held the secret; at the second time the agent is frozen, in memory at once. Returns whether.
    fn count_echo(&self, purpose: &Purposeful) -> bool {
        let Some(agent) = &purpose.about.agent else { return false };
        let counter = self.read().agents.get(agent).map(|entry| Arc::clone(&entry.echoes));
        let freezes = counter.is_some_and(|counter| counter.fetch_add(1, Ordering::SeqCst) >= 1);
        freezes && self.freeze_now(agent, ECHOED).is_ok()
    }

    /// An answer held the secret: it is told aloud, and a freeze is made durable.
    async fn echoed(&self, purpose: &Purposeful, freezes: bool) {
        let mut event = self.event(Kind::Echo, purpose.actor.clone());
        purpose.about.fill(&mut event);
        let _ = self.ports.audit.record_from_reserve(event, Detail::default()).await;
        self.alert_echo(&purpose.about).await;
        tracing::error!(agent = ?purpose.about.agent, secret = ?purpose.about.secret, "an answer contained the credential and was withheld");
        if let Some(agent) = purpose.about.agent.as_ref().filter(|_| freezes)
            && let Err(error) = self.freeze(Actor::Vault, agent, ECHOED).await
        {
            tracing::error!(%agent, %error, "the agent was frozen in memory only");
        }
    }
}

/// Why an agent was frozen whose answers held the secret.
const ECHOED: &str = "answers contained the credential twice";

pub(super) fn outbound(
    origin: Origin,
    request: Request,
    inject: Inject,
    watch: Vec<claviger_domain::secret::SecretBytes>,
    answers_with_secrets: bool,
) -> Result<Outbound, Denial> {
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    };
    let mut headers = Vec::new();
    if !request.headers.iter().any(|(name, _)| name == "accept") {
        headers.push((http::header::ACCEPT, http::HeaderValue::from_static("*/*")));
    }
    for (name, text) in &request.headers {
        let value =
            http::HeaderValue::from_str(text).map_err(|_| Denial::new(Class::BadStep).field("headers"))?;
        let name = http::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Denial::new(Class::BadStep).field("headers"))?;
        headers.push((name, value));
    }
    if let Some(kind) = &request.content_type {
        let value = http::HeaderValue::from_str(kind)
            .map_err(|_| Denial::new(Class::BadStep).field("content_type"))?;
        headers.push((http::header::CONTENT_TYPE, value));
    }
    if let Some(etag) = &request.if_match {
        let value =
            http::HeaderValue::from_str(etag).map_err(|_| Denial::new(Class::BadStep).field("if_match"))?;
        headers.push((http::header::IF_MATCH, value));
    }
    Ok(Outbound {
        method,
        origin,
        path_and_query: request.path_and_query,
        headers,
        body: Bytes::from(request.body),
        inject,
        watch,
        answers_with_secrets,
        max_answer: MAX_ANSWER,
        timeout_ms: TIMEOUT_MS,
    })
}

/// No record, no use.
fn no_record(fault: &AuditFault) -> Denial {
    Denial::new(Class::Unavailable).field("audit").fix(fault.to_string())
}
