//! Revoking a grant: final. It bites in memory at once, and is acknowledged when it is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::grant::State as GrantState;
use claviger_domain::id::{GrantId, HandleId};

use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, GrantRecord};
use super::state::GrantEntry;
use super::view::GrantView;
use super::{Broker, lock};
use crate::port::Purpose;

impl Broker {
    /// Revokes a grant with all its handles. Revoking it again changes nothing and succeeds. To revoke one that forbids
    /// gives something: it bites only once it is recorded and durable.
    ///
    /// # Errors
    /// No such grant; or [`AdminError::NotDurable`], and then it holds until the vault is restarted. Of one that forbids:
    /// it could not be recorded or made durable, and then it still forbids.
    pub async fn revoke(&self, admin: Actor, id: GrantId) -> Result<GrantView, AdminError> {
        self.require_unsealed()?;
        let gives = self.read().grants.get(&id).ok_or_else(|| missing(id))?.grant.deny;
        if !gives {
            self.forget_grant(id)?;
        }
        let _turn = self.admin.lock().await;
        let entry = self.read().grants.get(&id).cloned().ok_or_else(|| missing(id))?;
        if entry.grant.state == GrantState::Active {
            self.make_durable(admin, &entry).await?;
        }
        if gives {
            self.forget_grant(id)?;
        }
        self.grant(id)
    }

    /// Takes a grant with all its handles out of use, in memory.
    fn forget_grant(&self, id: GrantId) -> Result<(), AdminError> {
        let gone = {
            let mut state = self.write();
            let entry = state.grants.get(&id).ok_or_else(|| missing(id))?;
            entry.revoked.store(true, Ordering::SeqCst);
            state.forget_handles(id)
        };
        for handle in gone {
            lock(&self.pages).forget(handle.handle.id);
        }
        self.changed();
        Ok(())
    }

    async fn make_durable(&self, admin: Actor, entry: &Arc<GrantEntry>) -> Result<(), AdminError> {
        let mut grant = entry.grant.clone();
        grant.state = GrantState::Revoked { at_ms: self.now_ms() };
        let mut event = self.event(Kind::GrantRevoked, admin);
        event.agent = Some(grant.agent.clone());
        event.secret = Some(grant.secret.clone());
        event.grant = Some(grant.id);
        let recorded = self.ports.audit.record_from_reserve(event, Detail::default()).await;
        let recorded = match recorded {
            // What gives must be recorded first.
            Err(fault) if grant.deny => return Err(fault.into()),
            recorded => recorded,
        };
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&GrantRecord::of(&grant)));
        let put = self.put_over(&format!("grant/{}", grant.id), entry.version, plain).await;
        let version = match put {
            Err(error) if grant.deny => return Err(error),
            put => put.map_err(|error| AdminError::NotDurable(error.to_string()))?,
        };
        let id = grant.id;
        let revoked = AtomicBool::new(true);
        let entry = GrantEntry { grant, version, revoked };
        self.write().grants.insert(id, Arc::new(entry));
        recorded.map_err(|error| AdminError::NotDurable(error.to_string()))
    }

    /// Revokes a child handle with all below it; its grant stays. A grant's root handle stands for the whole grant.
    /// Revoking it again succeeds as long as the store may still have it.
    ///
    /// # Errors
    /// No such handle; or [`AdminError::NotDurable`], and then it holds until the vault is restarted.
    pub async fn revoke_handle(&self, admin: Actor, id: HandleId) -> Result<GrantView, AdminError> {
        self.require_unsealed()?;
        let grant = self.grant_of_handle(id).ok_or_else(|| AdminError::Missing {
            what: "handle",
            name: id.to_string(),
            near: Vec::new(),
        })?;
        if self.read().grants.get(&grant).is_some_and(|entry| entry.grant.root == id) {
            return self.revoke(admin, grant).await;
        }
        self.end_child(admin, id).await.map_err(|error| AdminError::NotDurable(error.to_string()))?;
        self.grant(grant)
    }

    /// The grant that a live handle stands for, or a child that has just ended.
    #[must_use]
    pub fn grant_of_handle(&self, handle: HandleId) -> Option<GrantId> {
        let state = self.read();
        let live = state.handles.get(handle).map(|entry| entry.handle.grant);
        live.or_else(|| state.ended.get(&handle).copied().flatten())
    }
}

pub(super) fn missing(id: GrantId) -> AdminError {
    AdminError::Missing { what: "grant", name: id.to_string(), near: Vec::new() }
}
