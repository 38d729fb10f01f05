//! Decoys: what nobody should use, and who does.
//!
//! Whoever uses one is frozen in memory at once; the record follows in a task of the vault's, which a caller that goes
//! away does not stop. Nobody but the owner is told why.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use claviger_canonical::Canonical;
use claviger_domain::decoy::{Look, Lures};
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::id::{DecoyId, HandleId};
use claviger_domain::name::{AdapterName, AgentName};
use claviger_domain::refusal::{Class, Denial};

use super::Broker;
use super::alerts::Alert;
use super::error::AdminError;
use super::load::UnsealError;
use super::persist::Plain;
use super::records::{self, DecoyRecord};
use super::refuse::About;
use super::state::State;
use super::view::DecoyView;
use crate::port::Purpose;

/// How many decoys a vault has at most.
const MOST: usize = 64;

/// The longest note, in characters.
const NOTE: usize = 200;

/// Why an agent is frozen that used one.
const WHY: &str = "it used a decoy";

/// All decoys, and what finds them.
#[derive(Default)]
pub(super) struct Decoys {
    entries: BTreeMap<DecoyId, Entry>,
    handles: HashMap<HandleId, DecoyId>,
    lures: Arc<Lures>,
}

#[derive(Clone)]
struct Entry {
    record: DecoyRecord,
    version: u64,
}

/// What a decoy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoyKind {
    /// A handle that was never issued.
    Handle,
    /// A text that looks like that provider's credential.
    Credential(Look),
}

impl Decoys {
    fn index(&mut self) {
        self.handles = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.record.kind == HANDLE)
            .filter_map(|(id, entry)| Some((entry.record.value.parse().ok()?, *id)))
            .collect();
        let credentials = self.entries.iter().filter(|(_, entry)| entry.record.kind == CREDENTIAL);
        self.lures = Arc::new(Lures::of(credentials.map(|(id, entry)| (*id, entry.record.value.as_str()))));
    }
}

const HANDLE: &str = "handle";
const CREDENTIAL: &str = "credential";

fn key(id: DecoyId) -> String {
    format!("decoy/{id}")
}

