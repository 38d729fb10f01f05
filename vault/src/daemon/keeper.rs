//! Unseal, seal, sign, and what the broker does not know of the vault.

use std::sync::Arc;

use claviger_domain::event::{Actor, Event, Kind};
use claviger_domain::refusal::Class;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::compose::Vault;
use super::quiet;
use crate::audit::CheckpointFault;
use crate::audit::checkpoint::Verifier;
use crate::broker::UnsealError;
use crate::broker::error::AdminError;
use crate::keys::guard;
use crate::keys::stack::apart;
use crate::keys::wrap::{UnlockFault, unlock_with_identity, unlock_with_passphrase};
use crate::port::{AuditFault, AuditSink as _, BoxFuture};
use crate::rpc::admin::{Facts, Keeper};
use crate::rpc::convert::ask::Key;
use crate::rpc::gate::Gate;
use crate::rpc::status::{failed, told};

/// How long after a failed attempt to unseal the next one may begin, in microseconds.
const PAUSE_US: u64 = 1_000_000;

/// The keeper of a real vault.
pub(super) struct DaemonKeeper {
    inner: Arc<Inner>,
}

struct Inner {
    vault: Arc<Vault>,
    gate: Gate,
    sealing: CancellationToken,
    /// Cancelled when nobody is let in any more, so that whoever comes after the answer waits for the next process.
    shut: CancellationToken,
    /// One attempt to unseal at a time, and when the next may begin.
    not_before_us: tokio::sync::Mutex<u64>,
}

/// Why the vault stays sealed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Locked {
    /// Another attempt is under way.
    #[error("somebody else is unsealing the vault")]
    Busy,
    /// The last one failed a moment ago.
    #[error("the last attempt to unseal failed a moment ago")]
    TooSoon,
    /// It is not sealed.
    #[error("the vault is unsealed already")]
    Unsealed,
    /// The key does not fit.
    #[error(transparent)]
    Key(#[from] UnlockFault),
    /// The log is another vault's, or cannot sign.
    #[error("the audit log cannot be signed: {0}")]
    Log(#[from] CheckpointFault),
    /// It could not be recorded.
    #[error("it could not be recorded: {0}")]
    Audit(#[from] AuditFault),
    /// The records are not what they should be.
    #[error(transparent)]
    Records(#[from] UnsealError),
    /// Deriving or reading broke off.
    #[error("unsealing broke off")]
    Broken,
}

impl Locked {
    fn status(&self) -> Status {
        let (class, hint) = match self {
            Locked::Busy => (Class::Busy, "wait for it, then look at `claviger status`"),
            Locked::TooSoon => (Class::RateLimited, "wait a second, then try again"),
            Locked::Unsealed => (Class::BadArguments, "`claviger seal` seals it"),
            Locked::Key(UnlockFault::WrongPassphrase) => {
                (Class::BadArguments, "type it again, or use the recovery identity: --identity FILE")
            }
            Locked::Key(UnlockFault::WrongIdentity | UnlockFault::BadIdentity(_)) => {
                (Class::BadArguments, "`claviger status` names the recipients")
            }
            Locked::Key(UnlockFault::NoSuchKind(_)) => (Class::BadArguments, "use the other kind of key"),
            Locked::Key(_) => (Class::Unavailable, "restore the keys directory from a backup"),
            Locked::Log(_) => (Class::Unavailable, "store, keys and audit log must be those of one vault"),
            Locked::Audit(_) => (Class::Unavailable, "make room for the audit log, then try again"),
            Locked::Records(_) => (Class::Unavailable, "store and keys must be those of one vault"),
            Locked::Broken => (Class::Unavailable, "try again"),
        };
        told(class, &self.to_string(), hint)
    }
}

impl DaemonKeeper {
    /// Of that vault. It cancels `sealing` when the process must start anew, and then waits for `shut`: that the doors
    /// are.
    pub(super) fn new(
        vault: Arc<Vault>,
        gate: Gate,
        sealing: CancellationToken,
        shut: CancellationToken,
    ) -> Self {
        Self {
            inner: Arc::new(Inner { vault, gate, sealing, shut, not_before_us: tokio::sync::Mutex::new(0) }),
        }
    }

    /// Unlocks, and takes everything over. Goes on to its end even if nobody waits for it any more.
    pub(super) async fn unlock(&self, actor: Actor, key: Key) -> Result<(), Locked> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.unlock(actor, key).await }).await.map_err(|_| Locked::Broken)?
    }
}

