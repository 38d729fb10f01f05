//! Collecting: what became of something that waits for a person, told to the agent that asked.

use std::sync::Arc;

use claviger_domain::approval::{Kind, State};
use claviger_domain::event::Actor;
use claviger_domain::id::ApprovalId;
use claviger_domain::name::AgentName;
use claviger_domain::refusal::{Class, Denial, Refusal};

use crate::broker::Broker;
use crate::broker::refuse::About;
use crate::broker::view::Collected;

impl Broker {
    /// What became of what that agent asked for. Of a call that was approved: its exact arguments, as often as it is
    /// asked; running it is another matter, and happens once.
    ///
    /// # Errors
    /// Class `out-of-scope` for what is not there, or another agent's; `sealed`; `unavailable`.
    pub async fn collect(self: &Arc<Self>, agent: &AgentName, id: ApprovalId) -> Result<Collected, Refusal> {
        self.try_collect(agent, id).await.map_err(|denial| {
            let opaque = self.is_opaque(agent);
            let about = About { agent: Some(agent.clone()), opaque, ..About::default() };
            self.refuse(Actor::Agent(agent.clone()), about, denial)
        })
    }

    async fn try_collect(&self, agent: &AgentName, id: ApprovalId) -> Result<Collected, Denial> {
        if !self.is_unsealed() {
            return Err(Denial::new(Class::Sealed));
        }
        let unavailable =
            |_| Denial::new(Class::Unavailable).field("approval").fix("the store did not answer");
        let absent =
            || Denial::new(Class::OutOfScope).field("approval").fix("this agent asked for no such thing");
        let own = |id| self.approvals.lock().get(id).is_some_and(|entry| entry.approval.agent == *agent);
        if !own(id) {
            return Err(absent());
        }
        self.make_sure(id).await.map_err(unavailable)?;
        let now_ms = self.now_ms();
        let (approval, made) = {
            let table = self.approvals.lock();
            let entry = table.get(id).ok_or_else(absent)?;
            (entry.approval.clone(), entry.made)
        };
        let state = approval.state(now_ms);
        let mut collected = Collected {
            state,
            handle: made,
            tool: None,
            arguments: Vec::new(),
            expires_at_ms: approval.expires_at_ms,
            answer: String::new(),
        };
        if matches!(state, State::Approved | State::Denied) {
            let (record, _) = self.read_approval(id).await.map_err(unavailable)?.ok_or_else(absent)?;
            collected.answer = record.answer;
            if let (State::Approved, Kind::Call, Some(call)) = (state, approval.kind, approval.call) {
                collected.handle = Some(call.handle);
                collected.tool = Some(call.tool);
                collected.arguments = record.arguments;
            }
        }
        Ok(collected)
    }
}
