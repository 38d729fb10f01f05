//! Many agents, grants and handles: all of them are there after a start, and nobody waits for the rest.
//!
//! With few it runs each time. `CLAVIGER_TEST_HANDLES=1000000` makes as many on a real store and prints what starting,
//! minting, sweeping and memory come to, beside the same of a vault with one agent in the same run.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and says what it saw")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_domain::caveat::Caveat;
use claviger_domain::grant::{Grant, Handle, State as GrantState};
use claviger_domain::id::{GrantId, HandleId};
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use claviger_proto::v1::adapter_service_server::AdapterServiceServer;
use futures_util::StreamExt as _;
use serde_json::json;
use tonic::transport::{Endpoint, Server};

use super::fakes::Seeded;
use super::world::{World, adapter, agent, sealer, settings};
use crate::broker::persist::{Plain, Put};
use crate::broker::records::{self, AgentRecord, GrantRecord, HandleRecord};
use crate::broker::{Broker, Ports};
use crate::port::{Clock, Entropy, Purpose};
use crate::rpc::adapter::Adapters;
use crate::rpc::gate::Gate;
use crate::rpc::peer::Peer;
use crate::store::sqlite::{Options, SqliteStore};

const TOOL: &str = "gmail.get_message";

/// Handles of one agent: those of its grants, and children below them.
const OF_AGENT: usize = 70;
const GRANTS: usize = 7;

/// A vault on a real store, with its clock and randomness.
struct Scene {
    world: World,
    /// Where the store is, for as long as this lives.
    place: tempfile::TempDir,
    /// A child of each agent.
    one: Vec<HandleId>,
    /// When one child in nine ends.
    ends_ms: u64,
}

impl Scene {
    fn ports(&self, seed: u64) -> Ports {
        let options = Options::default();
        let store = SqliteStore::open(&self.place.path().join("vault.db"), options).unwrap();
        Ports {
            store: Arc::new(store),
            sealer: sealer(99, Seeded::new(seed)),
            entropy: Seeded::new(seed + 1),
            ..self.world.broker.ports.clone()
        }
    }

    /// A store with what [`World::new`] has, and with so many agents more, of [`OF_AGENT`] handles each.
    async fn made(agents: usize) -> Self {
        let world = World::new().await;
        let place = tempfile::tempdir().unwrap();
        let options = Options { create: true, ..Options::default() };
        drop(SqliteStore::open(&place.path().join("vault.db"), options).unwrap());
        let ends_ms = world.clock.wall_ms() + 1_000_000;
        let mut scene = Self { world, place, one: Vec::new(), ends_ms };
        let broker = Broker::new(scene.ports(10), scene.world.catalog.clone(), settings());
        broker.load().await.unwrap();
        // Kinds that there are few of.
        for key in scene.world.store.keys() {
            let Some(item) = scene.world.store.item(&key).filter(|_| !key.starts_with("meta/")) else {
                continue;
            };
            let plain = match Broker::registry_plain(&item) {
                Some(plain) if key.starts_with("agent/") || key.starts_with("adapter/") => {
                    Plain::Registry(plain.to_vec())
                }
                _ => {
                    let plain = scene.world.broker.unseal_item(Purpose::Record, &item).unwrap();
                    Plain::Sealed(Purpose::Record, plain.to_vec())
                }
            };
            broker.commit(vec![Put { key, version: 0, plain }]).await.unwrap();
        }
        let template = scene.world.try_grant("ann", &[TOOL], vec![]).await.unwrap().grant;
        let mut puts = Vec::new();
        for number in 0..agents {
            scene.one.push(scene.agent(number, &template, &mut puts));
        }
        let commits = puts.chunks(64).map(|some| broker.commit(some.to_vec()));
        futures_util::stream::iter(commits)
            .buffer_unordered(64)
            .for_each(|done| async { done.unwrap() })
            .await;
        scene
    }

