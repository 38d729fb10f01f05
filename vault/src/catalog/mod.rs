//! The catalog: service files, compiled in or added by an admin, become the domain's services and tools.
//!
//! Everything wrong with a file is found when it is loaded, so that what renders requests meets no surprise.

mod authors;
mod check;
mod guard;
mod look;
mod provider;
mod raw;
mod service;
mod step;
mod stream;
mod template;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use claviger_domain::catalog::Catalog;
use claviger_domain::origin::Origin;
use claviger_domain::tool::{Auth, Service};

/// The service files that come with the vault.
const BUILT_IN: &[(&str, &str)] = &[
    ("gmail.toml", include_str!("../../services/gmail.toml")),
    ("drive.toml", include_str!("../../services/drive.toml")),
    ("calendar.toml", include_str!("../../services/calendar.toml")),
    ("contacts.toml", include_str!("../../services/contacts.toml")),
    ("github.toml", include_str!("../../services/github.toml")),
    ("files.toml", include_str!("../../services/files.toml")),
];

/// The provider files that come with the vault.
const PROVIDERS: [(&str, &str); 1] =
    [("google.provider.toml", include_str!("../../services/google.provider.toml"))];

/// The signs that come with the vault.
const GUARD: &str = include_str!("../../services/guard.toml");

/// The name of a file of signs.
const GUARD_FILE: &str = "guard.toml";

/// What is wrong with a catalog file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct CatalogFault {
    /// The file.
    pub file: String,
    /// What is wrong, and where in the file.
    pub fault: String,
}

/// Where a service is for this vault, if not where its file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceOverride {
    /// Another origin.
    pub origin: Option<Origin>,
    /// Whether it may resolve to private or special addresses.
    pub private: bool,
    /// PEM of the only roots trusted.
    pub roots_pem: Option<String>,
}

/// Where a provider is for this vault, if not where its file says. Each is a whole https URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderOverride {
    /// The authorization endpoint.
    pub authorize: Option<String>,
    /// The token endpoint.
    pub token: Option<String>,
    /// The revocation endpoint.
    pub revoke: Option<String>,
    /// How much one revocation ends: `token` or `account`.
    pub revokes: Option<String>,
    /// The userinfo endpoint.
    pub userinfo: Option<String>,
    /// Whether these may resolve to private or special addresses.
    pub private: bool,
    /// PEM of the only roots trusted.
    pub roots_pem: Option<String>,
}

/// The built-in files, then those of `directory` (which add or replace whole services), then the overrides.
///
/// # Errors
/// Every fault of every file.
pub fn load(
    directory: Option<&Path>,
    services: &BTreeMap<String, ServiceOverride>,
    providers: &BTreeMap<String, ProviderOverride>,
) -> Result<Catalog, Vec<CatalogFault>> {
    let mut files: Vec<(String, String)> = BUILT_IN
        .iter()
        .chain(&PROVIDERS)
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    if let Some(directory) = directory {
        files.extend(read_directory(directory).map_err(|fault| vec![fault])?);
    }
    of_files(files, services, providers)
}

/// The catalog of these files, each with its name, and the signs that come with the vault; then the overrides. A later
/// file replaces what an earlier one has under the same id.
///
/// # Errors
/// Every fault of every file.
pub fn of_files(
    mut files: Vec<(String, String)>,
    services: &BTreeMap<String, ServiceOverride>,
    providers: &BTreeMap<String, ProviderOverride>,
) -> Result<Catalog, Vec<CatalogFault>> {
    let mut guards = vec![(GUARD_FILE.to_owned(), GUARD.to_owned())];
    guards.extend(files.extract_if(.., |(file, _)| file == GUARD_FILE));
    let mut faults = Vec::new();
    let mut catalog = Catalog::default();
    for (file, text) in files {
        let fault = |fault| CatalogFault { file: file.clone(), fault };
        if file.ends_with(".provider.toml") {
            match provider::parse(&text) {
                Ok(provider) => drop(catalog.providers.insert(provider.id.clone(), provider)),
                Err(why) => faults.push(fault(why)),
            }
        } else {
            match service::parse(&text) {
                Ok(service) => drop(catalog.services.insert(service.id.clone(), service)),
                Err(whys) => faults.extend(whys.into_iter().map(fault)),
            }
        }
    }
    match guard::load(&guards) {
        Ok(guard) => catalog.guard = guard,
        Err(fault) => faults.push(fault),
    }
    let at = |name: String| format!("configuration, [{name}]");
    for (id, change) in services {
        match catalog.services.values_mut().find(|service| service.id.as_str() == id) {
            Some(service) => service::apply(service, change),
            None => faults.push(CatalogFault {
                file: at(format!("service.{id}")),
                fault: "no such service".to_owned(),
            }),
        }
    }
    for (id, change) in providers {
        let result = match catalog.providers.get_mut(id) {
            Some(provider) => provider::apply(provider, change),
            None => Err("no such provider".to_owned()),
        };
        if let Err(fault) = result {
            faults.push(CatalogFault { file: at(format!("provider.{id}")), fault });
        }
    }
    faults.extend(unknown_providers(&catalog));
    if faults.is_empty() { Ok(catalog) } else { Err(faults) }
}

fn unknown_providers(catalog: &Catalog) -> Vec<CatalogFault> {
    let unknown = |service: &Service| match &service.auth {
        Auth::OAuth2 { provider } if !catalog.providers.contains_key(provider) => Some(CatalogFault {
            file: format!("{}.toml", service.id),
            fault: format!("no provider {provider:?}"),
        }),
        _ => None,
    };
    catalog.services.values().filter_map(unknown).collect()
}

fn read_directory(directory: &Path) -> Result<Vec<(String, String)>, CatalogFault> {
    let fault = |path: &Path, error: std::io::Error| CatalogFault {
        file: path.display().to_string(),
        fault: error.to_string(),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| fault(directory, error))? {
        let path = entry.map_err(|error| fault(directory, error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).map_err(|error| fault(&path, error))?;
            files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