impl Inner {
    async fn unlock(&self, actor: Actor, key: Key) -> Result<(), Locked> {
        let vault = &self.vault;
        let mut not_before_us = self.not_before_us.try_lock().map_err(|_| Locked::Busy)?;
        if vault.broker.is_unsealed() {
            return Err(Locked::Unsealed);
        }
        if vault.clock.mono_us() < *not_before_us {
            return Err(Locked::TooSoon);
        }
        let (keys, sealer) = (vault.config.keys_dir.clone(), Arc::clone(&vault.sealer));
        // The identity and the root key are worked with on a stack that is gone when it is done.
        let unlocking = move || {
            let root = match key {
                Key::Identity(text) => unlock_with_identity(&keys, &text),
                Key::Passphrase(text) => unlock_with_passphrase(&keys, text),
            };
            sealer.unseal(root?).map_err(|_| Locked::Unsealed)
        };
        let unlocked = tokio::task::spawn_blocking(move || apart(unlocking));
        let result = match unlocked.await {
            Ok(Some(Ok(()))) => self.take_over(actor).await,
            Ok(Some(Err(fault))) => Err(fault),
            Ok(None) | Err(_) => Err(Locked::Broken),
        };
        if let Err(fault) = &result {
            *not_before_us = vault.clock.mono_us().saturating_add(PAUSE_US);
            tracing::warn!(%fault, "the vault stays sealed");
        } else {
            tracing::info!("the vault is unsealed");
        }
        result
    }

    /// All that follows from having the keys, or nothing: whatever fails, they are forgotten again.
    async fn take_over(&self, actor: Actor) -> Result<(), Locked> {
        let vault = &self.vault;
        let taken = async {
            vault.audit.unsealed(vault.ring.vault).await?;
            vault.broker.record(Kind::Unsealed, actor).await?;
            let loaded = vault.broker.load().await;
            if loaded.is_err()
                && let Err(fault) = vault.broker.record(Kind::Sealed, Actor::Vault).await
            {
                tracing::warn!(%fault, "it could not be recorded that the vault is sealed again");
            }
            loaded?;
            self.look_at_the_time().await;
            self.freeze_restored().await;
            Ok(())
        };
        let taken: Result<(), Locked> = taken.await;
        if taken.is_err() {
            // It forgets its key whether or not it could sign once more.
            let _ = vault.audit.sealing().await;
            vault.sealer.forget();
        }
        taken
    }

    /// The last record of an unsealed run before this one says how late it was then. A clock that was set back meanwhile
    /// gives nothing again, though the vault was killed before it had saved its own mark.
    async fn look_at_the_time(&self) {
        let boot = self.vault.broker.boot();
        // What a run records before it has looked at the time is recorded by whatever the clock shows.
        let telling = move |event: &Event| {
            let early = [Kind::Started, Kind::Stopped, Kind::Unsealed, Kind::Sealed, Kind::Outcome];
            event.boot != boot && !early.contains(&event.kind)
        };
        match self.vault.audit.query(Box::new(telling), 1).await {
            Ok(found) => {
                // A reset is recorded with the time that was wrong.
                for (event, _) in found.iter().filter(|(event, _)| event.kind != Kind::ClockReset) {
                    self.vault.broker.was_as_late_as(event.at_ms);
                }
            }
            Err(fault) => tracing::warn!(%fault, "the time of the last record is not known"),
        }
    }

    /// A store that is older than the log may hold grants that were revoked since: every agent stays frozen until an
    /// admin has looked.
    async fn freeze_restored(&self) {
        let vault = &self.vault;
        if !vault.rolled_back {
            return;
        }
        for agent in vault.broker.agents() {
            let why = "the store is older than the audit log: look at the grants before you thaw";
            if let Err(fault) = vault.broker.freeze(Actor::Vault, &agent.name, why).await {
                tracing::error!(agent = %agent.name, %fault, "frozen in memory only");
            }
        }
    }

