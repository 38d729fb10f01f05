//! The store is believed only as far as its records prove themselves; and it is all or an error.

use std::collections::BTreeMap;

use claviger_domain::event::Kind;
use claviger_domain::id::VaultId;

use super::fakes::Seeded;
use super::world::{ADMIN, World, adapter, agent, catalog, sealer, secret, settings};
use crate::broker::error::AdminError;
use crate::broker::persist::{Plain, Put};
use crate::broker::records::{self, AdapterRecord, AgentRecord};
use crate::broker::{Broker, DecoyKind, Ports, Settings, UnsealError};
use crate::port::{Item, Purpose};

async fn world() -> World {
    let world = World::new().await;
    world.grant(&["gmail.get_message"], vec![claviger_domain::caveat::Caveat::Calls(2)]).await;
    world.mint("gmail.get_message", serde_json::json!({"message_id": "m1"})).await.unwrap();
    super::connect::connect(&world, "gmail/me", true).await.unwrap();
    world.broker.tick().await;
    world
}

fn broker(world: &World, seed: u64, settings: Settings) -> std::sync::Arc<Broker> {
    let ports = Ports { sealer: sealer(seed, Seeded::new(50)), ..world.broker.ports.clone() };
    Broker::new(ports, catalog(), settings)
}

/// What loading comes to after somebody has changed the disk.
async fn load(world: &World, change: impl FnOnce(&mut BTreeMap<String, Item>)) -> Result<(), UnsealError> {
    let copy = world.store.copy();
    copy.tamper(change);
    let ports = Ports { store: copy, sealer: sealer(99, Seeded::new(50)), ..world.broker.ports.clone() };
    let broker = Broker::new(ports, catalog(), settings());
    let result = broker.load().await;
    assert_eq!(broker.is_unsealed(), result.is_ok(), "half taken over");
    result
}

#[tokio::test]
async fn every_record_of_every_kind_is_proved() {
    let world = world().await;
    load(&world, |_| {}).await.unwrap();
    let keys = world.store.keys();
    for kind in [
        "agent/",
        "adapter/",
        "secret/",
        "secret-value/",
        "grant/",
        "handle/",
        "counter/",
        "oauth-client/",
        "meta/clock",
        "meta/canary",
    ] {
        assert!(keys.iter().any(|key| key.starts_with(kind)), "no record of {kind} to try it on");
    }
    for key in &keys {
        let length = world.store.item(key).unwrap().value.len();
        for at in [0, length / 2, length - 1] {
            let result = load(&world, |items| items.get_mut(key).unwrap().value[at] ^= 1).await;
            assert!(result.is_err(), "{key}: byte {at} of {length} was changed");
        }
        assert!(
            load(&world, |items| items.get_mut(key).unwrap().value.clear()).await.is_err(),
            "{key}: emptied"
        );
        assert!(
            load(&world, |items| items.get_mut(key).unwrap().version += 1).await.is_err(),
            "{key}: version"
        );
    }
}

#[tokio::test]
async fn a_record_under_another_key_is_not_believed() {
    let world = world().await;
    world.try_grant("bob", &["gmail.list_labels"], vec![]).await.unwrap();
    let keys = world.store.keys();
    let two = |prefix: &str| {
        let mut found = keys.iter().filter(|key| key.starts_with(prefix));
        (found.next().unwrap().clone(), found.next().unwrap().clone())
    };
    for prefix in ["agent/", "adapter/", "secret/", "grant/", "handle/"] {
        let (from, to) = two(prefix);
        let result = load(&world, |items| {
            let value = items[&from].value.clone();
            let item = items.get_mut(&to).unwrap();
            item.value = value;
        });
        assert!(matches!(result.await, Err(UnsealError::Forged { .. })), "{prefix}");
    }
}