impl Broker {
    /// Makes a decoy. What is to be planted is in the view, now and later.
    ///
    /// # Errors
    /// There are too many, or it could not be recorded or made durable.
    pub async fn add_decoy(
        &self,
        actor: Actor,
        kind: DecoyKind,
        note: &str,
    ) -> Result<DecoyView, AdminError> {
        self.require_unsealed()?;
        let _turn = self.admin.lock().await;
        if self.read().decoys.entries.len() >= MOST {
            return Err(AdminError::invalid(
                format!("there are {MOST} decoys already"),
                "remove one: claviger decoy rm ID",
            ));
        }
        let id = DecoyId::from_bytes(self.random());
        let (kind, value) = match kind {
            DecoyKind::Handle => (HANDLE, HandleId::from_bytes(self.random()).to_string()),
            DecoyKind::Credential(look) => (CREDENTIAL, look.dress(&self.random())),
        };
        let record = DecoyRecord {
            id: id.as_bytes().to_vec(),
            kind: kind.to_owned(),
            value,
            note: note.chars().filter(|c| !c.is_control()).take(NOTE).collect(),
            created_at_ms: self.now_ms(),
            used: 0,
        };
        let mut event = self.event(Kind::DecoyAdded, actor);
        event.step = Some(id.to_string());
        self.ports.audit.record(event, Detail::default()).await?;
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&record));
        let version = self.put_over(&key(id), 0, plain).await?;
        let view = view(id, &record);
        let mut state = self.write();
        state.decoys.entries.insert(id, Entry { record, version });
        state.decoys.index();
        Ok(view)
    }

    /// All decoys.
    ///
    /// # Errors
    /// The vault is sealed.
    pub fn decoys(&self) -> Result<Vec<DecoyView>, AdminError> {
        self.require_unsealed()?;
        Ok(self.read().decoys.entries.iter().map(|(id, entry)| view(*id, &entry.record)).collect())
    }

    /// Removes a decoy: what was planted is worth nothing from then on, not even an alarm.
    ///
    /// # Errors
    /// There is none of that id, or it could not be recorded or made durable.
    pub async fn remove_decoy(&self, actor: Actor, id: DecoyId) -> Result<(), AdminError> {
        self.require_unsealed()?;
        let _turn = self.admin.lock().await;
        let version = self.read().decoys.entries.get(&id).map(|entry| entry.version);
        let version = version.ok_or_else(|| AdminError::Missing {
            what: "decoy",
            name: id.to_string(),
            near: Vec::new(),
        })?;
        let mut event = self.event(Kind::DecoyRemoved, actor);
        event.step = Some(id.to_string());
        self.ports.audit.record(event, Detail::default()).await?;
        self.commit_all(Vec::new(), vec![(key(id), version)]).await?;
        let mut state = self.write();
        state.decoys.entries.remove(&id);
        state.decoys.index();
        Ok(())
    }

    /// Looks for decoys in what a call was given, before anything else is decided on it: an attempt that some bound
    /// would have refused is an attempt.
    ///
    /// # Errors
    /// Class `frozen` where it used one: the agent is frozen from now on.
    pub(super) fn spring(
        &self,
        agent: &AgentName,
        about: &About,
        arguments: &Canonical,
    ) -> Result<(), Denial> {
        let lures = Arc::clone(&self.read().decoys.lures);
        match lures.in_arguments(arguments.value()) {
            None => Ok(()),
            Some(decoy) => {
                self.sprung(Some(agent), about.clone(), decoy);
                // As every frozen agent is told.
                Err(Denial::new(Class::Frozen)
                    .field("agent")
                    .fix("look at its log, then run `claviger thaw`"))
            }
        }
    }

    /// Somebody named a handle that is not theirs. Returns whether it is a decoy; then the agent is frozen.
    pub fn lured(&self, agent: &AgentName, handle: HandleId) -> bool {
        self.is_decoy(handle).is_some_and(|decoy| {
            let about = About { agent: Some(agent.clone()), ..About::default() };
            self.sprung(Some(agent), about, decoy);
            true
        })
    }

    /// A presentation names a handle that is not there. Without a live handle there is no proof of who made it: the
    /// owner is told through which adapter it came.
    pub(super) fn lured_through(&self, adapter: &AdapterName, handle: HandleId) {
        if let Some(decoy) = self.is_decoy(handle) {
            let about = About { adapter: Some(adapter.clone()), handle: Some(handle), ..About::default() };
            self.sprung(None, about, decoy);
        }
    }

    fn is_decoy(&self, handle: HandleId) -> Option<DecoyId> {
        self.read().decoys.handles.get(&handle).copied()
    }

    /// Freezes in memory now, and has the rest done.
    fn sprung(&self, agent: Option<&AgentName>, about: About, decoy: DecoyId) {
        if let Some(agent) = agent {
            let mut state = self.write();
            if let Some(entry) = state.agents.get_mut(agent) {
                entry.record.frozen = Some(WHY.to_owned());
                entry.freezes += 1;
            }
        }
        let Some(broker) = self.me.upgrade() else { return };
        let agent = agent.cloned();
        self.tasks.spawn(async move {
            let detail = broker.decoy_detail(decoy);
            broker.alert_now(Alert::DecoyUsed, &about, detail).await;
            if let Some(agent) = agent
                && let Err(error) = broker.freeze(Actor::Vault, &agent, WHY).await
            {
                tracing::error!(%agent, %error, "the agent was frozen in memory only");
            }
            broker.count_use(decoy).await;
        });
    }

    fn decoy_detail(&self, decoy: DecoyId) -> Detail {
        let state = self.read();
        let mut detail = Detail::default();
        detail.add("decoy", Some(&decoy.to_string()));
        detail.add("note", state.decoys.entries.get(&decoy).map(|entry| entry.record.note.as_str()));
        detail
    }

    async fn count_use(&self, decoy: DecoyId) {
        let _turn = self.admin.lock().await;
        let Some(mut entry) = self.read().decoys.entries.get(&decoy).cloned() else { return };
        entry.record.used = entry.record.used.saturating_add(1);
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&entry.record));
        match self.put_over(&key(decoy), entry.version, plain).await {
            Ok(version) => entry.version = version,
            Err(error) => tracing::warn!(%decoy, %error, "its use was not counted durably"),
        }
        let mut state = self.write();
        if let Some(known) = state.decoys.entries.get_mut(&decoy) {
            *known = entry;
        }
    }

    /// Reads them at unseal.
    pub(super) async fn read_decoys(&self, state: &mut State) -> Result<(), UnsealError> {
        for item in self.ports.store.scan("decoy/").await?.1 {
            let unreadable = || UnsealError::Unreadable { key: item.key.clone() };
            let record: DecoyRecord = self.read_sealed(&item)?;
            let id = DecoyId::from_slice(&record.id).ok_or_else(unreadable)?;
            if item.key != key(id) {
                return Err(UnsealError::Forged { key: item.key.clone() });
            }
            state.decoys.entries.insert(id, Entry { record, version: item.version });
        }
        state.decoys.index();
        Ok(())
    }
}

fn view(id: DecoyId, record: &DecoyRecord) -> DecoyView {
    let DecoyRecord { id: _, kind, value, note, created_at_ms, used } = record;
    DecoyView {
        id,
        kind: kind.clone(),
        value: value.clone(),
        note: note.clone(),
        created_at_ms: *created_at_ms,
        used: *used,
    }
}
