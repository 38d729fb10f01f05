//! What becomes of an answer that cannot be taken, or of an outcome that cannot be recorded.

use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::boxes::{READ, absent, boxes, thing, told};
use super::fakes::Door;
use super::upstream::{Reply, json as answer};
use super::world::{World, within};
use crate::port::UpstreamFault;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

/// With an access token that is good for a while.
async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, SEND], vec![]).await;
    world.call(GET, json!({ "message_id": "m1" })).await.unwrap();
    world
}

/// Every request but those for tokens is answered with this.
fn always(world: &World, reply: impl Fn() -> Reply + Send + Sync + 'static) {
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| if seen.is_token() { google(seen) } else { reply() });
}

/// A second try has its own records; the first one's come before it.
#[tokio::test]
async fn a_dead_token_is_not_tried_again_before_that_is_on_record() {
    let world = world().await;
    let minted = world.mint(GET, json!({ "message_id": "m1" })).await.unwrap();
    world.google.lock().unwrap().access.clear();
    let before = world.upstream.calls().len();
    world.audit.break_door(Door::OutcomeQueued);
    let refused = told(world.send(&minted, "get", &[]).await);
    assert_eq!(refused, (Class::Unavailable, Some("audit".to_owned())));
    assert_eq!(world.upstream.calls().len(), before + 1);
    assert_eq!(world.upstream.token_requests().len(), 1);
}

/// The owner can read why the upstream refused; nobody else is told.
#[tokio::test]
async fn the_upstreams_own_words_go_to_the_log_alone() {
    let world = world().await;
    always(&world, || answer(500, &json!({ "error": "the disk\u{7}is full" })));
    let refusal = world.call(GET, json!({ "message_id": "m1" })).await.unwrap_err();
    assert!(!format!("{refusal:?}").contains("disk"), "{refusal:?}");
    let outcome = world.audit.events(Kind::Outcome).pop().unwrap();
    let words = outcome.2.0.iter().find(|(name, _)| *name == "value").expect("the words are on record");
    assert!(words.1.contains("the disk"), "{words:?}");
    // What was released has no such words.
    let world = self::world().await;
    let outcome = world.audit.events(Kind::Outcome).pop().unwrap();
    assert!(outcome.2.0.iter().all(|(name, _)| *name != "value"), "{outcome:?}");
}

/// What nobody knows is told as that, whatever the log does; and of all else, that it is not on record comes first.
#[tokio::test]
async fn a_log_in_trouble_hides_nothing_but_what_it_should_have_held() {
    let mail = json!({ "to": ["a@example.com"], "subject": "s", "body": "b" });
    let world = self::world().await;
    always(&world, || answer(502, &json!({})));
    world.audit.break_door(Door::Outcome);
    let unknown = told(world.call(SEND, mail).await);
    assert_eq!(unknown, (Class::Unknown, Some("status".to_owned())));
    // A read that was refused, and one that would have been released.
    for id in ["absent", "m1"] {
        let world = self::world().await;
        world.audit.break_door(Door::OutcomeQueued);
        let unrecorded = told(world.call(GET, json!({ "message_id": id })).await);
        assert_eq!(unrecorded, (Class::Unavailable, Some("audit".to_owned())), "{id}");
    }
}

/// Where the answer alone says what the object belongs to, one that is too long to be read is one that is not there. All
/// that says nothing of the object is told as it is.
#[tokio::test]
async fn an_object_that_cannot_be_read_is_told_like_one_that_is_not_there() {
    type Reason = fn() -> Reply;
    let long: Reason = || Err(UpstreamFault::Answer("it is too long"));
    let as_told = |field: &str| (Class::Upstream, Some(field.to_owned()));
    let cases: [(Reason, _); 5] = [
        (long, absent()),
        (|| answer(500, &json!({})), as_told("status")),
        (|| answer(429, &json!({})), as_told("rate")),
        (|| Err(UpstreamFault::Slow), as_told("connection")),
        (|| answer(404, &json!({})), absent()),
    ];
    for (at, (reason, wanted)) in cases.into_iter().enumerate() {
        let boxes = boxes(&[("t", thing(json!({})))]).await;
        boxes.world.grant(&[READ], vec![within("folder", &["in"])]).await;
        boxes.world.upstream.answer_with(move |_| reason());
        assert_eq!(told(boxes.call(READ, json!({ "thing_id": "t" })).await), wanted, "{at}");
    }
    // Nothing bounds the call: there is nothing to hide.
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[READ], vec![]).await;
    boxes.world.upstream.answer_with(move |_| long());
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "t" })).await), as_told("answer"));
}
