//! Reading the store: the registry while sealed, everything at unseal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use claviger_domain::grant::{Grant, Handle, State as GrantState};
use claviger_domain::id::{GrantId, HandleId};
use claviger_domain::name::{AdapterName, AgentName, SecretName};
use claviger_domain::origin::Pin;

use super::Broker;
use super::counters::Counter;
use super::error::AdminError;
use super::handles::Handles;
use super::inlet::{self, Inlet, forged, require_id, require_key, unreadable};
use super::records::{
    self, AdapterRecord, AgentRecord, ClockRecord, CounterRecord, GrantRecord, HandleRecord, SecretRecord,
    all,
};
use super::secrets;
use super::state::{
    AdapterEntry, AgentEntry, ClientEntry, GrantEntry, HandleEntry, PinnedProvider, SealedValue, SecretEntry,
    State, ValueEntry,
};
use super::time;
use crate::port::{Item, Purpose, StoreFault};

/// Why the records could not be taken over at unseal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A record does not open or is not authentic: changed, moved, or another vault's.
    #[error("the record {key} is not what this vault wrote")]
    Forged {
        /// Its key.
        key: String,
    },
    /// A record was written by a newer version, or makes no sense.
    #[error("the record {key} is not readable by this version of the vault")]
    Unreadable {
        /// Its key.
        key: String,
    },
    /// Two peers would be one.
    #[error("{0}")]
    Registry(String),
}

/// A vault holds a record under this key from the day it was made: it opens with the right root key and no other.
const CANARY_KEY: &str = "meta/canary";

/// What the canary says.
const CANARY: &[u8] = b"claviger canary v1";

impl Broker {
    /// Reads who may connect, before the vault is unsealed. Believed for that alone; checked at unseal.
    ///
    /// # Errors
    /// The store cannot be read, or two peers share a user.
    pub async fn load_registry(&self) -> Result<(), UnsealError> {
        let mut state = State::default();
        self.read_registry(&mut state, false).await?;
        *self.write() = state;
        self.changed();
        Ok(())
    }

    /// Reads everything, now that the keys are there. Nothing is half taken over: it is all or an error.
    ///
    /// # Errors
    /// The first record that is not authentic, not readable or not consistent.
    pub async fn load(&self) -> Result<(), UnsealError> {
        self.check_canary().await?;
        let mut state = State { unsealed: true, ..State::default() };
        self.read_registry(&mut state, true).await?;
        self.read_secrets(&mut state).await?;
        self.read_grants(&mut state).await?;
        self.read_made(&mut state).await?;
        self.read_decoys(&mut state).await?;
        self.read_habits().await?;
        if let Some(item) = self.ports.store.get(time::KEY).await? {
            let record: ClockRecord = self.read_sealed(&item)?;
            self.time.restore(record.high_ms, item.version);
        }
        let unreadable = |key| UnsealError::Unreadable { key };
        let approvals =
            self.approvals_of(&self.ports.store.scan("approval/").await?.1).map_err(unreadable)?;
        let knowns = self.knowns_of(&self.ports.store.scan("known/").await?.1).map_err(unreadable)?;
        *self.write() = state;
        *self.approvals.lock() = approvals;
        self.knowns.replace(knowns);
        self.changed();
        Ok(())
    }

    /// Whether the records were taken over.
    #[must_use]
    pub fn is_unsealed(&self) -> bool {
        self.read().unsealed
    }

    pub(super) fn require_unsealed(&self) -> Result<(), AdminError> {
        if self.is_unsealed() { Ok(()) } else { Err(AdminError::Sealed) }
    }

    /// Proves that the key belongs to this store. A store without any canary is new and gets one.
    async fn check_canary(&self) -> Result<(), UnsealError> {
        let forged = || UnsealError::Forged { key: CANARY_KEY.to_owned() };
        match self.ports.store.get(CANARY_KEY).await? {
            Some(item) => {
                let plain = self.unseal_item(Purpose::Record, &item).map_err(|_| forged())?;
                if plain.as_slice() == CANARY { Ok(()) } else { Err(forged()) }
            }
            None => {
                // A store that holds records but no canary has lost it, which no fault of ours does.
                if !self.ports.store.scan("").await?.1.is_empty() {
                    return Err(forged());
                }
                let plain = super::persist::Plain::Sealed(Purpose::Record, CANARY.to_vec());
                let put = super::persist::Put { key: CANARY_KEY.to_owned(), version: 0, plain };
                self.commit(vec![put])
                    .await
                    .map_err(|error| StoreFault::Unavailable(error.to_string()).into())
            }
        }
    }