#[tokio::test]
async fn another_key_or_another_vault_opens_nothing() {
    let world = world().await;
    let other = broker(&world, 98, settings()).load().await;
    assert_eq!(other, Err(UnsealError::Forged { key: "meta/canary".to_owned() }));
    let settings = Settings { vault: VaultId::from_bytes([8; 16]), ..settings() };
    assert!(matches!(broker(&world, 99, settings).load().await, Err(UnsealError::Forged { .. })));
    // A store that has lost its canary has been tampered with.
    assert!(load(&world, |items| drop(items.remove("meta/canary"))).await.is_err());
}

#[tokio::test]
async fn a_secret_without_its_value_and_a_store_that_does_not_answer() {
    let world = world().await;
    let lost = load(&world, |items| items.retain(|key, _| !key.starts_with("secret-value/drive/"))).await;
    assert!(matches!(lost, Err(UnsealError::Unreadable { .. })));
    world.store.down(true);
    assert!(matches!(broker(&world, 99, settings()).load().await, Err(UnsealError::Store(_))));
    assert!(matches!(broker(&world, 99, settings()).load_registry().await, Err(UnsealError::Store(_))));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_not_guessed_at() {
    let world = world().await;
    let agent = AgentRecord { name: "new".to_owned(), uid: Some(1), ..AgentRecord::default() };
    let mut newer = records::encode(&agent);
    newer[0] = 2;
    let put = Put { key: "agent/new".to_owned(), version: 0, plain: Plain::Registry(newer.clone()) };
    world.broker.commit(vec![put]).await.unwrap();
    let wanted = Err(UnsealError::Unreadable { key: "agent/new".to_owned() });
    assert_eq!(broker(&world, 99, settings()).load().await, wanted);
    assert_eq!(broker(&world, 99, settings()).load_registry().await, wanted);
    world.store.tamper(|items| drop(items.remove("agent/new")));
    let put = Put { key: "grant/new".to_owned(), version: 0, plain: Plain::Sealed(Purpose::Record, newer) };
    world.broker.commit(vec![put]).await.unwrap();
    assert!(matches!(broker(&world, 99, settings()).load().await, Err(UnsealError::Unreadable { .. })));
}

#[tokio::test]
async fn a_user_is_one_peer_only() {
    let world = world().await;
    for (name, uid) in [("x", 2001), ("x", 3001), ("x", 1000)] {
        let refused = world.broker.add_agent(ADMIN, agent(name), Some(uid), false, false).await;
        assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{uid}");
    }
    assert!(matches!(
        world.broker.add_agent(ADMIN, agent("x"), None, false, false).await,
        Err(AdminError::Invalid { .. })
    ));
    assert!(matches!(
        world.broker.add_agent(ADMIN, agent("ann"), Some(2009), false, false).await,
        Err(AdminError::Exists { .. })
    ));
    // However it came into the store: no vault starts with it, sealed or not.
    for uid in [2001, 3001, 1000] {
        let record = AgentRecord { name: "twin".to_owned(), uid: Some(uid), ..AgentRecord::default() };
        let plain = Plain::Registry(records::encode(&record));
        world.broker.commit(vec![Put { key: "agent/twin".to_owned(), version: 0, plain }]).await.unwrap();
        let found = broker(&world, 99, settings()).load().await;
        assert!(matches!(found, Err(UnsealError::Registry(_))), "{uid}: {found:?}");
        assert!(broker(&world, 99, settings()).load_registry().await.is_err());
        world.store.tamper(|items| drop(items.remove("agent/twin")));
    }
}

#[tokio::test]
async fn everything_comes_back_as_it_was() {
    let mut world = world().await;
    let seen = |world: &World| {
        let grants: Vec<_> = world
            .broker
            .grants(None, true)
            .unwrap()
            .into_iter()
            .map(|view| (view.grant, view.calls_made))
            .collect();
        let secrets: Vec<String> =
            world.broker.secrets().unwrap().iter().map(|view| format!("{view:?}")).collect();
        (format!("{:?}", world.broker.agents()), format!("{:?}", world.broker.adapters()), secrets, grants)
    };
    let before = seen(&world);
    world.restart().await;
    assert_eq!(seen(&world), before);
    assert_eq!(world.broker.agent_of_uid(2001), Some(agent("ann")));
    assert_eq!(world.broker.adapter_of_uid(3001), Some(adapter("gmail")));
    assert_eq!(world.broker.agent_of_uid(3001), None);
    assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 2);
}

