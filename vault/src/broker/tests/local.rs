//! Steps that an adapter does itself once the vault has said yes.

use claviger_domain::caveat::Caveat;
use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::boxes::boxes;
use super::world::{ADMIN, agent, class, secret};
use crate::broker::error::AdminError;
use crate::broker::view::NewValue;

#[tokio::test]
async fn a_local_step_is_a_yes_and_a_record() {
    let boxes = boxes(&[]).await;
    let paths = |texts: &[&str]| Caveat::Paths(texts.iter().map(|text| text.parse().unwrap()).collect());
    boxes.world.grant(&["nas.read", "nas.write"], vec![paths(&["notes"])]).await;
    for tool in ["nas.read", "nas.write"] {
        let sent = boxes.world.call(tool, json!({ "path": "notes/a.txt" })).await.unwrap();
        assert_eq!((sent.status, &sent.body[..]), (200, &b"{}"[..]));
        for path in ["other", "notes2/a", "", "note", "NOTES/a"] {
            assert_eq!(
                class(boxes.world.call(tool, json!({ "path": path })).await),
                Class::OutOfScope,
                "{path}"
            );
        }
        for path in ["notes/../other", "/notes/a", "notes//a", "./notes", "notes/a\0", "notes\\a"] {
            let refused = class(boxes.world.call(tool, json!({ "path": path })).await);
            assert_eq!(refused, Class::BadArguments, "{path}");
        }
    }
    assert!(boxes.world.upstream.seen.lock().unwrap().is_empty());
    assert_eq!((boxes.world.audit.count(Kind::Intent), boxes.world.audit.count(Kind::Outcome)), (2, 2));
    // No record, no yes.
    boxes.world.audit.break_door(super::fakes::Door::Outcome);
    assert_eq!(class(boxes.world.call("nas.write", json!({ "path": "notes/a" })).await), Class::Unknown);
    boxes.world.audit.break_door(super::fakes::Door::Intent);
    assert_eq!(class(boxes.world.call("nas.read", json!({ "path": "notes/a" })).await), Class::Unavailable);
    boxes.world.audit.mend();
    // What is taken away while the intent is written is gone.
    let minted = boxes.world.mint("nas.write", json!({ "path": "notes/a" })).await.unwrap();
    boxes.world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
    assert_eq!(class(boxes.world.send(&minted, "open", &[]).await), Class::Frozen);
}

#[tokio::test]
async fn bytes_that_pass_the_vault_by_are_not_bounded() {
    let boxes = boxes(&[]).await;
    let paths = Caveat::Paths(vec!["notes".parse().unwrap()]);
    let granted = boxes.world.try_grant("ann", &["nas.read"], vec![paths, Caveat::BytesADay(10)]).await;
    assert!(matches!(granted, Err(AdminError::Invalid { .. })));
}

#[tokio::test]
async fn only_a_service_without_credential_takes_a_secret_without_value() {
    let boxes = boxes(&[]).await;
    let added = boxes.world.broker.add_secret(ADMIN, secret("box/two"), NewValue::None).await;
    assert!(matches!(added, Err(AdminError::Invalid { .. })));
    let value = NewValue::Bearer(SecretBytes::from_text("token".to_owned()));
    let added = boxes.world.broker.add_secret(ADMIN, secret("nas/two"), value).await;
    assert!(matches!(added, Err(AdminError::Invalid { .. })));
    assert_eq!(boxes.world.broker.secret(&secret("nas/me")).unwrap().kind, "none");
}
