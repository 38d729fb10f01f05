//! What SIGHUP does: the configuration and the service files are read anew. All of it is right, or none of it counts.
//!
//! Taken up: the log's level, the files of the services directory, `[service]` and `[provider]` with their trusted roots. What else
//! the configuration says is the ground that the running vault stands on (directories, sockets, users, the log's bounds);
//! what differs there is named, and waits for a restart.

use anyhow::Context as _;
use claviger_domain::catalog::Catalog;

use crate::config::Config;

use super::compose::{Vault, load_catalog};
use super::log::Loudness;

/// Reads anew, and says in the log what came of it.
pub(super) async fn reload(vault: &Vault, loudness: &Loudness) {
    let home = vault.config.home.clone();
    let read = tokio::task::spawn_blocking(move || read(&home));
    let read = match read.await {
        Ok(read) => read,
        Err(_) => Err(anyhow::anyhow!("reading it failed")),
    };
    let (config, catalog) = match read {
        Ok(read) => read,
        Err(fault) => {
            tracing::error!("nothing is reloaded, all stays as it was: {fault:#}");
            return;
        }
    };
    for key in grounds(&vault.config, &config) {
        tracing::warn!(key, "changed, which takes effect at the next start");
    }
    loudness.set(config.log);
    match vault.broker.reload(catalog).await {
        Ok(true) => {
            tracing::info!("reloaded: services have changed, and calls under way are to be made anew")
        }
        Ok(false) => tracing::info!("reloaded: the services are what they were"),
        Err(fault) => tracing::warn!(%fault, "reloaded, but it could not be recorded"),
    }
}

fn read(home: &std::path::Path) -> anyhow::Result<(Config, Catalog)> {
    let config = Config::load(home).context("the configuration is refused")?;
    let catalog = load_catalog(&config)?;
    Ok((config, catalog))
}

/// The keys that differ and cannot be taken up by a vault that runs.
fn grounds(now: &Config, new: &Config) -> Vec<&'static str> {
    // Each field by name, so that a new one is thought of here.
    let Config {
        home: _,
        mode,
        run_dir,
        store_path,
        audit,
        keys_dir,
        allow_key_on_disk,
        services_dir: _,
        services: _,
        providers: _,
        log: _,
    } = now;
    let all = [
        ("mode", *mode == new.mode),
        ("run-dir", *run_dir == new.run_dir),
        ("store-path", *store_path == new.store_path),
        ("audit", *audit == new.audit),
        ("keys-dir", *keys_dir == new.keys_dir),
        ("allow-key-on-disk", *allow_key_on_disk == new.allow_key_on_disk),
    ];
    all.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}
