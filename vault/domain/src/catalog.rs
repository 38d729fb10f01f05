//! All services and providers that a vault knows.

use std::collections::BTreeMap;

use crate::guard::Guard;
use crate::name::{SecretName, ServiceId, ToolName};
use crate::tool::{Provider, Service, Tool};

/// What the catalog's files came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// Services by id.
    pub services: BTreeMap<ServiceId, Service>,
    /// OAuth providers by id.
    pub providers: BTreeMap<String, Provider>,
    /// Signs that an answer speaks to the model.
    pub guard: Guard,
}

impl Catalog {
    /// The service of that id.
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.get(id)
    }

    /// The service a secret is for.
    #[must_use]
    pub fn service_of(&self, secret: &SecretName) -> Option<&Service> {
        self.services.get(secret.service())
    }

    /// The tool of that name.
    #[must_use]
    pub fn tool(&self, name: &ToolName) -> Option<&Tool> {
        self.services.get(name.service())?.tools.get(name.tool())
    }

    /// The OAuth provider of that id.
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.get(id)
    }
}
