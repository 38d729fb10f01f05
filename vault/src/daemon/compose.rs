//! Putting the parts together: the only place that knows all of them, and the configuration.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use claviger_domain::catalog::Catalog;

use crate::audit::{AuditLog, Options as AuditOptions};
use crate::broker::{Broker, Ports, Settings};
use crate::catalog;
use crate::config::{Config, Mode, overflow_uid};
use crate::egress::{Egress, Options as EgressOptions};
use crate::keys::entropy::SystemEntropy;
use crate::keys::ring::Ring;
use crate::keys::sealer::VaultSealer;
use crate::port::{Clock, Entropy, Sealer};
use crate::rpc::listen::Places;
use crate::rpc::peer::Users;
use crate::store::sqlite::{Options as StoreOptions, SqliteStore};

/// How many records may wait for the audit writer.
const AUDIT_QUEUE: usize = 1024;
/// The longest file of trusted roots, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// All parts of a vault.
pub(super) struct Vault {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sealer: Arc<VaultSealer>,
    pub(super) store: Arc<SqliteStore>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) broker: Arc<Broker>,
    pub(super) ring: Ring,
    pub(super) places: Places,
    pub(super) users: Users,
    pub(super) started_at_ms: u64,
    /// How many roots the machine trusts.
    pub(super) system_roots: usize,
    /// The store is older than what the audit log was signed with.
    pub(super) rolled_back: bool,
}

/// Reads and opens everything. Nothing is unsealed.
pub(super) async fn assemble(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Vault> {
    // Files are read, checked and locked: not on the runtime's own threads.
    let parts = tokio::task::spawn_blocking(move || open(config, clock));
    parts.await.context("the vault could not be opened")?
}

fn open(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Vault> {
    let catalog = load_catalog(&config)?;
    let ring = Ring::read(&config.keys_dir).context(format!("{}", config.keys_dir.display()))?;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let sealer = Arc::new(VaultSealer::sealed(Arc::clone(&entropy)));
    let audit = AuditLog::open(
        AuditOptions {
            dir: config.audit.dir.clone(),
            max_bytes: config.audit.max_bytes,
            segment_bytes: config.audit.segment_bytes,
            retention_ms: u64::from(config.audit.retention_days) * 86_400_000,
            queue: AUDIT_QUEUE,
        },
        Arc::clone(&sealer) as Arc<dyn Sealer>,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .context(format!("{}", config.audit.dir.display()))?;
    // A vault that has never recorded anything is new, and gets a store. Any other has lost it.
    let create = audit.size() == 0;
    if !create && !config.store_path.exists() {
        bail!(
            "the store {} is missing, but the audit log has {} records: restore it from a backup",
            config.store_path.display(),
            audit.size()
        );
    }
    let store = SqliteStore::open(&config.store_path, StoreOptions { create, ..StoreOptions::default() })
        .context(format!("{}", config.store_path.display()))?;
    let signed = audit.last_checkpoint().and_then(|checkpoint| checkpoint.store_revision);
    let rolled_back = signed.is_some_and(|signed| signed > store.revision().0);
    if rolled_back {
        tracing::error!("the store is older than the audit log says: it was restored from a backup");
    }
    let egress = Egress::new(EgressOptions::default());
    let system_roots = egress.system_roots();

    let (store, audit) = (Arc::new(store), Arc::new(audit));
    let users = Users {
        own: rustix::process::geteuid().as_raw(),
        overflow: overflow_uid(),
        admins: match &config.mode {
            Mode::SingleUser => Vec::new(),
            Mode::MultiUser { admin_uids } => admin_uids.clone(),
        },
    };
    let ports = Ports {
        clock: Arc::clone(&clock),
        entropy,
        store: Arc::clone(&store) as _,
        sealer: Arc::clone(&sealer) as _,
        audit: Arc::clone(&audit) as _,
        upstream: Arc::new(egress),
    };
    let settings = Settings {
        vault: ring.vault,
        single_user: config.single_user(),
        endpoint_template: config.mcp_endpoint("{}").to_string_lossy().into_owned(),
        admin_uids: users.admins.clone(),
    };
    Ok(Vault {
        places: places(&config),
        started_at_ms: clock.wall_ms(),
        broker: Broker::new(ports, catalog, settings),
        config,
        clock,
        sealer,
        store,
        audit,
        ring,
        users,
        system_roots,
        rolled_back,
    })
}

/// Where the sockets are. In single-user mode each peer's is in a directory for its kind.
fn places(config: &Config) -> Places {
    let (agents, adapters) = match config.mode {
        Mode::SingleUser => (config.run_dir.join("agents"), config.run_dir.join("adapters")),
        Mode::MultiUser { .. } => (config.agent_socket(""), config.adapter_socket("")),
    };
    Places {
        single_user: config.single_user(),
        dirs: config.run_dirs(),
        admin: config.admin_socket(),
        agents,
        adapters,
    }
}

/// The services of that configuration: the built-in ones, the admin's files, and what is reached elsewhere.
pub(super) fn load_catalog(config: &Config) -> anyhow::Result<Catalog> {
    let mut services = BTreeMap::new();
    for (id, change) in &config.services {
        let crate::config::ServiceOverride { origin, private, ca } = change;
        let roots_pem = ca.as_deref().map(pem).transpose()?;
        let change = catalog::ServiceOverride { origin: Some(origin.clone()), private: *private, roots_pem };
        services.insert(id.clone(), change);
    }
    let mut providers = BTreeMap::new();
    for (id, change) in &config.providers {
        let crate::config::ProviderOverride { authorize, token, revoke, userinfo, private, ca } = change;
        let roots_pem = ca.as_deref().map(pem).transpose()?;
        let change = catalog::ProviderOverride {
            authorize: Some(authorize.to_string()),
            token: Some(token.to_string()),
            revoke: revoke.as_ref().map(ToString::to_string),
            revokes: None,
            userinfo: Some(userinfo.to_string()),
            private: *private,
            roots_pem,
        };
        providers.insert(id.clone(), change);
    }
    catalog::load(config.services_dir.as_deref(), &services, &providers).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        anyhow::anyhow!("the catalog has {} fault(s):{}", faults.len(), faults.concat())
    })
}

/// The text of a file of trusted roots.
fn pem(path: &Path) -> anyhow::Result<String> {
    let what = || format!("the trusted roots {} cannot be read", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(what)?;
    file.take(MAX_PEM + 1).read_to_string(&mut text).with_context(what)?;
    if text.len() as u64 > MAX_PEM {
        bail!("{}: longer than 1 MiB", what());
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        bail!("{}: there is no PEM certificate in it", what());
    }
    Ok(text)
}

impl Vault {
    /// Where the vault serves the adapter of that name.
    pub(super) fn adapter_socket(&self, name: &str) -> PathBuf {
        self.places.adapter(name)
    }
}
