//! Which grant a call is under, where an agent has several for one tool of one secret.

use std::collections::VecDeque;
use std::sync::Arc;

use claviger_canonical::Canonical;
use claviger_canonical::presentation::Verified;
use claviger_domain::id::{ApprovalId, HandleId};
use claviger_domain::name::{AdapterName, ToolName};
use claviger_domain::permit::{self, Permit, Question};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::seen::Seen;
use claviger_domain::tool::{Service, Tool};

use super::Broker;
use super::look::Glances;
use super::mint::{Calling, Presented};
use super::refuse::About;

/// The handles a call may be under, each tried once, in the order their grants were made.
pub(super) struct Candidates {
    presented: HandleId,
    left: VecDeque<Presented>,
    several: bool,
    refusal: Denial,
}

/// What a call is, under whichever grant.
pub(super) struct Wanted<'a> {
    /// Through whom.
    pub(super) adapter: &'a AdapterName,
    /// The service of its secret.
    pub(super) service: &'a Service,
    /// The tool.
    pub(super) tool: &'a Tool,
    /// What proves it.
    pub(super) verified: &'a Verified,
    /// The arguments as they were presented.
    pub(super) arguments: &'a Canonical,
    /// What was seen for it so far.
    pub(super) glances: &'a Glances,
}

/// Why a call does not go on under a grant.
pub(super) enum Stopped {
    /// Its counters have no room, and nothing was charged: another grant may have some.
    UsedUp(Denial),
    /// Whatever else; and then no other grant is tried.
    No(Denial),
}

impl From<Denial> for Stopped {
    fn from(denial: Denial) -> Self {
        Self::No(denial)
    }
}

impl Stopped {
    /// What a charge said: used up, or that it is not known whether it stands.
    fn of_charge(denial: Denial) -> Self {
        if denial.class == Class::RateLimited { Self::UsedUp(denial) } else { Self::No(denial) }
    }
}

impl Candidates {
    /// Whether there is another to turn to.
    pub(super) fn is_last(&self) -> bool {
        self.left.is_empty()
    }

    /// One of them does not serve. The one presented says what is told where none does.
    pub(super) fn refused(&mut self, by: HandleId, denial: Denial) {
        if by == self.presented {
            self.refusal = denial;
        }
    }
}

impl Broker {
    /// The handles that may serve what was presented. A child handle stands for itself. By a root handle, any of the
    /// agent's live grants for that tool with that secret may.
    pub(super) fn candidates(&self, presented: &Presented, verified: &Verified) -> Candidates {
        let mut left: VecDeque<Presented> = self.stand_ins(presented, verified).into();
        let several = left.len() > 1;
        if !several {
            left = VecDeque::from([presented.clone()]);
        }
        let refusal = Denial::new(Class::NotGranted).field("tool");
        Candidates { presented: presented.handle.handle.id, left, several, refusal }
    }

    /// The next that allows the call by its arguments and is not used up: it alone will be charged.
    ///
    /// # Errors
    /// Where none is left, the refusal of the one presented.
    pub(super) async fn choose(
        &self,
        question: &Question<'_>,
        candidates: &mut Candidates,
        verified: &Verified,
        arguments: &Canonical,
    ) -> Result<(Presented, Permit), Denial> {
        while let Some(by) = candidates.left.pop_front() {
            let above = by.above();
            let other = by.question(question.adapter, question.service, question.now_ms, &above);
            let denial = match permit::decide_by(question, &other, verified, arguments) {
                Ok(permit) if !candidates.several => return Ok((by, permit)),
                Ok(permit) => match self.has_room(&by).await {
                    Ok(()) => return Ok((by, permit)),
                    Err(denial) => denial,
                },
                Err(denial) => denial,
            };
            candidates.refused(by.handle.handle.id, denial);
        }
        Err(candidates.refusal.clone())
    }

    /// The agent's root handles that may serve what was presented by one of them. A person's word was given on one.
    fn stand_ins(&self, presented: &Presented, verified: &Verified) -> Vec<Presented> {
        let claim = verified.claim();
        let Ok(tool) = claim.tool.as_str().parse::<ToolName>() else { return Vec::new() };
        let grant = &presented.grant.grant;
        if presented.handle.handle.id != grant.root || claim.approval.is_some() {
            return Vec::new();
        }
        let state = self.read();
        state
            .live_grants(&grant.agent, self.now_ms())
            .filter(|entry| entry.grant.shares(grant, &tool))
            .filter_map(|entry| state.presented(entry.grant.root))
            .collect()
    }

    /// Decides the rest of a call under the grant that was chosen, and charges it: what needs a look, then a person, then
    /// the counters, in one commit.
    ///
    /// # Errors
    /// [`Stopped::UsedUp`] where somebody else took what room there was; then nothing was charged, and no word of a
    /// person's was used.
    pub(super) async fn under(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        chosen: &Presented,
        permit: &mut Permit,
        about: &About,
    ) -> Result<Seen, Stopped> {
        for bound in self.excluded(&chosen.grant.grant, wanted.tool) {
            permit.exclude(bound);
        }
        // Who has used up what it was given has nothing looked at for it.
        self.has_room(chosen).await.map_err(Stopped::of_charge)?;
        let (found, scope) = self.find(&calling(wanted, chosen, permit, about)).await?;
        let seen = self.look(&calling(wanted, chosen, permit, about), &scope).await?;
        self.not_forbidden(&self.read(), about, &seen.people)?;
        permit.settle(&found, wanted.tool)?;
        let approval = wanted.verified.claim().approval.map(ApprovalId::from_bytes);
        let consent = self.consent(&calling(wanted, chosen, permit, about), &seen, approval).await?;
        self.charge(chosen, consent.puts()).await.map_err(Stopped::of_charge)?;
        self.consented(consent);
        Ok(seen)
    }
}

/// The call under a grant.
pub(super) fn calling<'a>(
    wanted: &Wanted<'a>,
    presented: &'a Presented,
    permit: &'a Permit,
    about: &'a About,
) -> Calling<'a> {
    let Wanted { adapter, service, tool, arguments, glances, verified: _ } = *wanted;
    let (args, scope) = (permit.arguments(), permit.scope());
    Calling { adapter, presented, service, tool, arguments, args, scope, glances, about }
}
