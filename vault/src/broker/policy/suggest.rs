//! The narrowest grants that the calls on record would have needed, and what was never used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claviger_domain::address::Pattern;
use claviger_domain::arg::{ArgKind, ArgValue, Arguments};
use claviger_domain::caveat::{Bound, Caveat, ResourceBound};
use claviger_domain::grant::Approve;
use claviger_domain::id::GrantId;
use claviger_domain::name::{AgentName, Ident, SecretName, ToolName};
use claviger_domain::rate::Rate;
use claviger_domain::tool::Tool;

use super::super::Broker;
use super::super::error::AdminError;
use super::super::peers::near;
use super::super::view::GrantAsk;
use super::Suggested;
use super::simulate::replayable;

/// How many addresses or ids are named one by one; more are no bound that an owner reads.
const NAMED: usize = 50;

/// How long a suggested grant lasts, in seconds.
const LASTS_S: u64 = 30 * 86_400;

/// An hour, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// What the calls of one tool with one secret had in common.
#[derive(Default)]
struct Used {
    at_ms: Vec<u64>,
    arguments: Vec<Arguments>,
    grants: BTreeSet<GrantId>,
}

impl Broker {
    /// Looks at an agent's calls since then.
    ///
    /// # Errors
    /// The vault is sealed, there is no such agent, or the log cannot be read.
    pub async fn suggest(
        self: &Arc<Self>,
        agent: &AgentName,
        since_ms: u64,
    ) -> Result<Suggested, AdminError> {
        self.require_unsealed()?;
        {
            let state = self.read();
            if !state.agents.contains_key(agent) {
                return Err(AdminError::Missing {
                    what: "agent",
                    name: agent.to_string(),
                    near: near(&state.agents),
                });
            }
        }
        let mut suggested = Suggested::default();
        let mut used: BTreeMap<(SecretName, ToolName), Used> = BTreeMap::new();
        let mut touched: BTreeSet<(GrantId, ToolName)> = BTreeSet::new();
        for (event, detail) in self.calls_on_record(Some(agent.clone()), since_ms, false).await? {
            let (Some(secret), Some(tool)) = (event.secret.clone(), event.tool.clone()) else { continue };
            touched.extend(event.grant.map(|grant| (grant, tool.clone())));
            suggested.looked_at += 1;
            let catalog = self.catalog();
            let known = catalog.tool(&tool);
            let arguments = replayable(&event, &detail)
                .zip(known)
                .and_then(|((_, ask), known)| Arguments::parse(&known.args, ask.arguments.value()).ok());
            let Some(arguments) = arguments else {
                suggested.forgotten += 1;
                continue;
            };
            let used = used.entry((secret, tool)).or_default();
            used.at_ms.push(event.at_ms);
            used.arguments.push(arguments);
            used.grants.extend(event.grant);
        }
        suggested.grants = self.narrowest_grants(agent, used);
        suggested.unused = self.unused(agent, &touched);
        Ok(suggested)
    }

    /// One grant for each secret and set of bounds; tools that need the same bounds share one.
    fn narrowest_grants(
        &self,
        agent: &AgentName,
        used: BTreeMap<(SecretName, ToolName), Used>,
    ) -> Vec<(GrantAsk, u64)> {
        let mut grants: Vec<(GrantAsk, Vec<u64>)> = Vec::new();
        for ((secret, name), used) in used {
            let catalog = self.catalog();
            let Some(tool) = catalog.tool(&name) else { continue };
            let caveats = self.common(tool, &used);
            let reads = tool.effect.is_read();
            let shared = grants.iter_mut().find(|(grant, _)| {
                reads && grant.secret == secret && grant.caveats == caveats && self.only_reads(grant)
            });
            match shared {
                Some((grant, at_ms)) => {
                    grant.tools.push(name);
                    at_ms.extend(used.at_ms);
                }
                None => grants.push((
                    GrantAsk {
                        agent: agent.clone(),
                        secret,
                        tools: vec![name],
                        effects: Vec::new(),
                        caveats,
                        expires_in_s: Some(LASTS_S),
                        approve: Approve::Default,
                        deny: false,
                        trusted_sink: false,
                        name: None,
                    },
                    used.at_ms,
                )),
            }
        }
        let counted = |(mut grant, at_ms): (GrantAsk, Vec<u64>)| {
            grant.caveats.extend(busiest(&at_ms).map(Caveat::Rate));
            (grant, at_ms.len() as u64)
        };
        grants.into_iter().map(counted).collect()
    }

    fn only_reads(&self, grant: &GrantAsk) -> bool {
        grant.tools.iter().all(|tool| self.catalog().tool(tool).is_some_and(|tool| tool.effect.is_read()))
    }

