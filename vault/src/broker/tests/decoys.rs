//! Decoys: whoever uses one is frozen, and nobody but the owner is told why.

use claviger_domain::decoy::Look;
use claviger_domain::event::{Actor, Kind};
use claviger_domain::id::HandleId;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, class};
use crate::broker::DecoyKind;
use crate::broker::error::AdminError;
use crate::broker::view::DecoyView;
use crate::port::Commit;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

async fn world() -> (World, DecoyView, DecoyView) {
    let world = World::new().await;
    world.grant(&[GET, SEND], vec![]).await;
    let key = DecoyKind::Credential(Look::GitHub);
    let key = world.broker.add_decoy(ADMIN, key, "in the\nnotes").await.unwrap();
    let handle = world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await.unwrap();
    (world, key, handle)
}

fn mail(body: &str) -> Value {
    json!({"to": ["x@example.org"], "subject": "s", "body": body})
}

fn frozen(world: &World, name: &str) -> Option<String> {
    world.broker.agent(&agent(name)).unwrap().frozen
}

/// The tasks that a decoy begins have ended.
async fn settled(world: &World) {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let _turn = world.broker.admin.lock().await;
}

#[tokio::test]
async fn a_credential_in_any_argument_freezes_whoever_uses_it() {
    let (mut world, key, _) = world().await;
    assert_eq!((key.kind.as_str(), key.note.as_str(), key.used), ("credential", "in thenotes", 0));
    assert!(key.value.starts_with("ghp_"));
    let (text, bytes) = world.present(SEND, &mail("hello"));
    let refusal = world.call(SEND, mail(&format!("see {}", key.value))).await.unwrap_err();
    assert!(frozen(&world, "ann").is_some(), "at once");
    // It is told what a frozen agent is told, and nothing else.
    let Err(ordinary) = world.broker.mint(&adapter("gmail"), &text, &bytes).await else { panic!() };
    assert_eq!((refusal.class, &refusal.field), (Class::Frozen, &ordinary.field));
    assert_eq!(ordinary.class, Class::Frozen);
    assert!(world.upstream.calls().is_empty());
    settled(&world).await;
    let alerts = world.audit.events(Kind::Alert);
    let alert = alerts.iter().find(|(_, event, _)| event.step.as_deref() == Some("decoy-used")).unwrap();
    assert_eq!(alert.1.agent, Some(agent("ann")));
    assert_eq!(alert.2.0[0], ("decoy".to_owned(), key.id.to_string()));
    assert_eq!(world.audit.count(Kind::Frozen), 1);
    assert_eq!(frozen(&world, "bob"), None);
    world.restart().await;
    assert!(frozen(&world, "ann").is_some(), "durable");
    let used: Vec<_> = world.broker.decoys().unwrap().into_iter().filter(|decoy| decoy.used == 1).collect();
    assert_eq!(used.iter().map(|decoy| decoy.id).collect::<Vec<_>>(), [key.id]);
    // It works in the next run too.
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    assert_eq!(class(world.call(SEND, mail(&key.value)).await), Class::Frozen);
}

#[tokio::test]
async fn an_attempt_that_would_be_refused_anyway_is_an_attempt() {
    let (world, key, _) = world().await;
    // The argument does not exist, and the tool is not granted.
    for (tool, args) in [
        (SEND, json!({"nonsense": key.value})),
        ("gmail.label_message", json!({"message_id": key.value})),
        (GET, json!({ key.value.as_str(): 1 })),
    ] {
        let (text, bytes) = world.present(tool, &args);
        assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Frozen, "{tool}");
        assert!(frozen(&world, "ann").is_some());
        settled(&world).await;
        world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    }
    world.call(SEND, mail(&key.value[..key.value.len() - 1])).await.unwrap();
}