    async fn read_registry(&self, state: &mut State, verify: bool) -> Result<(), UnsealError> {
        let mut uids = HashSet::new();
        for item in self.ports.store.scan("agent/").await?.1 {
            let record: AgentRecord = self.registry(&item, verify)?;
            let name: AgentName = record.name.parse().map_err(|_| unreadable(&item))?;
            require_key(&item, &format!("agent/{name}"))?;
            self.require_free_uid(state, &mut uids, record.uid, &item.key)?;
            state.agents.insert(name, AgentEntry::new(record, item.version));
        }
        for item in self.ports.store.scan("adapter/").await?.1 {
            let record: AdapterRecord = self.registry(&item, verify)?;
            let name: AdapterName = record.name.parse().map_err(|_| unreadable(&item))?;
            require_key(&item, &format!("adapter/{name}"))?;
            self.require_free_uid(state, &mut uids, record.uid, &item.key)?;
            state.adapters.insert(name, AdapterEntry { record, version: item.version });
        }
        Ok(())
    }

    /// A user has exactly one role and name; a registry that says otherwise starts no vault.
    fn require_free_uid(
        &self,
        state: &State,
        uids: &mut HashSet<u32>,
        uid: Option<u32>,
        key: &str,
    ) -> Result<(), UnsealError> {
        let Some(uid) = uid else { return Ok(()) };
        let taken = if self.settings.admin_uids.contains(&uid) {
            Some("an admin".to_owned())
        } else if uids.insert(uid) {
            None
        } else {
            state.uid_taken(uid)
        };
        match taken {
            None => Ok(()),
            Some(who) => Err(UnsealError::Registry(format!("{key} has uid {uid}, which is {who} already"))),
        }
    }

    async fn read_secrets(&self, state: &mut State) -> Result<(), UnsealError> {
        for item in self.ports.store.scan("secret/").await?.1 {
            let record: SecretRecord = self.read_sealed(&item)?;
            let name: SecretName = record.name.parse().map_err(|_| unreadable(&item))?;
            require_key(&item, &secrets::key(&name))?;
            let value_key = secrets::value_key(&name, record.current);
            let value = self.ports.store.get(&value_key).await?;
            let value = value.ok_or(UnsealError::Unreadable { key: value_key })?;
            // Opened once to be sure that it opens, and forgotten.
            self.unseal_item(Purpose::Record, &value).map_err(|fault| forged(&value, fault))?;
            let entry = entry_of(record, item.version, value).ok_or_else(|| unreadable(&item))?;
            state.secrets.insert(name, Arc::new(entry));
        }
        for item in self.ports.store.scan("oauth-client/").await?.1 {
            let provider = item.key.trim_start_matches("oauth-client/").to_owned();
            self.unseal_item(Purpose::Record, &item).map_err(|fault| forged(&item, fault))?;
            state.clients.insert(provider, ClientEntry { version: item.version, sealed: item.value });
        }
        Ok(())
    }

    async fn read_grants(&self, state: &mut State) -> Result<(), UnsealError> {
        let mut made = Vec::new();
        let read = |inlet: &Inlet, item: &Item| -> Result<GrantEntry, UnsealError> {
            let grant = inlet.read::<GrantRecord>(item)?.to_domain().map_err(|_| unreadable(item))?;
            require_id(item, "grant/", grant.id)?;
            let revoked = AtomicBool::new(matches!(grant.state, GrantState::Revoked { .. }));
            Ok(GrantEntry { grant, version: item.version, revoked })
        };
        self.read_all("grant/", read, |entry| {
            let Grant { id, agent, created_at_ms, .. } = &entry.grant;
            made.push((*created_at_ms, agent.clone(), *id));
            state.grants.insert(*id, Arc::new(entry));
        })
        .await?;
        made.sort();
        for (_, agent, id) in made {
            if let Some(entry) = state.agents.get_mut(&agent) {
                entry.grants.push(id);
            }
        }
        let mut counters = self.read_counters().await?;
        self.read_handles(state, &mut counters).await?;
        // A call that was charged as its child ended left a counter behind.
        state.ended.extend(counters.into_keys().map(|id| (id, None)));
        // A child is bound by all above it: where one of them is gone, it is gone too.
        let orphans: Vec<HandleId> = state.handles.orphans().collect();
        for id in orphans {
            state.forget_subtree(id);
        }
        Ok(())
    }

