//! What is told as done is what the store has: how a grant asks, what is written over an earlier try, and what forbids.

use std::sync::Arc;

use claviger_domain::event::Kind;
use claviger_domain::grant::Approve;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, ask, class, oauth, secret};
use crate::broker::error::AdminError;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

#[tokio::test]
async fn a_grant_asks_in_the_next_run_as_it_did_in_this() {
    let mut world = World::new().await;
    let mut made = Vec::new();
    for approve in [Approve::Default, Approve::Never, Approve::Tainted, Approve::New, Approve::Always] {
        let mut asked = ask("ann", &["gmail.send_message"], vec![]);
        asked.approve = approve;
        let grant = world.broker.add_grant(ADMIN, asked).await.unwrap().grant;
        assert_eq!(grant.approve, approve);
        made.push(grant);
    }
    world.restart().await;
    for grant in made {
        assert_eq!(world.broker.grant(grant.id).unwrap().grant, grant);
    }
}

/// Does something of which the store takes what begins with `key`, without anybody knowing that it did.
async fn lost<T>(world: &World, key: &'static str, doing: impl Future<Output = Result<T, AdminError>>) {
    world.store.fail(key, Commit::Unknown, true);
    let store = Arc::clone(&world.store);
    *world.store.hook.lock().unwrap() =
        Some(Box::new(move |keys| store.down(keys.iter().any(|known| known.starts_with(key)))));
    let result = doing.await;
    *world.store.hook.lock().unwrap() = None;
    world.store.down(false);
    assert_eq!(result.err(), Some(AdminError::StoreUnknown), "{key}");
}

/// An agent of which it was not known whether the store had taken it, and has.
async fn half_added() -> World {
    let world = World::empty().await;
    lost(&world, "agent/", world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false)).await;
    assert_eq!(world.store.item("agent/ann").map(|item| item.version), Some(1));
    world
}

/// Over what an earlier try left it is written under the version which that has, and goes on from there.
#[tokio::test]
async fn what_was_written_over_can_be_taken_away() {
    let mut world = half_added().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), true, false).await.unwrap();
    assert_eq!(world.store.item("agent/ann").map(|item| item.version), Some(2));
    assert_eq!(world.broker.read().agents[&agent("ann")].version, 2);
    world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
    world.restart().await;
    assert!(world.broker.agents().is_empty());
}

#[tokio::test]
async fn what_could_not_be_written_over_is_not_told_as_written() {
    let world = half_added().await;
    let (store, mut commits) = (Arc::clone(&world.store), 0);
    *world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
        commits += usize::from(keys.iter().any(|key| key == "agent/ann"));
        // The first finds the earlier one; the second would be written over it.
        if commits == 2 {
            store.fail("agent/ann", Commit::Full, false);
        }
    }));
    let added = world.broker.add_agent(ADMIN, agent("ann"), Some(2001), true, false).await;
    assert!(matches!(added, Err(AdminError::Store(_))), "{added:?}");
    *world.store.hook.lock().unwrap() = None;
    assert!(world.broker.agents().is_empty());
    assert_eq!(world.store.item("agent/ann").map(|item| item.version), Some(1));
}

/// What had been taken away without anybody knowing is taken away by the next try, and its name is free.
#[tokio::test]
async fn to_remove_something_can_be_repeated() {
    let mut world = World::new().await;
    let broker = Arc::clone(&world.broker);
    let (bob, drive, me) = (agent("bob"), adapter("drive"), secret("drive/me"));
    lost(&world, "agent/bob", broker.remove_agent(ADMIN, &bob)).await;
    lost(&world, "adapter/drive", broker.remove_adapter(ADMIN, &drive)).await;
    lost(&world, "secret/drive/me", broker.remove_secret(ADMIN, &me, false)).await;
    assert_eq!((broker.agents().len(), broker.adapters().len(), broker.secrets().unwrap().len()), (2, 2, 2));
    broker.remove_agent(ADMIN, &bob).await.unwrap();
    broker.remove_adapter(ADMIN, &drive).await.unwrap();
    broker.remove_secret(ADMIN, &me, false).await.unwrap();
    assert_eq!((broker.agents().len(), broker.adapters().len(), broker.secrets().unwrap().len()), (1, 1, 1));
    broker.add_agent(ADMIN, bob, Some(2002), false, false).await.unwrap();
    broker.add_adapter(ADMIN, drive, Some(3002), None).await.unwrap();
    broker.add_secret(ADMIN, me, oauth("refresh-0")).await.unwrap();
    world.restart().await;
    world.grant(&["drive.list_folder"], vec![]).await;
    world.call("drive.list_folder", json!({"folder_id": "f1"})).await.unwrap();
}

