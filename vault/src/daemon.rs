//! The daemon: composes everything, runs it until it is told to stop or to seal, and takes it down in order.
//!
//! ```text
//! start:  harden ─ log ─ catalog, ring, store, audit, egress ─ registry ─ unknown outcomes ─ (unseal) ─ sockets
//! stop:   gate closed ─ sockets away ─ adapters ─ calls in flight ─ uses in flight ─ stopped recorded ─ audit ─ store
//! seal:   gate closed ─ calls and uses in flight ─ sealed recorded ─ the admin's answer ─ keys forgotten ─ exec
//! reload: configuration and catalog read anew, whole and right ─ calls in flight end ─ reloaded recorded
//! ```
//!
//! After a seal the same program starts again in the same process, sealed, with nothing but its listeners: whatever was
//! in memory is the kernel's again. Whoever connects meanwhile waits in the backlog.

mod adapters;
mod compose;
mod keeper;
mod log;
mod reexec;
mod reload;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use claviger_domain::event::{Actor, Kind};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::{DaemonOptions, Ended, Unlock};
use crate::config::Config;
use crate::keys::harden::harden;
use crate::port::Clock;
use crate::rpc::accept::Reception;
use crate::rpc::adapter::Adapters;
use crate::rpc::admin::Admins;
use crate::rpc::agent::Agents;
use crate::rpc::convert::ask::Key;
use crate::rpc::gate::Gate;
use crate::rpc::listen::{Doors, Inherited};
use crate::rpc::peer::Registry;
use crate::rpc::server::{Services, Serving, serve as serve_rpc};
use crate::system::SystemClock;

use adapters::Children;
use compose::Vault;
use keeper::DaemonKeeper;

/// How long calls, and then uses, may take to end before the vault stops or seals all the same, in milliseconds. What
/// has no outcome by then is recorded as unknown at the next start.
const CALLS_MS: u64 = 10_000;
const USES_MS: u64 = 30_000;
/// How often what is over is swept away, in milliseconds.
const TICK_MS: u64 = 10_000;
/// How often the audit log is swept, in milliseconds.
const SWEEP_MS: u64 = 60_000;

/// Runs the daemon in the foreground until it is told to stop, or to seal.
///
/// # Errors
/// Why it could not start; nothing runs any more then.
pub async fn serve(options: DaemonOptions) -> anyhow::Result<Ended> {
    // First of all: these variables must reach nobody else.
    let inherited = Inherited::take();
    harden().context("this process cannot be protected from debuggers and core dumps")?;
    let DaemonOptions { config, unlock, adapters } = options;
    let level = log::to_stderr(config.log);
    let terminal = std::io::stdin().is_terminal();
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;

    let daemon = Daemon::start(config, unlock, adapters, inherited, Arc::new(SystemClock::new())).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                // The terminal it ran in was closed. One that is still there means what SIGHUP means to any daemon.
                if terminal && !std::io::stdin().is_terminal() {
                    break;
                }
                reload::reload(&daemon.vault, &level).await;
            }
            () = daemon.sealing.cancelled() => {
                let listeners = daemon.seal().await;
                return Ok(Ended::Anew(Box::new(move || reexec::sealed(listeners))));
            }
        }
    }
    daemon.stop().await;
    Ok(Ended::Stopped)
}

/// A daemon that runs.
struct Daemon {
    vault: Arc<Vault>,
    gate: Gate,
    doors: Arc<Doors>,
    serving: Serving,
    children: Option<Children>,
    /// Cancelled when the vault was sealed and must start anew.
    sealing: CancellationToken,
    /// Cancelled when nobody is let in any more.
    shut: CancellationToken,
    /// Ends what runs beside.
    stop: CancellationToken,
    beside: TaskTracker,
}

