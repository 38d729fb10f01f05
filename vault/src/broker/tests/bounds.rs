//! Bounds on what objects say of themselves: senders, days, folders, what was made, and what counts as not there.

use claviger_domain::caveat::{Caveat, DateBound, ResourceBound};
use claviger_domain::refusal::Class;
use claviger_domain::secret::SecretBytes;
use serde_json::{Value, json};

use super::boxes::{LIST, READ, UPDATE, absent, attendees, boxes, from, senders, thing, told};
use super::world::{ADMIN, adapter, ask, class, secret, within};
use crate::broker::view::NewValue;

#[tokio::test]
async fn senders_are_read_as_all_readers_read_them() {
    let boxes = boxes(&[]).await;
    boxes.world.grant(&[READ], vec![senders(&["*@x.org"])]).await;
    for (there, allowed) in [
        (from(&["good@x.org"]), true),
        (from(&["Ann <good@x.org>"]), true),
        (from(&["\"evil@y.org\" <good@x.org>"]), true),
        (from(&["\"good@x.org\" <evil@y.org>"]), false),
        (from(&["good@x.org <evil@y.org>"]), false),
        (from(&["=?utf-8?Q?good=40x.org?= <evil@y.org>"]), false),
        (from(&["(good@x.org) <evil@y.org>"]), false),
        (from(&["good@x.org, evil@y.org"]), false),
        (from(&["Good: good@x.org, evil@y.org;"]), false),
        (from(&["good@x.org\0<evil@y.org>"]), false),
        (from(&["good@x.org\0"]), false),
        (from(&["good@x.org", "evil@y.org"]), false),
        (from(&["evil@y.org", "good@x.org"]), false),
        (from(&["good@x.org", "good2@x.org"]), true),
        (from(&["good@x.org", ""]), false),
        (from(&[]), false),
        (thing(json!({})), false),
        (thing(json!({ "headers": [{ "name": "Sender", "value": "good@x.org" }] })), false),
        (
            thing(
                json!({ "headers": [{ "name": "from", "value": "evil@y.org" }, { "name": "From", "value": "good@x.org" }] }),
            ),
            false,
        ),
    ] {
        boxes.set("t", there.clone());
        let read = boxes.call(READ, json!({ "thing_id": "t" })).await;
        assert_eq!(read.is_ok(), allowed, "{there}");
        if let Err(refusal) = read {
            assert_eq!((refusal.class, refusal.field.as_deref()), (Class::OutOfScope, Some("object")));
        }
    }
}

#[tokio::test]
async fn worlds_that_differ_in_what_is_out_of_scope_look_the_same() {
    let day = |text: &str| Some(text.parse().unwrap());
    let bounds: Vec<(Caveat, Value, Value)> = vec![
        (senders(&["*@x.org"]), from(&["good@x.org"]), from(&["evil@y.org"])),
        (
            Caveat::Within(DateBound { after: day("2026-01-01"), before: day("2026-02-01") }),
            thing(json!({ "when": "2026-01-31T23:59:59Z" })),
            thing(json!({ "when": "2026-01-31T23:59:59-01:00" })),
        ),
        (within("file", &["in1"]), thing(json!({ "id": "in1" })), thing(json!({ "id": "out1" }))),
        (within("folder", &["in"]), thing(json!({})), thing(json!({ "parents": ["out"] }))),
    ];
    for (bound, inside, outside) in bounds {
        let empty = boxes(&[("in1", inside.clone())]).await;
        let full = boxes(&[("in1", inside), ("out1", outside)]).await;
        let mut seen = Vec::new();
        for boxes in [&empty, &full] {
            boxes.world.grant(&[READ, LIST], vec![bound.clone()]).await;
            let list = boxes.world.call(LIST, json!({})).await.unwrap();
            let refused = told(boxes.call(READ, json!({ "thing_id": "out1" })).await);
            let inside = boxes.call(READ, json!({ "thing_id": "in1" })).await.unwrap();
            seen.push((list.status, list.headers, list.body, inside, refused.0));
        }
        assert_eq!(seen[0], seen[1], "{bound:?}");
    }
}

#[tokio::test]
async fn a_thread_of_nothing_in_scope_is_not_there() {
    let boxes = boxes(&[("a", thing(json!({ "parents": ["out"] })))]).await;
    boxes.world.grant(&["box.thread"], vec![within("folder", &["in"])]).await;
    assert_eq!(told(boxes.call("box.thread", json!({})).await), absent());
    boxes.things.lock().unwrap().clear();
    assert_eq!(told(boxes.call("box.thread", json!({})).await), absent());
    boxes.set("b", thing(json!({ "id": "b" })));
    boxes.set("a", thing(json!({ "parents": ["out"] })));
    let thread = boxes.call("box.thread", json!({})).await.unwrap();
    assert_eq!(thread["things"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_catalog_refuses_is_not_there() {
    let boxes = boxes(&[("t", thing(json!({ "kind": "shortcut" })))]).await;
    boxes.world.grant(&[READ, LIST], vec![]).await;
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "t" })).await), absent());
    assert_eq!(boxes.call(LIST, json!({})).await.unwrap()["things"], json!([]));
}

