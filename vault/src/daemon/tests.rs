//! The whole vault in this process, with real sockets, store, log and keys, and a clock that the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod calls;
mod life;
mod noise;
mod reload;

use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::Arc;

use claviger_domain::event::{Event, Kind};
use claviger_proto::connect::{Server, connect};
use claviger_proto::refusal::from_status;
use claviger_proto::v1;
use claviger_proto::v1::admin_service_client::AdminServiceClient;
use claviger_proto::v1::agent_service_client::AgentServiceClient;
use secrecy::{ExposeSecret, SecretString};
use tonic::Status;
use tonic::transport::Channel;

use super::Daemon;
use crate::cli::Unlock;
use crate::config::{Config, Fresh, Mode, write_fresh};
use crate::keys::entropy::SystemEntropy;
use crate::keys::identity::identity_new;
use crate::keys::wrap::{NewKey, NewRecipient, WorkFactor, create};
use crate::port::{AuditSink, Clock, Entropy};
use crate::rpc::listen::Inherited;
use crate::rpc::tests::clock::HandClock;

/// A vault's home, and the key that opens it.
struct Home {
    dir: tempfile::TempDir,
    identity: SecretString,
    clock: Arc<HandClock>,
}

impl Home {
    fn new() -> Self {
        // A socket's whole path has at most 107 bytes, and some machines have a long temporary directory.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let fresh = Fresh { mode: Mode::SingleUser, run_dir: None, allow_key_on_disk: false };
        write_fresh(dir.path(), &fresh).unwrap();
        for name in ["store", "audit"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(dir.path().join(name), own).unwrap();
        }
        let ((identity, daily), (_, recovery)) = (identity_new(), identity_new());
        let recipients = [("daily", daily), ("recovery", recovery)]
            .map(|(name, key)| NewRecipient { name: name.into(), key: NewKey::X25519(key) });
        let entropy = SystemEntropy::new();
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let vault = claviger_domain::id::VaultId::from_bytes(id);
        create(&dir.path().join("keys"), vault, &recipients, &entropy, WorkFactor::PRODUCTION).unwrap();
        Self { dir, identity, clock: HandClock::new() }
    }

    fn config(&self) -> Config {
        let mut config = Config::load(self.dir.path()).unwrap();
        config.audit.segment_bytes = 1 << 20;
        config
    }

    fn key(&self) -> SecretString {
        // EXPOSE: the test hands it in more than once.
        SecretString::from(self.identity.expose_secret())
    }

    fn unlock(&self) -> Option<Unlock> {
        Some(Unlock::Identity(self.key()))
    }

    async fn start(&self, unlock: Option<Unlock>) -> Daemon {
        self.start_with(unlock, Inherited::default()).await.unwrap()
    }

    async fn start_with(&self, unlock: Option<Unlock>, inherited: Inherited) -> anyhow::Result<Daemon> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Daemon::start(self.config(), unlock, false, inherited, clock).await
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join("run").join(name)
    }

    /// Whether somebody listens: a socket's file is there an instant before that.
    fn answers(&self, name: &str) -> bool {
        std::os::unix::net::UnixStream::connect(self.socket(name)).is_ok()
    }

    async fn channel(&self, name: &str) -> Channel {
        connect(&self.socket(name), Server::OwnerOfDirectory).await.unwrap()
    }

    async fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel("admin.sock").await)
    }

    async fn agent(&self, name: &str) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel(&format!("agents/{name}.sock")).await)
    }

    fn raw(&self, name: &str) -> StdStream {
        StdStream::connect(self.socket(name)).unwrap()
    }

    fn unseal_request(&self) -> v1::UnsealRequest {
        // EXPOSE: it goes into the request.
        let text = self.identity.expose_secret().to_owned();
        v1::UnsealRequest { key: Some(v1::unseal_request::Key::Identity(text)) }
    }
}

/// The class of a refusal.
fn class(status: &Status) -> String {
    from_status(status).map_or_else(|| format!("no refusal: {status:?}"), |refusal| refusal.class)
}

/// The kinds of all events, oldest first.
async fn kinds(daemon: &Daemon) -> Vec<Kind> {
    let all = |_: &Event| true;
    let mut events = daemon.vault.audit.query(Box::new(all), 1000).await.unwrap();
    events.reverse();
    events.into_iter().map(|(event, _)| event.kind).collect()
}

async fn add_peers(admin: &mut AdminServiceClient<Channel>) {
    let agent = |name: &str| v1::AddAgentRequest { name: name.into(), ..Default::default() };
    admin.add_agent(agent("bot")).await.unwrap();
    admin.add_agent(agent("other")).await.unwrap();
    admin.add_adapter(v1::AddAdapterRequest { name: "gmail".into(), ..Default::default() }).await.unwrap();
}

/// Waits until something holds; the runtime does other things meanwhile.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("never: {what}");
}
