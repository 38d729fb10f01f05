//! What sits in objects and not in arguments: looks, and the people that they show.

use claviger_domain::caveat::Caveat;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Ending, Kind};
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::boxes::{UPDATE, absent, attendees, boxes, thing, told};
use super::upstream::json as answer;
use super::world::{ADMIN, class, within};

#[tokio::test]
async fn the_effect_sits_in_the_object() {
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[UPDATE], vec![]).await;
    let effect = async |thing: Value| {
        boxes.set("t", thing);
        boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap().effect
    };
    assert_eq!(effect(thing(json!({}))).await, Effect::Write);
    assert_eq!(effect(thing(json!({ "shared": true }))).await, Effect::Send);
    assert_eq!(effect(thing(json!({ "shared": null }))).await, Effect::Send);
    let mut silent = thing(json!({}));
    silent.as_object_mut().unwrap().remove("shared");
    assert_eq!(effect(silent).await, Effect::Send);
    assert_eq!(effect(thing(json!({ "guests": [{ "mail": "b@y.org" }] }))).await, Effect::Send);
    assert_eq!(effect(thing(json!({ "guests": [{ "mail": "me@x.org" }] }))).await, Effect::Write);
    // The intent and the outcome of what is sent say so too, and every look is a read of its own.
    let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    boxes.set("t", thing(json!({ "guests": [{ "mail": "me@x.org" }] })));
    boxes.world.send(&minted, "put", &[]).await.unwrap();
    let intents = boxes.world.audit.events(Kind::Intent);
    let of = |step: &str| {
        let of = intents.iter().filter(|(_, event, _)| event.step.as_deref() == Some(step));
        of.map(|(_, event, _)| event.effect.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("put"), [Effect::Write]);
    assert!(of("look thing").len() == 8 && of("look thing").iter().all(|effect| effect.is_read()));
    boxes.world.all_announced();
}

#[tokio::test]
async fn a_look_that_sees_nothing_is_told_like_an_absent_object() {
    let boxes = boxes(&[("t", thing(json!({}))), ("other", thing(json!({ "parents": ["out"] })))]).await;
    boxes.world.grant(&[UPDATE], vec![within("folder", &["in"])]).await;
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "none" })).await), absent());
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "other" })).await), absent());
    for (status, body) in [(403, json!({})), (410, json!({})), (500, json!({})), (200, json!([1]).clone())] {
        boxes.world.upstream.answer_with(move |_| answer(status, &body));
        let refused = told(boxes.call(UPDATE, json!({ "thing_id": "t" })).await);
        assert_eq!(refused, absent(), "{status}");
    }
    assert_eq!(boxes.changes(), 0);
}

/// Neither its effect nor a question to its owner tells that an object out of scope is there.
#[tokio::test]
async fn what_is_out_of_scope_is_refused_before_anybody_is_told_of_it() {
    let boxes = boxes(&[("other", thing(json!({ "parents": ["out"], "shared": true })))]).await;
    boxes.world.grant(&[UPDATE], vec![within("folder", &["in"])]).await;
    for id in ["other", "none"] {
        assert_eq!(told(boxes.world.mint(UPDATE, json!({ "thing_id": id })).await), absent(), "{id}");
    }
    let outcomes = boxes.world.audit.events(Kind::Outcome);
    assert!(outcomes.iter().all(|(_, event, _)| event.ending == Some(Ending::Withheld)));
    let looked =
        |(_, event, _): &(_, claviger_domain::event::Event, _)| event.step.as_deref() == Some("look thing");
    assert!(!outcomes.iter().any(looked));
}

