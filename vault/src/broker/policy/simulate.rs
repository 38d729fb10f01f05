//! What a list of grants would have said to the calls on record.

use std::sync::Arc;

use claviger_canonical::Canonical;
use claviger_domain::event::{Actor, Detail, Event, Kind};
use claviger_domain::grant::Grant;
use claviger_domain::name::AgentName;
use claviger_domain::refusal::Class;

use super::super::Broker;
use super::super::error::AdminError;
use super::super::view::GrantAsk;
use super::{CanAsk, MOST_RECORDS, Replayed, Simulated};

impl Broker {
    /// Replays the calls on record since then, of that agent or of all, against these grants alone.
    ///
    /// # Errors
    /// As for making a grant; the log cannot be read.
    pub async fn simulate(
        self: &Arc<Self>,
        admin: Actor,
        grants: Vec<GrantAsk>,
        agent: Option<AgentName>,
        since_ms: u64,
    ) -> Result<Simulated, AdminError> {
        self.require_unsealed()?;
        let mut proposed: Vec<Grant> = Vec::with_capacity(grants.len());
        for grant in grants {
            proposed.push(self.proposed(admin.clone(), grant).await?);
        }
        let grants: Vec<&Grant> = proposed.iter().collect();
        let mut simulated = Simulated::default();
        let calls = self.calls_on_record(agent, since_ms, true).await?;
        let state = self.read();
        for (event, detail) in calls {
            let Some((then, ask)) = replayable(&event, &detail) else {
                simulated.forgotten += 1;
                continue;
            };
            // Agents and tools that are gone can be asked nothing.
            let Ok(now) = self.verdict(&state, &grants, &ask, event.at_ms) else {
                simulated.forgotten += 1;
                continue;
            };
            let was = if matches!(then, "yes" | "approval") { then } else { "no" };
            if was == now.word() {
                simulated.same += 1;
            } else if let Some(secret) = event.secret {
                let (reference, at_ms) = (event.reference, event.at_ms);
                simulated.differing.push(Replayed {
                    reference,
                    at_ms,
                    agent: ask.agent,
                    tool: ask.tool,
                    secret,
                    then,
                    now,
                });
            }
        }
        Ok(simulated)
    }

    /// The calls on record, newest first: those that were made, and, if wanted, those that a rule refused.
    pub(super) async fn calls_on_record(
        &self,
        agent: Option<AgentName>,
        since_ms: u64,
        refused: bool,
    ) -> Result<Vec<(Event, Detail)>, AdminError> {
        let wanted = move |event: &Event| {
            event.at_ms >= since_ms
                && event.tool.is_some()
                && event.agent.is_some()
                && agent.as_ref().is_none_or(|agent| event.agent.as_ref() == Some(agent))
                && match event.kind {
                    Kind::Minted => true,
                    Kind::Refused => refused && event.call.is_none() && event.class.is_some_and(ruled),
                    _ => false,
                }
        };
        Ok(self.ports.audit.query(Box::new(wanted), MOST_RECORDS).await?)
    }
}

/// Whether a refusal of that class says something about the grants, and nothing about the moment.
fn ruled(class: Class) -> bool {
    matches!(
        class,
        Class::OutOfScope | Class::NotGranted | Class::BadArguments | Class::Pending | Class::Denied
    )
}

/// What a call on record was told, and the question that it was; `None` where its arguments are gone.
pub(super) fn replayable(event: &Event, detail: &Detail) -> Option<(&'static str, CanAsk)> {
    let text = detail.0.iter().find(|(name, _)| name == "arguments").map(|(_, text)| text)?;
    let ask = CanAsk {
        agent: event.agent.clone()?,
        tool: event.tool.clone()?,
        secret: event.secret.clone(),
        arguments: Canonical::from_bytes(text.as_bytes()).ok()?,
    };
    let then = match (event.kind, event.class) {
        (Kind::Minted, _) => "yes",
        (_, Some(Class::Pending)) => "approval",
        (_, class) => class?.as_str(),
    };
    Some((then, ask))
}