    /// The records of one agent; returns a child that does not end.
    fn agent(&self, number: usize, template: &Grant, puts: &mut Vec<Put>) -> HandleId {
        let name = format!("agent-{number}");
        let record = AgentRecord {
            name: name.clone(),
            uid: Some(100_000 + u32::try_from(number).unwrap()),
            ..AgentRecord::default()
        };
        let plain = Plain::Registry(records::encode(&record));
        puts.push(Put { key: format!("agent/{name}"), version: 0, plain });
        let mut sealed = |key: String, record: Vec<u8>| {
            puts.push(Put { key, version: 0, plain: Plain::Sealed(Purpose::Record, record) });
        };
        let id = || {
            let mut bytes = [0; 16];
            self.world.entropy.fill(&mut bytes);
            bytes
        };
        let mut kept = None;
        for _ in 0..GRANTS {
            let root = HandleId::from_bytes(id());
            let grant = Grant {
                id: GrantId::from_slice(&id()[..8]).unwrap(),
                agent: agent(&name),
                root,
                state: GrantState::Active,
                ..template.clone()
            };
            sealed(format!("grant/{}", grant.id), records::encode(&GrantRecord::of(&grant)));
            let handle = Handle {
                id: root,
                grant: grant.id,
                ancestors: Vec::new(),
                caveats: Vec::new(),
                label: String::new(),
                task: false,
                created_at_ms: grant.created_at_ms,
            };
            for child in 0..OF_AGENT / GRANTS {
                let handle = match child {
                    0 => handle.clone(),
                    child => Handle {
                        id: HandleId::from_bytes(id()),
                        ancestors: vec![root],
                        caveats: vec![match child {
                            1 => Caveat::Expires(self.ends_ms),
                            _ => Caveat::Tools(vec![TOOL.parse().unwrap()]),
                        }],
                        label: "reads the letters".to_owned(),
                        ..handle.clone()
                    },
                };
                kept = Some(handle.id);
                sealed(format!("handle/{}", handle.id), records::encode(&HandleRecord::of(&handle)));
            }
        }
        kept.unwrap()
    }
}

/// A presentation of that agent's child, ready to be minted with.
fn present(broker: &Broker, who: &str, handle: HandleId, nonce: u64) -> (String, Vec<u8>) {
    let opened = broker.open_handles(&agent(who), &[handle]).unwrap();
    let found = opened.handles.iter().find(|found| found.id == handle).unwrap();
    let arguments = Canonical::from_json(&json!({"message_id": "m1"})).unwrap();
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    let claim = Claim {
        handle: *handle.as_bytes(),
        tool: TOOL.parse().unwrap(),
        digest: arguments.digest(),
        issued_at_ms: broker.ports.clock.wall_ms(),
        nonce: bytes,
        replica: *opened.replica.as_bytes(),
        boot: *opened.boot.as_bytes(),
        approval: None,
    };
    let text = Presentation::sign(&ProofKey::new(*found.proof_key), claim).into_text();
    (text, arguments.bytes().to_vec())
}

/// How long each mint took, the shortest first.
async fn mints(broker: &Arc<Broker>, one: &[HandleId], nonce: &mut u64, count: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(count);
    for at in 0..count {
        // Far apart, so that none of what one needs was left behind by the one before.
        let number = at * 7919 % one.len();
        *nonce += 1;
        let (text, bytes) = present(broker, &format!("agent-{number}"), one[number], *nonce);
        let start = Instant::now();
        broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
        took.push(start.elapsed());
        if at % 500 == 499 {
            // Capabilities are few; these are used up.
            crate::broker::lock(&broker.capabilities).forget(|_| true);
        }
    }
    took.sort();
    took
}

