//! What is kept, and told, of what an owner takes away and of what an agent made.

use claviger_domain::caveat::Caveat;
use claviger_domain::grant::Approve;
use serde_json::json;

use super::boxes::boxes;
use super::upstream::json as answer;
use super::world::{ADMIN, World, agent, ask, secret};
use crate::broker::error::AdminError;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

/// What forbids bites and goes: whoever shows an agent its tools is told both times.
#[tokio::test]
async fn a_rule_that_forbids_is_told_when_it_goes() {
    let world = World::new().await;
    let mut changes = world.broker.changes();
    let mut asked = ask("ann", &[GET], vec![]);
    (asked.deny, asked.approve) = (true, Approve::Default);
    let rule = world.broker.add_grant(ADMIN, asked).await.unwrap().grant;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    world.broker.revoke(ADMIN, rule.id).await.unwrap();
    assert!(changes.has_changed().unwrap());
}

/// A freeze that is not durable holds, and is told as not durable.
#[tokio::test]
async fn a_freeze_that_the_store_does_not_take_is_told() {
    let mut world = World::new().await;
    world.store.fail("agent/ann", Commit::Full, false);
    let frozen = world.broker.freeze(ADMIN, &agent("ann"), "test").await;
    assert!(matches!(frozen, Err(AdminError::NotDurable(_))), "{frozen:?}");
    assert!(world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some());
    world.broker.freeze(ADMIN, &agent("ann"), "test").await.unwrap();
    world.restart().await;
    assert!(world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some());
}

/// What an upstream calls an id, and is none, is not remembered as made.
#[tokio::test]
async fn only_ids_are_remembered_as_made() {
    let boxes = boxes(&[]).await;
    boxes.world.grant(&["box.make"], vec![]).await;
    for (id, kept) in [("a b", 0), ("../x", 0), ("", 0), ("one", 1)] {
        boxes.world.upstream.answer_with(move |_| answer(200, &json!({ "id": id })));
        boxes.call("box.make", json!({})).await.unwrap();
        assert_eq!(boxes.world.broker.made_ids(&agent("ann"), &secret("box/me")).len(), kept, "{id:?}");
    }
}

/// Where the day's bytes are used up to the last, nothing is asked for any more, though it would send none.
#[tokio::test]
async fn a_day_that_is_used_up_asks_for_nothing() {
    let world = World::new().await;
    world.grant(&[GET], vec![Caveat::BytesADay(400)]).await;
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.is_token() {
        true => google(seen),
        false => answer(200, &json!({ "id": "x".repeat(400 - 9) })),
    });
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    assert!(world.call(GET, json!({"message_id": "m1"})).await.is_err());
    assert_eq!(world.upstream.calls().len(), 1);
}