    /// What handles have used up, by their ids.
    async fn read_counters(&self) -> Result<HashMap<HandleId, Counter>, UnsealError> {
        let mut counters = HashMap::new();
        let read = |inlet: &Inlet, item: &Item| -> Result<(HandleId, Counter), UnsealError> {
            let counter = Counter::restored(&inlet.read::<CounterRecord>(item)?, item.version);
            let id = item.key.strip_prefix("counter/").and_then(|id| id.parse().ok());
            Ok((id.ok_or_else(|| unreadable(item))?, counter))
        };
        self.read_all("counter/", read, |(id, counter)| drop(counters.insert(id, counter))).await?;
        Ok(counters)
    }

    /// Handles with their counters, which are taken out.
    async fn read_handles(
        &self,
        state: &mut State,
        counters: &mut HashMap<HandleId, Counter>,
    ) -> Result<(), UnsealError> {
        let read = |inlet: &Inlet, item: &Item| -> Result<HandleEntry, UnsealError> {
            let handle = handle_of(&inlet.read(item)?).ok_or_else(|| unreadable(item))?;
            require_id(item, "handle/", handle.id)?;
            Ok(HandleEntry { handle, counter: Counter::default() })
        };
        // Beside the grants themselves, which lie all over the memory.
        let standing = state.grants.values().filter(|entry| entry.grant.state == GrantState::Active);
        let standing: HashSet<GrantId> = standing.map(|entry| entry.grant.id).collect();
        let mut live = Vec::new();
        self.read_all("handle/", read, |mut entry| {
            let HandleEntry { handle, counter } = &mut entry;
            if let Some(counted) = counters.remove(&handle.id) {
                *counter = counted;
            }
            if standing.contains(&handle.grant) {
                live.push(entry);
            } else if !handle.ancestors.is_empty() {
                // A root stays with its grant, for the record.
                state.ended.insert(handle.id, Some(handle.grant));
            }
        })
        .await?;
        state.handles = Handles::of(live);
        Ok(())
    }

    fn registry<M: prost::Message + Default>(&self, item: &Item, verify: bool) -> Result<M, UnsealError> {
        if verify {
            self.verify_registry(item).map_err(|fault| forged(item, fault))?;
        }
        let plain = Self::registry_plain(item).ok_or_else(|| unreadable(item))?;
        records::decode(plain).map_err(|_| unreadable(item))
    }

    pub(super) fn read_sealed<M: prost::Message + Default>(&self, item: &Item) -> Result<M, UnsealError> {
        inlet::read(&*self.ports.sealer, item)
    }
}

/// A secret's entry from its records; `None` where what it pins makes no sense.
pub(super) fn entry_of(record: SecretRecord, version: u64, value: Item) -> Option<SecretEntry> {
    let origins = record.origins.iter().map(|origin| origin.parse().ok()).collect::<Option<Vec<_>>>()?;
    let pin = Pin { origins, private: record.private, roots_pem: record.roots_pem.clone() };
    let provider = match &record.provider {
        None => None,
        Some(pinned) => {
            let token: claviger_domain::tool::Endpoint = pinned.token.parse().ok()?;
            let revoke: Option<claviger_domain::tool::Endpoint> =
                pinned.revoke.as_ref().map(|url| url.parse()).transpose().ok()?;
            let origins =
                std::iter::once(&token).chain(&revoke).map(|endpoint| endpoint.origin.clone()).collect();
            let pin = Pin { origins, private: pinned.private, roots_pem: pinned.roots_pem.clone() };
            Some(Arc::new(PinnedProvider { token, revoke, pin }))
        }
    };
    let needs_login = Arc::new(AtomicBool::new(record.needs_login));
    let value = Arc::new(ValueEntry {
        number: record.current,
        sealed: std::sync::Mutex::new(SealedValue {
            version: value.version,
            bytes: value.value,
            unsaved: None,
        }),
        renewals: std::sync::atomic::AtomicU64::new(0),
    });
    Some(SecretEntry {
        record,
        version,
        pin,
        provider,
        value,
        needs_login,
        tokens: Arc::default(),
        leases: tokio_util::task::TaskTracker::new(),
    })
}

fn handle_of(record: &HandleRecord) -> Option<Handle> {
    Some(Handle {
        id: HandleId::from_slice(&record.id)?,
        grant: GrantId::from_slice(&record.grant)?,
        ancestors: all(&record.ancestors, |id| HandleId::from_slice(id).ok_or(records::Unreadable)).ok()?,
        caveats: all(&record.caveats, records::CaveatRecord::to_domain).ok()?,
        label: record.label.clone(),
        task: record.task,
        created_at_ms: record.created_at_ms,
    })
}
