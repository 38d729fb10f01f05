//! Which tools a secret is good for.

use claviger_domain::name::{SecretName, ToolName};
use claviger_domain::tool::{Auth, Tool};

use super::records::SecretRecord;
use super::state::{SecretEntry, State};
use super::view::SecretView;
use super::{Broker, secrets};

impl Broker {
    /// What may be known of a secret.
    pub(super) fn secret_view(
        &self,
        state: &State,
        name: &SecretName,
        entry: &SecretEntry,
        now_ms: u64,
    ) -> SecretView {
        let (serves, cannot_serve) = self.served(name, &entry.record);
        SecretView { serves, cannot_serve, ..secrets::described(state, name, entry, now_ms) }
    }

    /// The tools that the scopes of an OAuth secret are enough for, and those they are not; nothing of either where the
    /// provider did not say which scopes it has.
    fn served(&self, name: &SecretName, record: &SecretRecord) -> (Vec<ToolName>, Vec<ToolName>) {
        let catalog = self.catalog();
        let Some(service) = catalog.service_of(name) else { return Default::default() };
        let tools = service.tools.values();
        let names = |tools: Vec<&Tool>| tools.into_iter().map(|tool| tool.name.clone()).collect();
        let Auth::OAuth2 { provider } = &service.auth else { return (names(tools.collect()), Vec::new()) };
        let catalog = self.catalog();
        let Some(provider) = catalog.provider(provider).filter(|_| !record.scopes.is_empty()) else {
            return Default::default();
        };
        let enough =
            |tool: &&Tool| tool.scope.iter().any(|scope| record.scopes.contains(&provider.full_scope(scope)));
        let (can, cannot) = tools.partition(enough);
        (names(can), names(cannot))
    }
}
