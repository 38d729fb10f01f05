//! What a call would be told.

use std::sync::Arc;

use claviger_domain::catalog::Catalog;
use claviger_domain::caveat::Caveat;
use claviger_domain::grant::Grant;
use claviger_domain::policy::{Case, Verdict, judge};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::tool::{Service, Tool};

use super::super::Broker;
use super::super::error::AdminError;
use super::super::peers::near;
use super::super::state::{GrantEntry, State};
use super::CanAsk;

impl Broker {
    /// Whether an agent's call would be made. Nothing is charged, sent or looked at.
    ///
    /// # Errors
    /// The vault is sealed, or there is no such agent or tool.
    pub fn can(&self, ask: &CanAsk) -> Result<Verdict, AdminError> {
        self.require_unsealed()?;
        let now_ms = self.now_ms();
        let state = self.read();
        let entries: Vec<&Arc<GrantEntry>> = state.live_grants(&ask.agent, now_ms).collect();
        let spent: Vec<_> = entries.iter().filter_map(|entry| used_up(&state, entry)).collect();
        let unspent = |entry: &&&Arc<GrantEntry>| !spent.iter().any(|(id, _)| *id == entry.grant.id);
        let grants: Vec<&Grant> = entries.iter().filter(unspent).map(|entry| &entry.grant).collect();
        let verdict = self.verdict(&state, &grants, ask, now_ms)?;
        Ok(match verdict {
            Verdict::No { mut objections } => {
                let named = |id| {
                    entries.iter().any(|entry| entry.grant.id == id && entry.grant.tool(&ask.tool).is_some())
                };
                let spent = spent.into_iter().filter(|(id, _)| named(*id));
                objections.extend(spent.map(|(id, denial)| (Some(id), denial)));
                if objections.len() > 1 {
                    objections.retain(|(grant, _)| grant.is_some());
                }
                Verdict::No { objections }
            }
            yes => yes,
        })
    }

    /// What these grants say to a call of that agent's.
    pub(super) fn verdict(
        &self,
        state: &State,
        grants: &[&Grant],
        ask: &CanAsk,
        now_ms: u64,
    ) -> Result<Verdict, AdminError> {
        let catalog = self.catalog();
        let (service, tool) = asked_tool(&catalog, ask)?;
        let agent = state.agents.get(&ask.agent).ok_or_else(|| AdminError::Missing {
            what: "agent",
            name: ask.agent.to_string(),
            near: near(&state.agents),
        })?;
        let tainted = agent.is_tainted();
        let case = Case { service, tool, arguments: ask.arguments.value(), now_ms, tainted };
        let concerned = |grant: &&&Grant| {
            grant.agent == ask.agent
                && grant.secret.service() == &service.id
                && ask.secret.as_ref().is_none_or(|secret| grant.secret == *secret)
        };
        Ok(judge(grants.iter().filter(concerned).copied(), &case))
    }
}

/// The tool that is asked about, with its service.
fn asked_tool<'a>(catalog: &'a Catalog, ask: &CanAsk) -> Result<(&'a Service, &'a Tool), AdminError> {
    let missing = || AdminError::Missing {
        what: "tool",
        name: ask.tool.to_string(),
        near: catalog
            .services
            .values()
            .flat_map(|service| &service.tools)
            .map(|(_, tool)| tool.name.to_string())
            .collect(),
    };
    let service = catalog.service(ask.tool.service()).ok_or_else(missing)?;
    let tool = service.tools.get(ask.tool.tool()).ok_or_else(missing)?;
    if ask.secret.as_ref().is_some_and(|secret| secret.service() != &service.id) {
        return Err(AdminError::invalid(
            "the secret is for another service than the tool",
            "name one of its own",
        ));
    }
    Ok((service, tool))
}

/// Whether all calls of a grant are made.
fn used_up(state: &State, entry: &GrantEntry) -> Option<(claviger_domain::id::GrantId, Denial)> {
    let most = entry.grant.caveats.iter().filter_map(|caveat| match caveat {
        Caveat::Calls(most) => Some(*most),
        _ => None,
    });
    let most = most.min()?;
    let made = state.handles.get(entry.grant.root)?.counter.calls()?;
    (made >= most).then(|| {
        let denial = Denial::new(Class::RateLimited)
            .field("calls")
            .caveat(Caveat::Calls(most).to_text())
            .fix("all calls of the grant are made; make a new one");
        (entry.grant.id, denial)
    })
}
