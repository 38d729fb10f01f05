//! `AdminService`: what an admin may do. While the vault is sealed, only `Status` and `Unseal` answer.

mod service;

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::refusal::Class;
use claviger_proto::v1;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Request, Status};

use super::convert::{answer, ask, watch};
use super::gate::Gate;
use super::listen::Places;
use super::peer::{Peer, Users};
use super::status::{bare, failed};
use crate::broker::Broker;
use crate::broker::error::AdminError;
use crate::broker::view::StatusView;
use crate::port::BoxFuture;

/// What the broker does not know of the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// When this process started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// How the keys are guarded; `None` while sealed.
    pub key_memory: Option<String>,
    /// How many records the audit log has.
    pub audit_records: u64,
    /// Who can unlock the root key, by name.
    pub recipients: Vec<String>,
    /// What an owner should act on.
    pub warnings: Vec<String>,
}

/// Whoever holds the vault together: keys, log and process.
pub trait Keeper: Send + Sync {
    /// How the vault is.
    fn facts(&self) -> Facts;
    /// Unlocks, and takes everything over; all of it or nothing.
    fn unseal(&self, actor: Actor, key: ask::Key) -> BoxFuture<'_, Result<(), Status>>;
    /// Stops intake, drains and records. When this returns, the process is about to start anew without a key.
    fn seal(&self, actor: Actor) -> BoxFuture<'_, Result<(), Status>>;
    /// Signs the audit log: the note, and the key that verifies it.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(String, String), Status>>;
}

/// The service for admins.
#[derive(Clone)]
pub struct Admins {
    broker: Arc<Broker>,
    keeper: Arc<dyn Keeper>,
    gate: Gate,
    places: Arc<Places>,
    users: Arc<Users>,
}

/// An admin who was let in, with the call counted until it is over.
struct Inside {
    actor: Actor,
    _counted: TaskTrackerToken,
}

impl Admins {
    /// Over that broker and keeper, behind that gate.
    #[must_use]
    pub fn new(
        broker: Arc<Broker>,
        keeper: Arc<dyn Keeper>,
        gate: Gate,
        places: Places,
        users: Users,
    ) -> Self {
        Self { broker, keeper, gate, places: Arc::new(places), users: Arc::new(users) }
    }

    /// Who asks, sealed or not.
    fn admin<T>(request: &Request<T>) -> Result<Actor, Status> {
        match request.extensions().get::<Peer>() {
            Some(peer @ Peer::Admin(_)) => Ok(peer.actor()),
            Some(Peer::Agent(..) | Peer::Adapter(..)) | None => Err(bare(Class::NotGranted)),
        }
    }

    /// Who asks; refused while the vault is sealed or about to be.
    fn enter<T>(&self, request: &Request<T>) -> Result<Inside, Status> {
        let actor = Self::admin(request)?;
        let counted = self.gate.enter().map_err(|_| failed(AdminError::Sealed))?;
        if self.broker.is_unsealed() {
            Ok(Inside { actor, _counted: counted })
        } else {
            Err(failed(AdminError::Sealed))
        }
    }

    /// Runs a command to its end, even if whoever asked goes away: half of it would be worse than all or nothing.
    async fn whole<T, F>(
        &self,
        inside: Inside,
        run: impl FnOnce(Arc<Broker>, Actor) -> F,
    ) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AdminError>> + Send + 'static,
    {
        let command = run(Arc::clone(&self.broker), inside.actor.clone());
        let task = tokio::spawn(async move {
            let _inside = inside;
            command.await
        });
        match task.await {
            Ok(result) => result.map_err(failed),
            // It panicked; what it had done is in the store or is not.
            Err(_) => Err(failed(AdminError::StoreUnknown)),
        }
    }

    fn agent(&self, agent: crate::broker::view::AgentView) -> v1::Agent {
        let socket = self.places.agent(agent.name.as_str()).to_string_lossy().into_owned();
        answer::agent(agent, socket)
    }

    fn adapter(&self, adapter: crate::broker::view::AdapterView) -> v1::Adapter {
        let socket = self.places.adapter(adapter.name.as_str()).to_string_lossy().into_owned();
        answer::adapter(adapter, socket)
    }

    fn auth(&self) -> impl FnOnce(&claviger_domain::name::SecretName) -> Option<claviger_domain::tool::Auth> {
        |name| self.broker.catalog().service_of(name).map(|service| service.auth.clone())
    }

    /// How the vault is; sealed or not.
    fn state(&self) -> v1::StatusResponse {
        let Facts { started_at_ms, key_memory, audit_records, recipients, warnings: mut all } =
            self.keeper.facts();
        let StatusView {
            sealed,
            audit_trouble,
            clock_refuses,
            warnings,
            agents,
            adapters,
            secrets,
            grants,
            live_capabilities,
            alerts,
            newest_alerts,
        } = self.broker.status();
        all.extend(warnings);
        v1::StatusResponse {
            sealed: sealed || self.gate.is_closed(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            vault: self.broker.settings().vault.to_string(),
            started_at_ms,
            single_user: self.broker.settings().single_user,
            key_memory: key_memory.unwrap_or_default(),
            warnings: all,
            audit_trouble: audit_trouble.unwrap_or_default(),
            audit_records,
            agents,
            adapters,
            secrets,
            grants,
            live_capabilities,
            clock_refuses,
            recipients,
            alerts,
            newest_alerts: newest_alerts.into_iter().map(watch::alert).collect(),
        }
    }

    /// The grant that is meant by its id or by a handle's.
    fn grant_id(&self, text: &str) -> Result<claviger_domain::id::GrantId, Status> {
        match ask::grant_or_handle(text).map_err(failed)? {
            ask::GrantOrHandle::Grant(id) => Ok(id),
            ask::GrantOrHandle::Handle(id) => self.broker.grant_of_handle(id).ok_or_else(|| {
                failed(AdminError::Missing { what: "handle", name: id.to_string(), near: Vec::new() })
            }),
        }
    }
}
