//! A broker with all it stands on, and the few words in which tests speak to it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_domain::catalog::Catalog;
use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::event::Actor;
use claviger_domain::grant::Approve;
use claviger_domain::id::VaultId;
use claviger_domain::name::{AdapterName, AgentName, SecretName};
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::Value;

use super::fakes::{FakeAudit, FakeClock, MemStore, Seeded};
use super::google::{Shared, google, serve};
use super::upstream::FakeUpstream;
use crate::broker::error::AdminError;
use crate::broker::view::{GrantAsk, GrantView, Minted, NewValue, Sent};
use crate::broker::{Broker, Ports, Settings};
use crate::keys::root::RootKey;
use crate::keys::sealer::VaultSealer;
use crate::port::Entropy;

pub(super) const ADMIN: Actor = Actor::Admin(1000);

pub(super) struct World {
    pub(super) clock: Arc<FakeClock>,
    pub(super) store: Arc<MemStore>,
    pub(super) audit: Arc<FakeAudit>,
    pub(super) upstream: Arc<FakeUpstream>,
    pub(super) google: Shared,
    pub(super) catalog: Catalog,
    pub(super) broker: Arc<Broker>,
    pub(super) entropy: Arc<Seeded>,
    runs: u64,
}

pub(super) fn catalog() -> Catalog {
    // Reading it takes longer than most of these tests.
    static CATALOG: LazyLock<Catalog> =
        LazyLock::new(|| crate::catalog::load(None, &BTreeMap::new(), &BTreeMap::new()).unwrap());
    CATALOG.clone()
}

pub(super) fn settings() -> Settings {
    Settings {
        vault: VaultId::from_bytes([7; 16]),
        single_user: false,
        endpoint_template: "/run/claviger/{}.sock".to_owned(),
        admin_uids: vec![1000],
    }
}

/// The same root key for the same seed.
pub(super) fn sealer(seed: u64, salts: Arc<dyn Entropy>) -> Arc<VaultSealer> {
    let sealer = VaultSealer::sealed(salts);
    sealer.unseal(RootKey::new(settings().vault, 1, &*Seeded::new(seed))).unwrap();
    Arc::new(sealer)
}

impl World {
    /// Loaded, with nothing in it.
    pub(super) async fn empty() -> Self {
        Self::with(catalog()).await
    }

    /// Loaded, with nothing in it, and with this catalog.
    pub(super) async fn with(catalog: Catalog) -> Self {
        let (clock, audit, google) = (FakeClock::new(), Arc::new(FakeAudit::default()), google());
        let upstream = FakeUpstream::new(Arc::clone(&audit), serve(&google));
        let (store, entropy) = (Arc::new(MemStore::default()), Seeded::new(1));
        let ports = Ports {
            clock: clock.clone(),
            entropy: entropy.clone(),
            store: store.clone(),
            sealer: sealer(99, Seeded::new(2)),
            audit: audit.clone(),
            upstream: upstream.clone(),
        };
        let broker = Broker::new(ports, catalog.clone(), settings());
        broker.load().await.unwrap();
        Self { clock, store, audit, upstream, google, catalog, broker, entropy, runs: 2 }
    }

    /// With two agents, both adapters, and a secret for each service.
    pub(super) async fn new() -> Self {
        let world = Self::empty().await;
        for (name, uid) in [("ann", 2001), ("bob", 2002)] {
            world.broker.add_agent(ADMIN, agent(name), Some(uid), false, false).await.unwrap();
        }
        for (name, uid) in [("gmail", 3001), ("drive", 3002)] {
            world.broker.add_adapter(ADMIN, adapter(name), Some(uid), None).await.unwrap();
        }
        for name in ["gmail/me", "drive/me"] {
            world.broker.add_secret(ADMIN, secret(name), oauth("refresh-0")).await.unwrap();
        }
        world
    }

    /// Another process on the same store.
    pub(super) async fn restart(&mut self) {
        self.runs += 1;
        self.entropy = Seeded::new(self.runs);
        let ports = Ports {
            entropy: self.entropy.clone(),
            sealer: sealer(99, Seeded::new(self.runs + 1000)),
            store: self.store.clone(),
            ..self.broker.ports.clone()
        };
        self.broker = Broker::new(ports, self.catalog.clone(), settings());
        self.broker.load().await.unwrap();
    }

