//! Other services while the vault runs: the catalog is read anew, and what was decided by the old one is decided anew.

use std::sync::{Arc, PoisonError};

use claviger_domain::catalog::Catalog;
use claviger_domain::event::{Actor, Kind};

use super::{Broker, lock};
use crate::port::AuditFault;

impl Broker {
    /// The services it knows, as they are now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes up another catalog, where it differs; returns whether it does.
    ///
    /// Whatever is under way was decided by the old one: it begins no further request, its streams are cut, and what is
    /// kept of it (capabilities, pages, logins and uploads that wait) is forgotten. Each call can be made anew. What agents
    /// hold is told to them again.
    ///
    /// # Errors
    /// It is in force, but the log could not say so.
    pub async fn reload(&self, catalog: Catalog) -> Result<bool, AuditFault> {
        let differs = *self.catalog() != catalog;
        if differs {
            self.replace(catalog);
            self.record(Kind::Reloaded, Actor::Vault).await?;
        }
        Ok(differs)
    }

    /// In memory, at once.
    pub(super) fn replace(&self, catalog: Catalog) {
        // Before the numbers grow: whoever reads a new number reads the new catalog.
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        for agent in self.write().agents.values_mut() {
            agent.rules += 1;
        }
        lock(&self.capabilities).forget(|_| true);
        lock(&self.pages).clear();
        lock(&self.uploads).clear();
        lock(&self.sessions).clear();
        self.changed();
    }
}
