//! Freezing: an agent stops at once, and can be thawed.

use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::name::AgentName;

use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, AgentRecord};
use super::view::AgentView;
use super::{Broker, lock};

impl Broker {
    /// Freezes an agent: it bites in memory at once, and is acknowledged when it is durable.
    ///
    /// # Errors
    /// No such agent; or [`AdminError::NotDurable`], and then it holds until the vault is restarted.
    pub async fn freeze(&self, actor: Actor, name: &AgentName, why: &str) -> Result<AgentView, AdminError> {
        self.require_unsealed()?;
        self.freeze_now(name, why)?;
        let _turn = self.admin.lock().await;
        // Recorded from the reserve, and made durable even if it cannot be recorded: taking away must always work.
        let recorded = self.record_agent(Kind::Frozen, actor, name).await;
        self.save_agent(name).await.map_err(|error| AdminError::NotDurable(error.to_string()))?;
        recorded.map_err(|error| AdminError::NotDurable(error.to_string()))?;
        self.agent(name)
    }

    /// Freezes an agent in memory, waiting for nothing: neither for the log nor for the store.
    pub(super) fn freeze_now(&self, name: &AgentName, why: &str) -> Result<(), AdminError> {
        let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
        let why = if why.is_empty() { "frozen by an admin".to_owned() } else { why };
        {
            let mut state = self.write();
            let entry = state.agents.get_mut(name).ok_or_else(|| missing(name))?;
            entry.record.frozen = Some(why);
            entry.freezes += 1;
        }
        lock(&self.pages).forget_agent(name);
        self.changed();
        Ok(())
    }

    /// Thaws an agent. Gives again only what is durable and recorded.
    ///
    /// # Errors
    /// No such agent, frozen anew since it was asked for, not recorded, or not durable; then it stays frozen.
    pub async fn thaw(&self, actor: Actor, name: &AgentName) -> Result<AgentView, AdminError> {
        self.require_unsealed()?;
        let (_, asked) = self.agent_record(name)?;
        let _turn = self.admin.lock().await;
        let (mut record, seen) = self.agent_record(name)?;
        // Whoever asked for the thaw did not know of a freeze that came while it waited for its turn.
        if seen.freezes != asked.freezes {
            return Err(AdminError::Conflict);
        }
        record.frozen = None;
        let mut event = self.event(Kind::Thawed, actor);
        event.agent = Some(name.clone());
        self.ports.audit.record(event, Detail::default()).await?;
        self.put_agent(name, record, seen).await?;
        self.changed();
        self.agent(name)
    }

    async fn record_agent(&self, kind: Kind, actor: Actor, name: &AgentName) -> Result<(), AdminError> {
        let mut event = self.event(kind, actor);
        event.agent = Some(name.clone());
        Ok(self.ports.audit.record_from_reserve(event, Detail::default()).await?)
    }

    /// Writes an agent's record as it stands in memory.
    pub(super) async fn save_agent(&self, name: &AgentName) -> Result<(), AdminError> {
        let (record, seen) = self.agent_record(name)?;
        self.put_agent(name, record, seen).await
    }

    pub(super) fn agent_record(&self, name: &AgentName) -> Result<(AgentRecord, Seen), AdminError> {
        let state = self.read();
        let entry = state.agents.get(name).ok_or_else(|| missing(name))?;
        let record = AgentRecord { taint: entry.taint.sources(), ..entry.record.clone() };
        Ok((record, Seen { version: entry.version, freezes: entry.freezes }))
    }

    /// Writes an agent's record and takes it over in memory. A freeze that came meanwhile stays.
    pub(super) async fn put_agent(
        &self,
        name: &AgentName,
        record: AgentRecord,
        seen: Seen,
    ) -> Result<(), AdminError> {
        let plain = || Plain::Registry(records::encode(&record));
        let version = self.put_over(&format!("agent/{name}"), seen.version, plain).await?;
        let mut state = self.write();
        if let Some(entry) = state.agents.get_mut(name) {
            let frozen = entry.record.frozen.take();
            entry.record = record;
            entry.version = version;
            // It waits for its turn now, and will make itself durable.
            if entry.freezes != seen.freezes {
                entry.record.frozen = frozen;
            }
        }
        Ok(())
    }
}

/// An agent's entry as it was when its record was copied.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// The version of its record.
    pub(super) version: u64,
    /// How often it had been frozen.
    freezes: u64,
}

fn missing(name: &AgentName) -> AdminError {
    AdminError::Missing { what: "agent", name: name.to_string(), near: Vec::new() }
}