    /// Stops intake, waits, records. Whatever fails, the vault seals.
    async fn seal(&self, actor: Actor) {
        self.gate.close();
        quiet(&self.vault, &self.gate).await;
        // What did not end in time begins no further request: sealed means sealed when the admin is told so.
        mark_revision(&self.vault).await;
        self.vault.broker.shut();
        if let Err(fault) = self.vault.broker.record(Kind::Sealed, actor).await {
            tracing::error!(%fault, "sealing could not be recorded; the vault seals all the same");
        }
        if let Err(fault) = self.vault.audit.sealing().await {
            tracing::warn!(%fault, "the audit log could not be signed; it will be after the next unseal");
        }
        self.vault.sealer.forget();
        tracing::info!("sealed; starting anew without a key");
        self.sealing.cancel();
        self.shut.cancelled().await;
    }
}

/// Puts the store's revision into a signed checkpoint, if it has moved: a store that is put back later shows.
pub(super) async fn mark_revision(vault: &Vault) {
    let revision = vault.store.revision().0;
    let marked = vault.audit.last_checkpoint().and_then(|checkpoint| checkpoint.store_revision);
    if marked != Some(revision)
        && vault.broker.is_unsealed()
        && let Err(fault) = vault.audit.checkpoint(Some(revision)).await
    {
        tracing::warn!(%fault, "the store's revision is in no checkpoint yet");
    }
}

impl Keeper for DaemonKeeper {
    fn facts(&self) -> Facts {
        let vault = &self.inner.vault;
        Facts {
            started_at_ms: vault.started_at_ms,
            key_memory: vault.sealer.kind().map(|kind| kind.to_string()),
            audit_records: vault.audit.size(),
            recipients: vault.ring.holders.iter().map(|holder| holder.name.clone()).collect(),
            warnings: warnings(vault),
        }
    }

    fn unseal(&self, actor: Actor, key: Key) -> BoxFuture<'_, Result<(), Status>> {
        Box::pin(async move { self.unlock(actor, key).await.map_err(|locked| locked.status()) })
    }

    fn seal(&self, actor: Actor) -> BoxFuture<'_, Result<(), Status>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            // Once begun it goes on, whether or not whoever asked still waits.
            let sealed = tokio::spawn(async move { inner.seal(actor).await });
            sealed.await.map_err(|_| told(Class::Unavailable, "sealing broke off", "stop the process"))
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(String, String), Status>> {
        Box::pin(async move {
            let vault = &self.inner.vault;
            let note =
                vault.audit.checkpoint(Some(vault.store.revision().0)).await.map_err(
                    |fault| match fault {
                        CheckpointFault::Sealed => failed(AdminError::Sealed),
                        CheckpointFault::Log(fault) => failed(AdminError::Audit(fault)),
                        CheckpointFault::OtherKey => told(
                            Class::Unavailable,
                            &fault.to_string(),
                            "keys and audit log must be those of one vault",
                        ),
                    },
                )?;
            let path = vault.config.audit.dir.join("audit.pub");
            let key =
                tokio::fs::read_to_string(&path).await.ok().and_then(|text| Verifier::parse(&text).ok());
            let key = key.ok_or_else(|| {
                told(Class::Unavailable, "audit.pub cannot be read", "look at the audit log's directory")
            })?;
            Ok((note, key.text()))
        })
    }
}

/// What an owner should act on, besides what the broker knows.
fn warnings(vault: &Vault) -> Vec<String> {
    let trouble = vault.store.trouble();
    let mut warnings: Vec<String> = trouble
        .into_iter()
        .map(|why| format!("the store takes no changes: {why}; nothing is acknowledged until it does"))
        .collect();
    let mut warn = |when: bool, text: &str| {
        if when {
            warnings.push(text.to_owned());
        }
    };
    warn(
        vault.config.single_user(),
        "single-user: everything runs as one user, and this does not isolate: an agent that runs commands as this \
         user can reach the vault",
    );
    warn(
        vault.config.allow_key_on_disk,
        "allow-key-on-disk is set: with an identity on this disk, a stolen disk or backup opens the vault",
    );
    warn(
        vault.rolled_back,
        "the store is older than the audit log: it was restored from a backup, and grants that were revoked since may \
         be back",
    );
    warn(vault.ring.holders.len() < 2, "there is only one key: if it is lost, so is the vault");
    warn(
        vault.sealer.kind() == Some(guard::Kind::Plain),
        "the keys lie in ordinary memory that may be swapped: raise the limit of locked memory (`ulimit -l`)",
    );
    warn(
        vault.system_roots == 0,
        "this machine trusts no certificate authority: only services with roots of their own can be reached",
    );
    warnings
}