impl Daemon {
    async fn start(
        config: Config,
        unlock: Option<Unlock>,
        adapters: bool,
        inherited: Inherited,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let vault = Arc::new(compose::assemble(config, clock).await?);
        let broker = Arc::clone(&vault.broker);
        broker.load_registry().await.context("the registry of peers cannot be read")?;
        broker.recover(vault.audit.pending_intents().to_vec()).await;
        if let Err(fault) = broker.record(Kind::Started, Actor::Vault).await {
            // It serves status all the same, and admits to no use until the log is well.
            tracing::warn!(%fault, "the start could not be recorded");
        }
        let gate = Gate::default();
        let sealing = CancellationToken::new();
        let shut = CancellationToken::new();
        let keeper =
            Arc::new(DaemonKeeper::new(Arc::clone(&vault), gate.clone(), sealing.clone(), shut.clone()));
        if let Some(unlock) = unlock {
            let key = match unlock {
                Unlock::Identity(text) => Key::Identity(text),
                Unlock::Passphrase(text) => Key::Passphrase(text),
            };
            if let Err(fault) = keeper.unlock(Actor::Vault, key).await {
                close(&vault).await;
                return Err(fault).context("the vault cannot be unsealed");
            }
        }

        let services = Services {
            agents: Agents::new(Arc::clone(&broker), gate.clone()),
            adapters: Adapters::new(Arc::clone(&broker), gate.clone()),
            admins: Admins::new(
                Arc::clone(&broker),
                keeper,
                gate.clone(),
                vault.places.clone(),
                vault.users.clone(),
            ),
        };
        let registry: Arc<dyn Registry> = Arc::clone(&broker) as _;
        let reception = Reception::new(vault.users.clone(), Arc::clone(&registry), Arc::clone(&vault.clock));
        let (serving, inside) = serve_rpc(services, Arc::clone(&reception), Arc::clone(&vault.clock));
        let doors = Arc::new(Doors::new(vault.places.clone(), registry, reception, inside, inherited));
        // Asked for before the doors are opened, so that no change falls between.
        let changes = broker.changes();
        let opened = vault.places.prepare().and_then(|()| doors.follow());
        if let Err(fault) = opened {
            serving.stop().await;
            doors.remove().await;
            close(&vault).await;
            return Err(fault).context("the sockets cannot be served");
        }
        let stop = CancellationToken::new();
        let beside = TaskTracker::new();
        beside.spawn(follow(Arc::clone(&doors), changes, stop.clone()));
        beside.spawn(tick(Arc::clone(&vault), stop.clone()));
        let children = adapters.then(|| Children::run(Arc::clone(&vault)));
        tracing::info!(
            vault = %broker.settings().vault,
            sealed = !broker.is_unsealed(),
            admin = %vault.places.admin.display(),
            "the vault serves"
        );
        Ok(Self { vault, gate, doors, serving, children, sealing, shut, stop, beside })
    }

    /// Ends in good order.
    async fn stop(self) {
        tracing::info!("stopping");
        self.gate.close();
        self.doors.remove().await;
        self.shut.cancel();
        let vault = self.down().await;
        keeper::mark_revision(&vault).await;
        if let Err(fault) = vault.broker.record(Kind::Stopped, Actor::Vault).await {
            tracing::warn!(%fault, "the stop could not be recorded");
        }
        close(&vault).await;
    }

    /// Ends what the keeper's sealing has left: the gate is closed, all is recorded, the admin waits for the answer.
    /// Returns the listeners for the process that comes after.
    async fn seal(self) -> Vec<(PathBuf, OwnedFd)> {
        let listeners = self.doors.shut().await;
        self.shut.cancel();
        let vault = self.down().await;
        close(&vault).await;
        listeners
    }

    /// Ends everything that asks the broker, and waits for its uses.
    async fn down(self) -> Arc<Vault> {
        let Self { vault, gate, doors: _, serving, children, sealing: _, shut: _, stop, beside } = self;
        stop.cancel();
        beside.close();
        if let Some(children) = children {
            children.stop().await;
        }
        serving.stop().await;
        quiet(&vault, &gate).await;
        beside.wait().await;
        vault
    }
}

/// Waits until no call and no use is under way, but not for ever.
async fn quiet(vault: &Vault, gate: &Gate) {
    let calls = tokio::select! {
        () = gate.empty() => true,
        () = vault.clock.sleep_ms(CALLS_MS) => false,
    };
    let uses = tokio::select! {
        () = vault.broker.drain() => true,
        () = vault.clock.sleep_ms(USES_MS) => false,
    };
    if !(calls && uses) {
        tracing::warn!("some uses did not end in time; without an outcome they will be recorded as unknown");
    }
}

/// Closes log and store, keys last.
async fn close(vault: &Vault) {
    vault.audit.close().await;
    vault.sealer.forget();
}

/// Opens and closes doors as peers come and go.
async fn follow(doors: Arc<Doors>, mut changes: tokio::sync::watch::Receiver<u64>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        // What failed was said in the log, and is tried again with the next change.
        let _ = doors.follow();
    }
}

/// Does what is to be done now and then.
async fn tick(vault: Arc<Vault>, stop: CancellationToken) {
    let mut since_sweep = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = vault.clock.sleep_ms(TICK_MS) => {}
        }
        vault.broker.tick().await;
        since_sweep += TICK_MS;
        if since_sweep >= SWEEP_MS {
            since_sweep = 0;
            if let Err(fault) = vault.audit.sweep(vault.clock.wall_ms()).await {
                tracing::warn!(%fault, "old details could not be erased");
            }
        }
        // Often: what was changed since the last one, a store that is put back can hide.
        keeper::mark_revision(&vault).await;
    }
}