#[tokio::test]
async fn what_was_decided_on_is_what_is_done() {
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[UPDATE], vec![]).await;
    // The vault fills the request from the second look, and guards it.
    boxes.call(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    let put = boxes.world.upstream.calls().into_iter().find(|call| call.method == "PUT").unwrap();
    assert_eq!(put.body, r#"{"raw":"old","title":"x"}"#);
    assert_eq!(put.if_match.as_deref(), Some("\"1\""));
    // Nobody but the vault says what it saw.
    let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    assert_eq!(class(boxes.world.send(&minted, "put", &[("raw", "mine")]).await), Class::BadStep);
    assert_eq!(boxes.changes(), 1);
    // It changes between mint and send, in whatever.
    for changed in [
        thing(json!({ "raw": "new" })),
        thing(json!({ "etag": "\"2\"" })),
        thing(json!({ "shared": true })),
        thing(json!({ "guests": [{ "mail": "b@y.org" }] })),
        thing(json!({ "title": "U" })),
    ] {
        boxes.set("t", thing(json!({})));
        let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
        boxes.set("t", changed.clone());
        let refusal = boxes.world.send(&minted, "put", &[]).await.err().unwrap();
        assert_eq!(
            (refusal.class, refusal.field.as_deref()),
            (Class::OutOfScope, Some("object")),
            "{changed}"
        );
        let why = boxes.world.broker.why(ADMIN, refusal.reference.unwrap()).await.unwrap();
        assert!(why.event.1.0.iter().any(|(_, text)| text.contains("ask again")), "{changed}");
    }
    assert_eq!(boxes.changes(), 1);
    // And it changes between the second look and the request: the upstream refuses.
    boxes.set("t", thing(json!({})));
    let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    boxes.once(|seen| seen.method == "PUT", "t", thing(json!({ "etag": "\"3\"" })));
    assert_eq!(told(boxes.world.send(&minted, "put", &[]).await), absent());
    let outcomes = boxes.world.audit.events(Kind::Outcome);
    assert_eq!(outcomes.last().unwrap().1.ending, Some(Ending::Withheld));
    // An object without an etag that can be sent is not changed unguarded.
    boxes.set("t", thing(json!({ "etag": "a\r\nb" })));
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "t" })).await), absent());
    assert_eq!(boxes.changes(), 2);
    boxes.world.all_announced();
}

#[tokio::test]
async fn adding_is_not_replacing() {
    let guests = |mails: &[&str]| {
        let guests: Vec<Value> = mails.iter().map(|mail| json!({ "mail": mail })).collect();
        thing(json!({ "guests": guests }))
    };
    for bound in [attendees(&["*@x.org"]), Caveat::Recipients(vec!["*@x.org".parse().unwrap()])] {
        let recipients = matches!(bound, Caveat::Recipients(_));
        let boxes = boxes(&[]).await;
        boxes.world.grant(&[UPDATE], vec![bound]).await;
        let check = async |there: Value, adds: &[&str], allowed: bool| {
            boxes.set("t", there.clone());
            let mut args = json!({ "thing_id": "t" });
            if !adds.is_empty() {
                args["guests"] = json!(adds);
            }
            let called = boxes.call(UPDATE, args).await;
            assert_eq!(called.is_ok(), allowed, "{there} and {adds:?}");
        };
        check(guests(&["a@x.org"]), &[], true).await;
        check(guests(&["a@x.org"]), &["b@x.org"], true).await;
        check(guests(&["a@x.org"]), &["b@y.org"], false).await;
        check(guests(&["evil@y.org"]), &["b@x.org"], false).await;
        check(guests(&["evil@y.org"]), &[], false).await;
        check(guests(&["a@x.org", "evil@y.org"]), &["b@x.org"], false).await;
        // Whoever cannot be read could be anybody.
        check(guests(&["a@x.org", "?"]), &["b@x.org"], false).await;
        check(thing(json!({ "guests": [{ "name": "a@x.org" }] })), &["b@x.org"], false).await;
        check(thing(json!({ "guests": "a@x.org" })), &["b@x.org"], false).await;
        // The owner is nobody else. A mail to nobody is none, an event without guests is the owner's.
        check(guests(&["me@x.org"]), &[], !recipients).await;
        check(thing(json!({})), &[], !recipients).await;
        check(thing(json!({})), &["b@x.org"], true).await;
    }
}

#[tokio::test]
async fn a_star_does_not_allow_whom_nobody_can_read() {
    let boxes = boxes(&[("t", thing(json!({ "guests": [{ "mail": "?" }] })))]).await;
    boxes.world.grant(&[UPDATE], vec![attendees(&["*"])]).await;
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "t" })).await), absent());
}