#[tokio::test]
async fn each_of_many_is_looked_at() {
    let boxes = boxes(&[
        ("a", thing(json!({}))),
        ("b", thing(json!({}))),
        ("x", thing(json!({ "parents": ["out"] }))),
    ])
    .await;
    boxes.world.grant(&["box.batch"], vec![within("folder", &["in"])]).await;
    boxes.call("box.batch", json!({ "things": ["a", "b"] })).await.unwrap();
    assert_eq!(boxes.changes(), 1);
    for ids in [json!(["a", "x"]), json!(["x", "a"]), json!(["a", "none"]), json!([])] {
        let refused = boxes.call("box.batch", json!({ "things": ids })).await;
        assert_eq!(class(refused), Class::OutOfScope);
    }
    assert_eq!(class(boxes.call("box.batch", json!({})).await), Class::OutOfScope);
    assert_eq!(boxes.changes(), 1);
}

#[tokio::test]
async fn made_by_agent_is_the_vaults_own_record() {
    const MAKE: &str = "box.make";
    let mut boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[MAKE], vec![]).await;
    boxes.world.grant(&[READ, LIST], vec![Caveat::MadeByAgent]).await;
    let refused = class(boxes.call(READ, json!({ "thing_id": "t" })).await);
    assert_eq!(refused, Class::OutOfScope, "nothing was made yet");
    let made = boxes.call(MAKE, json!({})).await.unwrap()["id"].as_str().unwrap().to_owned();
    boxes.call(READ, json!({ "thing_id": made })).await.unwrap();
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": "t" })).await), Class::OutOfScope);
    assert_eq!(boxes.call(LIST, json!({})).await.unwrap()["things"], json!([{ "id": made }]));
    // Another agent made none of it, and a restart forgets none.
    boxes.world.broker.add_grant(ADMIN, ask("bob", &[READ], vec![Caveat::MadeByAgent])).await.unwrap();
    let (text, bytes) = boxes.world.present_as("bob", READ, &json!({ "thing_id": made }), |_| {});
    assert_eq!(class(boxes.world.broker.mint(&adapter("box"), &text, &bytes).await), Class::OutOfScope);
    boxes.world.restart().await;
    boxes.call(READ, json!({ "thing_id": made })).await.unwrap();
    // The disk does not tell what was made, and does not take another's word.
    let key = "made/ann/box/me/00";
    let item = boxes.world.store.item(key).unwrap();
    assert!(!item.value.windows(made.len()).any(|part| part == made.as_bytes()));
    // The next secret of that name is another account, and the next agent another agent.
    boxes.world.broker.remove_secret(ADMIN, &secret("box/me"), false).await.unwrap();
    let value = NewValue::Bearer(SecretBytes::from_text("token2".to_owned()));
    boxes.world.broker.add_secret(ADMIN, secret("box/me"), value).await.unwrap();
    boxes.world.grant(&[READ], vec![Caveat::MadeByAgent]).await;
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": made })).await), Class::OutOfScope);
    assert!(boxes.world.store.item(key).is_none());
}

#[tokio::test]
async fn only_what_can_be_checked_is_granted() {
    let boxes = boxes(&[]).await;
    let day = DateBound { after: Some("2026-01-01".parse().unwrap()), before: None };
    for (tool, caveat) in [
        (UPDATE, senders(&["*@x.org"])),
        (UPDATE, Caveat::Within(day)),
        (UPDATE, Caveat::MadeByAgent),
        (UPDATE, within("file", &["a"])),
        (READ, attendees(&["*@x.org"])),
        (READ, Caveat::Paths(vec!["a".parse().unwrap()])),
        ("box.make", attendees(&["*@x.org"])),
        (READ, within("made", &["a"])),
        (READ, within("sender", &["a"])),
    ] {
        let granted = boxes.world.try_grant("ann", &[tool], vec![caveat.clone()]).await;
        assert!(granted.is_err(), "{tool} {caveat:?}");
    }
    // Below a file lies nothing.
    let Caveat::Resource(bound) = within("file", &["a"]) else { return };
    let below = Caveat::Resource(ResourceBound { nested: true, ..bound });
    assert!(boxes.world.try_grant("ann", &[READ], vec![below]).await.is_err());
}
