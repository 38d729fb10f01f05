//! The registry of peers: agents and adapters, each with one user and one name.

use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::name::{AdapterName, AgentName};

use super::Broker;
use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, AdapterRecord, AgentRecord, TaintRecord};
use super::state::{AdapterEntry, AgentEntry, State};
use super::view::{AdapterView, AgentView, TaintView};

impl Broker {
    /// Registers an agent. Its name may never have been another's: grants of a removed agent stay revoked.
    ///
    /// # Errors
    /// The name or the user is taken, a user is missing or unwanted, or it could not be recorded or made durable.
    pub async fn add_agent(
        &self,
        admin: Actor,
        name: AgentName,
        uid: Option<u32>,
        opaque: bool,
        inputs_vault_only: bool,
    ) -> Result<AgentView, AdminError> {
        self.require_unsealed()?;
        let _turn = self.admin.lock().await;
        self.require_new_uid(uid)?;
        if self.read().agents.contains_key(&name) {
            return Err(AdminError::Exists { what: "an agent", name: name.to_string() });
        }
        let record = AgentRecord {
            name: name.to_string(),
            uid,
            frozen: None,
            opaque,
            inputs_vault_only,
            tainted: false,
            ..AgentRecord::default()
        };
        let mut event = self.event(Kind::AgentAdded, admin);
        event.agent = Some(name.clone());
        self.ports.audit.record(event, Detail::default()).await?;
        // An earlier agent of that name made what it made; this one has made nothing.
        self.forget_made(&format!("made/{name}/"), |agent, _| *agent == name).await?;
        // Over what an earlier try may have left, of which it was not known whether the store took it.
        let plain = || Plain::Registry(records::encode(&record));
        let version = self.put_over(&format!("agent/{name}"), 0, plain).await?;
        self.write().agents.insert(name.clone(), AgentEntry::new(record, version));
        self.changed();
        self.agent(&name)
    }

    /// Removes an agent; all its grants are revoked first. Returns how many there were.
    ///
    /// # Errors
    /// No such agent, or a revocation is not durable; then the agent stays, with what was not revoked.
    pub async fn remove_agent(&self, admin: Actor, name: &AgentName) -> Result<u32, AdminError> {
        self.require_unsealed()?;
        self.agent(name)?;
        let (_turn, revoked) = self.revoke_where(&admin, |grant| grant.agent == *name).await?;
        let (_, seen) = self.agent_record(name)?;
        let mut event = self.event(Kind::AgentRemoved, admin);
        event.agent = Some(name.clone());
        self.ports.audit.record(event, Detail::default()).await?;
        self.delete_over(vec![(format!("agent/{name}"), seen.version)]).await?;
        self.write().agents.remove(name);
        self.forget_habits(name).await;
        self.changed();
        Ok(revoked)
    }

    /// Registers an adapter, named after the service it serves.
    ///
    /// # Errors
    /// No such service; the name or the user is taken; or it could not be recorded or made durable.
    pub async fn add_adapter(
        &self,
        admin: Actor,
        name: AdapterName,
        uid: Option<u32>,
        endpoint: Option<String>,
    ) -> Result<AdapterView, AdminError> {
        self.require_unsealed()?;
        let _turn = self.admin.lock().await;
        self.require_new_uid(uid)?;
        if !self.catalog().services.keys().any(|service| service.as_str() == name.as_str()) {
            let known =
                self.catalog().services.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(AdminError::invalid(
                format!("an adapter is named after a service, and there is no service {name}"),
                format!("the services are {known}"),
            ));
        }
        let endpoint = endpoint.unwrap_or_default();
        if !endpoint.is_empty()
            && (!endpoint.starts_with('/') || endpoint.len() > 100 || endpoint.contains(['\0', '\n']))
        {
            return Err(AdminError::invalid(
                "an endpoint is an absolute path of at most 100 bytes",
                "leave it out for the default place",
            ));
        }
        if self.read().adapters.contains_key(&name) {
            return Err(AdminError::Exists { what: "an adapter", name: name.to_string() });
        }
        let record = AdapterRecord { name: name.to_string(), uid, endpoint };
        let mut event = self.event(Kind::AdapterAdded, admin);
        event.adapter = Some(name.clone());
        self.ports.audit.record(event, Detail::default()).await?;
        let plain = || Plain::Registry(records::encode(&record));
        let version = self.put_over(&format!("adapter/{name}"), 0, plain).await?;
        let view = self.adapter_view(&name, record.uid, &record.endpoint);
        self.write().adapters.insert(name, AdapterEntry { record, version });
        self.changed();
        Ok(view)
    }

