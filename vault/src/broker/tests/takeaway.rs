//! Taking away: it bites in memory at once, whatever the store and the log do, and what was acknowledged stays.

use std::sync::{Arc, Mutex};

use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, agent, ask, class, oauth, secret};
use crate::broker::error::AdminError;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world
}

async fn get(world: &World) -> Result<(), Class> {
    world.call(GET, json!({"message_id": "m1"})).await.map(drop).map_err(|refusal| refusal.class)
}

fn the_grant(world: &World) -> claviger_domain::id::GrantId {
    world.broker.grants(None, true).unwrap()[0].grant.id
}

#[tokio::test]
async fn a_revocation_bites_even_where_nothing_can_be_written() {
    for fault in [Commit::Full, Commit::Unavailable, Commit::Unknown] {
        let mut world = world().await;
        let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
        world.store.fail("grant/", fault, false);
        let id = the_grant(&world);
        let result = world.broker.revoke(ADMIN, id).await;
        assert!(matches!(result, Err(AdminError::NotDurable(_))), "{fault:?}: {result:?}");
        assert_eq!(class(world.send(&minted, "get", &[]).await), Class::Revoked);
        assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
        assert_eq!(world.broker.grant(id).unwrap().state, "revoked");
        // Told as not durable, and so it was not; the second try makes it so.
        world.broker.revoke(ADMIN, id).await.unwrap();
        world.restart().await;
        assert_eq!(world.broker.grant(id).unwrap().state, "revoked");
        assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
    }
}

#[tokio::test]
async fn a_revocation_whose_commit_was_lost_sight_of_can_be_repeated() {
    let mut world = world().await;
    world.store.fail("grant/", Commit::Unknown, true);
    world.store.down(true);
    let id = the_grant(&world);
    assert!(matches!(world.broker.revoke(ADMIN, id).await, Err(AdminError::NotDurable(_))));
    world.store.down(false);
    world.broker.revoke(ADMIN, id).await.unwrap();
    world.restart().await;
    assert_eq!(world.broker.grant(id).unwrap().state, "revoked");
}

#[tokio::test]
async fn revoking_again_changes_nothing() {
    let world = world().await;
    let id = the_grant(&world);
    world.broker.revoke(ADMIN, id).await.unwrap();
    world.broker.revoke(ADMIN, id).await.unwrap();
    assert_eq!(world.audit.count(Kind::GrantRevoked), 1);
    let unknown = claviger_domain::id::GrantId::from_bytes([0; 8]);
    assert!(matches!(world.broker.revoke(ADMIN, unknown).await, Err(AdminError::Missing { .. })));
}

#[tokio::test]
async fn a_broken_log_does_not_stop_a_revocation() {
    let mut world = world().await;
    world.audit.break_door(Door::Reserve);
    let id = the_grant(&world);
    assert!(world.broker.revoke(ADMIN, id).await.is_err(), "it is told that it was not recorded");
    assert_eq!(get_handles(&world), 0);
    world.audit.mend();
    world.restart().await;
    assert_eq!(world.broker.grant(id).unwrap().state, "revoked", "durable all the same");
    // And with the ordinary doors shut, the reserve is enough.
    let id = world.grant(&["gmail.list_labels"], vec![]).await.grant.id;
    for door in [Door::Record, Door::Queued, Door::Intent, Door::Outcome] {
        world.audit.break_door(door);
    }
    world.broker.revoke(ADMIN, id).await.unwrap();
    world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
}

fn get_handles(world: &World) -> usize {
    world.broker.open(&agent("ann")).unwrap().handles.len()
}