/// What agents made decides whom they may touch, and a decoy who is frozen: they are proved like the rest.
#[tokio::test]
async fn what_agents_made_and_what_lures_them_is_proved() {
    let world = world().await;
    world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await.unwrap();
    world.broker.remember_made(&agent("ann"), &secret("drive/me"), "one").await;
    load(&world, |_| {}).await.unwrap();
    for kind in ["made/", "decoy/"] {
        let keys = world.store.keys();
        let key = keys.iter().find(|key| key.starts_with(kind)).expect(kind);
        let forged = Err(UnsealError::Forged { key: key.clone() });
        let last = world.store.item(key).unwrap().value.len() - 1;
        assert_eq!(load(&world, |items| items.get_mut(key).unwrap().value[last] ^= 1).await, forged);
        assert_eq!(load(&world, |items| items.get_mut(key).unwrap().version += 1).await, forged);
    }
}

/// A record of this vault's own under a key that is not its own: it says who it is, and is not believed.
#[tokio::test]
async fn a_record_that_names_another_than_its_key_is_not_believed() {
    let world = world().await;
    world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await.unwrap();
    let agent = AgentRecord { name: "ann".to_owned(), uid: Some(2050), ..AgentRecord::default() };
    let adapter = AdapterRecord { name: "gmail".to_owned(), uid: Some(3050), ..AdapterRecord::default() };
    let sealed = |kind: &str| {
        let key = world.store.keys().into_iter().find(|key| key.starts_with(kind)).expect("one of each");
        let plain = world.broker.unseal_item(Purpose::Record, &world.store.item(&key).unwrap());
        Plain::Sealed(Purpose::Record, plain.unwrap().to_vec())
    };
    for (key, plain) in [
        ("agent/zoe", Plain::Registry(records::encode(&agent))),
        ("adapter/zoe", Plain::Registry(records::encode(&adapter))),
        ("secret/gmail/zoe", sealed("secret/")),
        ("grant/gr_0000000000000000", sealed("grant/")),
        ("grant/zoe", sealed("grant/")),
        ("handle/hdl_00000000000000000000000000000000", sealed("handle/")),
        ("decoy/zoe", sealed("decoy/")),
    ] {
        world.broker.commit(vec![Put { key: key.to_owned(), version: 0, plain }]).await.unwrap();
        let loaded = broker(&world, 99, settings()).load().await;
        assert_eq!(loaded, Err(UnsealError::Forged { key: key.to_owned() }));
        world.store.tamper(|items| drop(items.remove(key)));
    }
    broker(&world, 99, settings()).load().await.unwrap();
}

/// Of a grant that was revoked nothing lives in the next run: its children are deleted without a word, its root's record
/// stays with its own.
#[tokio::test]
async fn handles_of_a_grant_that_was_revoked_do_not_live_again() {
    let mut world = World::new().await;
    let grant = world.grant(&["gmail.get_message"], vec![]).await.grant;
    let child = world.broker.narrow(&agent("ann"), grant.root, vec![], String::new()).await.unwrap().id;
    world.broker.revoke(ADMIN, grant.id).await.unwrap();
    let kept = |world: &World| {
        let keys = world.store.keys();
        [grant.root, child].map(|id| keys.contains(&format!("handle/{id}")))
    };
    assert_eq!(kept(&world), [true, true], "not deleted yet");
    world.restart().await;
    assert_eq!(world.broker.read().handles.len(), 0);
    let told = world.audit.count(Kind::Released);
    world.broker.tick().await;
    assert_eq!(kept(&world), [true, false]);
    assert_eq!(world.audit.count(Kind::Released), told);
}
