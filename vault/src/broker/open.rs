//! Opening: an agent's client learns its live handles, their narrowed tools and their proof keys.

use std::collections::HashSet;

use claviger_domain::caveat::Caveat;
use claviger_domain::event::Actor;
use claviger_domain::grant::{Grant, Handle};
use claviger_domain::id::HandleId;
use claviger_domain::name::{AdapterName, AgentName, SecretName};
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::schema::schema;
use claviger_domain::tool::{Service, Tool};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Broker;
use super::mint::Presented;
use super::refuse::About;
use super::state::State;
use super::view::{AdapterView, Opened, OpenedHandle, ToolView};
use crate::port::{Purpose, SealFault};

impl Broker {
    /// The live root handles of an agent, one for each grant. A frozen agent has none.
    ///
    /// # Errors
    /// Class `sealed`, or `not-granted` for an agent that is not registered.
    pub fn open(&self, agent: &AgentName) -> Result<Opened, Refusal> {
        self.refusable(agent, self.try_open(agent, None))
    }

    /// Exactly these handles of an agent's, children too. One that is not there, or not this agent's, is left out.
    ///
    /// # Errors
    /// As [`Broker::open`].
    pub fn open_handles(&self, agent: &AgentName, handles: &[HandleId]) -> Result<Opened, Refusal> {
        self.refusable(agent, self.try_open(agent, Some(handles)))
    }

    /// What an agent is told where something was denied.
    pub(super) fn refusable<T>(&self, agent: &AgentName, result: Result<T, Denial>) -> Result<T, Refusal> {
        result.map_err(|denial| {
            let about =
                About { agent: Some(agent.clone()), opaque: self.is_opaque(agent), ..About::default() };
            self.refuse(Actor::Agent(agent.clone()), about, denial)
        })
    }

    fn try_open(&self, agent: &AgentName, wanted: Option<&[HandleId]>) -> Result<Opened, Denial> {
        let now_ms = self.now_ms();
        let mut strangers = Vec::new();
        let opened = {
            let state = self.read();
            if !state.unsealed {
                return Err(Denial::new(Class::Sealed));
            }
            let entry =
                state.agents.get(agent).ok_or_else(|| Denial::new(Class::NotGranted).field("agent"))?;
            let frozen = entry.record.frozen.is_some();
            let ids: Vec<HandleId> = match wanted {
                None => state.live_grants(agent, now_ms).map(|entry| entry.grant.root).collect(),
                Some(ids) => {
                    // In the order they were asked for: the first that offers a name presents it.
                    let mut seen = HashSet::new();
                    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
                }
            };
            let mut handles = Vec::new();
            for id in ids {
                let presented = state.presented(id).filter(|found| found.grant.grant.agent == *agent);
                match presented {
                    Some(found) if !frozen => handles.extend(self.opened_handle(&state, &found, now_ms)?),
                    Some(_) => {}
                    None if wanted.is_some() => strangers.push(id),
                    None => {}
                }
            }
            Opened { agent: agent.clone(), boot: self.boot, replica: self.replica, frozen, handles }
        };
        for id in strangers {
            self.stranger_handle(agent, id);
        }
        Ok(opened)
    }

    /// An agent that is known named a handle that is none of its own: ended long ago, another's, or one that nobody
    /// should know.
    pub(super) fn stranger_handle(&self, agent: &AgentName, id: HandleId) {
        if !self.lured(agent, id) {
            tracing::info!(%agent, handle = %id, "an agent named a handle that it does not have");
        }
    }

    /// What an agent gets of one handle; nothing where it is over, its secret or adapter is missing, or no tool is as
    /// granted.
    pub(super) fn opened_handle(
        &self,
        state: &State,
        found: &Presented,
        now_ms: u64,
    ) -> Result<Option<OpenedHandle>, Denial> {
        let (grant, handle) = (&found.grant.grant, &found.handle.handle);
        let chain = || std::iter::once(handle).chain(found.ancestors.iter().map(|entry| &entry.handle));
        if found.grant.alive(now_ms).is_err() || chain().any(|handle| handle.is_over(now_ms)) {
            return Ok(None);
        }
        let catalog = self.catalog();
        let Some(service) = catalog.service_of(&grant.secret) else { return Ok(None) };
        let Some(secret) = state.secrets.get(&grant.secret) else { return Ok(None) };
        let Some((name, adapter)) =
            state.adapters.iter().find(|(name, _)| name.as_str() == service.id.as_str())
        else {
            return Ok(None);
        };
        let opaque = state.agents.get(&grant.agent).is_some_and(|agent| agent.record.opaque);
        let other = (!secret.record.default).then_some(&grant.secret);
        let own: Vec<&Caveat> = chain().flat_map(|handle| &handle.caveats).collect();
        let tools: Vec<ToolView> = found
            .tools(service)
            .into_iter()
            .filter(|tool| !is_forbidden(state, grant, tool, now_ms))
            .filter_map(|tool| {
                let schema = if opaque {
                    schema(tool, &[])
                } else if handle.id == grant.root {
                    shared_schema(state, grant, tool, now_ms)
                } else {
                    schema(tool, &grant.caveats.iter().chain(own.iter().copied()).collect::<Vec<_>>())
                };
                view(tool, schema, other)
            })
            .collect();
        if tools.is_empty() {
            return Ok(None);
        }
        let proof_key = self.proof_key(handle.id, &grant.agent).map_err(|_| Denial::new(Class::Sealed))?;
        Ok(Some(OpenedHandle {
            id: handle.id,
            parent: handle.ancestors.first().copied(),
            label: handle.label.clone(),
            grant: grant.id,
            secret: grant.secret.clone(),
            proof_key,
            tools,
            expires_at_ms: chain().filter_map(Handle::ends_at_ms).chain(grant.expires_at_ms).min(),
            adapter: self.adapter_view(name, adapter.record.uid, &adapter.record.endpoint),
        }))
    }