#[tokio::test]
async fn a_freeze_bites_at_once_and_survives() {
    let mut world = world().await;
    world.store.fail("agent/ann", Commit::Unavailable, false);
    let result = world.broker.freeze(ADMIN, &agent("ann"), "odd\u{1b}[31m").await;
    assert!(matches!(result, Err(AdminError::NotDurable(_))), "{result:?}");
    assert_eq!(get_handles(&world), 0);
    assert_eq!(world.broker.agent(&agent("ann")).unwrap().frozen.as_deref(), Some("odd[31m"));
    world.broker.freeze(ADMIN, &agent("ann"), "again").await.unwrap();
    world.restart().await;
    assert_eq!(world.broker.agent(&agent("ann")).unwrap().frozen.as_deref(), Some("again"));
    // A thaw gives, so it must be recorded and durable first.
    world.audit.break_door(Door::Record);
    assert!(world.broker.thaw(ADMIN, &agent("ann")).await.is_err());
    world.audit.mend();
    world.store.fail("agent/ann", Commit::Full, false);
    assert!(world.broker.thaw(ADMIN, &agent("ann")).await.is_err());
    assert_eq!(get_handles(&world), 0);
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    get(&world).await.unwrap();
    world.restart().await;
    get(&world).await.unwrap();
}

#[tokio::test]
async fn a_freeze_that_comes_while_an_agent_is_thawed_wins() {
    let mut world = world().await;
    world.broker.freeze(ADMIN, &agent("ann"), "first").await.unwrap();
    let freezing = Arc::new(Mutex::new(None));
    let (broker, task) = (Arc::clone(&world.broker), Arc::clone(&freezing));
    *world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
        let mut task = task.lock().unwrap();
        if task.is_none() && keys.iter().any(|key| key == "agent/ann") {
            let broker = Arc::clone(&broker);
            // Its first half, which is in memory, happens here: between the thaw's look and its commit.
            let mut freeze = Box::pin(async move { broker.freeze(ADMIN, &agent("ann"), "second").await });
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(freeze.as_mut().poll(&mut context).is_pending());
            *task = Some(freeze);
        }
    }));
    let _ = world.broker.thaw(ADMIN, &agent("ann")).await;
    *world.store.hook.lock().unwrap() = None;
    assert_eq!(world.broker.agent(&agent("ann")).unwrap().frozen.as_deref(), Some("second"));
    assert_eq!(get_handles(&world), 0);
    let freeze = freezing.lock().unwrap().take().unwrap();
    freeze.await.unwrap();
    world.restart().await;
    assert_eq!(world.broker.agent(&agent("ann")).unwrap().frozen.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_thaw_asked_for_before_a_freeze_does_not_undo_it() {
    let mut world = world().await;
    world.broker.freeze(ADMIN, &agent("ann"), "first").await.unwrap();
    let turn = world.broker.admin.lock().await;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let ann = agent("ann");
    let mut freeze = Box::pin(world.broker.freeze(ADMIN, &ann, "second"));
    let mut thaw = Box::pin(world.broker.thaw(ADMIN, &ann));
    assert!(thaw.as_mut().poll(&mut context).is_pending());
    assert!(freeze.as_mut().poll(&mut context).is_pending());
    drop(turn);
    let (thawed, frozen) = tokio::join!(thaw, freeze);
    assert!(matches!(thawed, Err(AdminError::Conflict)), "{thawed:?}");
    assert_eq!(frozen.unwrap().frozen.as_deref(), Some("second"));
    world.restart().await;
    assert_eq!(world.broker.agent(&agent("ann")).unwrap().frozen.as_deref(), Some("second"));
}

#[tokio::test]
async fn what_an_agent_or_a_secret_leaves_behind_is_dead() {
    let mut world = world().await;
    assert_eq!(world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap(), 1);
    assert_eq!(class(world.broker.open(&agent("ann"))), Class::NotGranted);
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    assert_eq!(get_handles(&world), 0);
    world.grant(&[GET], vec![]).await;
    assert_eq!(world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await.unwrap().1, 1);
    world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("refresh-0")).await.unwrap();
    assert_eq!(get_handles(&world), 0);
    world.restart().await;
    assert_eq!(get_handles(&world), 0);
    assert!(world.broker.grants(None, false).unwrap().is_empty());
}

#[tokio::test]
async fn a_grant_revoked_in_memory_only_keeps_its_agent_until_it_is_durable() {
    let mut world = world().await;
    world.store.fail("grant/", Commit::Full, false);
    assert!(world.broker.revoke(ADMIN, the_grant(&world)).await.is_err());
    world.store.fail("grant/", Commit::Full, false);
    let removed = world.broker.remove_agent(ADMIN, &agent("ann")).await;
    assert!(matches!(removed, Err(AdminError::NotDurable(_))), "{removed:?}");
    world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
    // The name comes back; what it was granted does not.
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.restart().await;
    assert_eq!(get_handles(&world), 0);
}