/// The same over gRPC on a socket, asked one by one: the shortest first.
async fn mints_by_wire(
    broker: &Arc<Broker>,
    one: &[HandleId],
    nonce: &mut u64,
    count: usize,
) -> Vec<Duration> {
    let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
    let name = adapter("gmail");
    let uid = broker.read().adapters[&name].record.uid.unwrap();
    let known = move |mut request: tonic::Request<()>| {
        request.extensions_mut().insert(Peer::Adapter(name.clone(), uid));
        Ok(request)
    };
    let service =
        AdapterServiceServer::with_interceptor(Adapters::new(Arc::clone(broker), Gate::default()), known);
    let incoming = futures_util::stream::iter([Ok::<_, std::io::Error>(theirs)]);
    let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
    let serving = tokio::spawn(serving);
    let mut ours = Some(ours);
    let connector = tower::service_fn(move |_| {
        let stream = ours.take().ok_or_else(|| std::io::Error::other("there is one connection"));
        async { stream.map(hyper_util::rt::TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://vault").connect_with_connector(connector).await.unwrap();
    let mut client = AdapterServiceClient::new(channel);
    let mut took = Vec::with_capacity(count);
    for at in 0..count {
        let number = at * 7919 % one.len();
        *nonce += 1;
        let (presentation, arguments) = present(broker, &format!("agent-{number}"), one[number], *nonce);
        let start = Instant::now();
        client.mint(v1::MintRequest { presentation, arguments }).await.unwrap();
        took.push(start.elapsed());
        if at % 500 == 499 {
            crate::broker::lock(&broker.capabilities).forget(|_| true);
        }
    }
    drop(client);
    serving.await.unwrap().unwrap();
    took.sort();
    took
}

/// What this process has in memory, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// What a start cannot do without: reading each record, and opening it.
async fn stages(scene: &Scene) {
    let ports = scene.ports(20);
    let (mut after, mut records) = (None, 0_u32);
    let (mut reading, mut opening) = (Duration::ZERO, Duration::ZERO);
    loop {
        let start = Instant::now();
        let page = ports.store.page("handle/", after, 4096).await.unwrap();
        reading += start.elapsed();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        let start = Instant::now();
        for item in &page {
            records += 1;
            let plain = ports.sealer.open(Purpose::Record, &item.key, item.version, &item.value);
            assert!(!plain.unwrap().is_empty());
        }
        opening += start.elapsed();
    }
    println!("floor: {records} records read in {reading:.2?}, opened on one core in {opening:.2?}");
}

/// How long a start takes and the median mint, within the process and by the wire.
async fn measured(agents: usize, mint: usize) -> ([Duration; 3], Arc<Broker>, Scene) {
    let scene = Scene::made(agents).await;
    if mint > 100 {
        stages(&scene).await;
    }
    let before = resident();
    let start = Instant::now();
    let ports = scene.ports(20);
    let opened = start.elapsed();
    let broker = Broker::new(ports, scene.world.catalog.clone(), settings());
    broker.load_registry().await.unwrap();
    broker.load().await.unwrap();
    let started = start.elapsed();
    let handles = broker.read().handles.len();
    assert_eq!(handles, agents * OF_AGENT, "as many as were made");
    let each = resident().saturating_sub(before) / handles;
    let mut nonce = 0;
    let took = mints(&broker, &scene.one, &mut nonce, mint).await;
    let wired = mints_by_wire(&broker, &scene.one, &mut nonce, mint).await;
    println!(
        "{handles} handles, {} grants: started in {started:.2?} ({opened:.2?} of it the store), {each} bytes a handle; \
         mint p50 {:.1?} p99 {:.1?}, by the wire p50 {:.1?} p99 {:.1?}",
        broker.read().grants.len(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        wired[wired.len() / 2],
        wired[wired.len() * 99 / 100],
    );
    ([started, took[took.len() / 2], wired[wired.len() / 2]], broker, scene)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_handles_starts_serves_and_ends() {
    let wanted: usize = std::env::var("CLAVIGER_TEST_HANDLES").map_or(700, |text| text.parse().unwrap());
    let mint = if wanted > 10_000 { 5000 } else { 20 };
    let ([_, few, few_by_wire], _, _) = measured(1, mint).await;
    let ([_, many, many_by_wire], broker, scene) = measured(wanted.div_ceil(OF_AGENT), mint).await;
    println!(
        "mint p50 is {:.2} of the small vault's, by the wire {:.2}",
        many.as_secs_f64() / few.as_secs_f64(),
        many_by_wire.as_secs_f64() / few_by_wire.as_secs_f64()
    );

    // One child in ten ends, all at one moment; calls go on meanwhile.
    let agents = scene.one.len();
    scene.world.clock.advance(2_000_000);
    let swept = Arc::new(AtomicBool::new(false));
    let sweep = {
        let (broker, swept) = (Arc::clone(&broker), Arc::clone(&swept));
        tokio::spawn(async move {
            let start = Instant::now();
            while !broker.read().ended.is_empty()
                || broker.read().handles.len() > agents * (OF_AGENT - GRANTS)
            {
                broker.sweep_children().await;
            }
            swept.store(true, Ordering::SeqCst);
            start.elapsed()
        })
    };
    let (mut nonce, mut took) = (1 << 32, Vec::new());
    while !swept.load(Ordering::SeqCst) {
        took.extend(mints(&broker, &scene.one, &mut nonce, 100).await);
    }
    took.sort();
    println!(
        "{} ended in {:.2?}; of {} mints meanwhile p50 {:.1?} p99 {:.1?} the longest {:.1?}",
        agents * GRANTS,
        sweep.await.unwrap(),
        took.len(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        took[took.len() - 1],
    );
    assert_eq!(broker.read().handles.len(), agents * (OF_AGENT - GRANTS));
    // What has ended stays ended.
    drop(broker);
    let broker = Broker::new(scene.ports(30), scene.world.catalog.clone(), settings());
    broker.load().await.unwrap();
    assert_eq!(broker.read().handles.len(), agents * (OF_AGENT - GRANTS));
}