    /// Removes an adapter: its capabilities are worth nothing from then on, for nobody is it any more.
    ///
    /// # Errors
    /// No such adapter, or it could not be recorded or made durable.
    pub async fn remove_adapter(&self, admin: Actor, name: &AdapterName) -> Result<(), AdminError> {
        self.require_unsealed()?;
        let _turn = self.admin.lock().await;
        let version = {
            let state = self.read();
            let missing = || AdminError::Missing {
                what: "adapter",
                name: name.to_string(),
                near: near(&state.adapters),
            };
            state.adapters.get(name).ok_or_else(missing)?.version
        };
        let mut event = self.event(Kind::AdapterRemoved, admin);
        event.adapter = Some(name.clone());
        self.ports.audit.record(event, Detail::default()).await?;
        self.delete_over(vec![(format!("adapter/{name}"), version)]).await?;
        self.write().adapters.remove(name);
        self.changed();
        Ok(())
    }

    /// All agents. Answers while sealed too, for the accept loop.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentView> {
        let (state, now_ms) = (self.read(), self.now_ms());
        state.agents.iter().map(|(name, entry)| agent_view(&state, name, entry, now_ms)).collect()
    }

    /// All adapters. Answers while sealed too, for the accept loop.
    #[must_use]
    pub fn adapters(&self) -> Vec<AdapterView> {
        let state = self.read();
        state
            .adapters
            .iter()
            .map(|(name, entry)| self.adapter_view(name, entry.record.uid, &entry.record.endpoint))
            .collect()
    }

    /// Which agent runs as that user.
    #[must_use]
    pub fn agent_of_uid(&self, uid: u32) -> Option<AgentName> {
        let state = self.read();
        state.agents.iter().find(|(_, entry)| entry.record.uid == Some(uid)).map(|(name, _)| name.clone())
    }

    /// Which adapter runs as that user.
    #[must_use]
    pub fn adapter_of_uid(&self, uid: u32) -> Option<AdapterName> {
        let state = self.read();
        state.adapters.iter().find(|(_, entry)| entry.record.uid == Some(uid)).map(|(name, _)| name.clone())
    }

    pub(super) fn agent(&self, name: &AgentName) -> Result<AgentView, AdminError> {
        let (state, now_ms) = (self.read(), self.now_ms());
        let entry = state.agents.get(name).ok_or_else(|| missing_agent(&state, name))?;
        Ok(agent_view(&state, name, entry, now_ms))
    }

    /// A user is needed where there are several, unwanted where there is one, and never shared.
    fn require_new_uid(&self, uid: Option<u32>) -> Result<(), AdminError> {
        match (self.settings.single_user, uid) {
            (true, None) => Ok(()),
            (true, Some(_)) => {
                Err(AdminError::invalid("this vault runs in single-user mode", "leave out --uid"))
            }
            (false, None) => Err(AdminError::invalid("a peer is known by its user", "say which with --uid")),
            (false, Some(uid)) if self.settings.admin_uids.contains(&uid) => Err(AdminError::invalid(
                format!("uid {uid} is an admin"),
                "make an operating-system user of its own for each agent and adapter",
            )),
            (false, Some(uid)) => match self.read().uid_taken(uid) {
                None => Ok(()),
                Some(who) => Err(AdminError::invalid(
                    format!("uid {uid} is {who} already"),
                    "make an operating-system user of its own for each agent and adapter",
                )),
            },
        }
    }
}

fn agent_view(state: &State, name: &AgentName, entry: &AgentEntry, now_ms: u64) -> AgentView {
    let AgentRecord {
        name: _,
        uid,
        frozen,
        opaque,
        inputs_vault_only,
        tainted: _,
        // Newer ones are in memory.
        taint: _,
        tainted_at_ms,
    } = &entry.record;
    let taint = entry
        .taint
        .sources()
        .into_iter()
        .map(|TaintRecord { at_ms, tool, secret, reference }| TaintView { at_ms, tool, secret, reference });
    AgentView {
        name: name.clone(),
        uid: *uid,
        frozen: frozen.clone(),
        opaque: *opaque,
        inputs_vault_only: *inputs_vault_only,
        // An agent that also reads outside the vault may have read anything.
        tainted: entry.is_tainted(),
        tainted_at_ms: *tainted_at_ms,
        taint: taint.collect(),
        grants: u32::try_from(state.live_grants(name, now_ms).count()).unwrap_or(u32::MAX),
    }
}

fn missing_agent(state: &State, name: &AgentName) -> AdminError {
    AdminError::Missing { what: "agent", name: name.to_string(), near: near(&state.agents) }
}

/// All names there are: the command line picks the nearest.
pub(super) fn near<K: ToString, V>(map: &std::collections::BTreeMap<K, V>) -> Vec<String> {
    map.keys().map(ToString::to_string).take(50).collect()
}
