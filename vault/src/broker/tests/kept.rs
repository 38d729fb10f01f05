//! What is kept, and told, of what an owner takes away and of what an agent made.

use std::sync::Arc;

use claviger_domain::caveat::Caveat;
use claviger_domain::grant::Approve;
use claviger_domain::refusal::Class;
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::boxes::{READ, boxes, thing};
use super::upstream::json as answer;
use super::world::{ADMIN, World, agent, ask, class, secret};
use crate::broker::error::AdminError;
use crate::broker::view::NewValue;
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

/// Who comes and goes takes nothing of what others made.
#[tokio::test]
async fn what_one_made_is_not_forgotten_for_another() {
    let mut boxes = boxes(&[]).await;
    boxes.world.grant(&["box.make"], vec![]).await;
    boxes.world.grant(&[READ], vec![Caveat::MadeByAgent]).await;
    let made = boxes.call("box.make", json!({})).await.unwrap()["id"].as_str().unwrap().to_owned();
    boxes.world.broker.add_agent(ADMIN, agent("eve"), Some(2009), false, false).await.unwrap();
    let value = || NewValue::Bearer(SecretBytes::from_text("another".to_owned()));
    boxes.world.broker.add_secret(ADMIN, secret("box/other"), value()).await.unwrap();
    boxes.world.broker.remove_secret(ADMIN, &secret("box/other"), false).await.unwrap();
    boxes.world.broker.add_secret(ADMIN, secret("box/other"), value()).await.unwrap();
    boxes.call(READ, json!({ "thing_id": made })).await.unwrap();
    boxes.world.restart().await;
    boxes.call(READ, json!({ "thing_id": made })).await.unwrap();
}

/// The next of a name is not let in before the store has forgotten what the last one made.
#[tokio::test]
async fn what_the_store_does_not_forget_is_not_forgotten() {
    let mut boxes = boxes(&[]).await;
    let world = &boxes.world;
    world.grant(&["box.make"], vec![]).await;
    let made = boxes.call("box.make", json!({})).await.unwrap()["id"].as_str().unwrap().to_owned();
    let world = &boxes.world;
    world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
    world.store.fail("made/ann/", Commit::Full, false);
    let again = world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await;
    assert!(matches!(again, Err(AdminError::Store(_))), "{again:?}");
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    boxes.world.restart().await;
    boxes.world.grant(&[READ], vec![Caveat::MadeByAgent]).await;
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": made })).await), Class::OutOfScope);
}

/// An answer may come after its agent, or its secret, was removed: the next of that name has made none of it, in this run
/// and in the next.
#[tokio::test]
async fn what_was_made_as_its_maker_was_removed_is_not_the_next_ones() {
    for agent_goes in [true, false] {
        let mut boxes = boxes(&[("made0", thing(json!({ "id": "made0" })))]).await;
        boxes.world.grant(&["box.make"], vec![]).await;
        let minted = boxes.world.mint("box.make", json!({})).await.unwrap();
        boxes.world.upstream.gate(false);
        let token = || NewValue::Bearer(SecretBytes::from_text("token".to_owned()));
        let going = async {
            let broker = &boxes.world.broker;
            boxes.world.upstream.wait_for(1).await;
            if agent_goes {
                broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
            } else {
                broker.remove_secret(ADMIN, &secret("box/me"), false).await.unwrap();
            }
            boxes.world.upstream.gate(true);
        };
        let (sent, ()) = tokio::join!(boxes.world.send(&minted, "post", &[]), going);
        drop(sent);
        let broker = &boxes.world.broker;
        if agent_goes {
            broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
        } else {
            broker.add_secret(ADMIN, secret("box/me"), token()).await.unwrap();
        }
        boxes.world.grant(&[READ], vec![Caveat::MadeByAgent]).await;
        for _ in 0..2 {
            let read = boxes.call(READ, json!({ "thing_id": "made0" })).await;
            assert_eq!(class(read), Class::OutOfScope, "{agent_goes}");
            boxes.world.restart().await;
        }
        assert!(!boxes.world.store.keys().iter().any(|key| key.starts_with("made/")), "{agent_goes}");
    }
}

/// A record may be in the store though nobody was told so.
#[tokio::test]
async fn what_may_have_been_recorded_is_forgotten_too() {
    let boxes = boxes(&[("made0", thing(json!({ "id": "made0" })))]).await;
    boxes.world.grant(&["box.make"], vec![]).await;
    let kept = |world: &World| world.store.keys().iter().filter(|key| key.starts_with("made/")).count();
    let store = Arc::clone(&boxes.world.store);
    boxes.world.store.fail("made/", Commit::Unknown, true);
    *boxes.world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
        store.down(keys.iter().any(|key| key.starts_with("made/")));
    }));
    boxes.call("box.make", json!({})).await.unwrap();
    *boxes.world.store.hook.lock().unwrap() = None;
    boxes.world.store.down(false);
    assert_eq!(kept(&boxes.world), 1, "it happened");
    assert!(boxes.world.broker.made_ids(&agent("ann"), &secret("box/me")).is_empty(), "and is not known");
    boxes.world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
    boxes.world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    assert_eq!(kept(&boxes.world), 0);
}
