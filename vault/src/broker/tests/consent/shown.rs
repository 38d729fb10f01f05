//! What a person is shown of a call: all of it, or they are not asked.

use claviger_domain::effect::Effect;

use super::*;
use crate::broker::tests::boxes::{UPDATE, boxes, thing};

const PUT: &str = "post.put";

const POST: &str = r#"
id = "post"
title = "Post"
origin = "https://post.example"
auth = { kind = "bearer" }

[tool.put]
summary = "Put a text"
effect = "write"
args.text = { type = "text", max = 1000000, required = true, summary = "" }
[[tool.put.step]]
name = "put"
method = "POST"
path = "/texts"
body = { codec = "json", fields = { text = "{text}" } }
"#;

#[tokio::test]
async fn what_is_too_large_to_be_shown_is_not_asked_for() {
    let world = World::serving("post", POST).await;
    world.grant_with("ann", &[PUT], Approve::Always, vec![]).await;
    let of_bytes = |bytes: usize| json!({ "text": "x".repeat(bytes - r#"{"text":""}"#.len()) });
    let most = 700 * 1024;
    let refusal = world.mint(PUT, of_bytes(most + 1)).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::BadArguments, Some("approval")));
    assert!(world.broker.approvals(None, true).await.unwrap().is_empty());
    let id = pending(world.mint(PUT, of_bytes(most)).await);
    let shown = world.broker.show_approval(ADMIN, id).await.unwrap().shown;
    assert!(shown.iter().any(|(_, text)| text.len() >= most - 11), "it was cut");
}

/// Somebody among the guests who cannot be read: the person sees that, before a restart and after it.
#[tokio::test]
async fn somebody_who_cannot_be_named_is_shown_as_such() {
    let boxes = boxes(&[("t", thing(json!({ "guests": [{}] })))]).await;
    let mut world = boxes.world;
    world.grant_with("ann", &[UPDATE], Approve::Default, vec![]).await;
    let id = pending(world.mint(UPDATE, json!({ "thing_id": "t" })).await);
    for _ in 0..2 {
        let view = world.broker.show_approval(ADMIN, id).await.unwrap();
        assert_eq!(view.effect, Some(Effect::Send));
        let besides = view.shown.iter().find(|(name, _)| name == "Reaches besides");
        assert!(besides.is_some_and(|(_, text)| text.contains("cannot be named")), "{:?}", view.shown);
        world.restart().await;
    }
}
