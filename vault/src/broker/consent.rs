//! A person's word: whether a call needs it, and whether it was given.

use std::collections::BTreeSet;
use std::sync::Arc;

use claviger_domain::approval::{Asking, Call, Event, Reach, State, due};
use claviger_domain::grant::Approve;
use claviger_domain::id::ApprovalId;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::seen::Seen;

use super::Broker;
use super::approvals::{Remembering, Taken};
use super::mint::Calling;
use super::persist::Put;
use super::records::ApprovalRecord;

/// A person's word on one call, to be used up in the commit that charges it. Dropped before that, it is not used up, or
/// nobody knows: then the store is asked before the word counts again.
#[derive(Default)]
pub(super) struct Consent {
    puts: Vec<Put>,
    used: Option<(Taken, ApprovalRecord)>,
    remembering: Option<Remembering>,
}

impl Consent {
    /// What the commit writes besides the counters.
    pub(super) fn puts(&self) -> &[Put] {
        &self.puts
    }
}

impl Broker {
    /// Whether the call may go on without a person, or with the word that was given.
    ///
    /// # Errors
    /// Class `pending` with what to collect by, or `denied`; `bad-presentation` for an approval that is not this
    /// call's.
    pub(super) async fn consent(
        self: &Arc<Self>,
        calling: &Calling<'_>,
        seen: &Seen,
        approval: Option<ApprovalId>,
    ) -> Result<Consent, Denial> {
        let call = self.call_of(calling, seen)?;
        let reaches = Reach::of(calling.tool, calling.args, seen);
        if let Some(id) = approval {
            return match self.given(id, &call, &reaches).await {
                Ok(consent) => Ok(consent),
                // It was agreed to, and something has changed since: whoever agreed is asked anew.
                Err(Denial { class: Class::Pending, approval: None, fix, .. }) => {
                    let why = fix.unwrap_or_else(|| "something has changed since a person agreed".to_owned());
                    Err(self.ask_person(calling, seen, call, why).await)
                }
                Err(denial) => Err(denial),
            };
        }
        let handle = &calling.presented.handle.handle;
        let grant = &calling.presented.grant.grant;
        let known = match grant.approve {
            Approve::New => self.known_values_of(grant.id).await.map_err(|_| unavailable())?,
            Approve::Default | Approve::Never | Approve::Tainted | Approve::Always => BTreeSet::new(),
        };
        let ancestors = &calling.presented.ancestors;
        let why = due(&Asking {
            approve: grant.approve,
            effect: seen.effect,
            tainted: self.is_tainted(&grant.agent),
            trusted_sink: grant.trusted_sink,
            task: handle.task || ancestors.iter().any(|ancestor| ancestor.handle.task),
            reaches: &reaches,
            known: &known,
        });
        match why {
            None => Ok(Consent::default()),
            Some(why) => Err(self.ask_person(calling, seen, call, why.to_string()).await),
        }
    }

    /// The word that was given for exactly this call, taken so that nobody else uses it.
    async fn given(&self, id: ApprovalId, call: &Call, reaches: &BTreeSet<Reach>) -> Result<Consent, Denial> {
        self.make_sure(id).await.map_err(|_| unavailable())?;
        let taken = {
            let mut table = self.approvals.lock();
            // Another agent's and none at all read the same.
            let entry =
                table.get(id).filter(|entry| entry.approval.agent == call.agent).ok_or_else(|| {
                    Denial::new(Class::BadPresentation).field("approval").fix("there is no such approval")
                })?;
            let now_ms = self.now_ms();
            entry.approval.covers(call, now_ms)?;
            // Covered, so it is approved and in time.
            entry.approval.after(Event::Use, now_ms).map_err(|_| unavailable())?;
            self.approvals.take(&mut table, id)?
        };
        let read = self.read_approval(id).await.map_err(|_| unavailable())?;
        let (mut record, version) = read.ok_or_else(unavailable)?;
        // What the store has is what was decided on, or nothing is used.
        if version != taken.version || record.to_domain().is_ok_and(|read| read.written != State::Approved) {
            return Err(unavailable());
        }
        record.set_state(State::Done);
        record.decided_at_ms = self.now_ms();
        let mut puts = vec![Self::approval_put(&record, id, version)];
        let remembering = self.remembering(call.grant, reaches).await.map_err(|_| unavailable())?;
        let remembering = remembering.map(|(put, remembering)| {
            puts.push(put);
            remembering
        });
        Ok(Consent { puts, used: Some((taken, record)), remembering })
    }

    /// The commit that used it up is durable.
    pub(super) fn consented(&self, consent: Consent) {
        let Consent { puts: _, used, remembering } = consent;
        if let Some((taken, record)) = used {
            self.approvals.lock().settled(taken.id, &record, taken.version + 1);
        }
        if let Some(remembering) = remembering {
            remembering.done();
        }
    }

    fn call_of(&self, calling: &Calling<'_>, seen: &Seen) -> Result<Call, Denial> {
        let grant = &calling.presented.grant.grant;
        let state = self.read();
        let secret = state.secrets.get(&grant.secret);
        let secret = secret.ok_or_else(|| Denial::new(Class::Revoked).field("secret"))?;
        Ok(Call {
            agent: grant.agent.clone(),
            grant: grant.id,
            handle: calling.presented.handle.handle.id,
            secret: grant.secret.clone(),
            secret_version: secret.current(),
            tool: calling.tool.name.clone(),
            definition: calling.tool.definition,
            digest: calling.arguments.digest(),
            seen: seen.digest,
        })
    }
}

fn unavailable() -> Denial {
    Denial::new(Class::Unavailable).field("approval").fix("the store could not be asked about the approval")
}