#[tokio::test]
async fn a_grant_made_while_its_secret_goes_does_not_outlive_it() {
    let world = Arc::new(world().await);
    let made = Arc::new(Mutex::new(None));
    let (broker, task) = (Arc::clone(&world.broker), Arc::clone(&made));
    *world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
        if keys.iter().any(|key| key.starts_with("grant/")) && task.lock().unwrap().is_none() {
            let broker = Arc::clone(&broker);
            let adding = async move { broker.add_grant(ADMIN, ask("bob", &[GET], vec![])).await.map(drop) };
            *task.lock().unwrap() = Some(tokio::spawn(adding));
        }
    }));
    world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await.unwrap();
    *world.store.hook.lock().unwrap() = None;
    let task = made.lock().unwrap().take().unwrap();
    let _ = task.await.unwrap();
    assert!(world.broker.grants(None, false).unwrap().is_empty());
}

#[tokio::test]
async fn a_grant_of_which_nobody_knows_whether_it_was_kept_is_revoked() {
    for happens in [true, false] {
        let mut world = World::new().await;
        world.store.fail("grant/", Commit::Unknown, happens);
        let store = Arc::clone(&world.store);
        *world.store.hook.lock().unwrap() = Some(Box::new(move |_| store.down(true)));
        let made = world.try_grant("ann", &[GET], vec![]).await;
        assert_eq!(made.err(), Some(AdminError::StoreUnknown));
        *world.store.hook.lock().unwrap() = None;
        world.store.down(false);
        let id = the_grant(&world);
        assert_eq!(world.broker.grant(id).unwrap().state, "revoked");
        assert_eq!(get_handles(&world), 0);
        world.broker.revoke(ADMIN, id).await.unwrap();
        world.restart().await;
        assert_eq!(world.broker.grant(id).unwrap().state, "revoked", "{happens}");
        assert_eq!(get_handles(&world), 0);
        world.grant(&[GET], vec![]).await;
        get(&world).await.unwrap();
    }
}

#[tokio::test]
async fn adding_a_peer_can_be_repeated() {
    for happens in [true, false] {
        let mut world = World::empty().await;
        for key in ["agent/", "adapter/"] {
            world.store.fail(key, Commit::Unknown, happens);
        }
        let store = Arc::clone(&world.store);
        *world.store.hook.lock().unwrap() = Some(Box::new(move |_| store.down(true)));
        let adapter = || super::world::adapter("gmail");
        assert!(world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.is_err());
        assert!(world.broker.add_adapter(ADMIN, adapter(), Some(3001), None).await.is_err());
        *world.store.hook.lock().unwrap() = None;
        world.store.down(false);
        world.broker.add_agent(ADMIN, agent("ann"), Some(2001), true, false).await.unwrap();
        world.broker.add_adapter(ADMIN, adapter(), Some(3001), None).await.unwrap();
        world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
        world.restart().await;
        assert!(world.broker.agent(&agent("ann")).unwrap().opaque);
    }
}

#[tokio::test]
async fn a_secret_whose_value_cannot_be_looked_up_stays() {
    let world = World::new().await;
    world.store.down(true);
    let removed = world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await;
    assert!(matches!(removed, Err(AdminError::Store(_))), "{removed:?}");
    world.store.down(false);
    world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await.unwrap();
    assert_eq!(world.store.item("secret-value/gmail/me/1"), None);
    world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("refresh-0")).await.unwrap();
}

#[tokio::test]
async fn removing_what_is_used_right_now() {
    let world = Arc::new(world().await);
    get(&world).await.unwrap();
    world.upstream.gate(false);
    let using = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world).await }
    });
    world.upstream.wait_for(3).await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await.unwrap();
    world.upstream.gate(true);
    using.await.unwrap().unwrap();
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::Revoked);
    assert_eq!(world.upstream.calls().len(), 2);
}
