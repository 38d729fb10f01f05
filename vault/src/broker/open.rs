//! Opening: an agent's client learns its live handles, their narrowed tools and their proof keys.

use claviger_domain::caveat::Caveat;
use claviger_domain::event::Actor;
use claviger_domain::id::HandleId;
use claviger_domain::name::{AdapterName, AgentName, SecretName};
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::schema::schema;
use claviger_domain::tool::{Service, Tool};
use zeroize::Zeroizing;

use super::Broker;
use super::refuse::About;
use super::state::{GrantEntry, State};
use super::view::{AdapterView, Opened, OpenedHandle, ToolView};
use crate::port::{Purpose, SealFault};

impl Broker {
    /// The live handles of an agent. A frozen agent has none.
    ///
    /// # Errors
    /// Class `sealed`, or `not-granted` for an agent that is not registered.
    pub fn open(&self, agent: &AgentName) -> Result<Opened, Refusal> {
        self.try_open(agent).map_err(|denial| {
            let about =
                About { agent: Some(agent.clone()), opaque: self.is_opaque(agent), ..About::default() };
            self.refuse(Actor::Agent(agent.clone()), about, denial)
        })
    }

    fn try_open(&self, agent: &AgentName) -> Result<Opened, Denial> {
        let now_ms = self.now_ms();
        let state = self.read();
        if !state.unsealed {
            return Err(Denial::new(Class::Sealed));
        }
        let entry = state.agents.get(agent).ok_or_else(|| Denial::new(Class::NotGranted).field("agent"))?;
        let frozen = entry.record.frozen.is_some();
        let mut handles = Vec::new();
        if !frozen {
            for grant in state.live_grants(agent, now_ms) {
                handles.extend(self.opened_handle(&state, grant)?);
            }
        }
        Ok(Opened { agent: agent.clone(), boot: self.boot, replica: self.replica, frozen, handles })
    }

    /// What an agent gets of one grant; nothing where its secret or adapter is missing, or no tool is as granted.
    fn opened_handle(&self, state: &State, entry: &GrantEntry) -> Result<Option<OpenedHandle>, Denial> {
        let grant = &entry.grant;
        let Some(handle) = state.handles.get(&grant.root) else { return Ok(None) };
        let Some(service) = self.catalog.service_of(&grant.secret) else { return Ok(None) };
        let Some(secret) = state.secrets.get(&grant.secret) else { return Ok(None) };
        let Some((name, adapter)) =
            state.adapters.iter().find(|(name, _)| name.as_str() == service.id.as_str())
        else {
            return Ok(None);
        };
        let opaque = state.agents.get(&grant.agent).is_some_and(|agent| agent.record.opaque);
        let caveats: Vec<&Caveat> =
            if opaque { Vec::new() } else { grant.caveats.iter().chain(&handle.handle.caveats).collect() };
        let tools: Vec<ToolView> = grant
            .tools
            .iter()
            .filter_map(|granted| {
                let tool = service.tools.get(granted.name.tool())?;
                (tool.definition == granted.definition)
                    .then(|| view(tool, &caveats, (!secret.record.default).then_some(&grant.secret)))?
            })
            .collect();
        if tools.is_empty() {
            return Ok(None);
        }
        let proof_key = self.proof_key(grant.root, &grant.agent).map_err(|_| Denial::new(Class::Sealed))?;
        Ok(Some(OpenedHandle {
            id: grant.root,
            parent: None,
            label: String::new(),
            grant: grant.id,
            secret: grant.secret.clone(),
            proof_key,
            tools,
            expires_at_ms: grant.expires_at_ms,
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
        let service = self.catalog.services.values().find(|service| service.id.as_str() == adapter.as_str());
        Ok(service.map(|service| self.service_tools(service)).unwrap_or_default())
    }

    /// The tools of a service, bounded by nothing.
    #[must_use]
    pub fn service_tools(&self, service: &Service) -> Vec<ToolView> {
        service.tools.values().filter_map(|tool| view(tool, &[], None)).collect()
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

/// A tool under these caveats; `other` is the secret's name where it is not its service's default.
fn view(tool: &Tool, caveats: &[&Caveat], other: Option<&SecretName>) -> Option<ToolView> {
    let mut summary = tool.summary.clone();
    if let Some(secret) = other {
        summary.push_str(&format!(" (account {})", secret.account()));
    }
    Some(ToolView {
        name: tool.name.clone(),
        mcp_name: tool.name.mcp_name(other.map(SecretName::account))?,
        summary,
        schema: schema(tool, caveats),
        effect: tool.effect,
        untrusted: tool.untrusted,
        definition: tool.definition,
    })
}