    /// The tools of an adapter's service, as the catalog describes them.
    ///
    /// # Errors
    /// Class `sealed`.
    pub fn tools(&self, adapter: &AdapterName) -> Result<Vec<ToolView>, Refusal> {
        if !self.is_unsealed() {
            return Err(Refusal { class: Class::Sealed, field: None, reference: None, approval: None });
        }
        let catalog = self.catalog();
        let service = catalog.services.values().find(|service| service.id.as_str() == adapter.as_str());
        Ok(service.map(|service| self.service_tools(service)).unwrap_or_default())
    }

    /// The tools of a service, bounded by nothing.
    #[must_use]
    pub fn service_tools(&self, service: &Service) -> Vec<ToolView> {
        service.tools.values().filter_map(|tool| view(tool, schema(tool, &[]), None)).collect()
    }

    /// What proves that a handle was opened by that agent, in this run of this replica.
    pub(super) fn proof_key(
        &self,
        handle: HandleId,
        agent: &AgentName,
    ) -> Result<Zeroizing<[u8; 32]>, SealFault> {
        let fields: [&[u8]; 5] = [
            b"proof",
            handle.as_bytes(),
            agent.as_str().as_bytes(),
            self.replica.as_bytes(),
            self.boot.as_bytes(),
        ];
        self.ports.sealer.derive(Purpose::Handle, &fields)
    }

    pub(super) fn adapter_view(&self, name: &AdapterName, uid: Option<u32>, endpoint: &str) -> AdapterView {
        let endpoint = if endpoint.is_empty() {
            self.settings.endpoint_template.replace("{}", name.as_str())
        } else {
            endpoint.to_owned()
        };
        AdapterView { name: name.clone(), uid, endpoint }
    }

    pub(super) fn is_opaque(&self, agent: &AgentName) -> bool {
        self.read().agents.get(agent).is_some_and(|entry| entry.record.opaque)
    }
}

impl Presented {
    /// The tools that its grant names, that are still as granted, and that all handles of the chain leave to it. A bound
    /// that a tool cannot keep to leaves that tool out.
    pub(super) fn tools<'a>(&self, service: &'a Service) -> Vec<&'a Tool> {
        let chain = std::iter::once(&self.handle).chain(&self.ancestors);
        let own: Vec<&Caveat> = chain.flat_map(|entry| &entry.handle.caveats).collect();
        let left = |tool: &Tool| {
            own.iter().all(|caveat| match caveat {
                Caveat::Tools(names) => names.contains(&tool.name),
                caveat => caveat.enforceable(tool).is_ok(),
            })
        };
        let granted = self.grant.grant.tools.iter();
        granted
            .filter_map(|granted| {
                let tool = service.tools.get(granted.name.tool())?;
                (tool.definition == granted.definition && left(tool)).then_some(tool)
            })
            .collect()
    }
}

/// Whether a grant forbids the tool whatever its arguments: then it is not offered.
fn is_forbidden(state: &State, grant: &Grant, tool: &Tool, now_ms: u64) -> bool {
    let mut live = state.live_grants(&grant.agent, now_ms).map(|entry| &entry.grant);
    live.any(|other| other.deny && other.caveats.is_empty() && other.shares(grant, &tool.name))
}

/// The schema of a tool that a grant's root handle offers. Where several grants name the tool, any of them may allow a
/// call, so each handle shows what they allow together.
fn shared_schema(state: &State, grant: &Grant, tool: &Tool, now_ms: u64) -> Value {
    let live = state.live_grants(&grant.agent, now_ms).map(|entry| &entry.grant);
    let offering = live.filter(|other| {
        let same = other.tool(&tool.name).is_some_and(|granted| granted.definition == tool.definition);
        !other.deny && same && other.shares(grant, &tool.name)
    });
    let schemas = offering.map(|other| schema(tool, &other.caveats.iter().collect::<Vec<_>>()));
    united(tool, schemas.collect())
}

/// A schema that takes whatever one of these takes.
fn united(tool: &Tool, mut schemas: Vec<Value>) -> Value {
    schemas.dedup();
    match schemas.as_slice() {
        [only] => only.clone(),
        _ => schema(tool, &[]),
    }
}

/// A tool with that schema; `other` is the secret's name where it is not its service's default.
fn view(tool: &Tool, schema: Value, other: Option<&SecretName>) -> Option<ToolView> {
    let mut summary = tool.summary.clone();
    if let Some(secret) = other {
        summary.push_str(&format!(" (account {})", secret.account()));
    }
    Some(ToolView {
        name: tool.name.clone(),
        mcp_name: tool.name.mcp_name(other.map(SecretName::account))?,
        summary,
        schema,
        effect: tool.effect,
        untrusted: tool.untrusted,
        definition: tool.definition,
    })
}
