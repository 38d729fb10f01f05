//! The use cases: what peers may ask, one file each, over ports that tests can stand in for.
//!
//! ```text
//! open ─ narrow
//! open ─ mint ─ send ─┬─ token (refresh, single-flight)
//!                     └─ usage: intent ─ check again ─ upstream ─ judge ─ outcome
//! connect, rotate, secrets, grants, revoke, freeze, peers: the admin's word
//! ```
//!
//! State in memory is what decides; the store is what survives. Whatever takes away (revoke, freeze) takes effect in
//! memory first and is acknowledged when it is durable; whatever gives takes effect when it is durable.

pub mod error;
pub mod policy;
pub mod view;

mod alerts;
mod approvals;
mod authors;
mod budget;
mod capabilities;
mod choose;
mod connect;
mod consent;
mod counters;
mod decoys;
mod elements;
mod errand;
mod explain;
mod flights;
mod freeze;
mod grants;
mod handles;
mod inlet;
mod json;
mod load;
mod local;
mod look;
mod made;
mod mint;
mod narrow;
mod nested;
mod nonces;
mod oauth;
mod open;
mod pages;
mod paging;
mod peers;
mod perform;
mod persist;
mod probe;
mod records;
mod refuse;
mod reload;
mod resolve;
mod revoke;
mod rotate;
mod secrets;
mod send;
mod served;
mod state;
mod streams;
mod taint;
mod time;
mod token;
mod token_answer;
mod usage;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use claviger_domain::catalog::Catalog;
use claviger_domain::event::{Actor, Event, Kind};
use claviger_domain::id::{BootId, Ref, ReplicaId, VaultId};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::port::{AuditSink, Clock, Entropy, Sealer, Store, Upstream};

use budget::{Budgets, Looks};
use capabilities::Capabilities;
use connect::Sessions;
use error::AdminError;
use nonces::Nonces;
use pages::Pages;
use state::State;
use time::VaultTime;

pub use decoys::DecoyKind;
pub use load::UnsealError;
pub use streams::{Downloading, Flow, Uploading};

/// What the broker stands on.
#[derive(Clone)]
pub struct Ports {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Records.
    pub store: Arc<dyn Store>,
    /// Keys.
    pub sealer: Arc<dyn Sealer>,
    /// The audit log.
    pub audit: Arc<dyn AuditSink>,
    /// The way out.
    pub upstream: Arc<dyn Upstream>,
}

/// How this vault is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The vault.
    pub vault: VaultId,
    /// Whether everything runs as one user.
    pub single_user: bool,
    /// Where an adapter serves MCP unless its registration says otherwise: `{}` stands for its name.
    pub endpoint_template: String,
    /// Users that are admins: no agent and no adapter may be one of them.
    pub admin_uids: Vec<u32>,
}

/// The one that decides and does. Cheap to share; all methods take `&self`.
pub struct Broker {
    ports: Ports,
    catalog: RwLock<Arc<Catalog>>,
    settings: Settings,
    boot: BootId,
    replica: ReplicaId,
    state: RwLock<State>,
    capabilities: Mutex<Capabilities>,
    nonces: Mutex<Nonces>,
    budgets: Mutex<Budgets>,
    looks: Mutex<Looks>,
    pages: Mutex<Pages>,
    sessions: Mutex<Sessions>,
    approvals: approvals::Approvals,
    knowns: approvals::Knowns,
    flights: flights::Flights,
    /// Files under way.
    places: streams::Places,
    /// Uploads that were cut and may go on.
    uploads: Mutex<streams::Sessions>,
    time: VaultTime,
    /// Commands that change the same records take turns.
    admin: tokio::sync::Mutex<()>,
    /// Records of what agents made take turns.
    making: tokio::sync::Mutex<()>,
    /// Children are made and ended one at a time, so that their number is exact.
    children: tokio::sync::Mutex<()>,
    changes: watch::Sender<u64>,
    alerts: Mutex<alerts::Alerts>,
    /// Itself, for what it begins and nobody waits for.
    me: Weak<Self>,
    /// Effects run here, so that a cancelled caller does not lose an outcome.
    tasks: TaskTracker,
}

impl Broker {
    /// A sealed broker: it knows nothing until [`Broker::load`].
    #[must_use]
    pub fn new(ports: Ports, catalog: Catalog, settings: Settings) -> Arc<Self> {
        let mut boot = [0; BootId::BYTES];
        let mut replica = [0; ReplicaId::BYTES];
        ports.entropy.fill(&mut boot);
        ports.entropy.fill(&mut replica);
        let time = VaultTime::new(&*ports.clock);
        Arc::new_cyclic(|me| Self {
            ports,
            catalog: RwLock::new(Arc::new(catalog)),
            settings,
            boot: BootId::from_bytes(boot),
            replica: ReplicaId::from_bytes(replica),
            state: RwLock::default(),
            capabilities: Mutex::default(),
            nonces: Mutex::default(),
            budgets: Mutex::default(),
            looks: Mutex::default(),
            pages: Mutex::default(),
            sessions: Mutex::default(),
            approvals: approvals::Approvals::default(),
            knowns: approvals::Knowns::default(),
            flights: flights::Flights::default(),
            places: streams::Places::default(),
            uploads: Mutex::default(),
            time,
            admin: tokio::sync::Mutex::new(()),
            making: tokio::sync::Mutex::default(),
            children: tokio::sync::Mutex::new(()),
            changes: watch::Sender::new(0),
            alerts: Mutex::default(),
            me: me.clone(),
            tasks: TaskTracker::new(),
        })
    }

    /// How it is set up.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// This run of the vault.
    #[must_use]
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Tells whenever agents' grants may have changed. The number only grows.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Refuses everything from now on, uses that are under way included: none begins another request. The keys go next.
    pub fn shut(&self) {
        self.write().unsealed = false;
        lock(&self.pages).clear();
    }

    /// Waits until every use under way has its outcome. New ones must be kept out by whoever calls this.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a command in a task of the vault's: an admin who goes away does not stop it between a provider that has
    /// spent a token and the store that must know.
    async fn in_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, AdminError>> + Send + 'static,
    ) -> Result<T, AdminError> {
        self.tasks.spawn(work).await.unwrap_or(Err(AdminError::StoreUnknown))
    }

    fn changed(&self) {
        self.changes.send_modify(|sequence| *sequence += 1);
    }

    /// A lock that a panicking thread left is taken all the same: every change under it is made whole or not at all.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports.entropy.fill(&mut bytes);
        bytes
    }

    /// An event of this run with a fresh reference.
    fn event(&self, kind: Kind, actor: Actor) -> Event {
        Event::new(
            kind,
            Ref::from_bytes(self.random()),
            self.time.now_ms(&*self.ports.clock),
            self.boot,
            actor,
        )
    }
}

/// A mutex whose contents are always whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
