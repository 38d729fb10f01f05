//! What was agreed to before, under each grant: recipients, hosts, folders, labels.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::approval::Reach;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::id::GrantId;
use claviger_domain::show::excerpt;
use tokio::sync::OwnedMutexGuard;

use crate::broker::Broker;
use crate::broker::error::AdminError;
use crate::broker::persist::{Plain, Put};
use crate::broker::records::{self, KnownRecord};
use crate::broker::revoke::missing;
use crate::broker::view::GrantView;
use crate::port::{Item, Purpose};

/// How much is remembered under one grant; beyond that a person is asked each time.
const MOST: usize = 1000;

/// What is remembered under one grant. The lock is held while a commit is under way.
#[derive(Default)]
pub(in crate::broker) struct Known {
    version: u64,
    pub(in crate::broker) values: BTreeSet<String>,
    /// A commit was given up or went unanswered: the record may be ahead of this.
    unsure: bool,
}

/// All of it, by grant. Cheap to share.
#[derive(Clone, Default)]
pub(in crate::broker) struct Knowns(Arc<Mutex<HashMap<GrantId, Arc<tokio::sync::Mutex<Known>>>>>);

/// What will be remembered, once the commit that holds its [`Put`] is durable.
pub(in crate::broker) struct Remembering {
    known: OwnedMutexGuard<Known>,
    values: BTreeSet<String>,
}

impl Remembering {
    /// The commit is durable.
    pub(in crate::broker) fn done(mut self) {
        self.known.values = std::mem::take(&mut self.values);
        self.known.version += 1;
        self.known.unsure = false;
    }
}

fn key(grant: GrantId) -> String {
    format!("known/{grant}")
}

fn put(grant: GrantId, version: u64, values: &BTreeSet<String>) -> Put {
    let record = KnownRecord { values: values.iter().cloned().collect() };
    Put { key: key(grant), version, plain: Plain::Sealed(Purpose::Record, records::encode(&record)) }
}

impl Knowns {
    fn of(&self, grant: GrantId) -> Arc<tokio::sync::Mutex<Known>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(grant).or_default())
    }

    /// What is remembered, as it was a moment ago; empty while it is being changed.
    fn glance(&self, grant: GrantId) -> BTreeSet<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&grant).and_then(|known| Some(known.try_lock().ok()?.values.clone()));
        known.unwrap_or_default()
    }

    pub(in crate::broker) fn replace(&self, all: HashMap<GrantId, Known>) {
        let all = all.into_iter().map(|(id, known)| (id, Arc::new(tokio::sync::Mutex::new(known))));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
    }
}

impl Broker {
    /// Reads what an earlier run remembered; the key of a record that is not readable otherwise.
    pub(in crate::broker) fn knowns_of(&self, items: &[Item]) -> Result<HashMap<GrantId, Known>, String> {
        let mut all = HashMap::new();
        for item in items {
            let unreadable = || item.key.clone();
            let grant =
                item.key.strip_prefix("known/").and_then(|id| id.parse().ok()).ok_or_else(unreadable)?;
            let values = self.known_values(item).map_err(|_| unreadable())?;
            all.insert(grant, Known { version: item.version, values, unsure: false });
        }
        Ok(all)
    }

    fn known_values(&self, item: &Item) -> Result<BTreeSet<String>, AdminError> {
        let plain = self.unseal_item(Purpose::Record, item).map_err(|_| AdminError::Sealed)?;
        let record: KnownRecord =
            records::decode(&plain).map_err(|_| AdminError::Store("a record is not readable"))?;
        Ok(record.values.into_iter().collect())
    }

    async fn known(&self, grant: GrantId) -> Result<OwnedMutexGuard<Known>, AdminError> {
        let mut known = self.knowns.of(grant).lock_owned().await;
        if known.unsure {
            let item = self.ports.store.get(&key(grant)).await;
            *known = match item.map_err(|_| AdminError::Store("it does not answer"))? {
                None => Known::default(),
                Some(item) => {
                    Known { version: item.version, values: self.known_values(&item)?, unsure: false }
                }
            };
        }
        Ok(known)
    }

    /// What was agreed to before under a grant.
    pub(in crate::broker) async fn known_values_of(
        &self,
        grant: GrantId,
    ) -> Result<BTreeSet<String>, AdminError> {
        Ok(self.known(grant).await?.values.clone())
    }

    /// What the commit that uses an approval writes, so that what it reaches is remembered; nothing where it is known.
    pub(in crate::broker) async fn remembering(
        &self,
        grant: GrantId,
        reaches: &BTreeSet<Reach>,
    ) -> Result<Option<(Put, Remembering)>, AdminError> {
        let mut known = self.known(grant).await?;
        let mut values = known.values.clone();
        for value in reaches.iter().filter_map(Reach::to_text) {
            if values.len() < MOST {
                values.insert(value);
            }
        }
        if values == known.values {
            return Ok(None);
        }
        let put = put(grant, known.version, &values);
        known.unsure = true;
        Ok(Some((put, Remembering { known, values })))
    }

    /// Forgets one of what is known under a grant, or all of it: a person is asked again.
    ///
    /// # Errors
    /// No such grant, nothing of that name, or it could not be recorded or made durable.
    pub async fn forget_known(
        &self,
        admin: Actor,
        id: GrantId,
        value: Option<String>,
    ) -> Result<GrantView, AdminError> {
        self.require_unsealed()?;
        let grant = self.read().grants.get(&id).cloned().ok_or_else(|| missing(id))?;
        let mut known = self.known(id).await?;
        let mut values = known.values.clone();
        match &value {
            None => values.clear(),
            Some(value) if values.remove(value) => {}
            Some(value) => {
                return Err(AdminError::Missing {
                    what: "known value",
                    name: excerpt(value, 300),
                    near: values.into_iter().take(20).collect(),
                });
            }
        }
        if values != known.values {
            let mut event = self.event(Kind::GrantChanged, admin);
            event.agent = Some(grant.grant.agent.clone());
            event.secret = Some(grant.grant.secret.clone());
            event.grant = Some(id);
            let mut detail = Detail::default();
            detail.add("forgotten", Some(value.as_deref().unwrap_or("everything known")));
            self.ports.audit.record(event, detail).await?;
            let put = put(id, known.version, &values);
            known.unsure = true;
            self.commit(vec![put]).await?;
            known.values = values;
            known.version += 1;
            known.unsure = false;
        }
        drop(known);
        self.grant(id)
    }

    /// What is known under a grant, for showing it.
    pub(in crate::broker) fn glance_known(&self, grant: GrantId) -> Vec<String> {
        self.knowns.glance(grant).into_iter().collect()
    }
}