    /// The bounds within which all these calls were.
    fn common(&self, tool: &Tool, used: &Used) -> Vec<Caveat> {
        let mut caveats = Vec::new();
        caveats.extend(recipients(tool, used).map(Caveat::Recipients));
        caveats.extend(self.resources(tool, used).into_iter().map(Caveat::Resource));
        if !tool.effect.is_read() {
            let spare = tool.args.iter().filter(|(name, arg)| {
                !arg.required && used.arguments.iter().all(|arguments| !arguments.is_given(name))
            });
            caveats.extend(spare.map(|(name, _)| Caveat::Argument(name.clone(), Bound::Absent)));
        }
        for (name, arg) in &tool.args {
            if matches!(arg.kind, ArgKind::Integer { .. }) && arg.default.is_none() {
                let most = used.arguments.iter().map(|arguments| match arguments.get(name) {
                    Some(ArgValue::Integer(number)) => Some(*number),
                    _ => None,
                });
                if let Some(most) = most.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()) {
                    caveats.push(Caveat::Argument(name.clone(), Bound::Max(most)));
                }
            }
        }
        // What the tool must be given, and resources that not all of its steps can be held to.
        caveats.retain(|caveat| caveat.enforceable(tool).is_ok());
        caveats
    }

    /// Per resource: the ids in the arguments, or else what its grants were bounded by.
    fn resources(&self, tool: &Tool, used: &Used) -> Vec<ResourceBound> {
        let catalog = self.catalog();
        let Some(service) = catalog.service(tool.name.service()) else { return Vec::new() };
        let state = self.read();
        let mut bounds = Vec::new();
        for resource in service.resources.keys() {
            let named = tool.resource_args(resource);
            let mut ids: BTreeMap<String, String> = BTreeMap::new();
            let mut whole = false;
            let mut nested = false;
            for grant in &used.grants {
                let Some(entry) = state.grants.get(grant) else { continue };
                let bound = entry.grant.caveats.iter().find_map(|caveat| match caveat {
                    Caveat::Resource(bound) if bound.resource == *resource => Some(bound),
                    _ => None,
                });
                match bound {
                    None => whole = true,
                    Some(bound) => {
                        nested |= bound.nested;
                        ids.extend(bound.ids.iter().cloned().zip(bound.names()));
                    }
                }
            }
            if !named.is_empty() && !nested {
                let given = given(used, &named);
                whole = given.is_empty();
                ids = given
                    .into_iter()
                    .map(|id| {
                        let shown = ids.get(&id).cloned().unwrap_or_else(|| id.clone());
                        (id, shown)
                    })
                    .collect();
            }
            if !whole && !ids.is_empty() && ids.len() <= NAMED {
                let (ids, shown) = ids.into_iter().unzip();
                bounds.push(ResourceBound { resource: resource.clone(), ids, shown, nested });
            }
        }
        bounds
    }

    /// Tools of live grants that were not used.
    fn unused(
        &self,
        agent: &AgentName,
        touched: &BTreeSet<(GrantId, ToolName)>,
    ) -> Vec<(GrantId, Vec<ToolName>, bool)> {
        let (state, now_ms) = (self.read(), self.now_ms());
        let grants = state.live_grants(agent, now_ms).filter(|entry| !entry.grant.deny);
        grants
            .filter_map(|entry| {
                let grant = &entry.grant;
                let names = grant.tools.iter().map(|tool| tool.name.clone());
                let spare: Vec<ToolName> =
                    names.filter(|tool| !touched.contains(&(grant.id, tool.clone()))).collect();
                let whole = spare.len() == grant.tools.len();
                (!spare.is_empty()).then_some((grant.id, spare, whole))
            })
            .collect()
    }
}

/// The texts of these arguments in all calls; none where a call left them all out.
fn given(used: &Used, names: &[&Ident]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for arguments in &used.arguments {
        let texts: Vec<String> =
            names.iter().filter_map(|name| arguments.get(name)).flat_map(ArgValue::texts).collect();
        if texts.is_empty() {
            return BTreeSet::new();
        }
        all.extend(texts);
    }
    all
}

/// All addresses written to, one by one.
fn recipients(tool: &Tool, used: &Used) -> Option<Vec<Pattern>> {
    let names = tool.recipient_args();
    let all: BTreeSet<String> = used
        .arguments
        .iter()
        .flat_map(|arguments| names.iter().filter_map(|name| arguments.get(name)).flat_map(ArgValue::texts))
        .collect();
    if all.is_empty() || all.len() > NAMED {
        return None;
    }
    all.iter().map(|address| address.parse().ok()).collect()
}

/// The most calls that were made within any hour, as a rate.
fn busiest(at_ms: &[u64]) -> Option<Rate> {
    let mut sorted = at_ms.to_vec();
    sorted.sort_unstable();
    let mut from = 0;
    let mut most = 0;
    for (at, moment) in sorted.iter().enumerate() {
        while moment - sorted[from] >= HOUR_MS {
            from += 1;
        }
        most = most.max(at + 1 - from);
    }
    Rate::new(u32::try_from(most).ok()?, HOUR_MS / 1000).ok()
}
