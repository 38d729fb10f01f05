//! An audit log whose writer stands still stops no word of an admin's.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::refusal::Class;
use serde_json::json;

use super::boxes::{READ, boxes, thing};
use super::world::{ADMIN, adapter, agent, class};
use crate::port::UpstreamFault;

/// An audit log whose writer stands still stops no word of an admin's from biting.
#[tokio::test]
async fn freeze_and_revoke_bite_while_the_log_stands_still() {
    for freeze in [true, false] {
        let boxes = boxes(&[("t", thing(json!({})))]).await;
        let grant = boxes.world.grant(&[READ], vec![]).await;
        let minted = boxes.world.mint(READ, json!({ "thing_id": "t" })).await.unwrap();
        boxes.world.audit.block(true);
        // One use waits for its intent; its request must not go out once the word was said.
        let broker = Arc::clone(&boxes.world.broker);
        let (box_adapter, capability) = (adapter("box"), minted.capability.clone());
        let waiting =
            tokio::spawn(async move { broker.send(&box_adapter, &capability, "get", BTreeMap::new()).await });
        tokio::task::yield_now().await;
        let broker = Arc::clone(&boxes.world.broker);
        let taking = tokio::spawn(async move {
            match freeze {
                true => broker.freeze(ADMIN, &agent("ann"), "").await.map(drop),
                false => broker.revoke(ADMIN, grant.grant.id).await.map(drop),
            }
        });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!taking.is_finished(), "it is acknowledged when it is durable");
        let expected = if freeze { Class::Frozen } else { Class::Revoked };
        let refused = {
            let state = boxes.world.broker.open(&agent("ann")).unwrap();
            state.handles.is_empty()
        };
        if !freeze {
            assert!(refused, "what was revoked is no longer offered");
        }
        boxes.world.audit.block(false);
        assert_eq!(class(waiting.await.unwrap()), expected);
        taking.await.unwrap().unwrap();
        assert!(boxes.world.upstream.seen.lock().unwrap().is_empty(), "nothing went out");
    }
}

/// As above, for the freeze that the vault itself makes at the second echo of a secret.
#[tokio::test]
async fn a_second_echo_bites_while_the_log_stands_still() {
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[READ], vec![]).await;
    boxes.world.upstream.answer_with(|_| Err(UpstreamFault::Echo));
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": "t" })).await), Class::Withheld);
    let minted = boxes.world.mint(READ, json!({ "thing_id": "t" })).await.unwrap();
    let audit = Arc::clone(&boxes.world.audit);
    boxes.world.upstream.answer_with(move |_| {
        audit.block(true);
        Err(UpstreamFault::Echo)
    });
    let broker = Arc::clone(&boxes.world.broker);
    let (box_adapter, capability) = (adapter("box"), minted.capability.clone());
    let waiting =
        tokio::spawn(async move { broker.send(&box_adapter, &capability, "get", BTreeMap::new()).await });
    boxes.world.upstream.wait_for(2).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(boxes.world.broker.agent(&agent("ann")).unwrap().frozen.is_some());
    boxes.world.audit.block(false);
    assert_eq!(class(waiting.await.unwrap()), Class::Withheld);
}