    /// With two agents, one service more than the catalog has, its adapter and a secret of it that is called `me`.
    pub(super) async fn serving(name: &str, service: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(format!("{name}.toml")), service).unwrap();
        let catalog = crate::catalog::load(Some(folder.path()), &BTreeMap::new(), &BTreeMap::new()).unwrap();
        let world = Self::with(catalog).await;
        for (name, uid) in [("ann", 2001), ("bob", 2002)] {
            world.broker.add_agent(ADMIN, agent(name), Some(uid), false, false).await.unwrap();
        }
        world.broker.add_adapter(ADMIN, adapter(name), Some(3001), None).await.unwrap();
        world.broker.add_secret(ADMIN, secret(&format!("{name}/me")), bearer()).await.unwrap();
        world
    }

    pub(super) async fn try_grant(
        &self,
        who: &str,
        tools: &[&str],
        caveats: Vec<Caveat>,
    ) -> Result<GrantView, AdminError> {
        self.broker.add_grant(ADMIN, ask(who, tools, caveats)).await
    }

    /// A grant to ann.
    pub(super) async fn grant(&self, tools: &[&str], caveats: Vec<Caveat>) -> GrantView {
        self.try_grant("ann", tools, caveats).await.unwrap()
    }

    /// What ann's client would present: the text, and the bytes of the arguments.
    pub(super) fn present(&self, tool: &str, args: &Value) -> (String, Vec<u8>) {
        let mut nonce = [0; 12];
        self.entropy.fill(&mut nonce);
        self.present_as("ann", tool, args, |claim| claim.nonce = nonce)
    }

    pub(super) fn present_as(
        &self,
        who: &str,
        tool: &str,
        args: &Value,
        change: impl FnOnce(&mut Claim),
    ) -> (String, Vec<u8>) {
        use crate::port::Clock;
        let opened = self.broker.open(&agent(who)).unwrap();
        let has = |name: &str| name == tool;
        let handle = opened
            .handles
            .iter()
            .find(|handle| handle.tools.iter().any(|view| has(&view.name.to_string())))
            .or(opened.handles.first())
            .unwrap();
        let arguments = Canonical::from_json(args).unwrap();
        let mut claim = Claim {
            handle: *handle.id.as_bytes(),
            tool: tool.parse().unwrap(),
            digest: arguments.digest(),
            issued_at_ms: self.clock.wall_ms(),
            nonce: [1; 12],
            replica: *opened.replica.as_bytes(),
            boot: *opened.boot.as_bytes(),
            approval: None,
        };
        change(&mut claim);
        let text = Presentation::sign(&ProofKey::new(*handle.proof_key), claim).into_text();
        (text, arguments.bytes().to_vec())
    }

    pub(super) async fn mint(&self, tool: &str, args: Value) -> Result<Minted, Refusal> {
        let (text, bytes) = self.present(tool, &args);
        let name = tool.split('.').next().unwrap();
        self.broker.mint(&adapter(name), &text, &bytes).await
    }

    /// One step of a capability.
    pub(super) async fn send(
        &self,
        minted: &Minted,
        step: &str,
        params: &[(&str, &str)],
    ) -> Result<Sent, Refusal> {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let name = adapter(minted.tool.service().as_str());
        self.broker.send(&name, &minted.capability, step, params).await
    }

    /// Mint, and the one step of a tool.
    pub(super) async fn call(&self, tool: &str, args: Value) -> Result<Sent, Refusal> {
        let minted = self.mint(tool, args).await?;
        let step = self.catalog.tool(&tool.parse().unwrap()).unwrap().steps[0].name.to_string();
        self.send(&minted, &step, &[]).await
    }

    /// What every test may look at last: nothing went out without a durable intent.
    pub(super) fn all_announced(&self) {
        assert_eq!(
            self.upstream.unannounced.load(Ordering::SeqCst),
            0,
            "a request went out without an intent"
        );
    }
}

pub(super) fn ask(who: &str, tools: &[&str], caveats: Vec<Caveat>) -> GrantAsk {
    let tools: Vec<_> = tools.iter().map(|tool| tool.parse().unwrap()).collect();
    let secret = format!(
        "{}/me",
        tools
            .first()
            .map_or("gmail".to_owned(), |tool: &claviger_domain::name::ToolName| tool.service().to_string())
    );
    GrantAsk {
        agent: agent(who),
        secret: secret.parse().unwrap(),
        tools,
        effects: Vec::new(),
        caveats,
        expires_in_s: None,
        approve: Approve::Never,
        deny: false,
        trusted_sink: false,
        name: None,
    }
}

pub(super) fn agent(name: &str) -> AgentName {
    name.parse().unwrap()
}

pub(super) fn adapter(name: &str) -> AdapterName {
    name.parse().unwrap()
}

pub(super) fn secret(name: &str) -> SecretName {
    name.parse().unwrap()
}

pub(super) fn bearer() -> NewValue {
    NewValue::Bearer(SecretBytes::from_text("token".to_owned()))
}

pub(super) fn oauth(refresh: &str) -> NewValue {
    NewValue::OAuth2 {
        client_id: "client-1".to_owned(),
        client_secret: SecretBytes::from_text("CANARY-client-secret".to_owned()),
        refresh_token: SecretBytes::from_text(refresh.to_owned()),
    }
}

/// A bound by ids.
pub(super) fn within(resource: &str, ids: &[&str]) -> Caveat {
    Caveat::Resource(ResourceBound {
        resource: resource.parse().unwrap(),
        ids: ids.iter().map(|id| format!("id:{id}")).collect(),
        shown: Vec::new(),
        nested: false,
    })
}

pub(super) fn class<T>(result: Result<T, Refusal>) -> Class {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(refusal) => refusal.class,
    }
}