/// Where only a part of it is still there, that part goes.
#[tokio::test]
async fn what_is_still_there_of_it_is_removed_too() {
    let world = World::new().await;
    world.store.tamper(|items| drop(items.remove("secret/drive/me")));
    world.broker.remove_secret(ADMIN, &secret("drive/me"), false).await.unwrap();
    assert!(!world.store.keys().iter().any(|key| key.contains("drive/me")), "{:?}", world.store.keys());
    // Where the second look fails too, it is told, and nothing is forgotten.
    world.store.tamper(|items| drop(items.remove("secret/gmail/me")));
    world.store.fail("secret-value/gmail/me", Commit::Conflict, false);
    world.store.fail("secret-value/gmail/me", Commit::Full, false);
    let removed = world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await;
    assert!(matches!(removed, Err(AdminError::Store(_))), "{removed:?}");
    world.broker.secret(&secret("gmail/me")).unwrap();
}

#[tokio::test]
async fn to_put_in_a_secret_can_be_repeated() {
    let mut world = World::new().await;
    world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await.unwrap();
    let add = |refresh: &str| world.broker.add_secret(ADMIN, secret("gmail/me"), oauth(refresh));
    lost(&world, "secret/gmail/me", add("refresh-old")).await;
    assert!(world.store.item("secret-value/gmail/me/1").is_some());
    add("refresh-0").await.unwrap();
    world.grant(&[GET], vec![]).await;
    for _ in 0..2 {
        world.call(GET, json!({"message_id": "m1"})).await.unwrap();
        let asked = world.upstream.token_requests().pop().unwrap();
        assert_eq!(asked.field("refresh_token").as_deref(), Some("refresh-0"));
        world.restart().await;
    }
    world.broker.remove_secret(ADMIN, &secret("gmail/me"), false).await.unwrap();
    assert!(!world.store.keys().iter().any(|key| key.contains("gmail/me")));
}

#[tokio::test]
async fn to_rotate_a_secret_can_be_repeated() {
    let mut world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.google.lock().unwrap().refresh.push("refresh-new".to_owned());
    let me = secret("gmail/me");
    lost(&world, "secret/gmail/me", world.broker.rotate_secret(ADMIN, &me, Some(oauth("refresh-old")))).await;
    assert_eq!(world.broker.secret(&me).unwrap().version, 1, "the old one stays");
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.broker.rotate_secret(ADMIN, &me, Some(oauth("refresh-new"))).await.unwrap();
    for _ in 0..2 {
        let states: Vec<_> = world.broker.secret(&me).unwrap().versions.iter().map(|v| v.state).collect();
        assert_eq!(states, ["retired", "current"]);
        world.call(GET, json!({"message_id": "m1"})).await.unwrap();
        let asked = world.upstream.token_requests().pop().unwrap();
        assert_eq!(asked.field("refresh_token").as_deref(), Some("refresh-new"));
        world.restart().await;
    }
    let kept: Vec<_> =
        world.store.keys().into_iter().filter(|key| key.starts_with("secret-value/gmail/")).collect();
    assert_eq!(kept, ["secret-value/gmail/me/2"]);
    // What is gone stays gone.
    world.store.tamper(|items| drop(items.remove("secret/gmail/me")));
    let gone = world.broker.rotate_secret(ADMIN, &me, Some(oauth("refresh-new"))).await;
    assert_eq!(gone.map(drop), Err(AdminError::Conflict));
    assert_eq!(world.store.item("secret/gmail/me"), None);
}

/// A revocation that takes away holds at once, durable or not, and says so. One that gives back does not hold until it is
/// recorded and durable, and must not say that it did.
#[tokio::test]
async fn to_lift_what_forbids_is_told_as_what_it_is() {
    let mut world = World::new().await;
    world.grant(&[GET, "gmail.list_labels"], vec![]).await;
    let mut asked = ask("ann", &[GET], vec![]);
    (asked.deny, asked.approve) = (true, Approve::Default);
    let no = world.broker.add_grant(ADMIN, asked).await.unwrap().grant.id;
    for fault in [Commit::Full, Commit::Unavailable, Commit::Conflict] {
        world.store.fail("grant/", fault, false);
        // A conflict is looked up, and then written over.
        if fault == Commit::Conflict {
            world.store.fail("grant/", fault, false);
        }
        let lifted = world.broker.revoke(ADMIN, no).await;
        assert!(matches!(lifted, Err(AdminError::Store(_) | AdminError::Conflict)), "{lifted:?}");
        assert_eq!(world.broker.grant(no).unwrap().state, "active");
    }
    world.audit.break_door(Door::Reserve);
    let lifted = world.broker.revoke(ADMIN, no).await;
    assert!(matches!(lifted, Err(AdminError::Audit(_))), "{lifted:?}");
    world.audit.mend();
    world.restart().await;
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::NotGranted);
    let before = world.audit.count(Kind::GrantRevoked);
    world.broker.revoke(ADMIN, no).await.unwrap();
    assert_eq!(world.audit.count(Kind::GrantRevoked), before + 1);
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
}
