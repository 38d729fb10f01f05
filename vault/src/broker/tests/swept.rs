//! What makes room for what: of approvals that are over, of denials that cool down, of what agents made.

use claviger_domain::approval::CALL_LIFE_MS;
use claviger_domain::grant::Approve;
use claviger_domain::id::ApprovalId;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::world::{ADMIN, World, ask, class};
use crate::broker::view::GrantAsk;
use crate::port::Commit;

const SEND: &str = "gmail.send_message";
const KEPT_MS: u64 = 24 * 3_600_000;

fn mail(to: &str) -> Value {
    json!({"to": [to], "subject": "s", "body": "b"})
}

async fn world() -> World {
    let world = World::new().await;
    let asked = GrantAsk { approve: Approve::Always, ..ask("ann", &[SEND], vec![]) };
    world.broker.add_grant(ADMIN, asked).await.unwrap();
    world
}

async fn pending(world: &World, to: &str) -> ApprovalId {
    let refusal = world.mint(SEND, mail(to)).await.err().expect("it was allowed");
    assert_eq!(refusal.class, Class::Pending, "{refusal}");
    refusal.approval.unwrap()
}

async fn listed(world: &World) -> Vec<ApprovalId> {
    let list = world.broker.approvals(None, true).await.unwrap();
    list.into_iter().map(|view| view.approval.id).collect()
}

/// What is old goes, and a no of just now still cools down.
#[tokio::test]
async fn clearing_away_ends_no_cool_down() {
    let world = world().await;
    let old = pending(&world, "a@example.org").await;
    world.clock.advance(CALL_LIFE_MS + KEPT_MS);
    let denied = pending(&world, "b@example.org").await;
    world.broker.decide(ADMIN, denied, false, String::new()).await.unwrap();
    world.broker.tick().await;
    assert_eq!(listed(&world).await, [denied], "{old} went");
    assert_eq!(class(world.mint(SEND, mail("c@example.org")).await), Class::Denied);
}

/// The store may have deleted what it did not say that it has: then nothing is left in memory either.
#[tokio::test]
async fn what_was_deleted_without_an_answer_is_gone() {
    let world = world().await;
    pending(&world, "a@example.org").await;
    world.clock.advance(CALL_LIFE_MS + KEPT_MS);
    world.store.fail("approval/", Commit::Unavailable, true);
    for _ in 0..2 {
        world.broker.tick().await;
    }
    assert!(!world.store.keys().iter().any(|key| key.starts_with("approval/")));
    assert_eq!(listed(&world).await, []);
}

/// Of one call nobody knows whether it is in the store: others make room for the next all the same.
#[tokio::test]
async fn one_of_unknown_fate_keeps_no_other_out() {
    let world = world().await;
    world.store.fail("approval/", Commit::Unavailable, true);
    assert_eq!(class(world.mint(SEND, mail("lost@example.org")).await), Class::Unavailable);
    for at in 0..60 {
        world.clock.advance(CALL_LIFE_MS);
        pending(&world, &format!("a{at}@example.org")).await;
    }
}
