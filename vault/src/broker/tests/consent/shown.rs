//! What a person is shown of a call: all of it, or they are not asked.

use claviger_domain::effect::Effect;

use super::*;
use crate::broker::tests::boxes::{UPDATE, boxes, thing};

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