#[tokio::test]
async fn a_handle_that_was_never_issued_freezes_who_names_it() {
    let (world, _, handle) = world().await;
    let id: HandleId = handle.value.parse().unwrap();
    assert!(!world.broker.lured(&agent("ann"), HandleId::from_bytes([9; 16])));
    assert!(frozen(&world, "ann").is_none());
    assert!(world.broker.lured(&agent("ann"), id));
    assert!(frozen(&world, "ann").is_some());
    assert!(world.broker.open(&agent("ann")).unwrap().frozen);
    settled(&world).await;
    assert_eq!(world.audit.count(Kind::Frozen), 1);
    // In a presentation nobody has proved who made it: no agent can be frozen by what another presents.
    world.try_grant("bob", &[SEND], vec![]).await.unwrap();
    let (text, bytes) = world.present_as("bob", SEND, &mail("x"), |claim| claim.handle = *id.as_bytes());
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Revoked);
    settled(&world).await;
    assert_eq!(frozen(&world, "bob"), None);
    let alerts = world.audit.events(Kind::Alert);
    let named =
        alerts.iter().any(|(_, event, _)| event.adapter == Some(adapter("gmail")) && event.agent.is_none());
    assert!(named, "{alerts:?}");
}

#[tokio::test]
async fn a_freeze_that_the_store_does_not_take_holds_all_the_same() {
    let (world, key, _) = world().await;
    world.store.fail("agent/ann", Commit::Unavailable, false);
    assert_eq!(class(world.call(SEND, mail(&key.value)).await), Class::Frozen);
    settled(&world).await;
    assert!(frozen(&world, "ann").is_some());
    assert_eq!(class(world.broker.mint(&adapter("gmail"), "x", b"{}").await), Class::BadPresentation);
    assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
}

#[tokio::test]
async fn decoys_are_bounded_and_end_when_they_are_removed() {
    let (mut world, key, handle) = world().await;
    for _ in 2..64 {
        world.broker.add_decoy(ADMIN, DecoyKind::Credential(Look::Aws), "").await.unwrap();
    }
    let more = world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await;
    assert!(matches!(more, Err(AdminError::Invalid { .. })));
    world.broker.remove_decoy(Actor::Admin(1), key.id).await.unwrap();
    let gone = world.broker.remove_decoy(ADMIN, key.id).await;
    assert!(matches!(gone, Err(AdminError::Missing { .. })));
    world.call(SEND, mail(&key.value)).await.unwrap();
    world.restart().await;
    assert_eq!(world.broker.decoys().unwrap().len(), 63);
    world.call(SEND, mail(&key.value)).await.unwrap();
    assert!(world.broker.lured(&agent("ann"), handle.value.parse().unwrap()));
    assert_eq!((world.audit.count(Kind::DecoyAdded), world.audit.count(Kind::DecoyRemoved)), (64, 1));
    // No record of one lies open.
    for name in world.store.keys().iter().filter(|name| name.starts_with("decoy/")) {
        let item = world.store.item(name).unwrap();
        assert!(!item.value.windows(4).any(|bytes| bytes == b"AKIA"), "{name}");
    }
}

#[tokio::test]
async fn a_use_is_counted_at_once_and_a_handle_is_used_by_naming_it_as_one() {
    let (world, key, handle) = world().await;
    // In the text of a mail it opens nothing.
    world.call(SEND, mail(&handle.value)).await.unwrap();
    assert_eq!(frozen(&world, "ann"), None);
    assert_eq!(class(world.call(SEND, mail(&key.value)).await), Class::Frozen);
    settled(&world).await;
    let used: Vec<_> =
        world.broker.decoys().unwrap().into_iter().map(|decoy| (decoy.id, decoy.used)).collect();
    assert_eq!(used.len(), 2);
    assert!(used.contains(&(key.id, 1)) && used.contains(&(handle.id, 0)), "{used:?}");
}

/// What could not be recorded, or is not durable, did not happen: neither a decoy made nor one removed.
#[tokio::test]
async fn decoys_come_and_go_recorded_and_durable() {
    let (mut world, key, _) = world().await;
    world.audit.break_door(Door::Record);
    let made = world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await;
    assert!(matches!(made, Err(AdminError::Audit(_))), "{made:?}");
    let gone = world.broker.remove_decoy(ADMIN, key.id).await;
    assert!(matches!(gone, Err(AdminError::Audit(_))), "{gone:?}");
    world.audit.mend();
    world.store.fail("decoy/", Commit::Full, false);
    let gone = world.broker.remove_decoy(ADMIN, key.id).await;
    assert!(matches!(gone, Err(AdminError::Store(_))), "{gone:?}");
    assert_eq!(world.broker.decoys().unwrap().len(), 2);
    world.restart().await;
    assert_eq!(world.broker.decoys().unwrap().len(), 2);
    assert_eq!(class(world.call(SEND, mail(&key.value)).await), Class::Frozen);
}
