//! Values of secrets: what one may be, what of the old one a new one keeps, and what is shown of a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::caveat::Caveat;
use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::boxes::{READ, boxes};
use super::fakes::Door;
use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, class, oauth, secret};
use crate::broker::error::AdminError;
use crate::broker::view::NewValue;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

fn bytes(text: &str) -> SecretBytes {
    SecretBytes::from_text(text.to_owned())
}

fn client(id: &str, of_client: &str, refresh: &str) -> NewValue {
    NewValue::OAuth2 {
        client_id: id.to_owned(),
        client_secret: bytes(of_client),
        refresh_token: bytes(refresh),
    }
}

/// A vault with a service of that authentication, an agent that may use it, and no secret yet.
async fn service(auth: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
id = "plain"
title = "Plain"
origin = "https://plain.example"
auth = {{ kind = "{auth}" }}
[tool.look]
summary = "Look"
effect = "read"
answers = "trusted"
[[tool.look.step]]
name = "look"
method = "GET"
path = "/look"
fields = ["id"]
"#
    );
    std::fs::write(folder.path().join("plain.toml"), text).unwrap();
    let catalog = crate::catalog::load(Some(folder.path()), &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let world = World::with(catalog).await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("plain"), Some(3001), None).await.unwrap();
    world.upstream.answer_with(|_| answer(200, &json!({ "id": "x" })));
    world
}

fn invalid<T: std::fmt::Debug>(result: Result<T, AdminError>) -> String {
    match result {
        Err(AdminError::Invalid { why, hints }) if !hints.is_empty() => why,
        other => panic!("{other:?}"),
    }
}

/// A colon would end the user, and make the rest of it a part of the password.
#[tokio::test]
async fn a_basic_credential_has_a_user_without_a_colon() {
    let world = service("basic").await;
    let basic = |user: &str, password: &str| NewValue::Basic(user.to_owned(), bytes(password));
    let me = secret("plain/me");
    for user in ["", ":", "a:b", "a\nb", "\u{7f}", "a\u{85}"] {
        let why = invalid(world.broker.add_secret(ADMIN, me.clone(), basic(user, "p")).await);
        assert!(why.contains("user"), "{user:?}: {why}");
    }
    assert_eq!(world.audit.count(Kind::SecretAdded), 0);
    world.broker.add_secret(ADMIN, me.clone(), basic("me", "p1")).await.unwrap();
    world.grant(&["plain.look"], vec![]).await;
    let sent = async || {
        world.call("plain.look", json!({})).await.unwrap();
        world.upstream.calls().pop().unwrap().credential
    };
    assert_eq!(sent().await, "me:p1");
    // A new password alone is the same user's.
    world.broker.rotate_secret(ADMIN, &me, Some(basic("", "p2"))).await.unwrap();
    assert_eq!(sent().await, "me:p2");
    world.broker.rotate_secret(ADMIN, &me, Some(basic("you", "p3"))).await.unwrap();
    assert_eq!(sent().await, "you:p3");
    invalid(world.broker.rotate_secret(ADMIN, &me, Some(basic("a:b", "p4"))).await);
    assert_eq!(sent().await, "you:p3");
}

#[tokio::test]
async fn a_refresh_token_belongs_to_its_client() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.google.lock().unwrap().refresh.extend(["refresh-1".to_owned(), "refresh-2".to_owned()]);
    let me = secret("gmail/me");
    let trade = async || {
        world.call(GET, json!({"message_id": "m1"})).await.unwrap();
        let asked = world.upstream.token_requests().pop().unwrap();
        ["client_id", "client_secret", "refresh_token"].map(|name| asked.field(name).unwrap())
    };
    assert_eq!(trade().await, ["client-1", "CANARY-client-secret", "refresh-0"]);
    // A new token alone is the same client's.
    world.broker.rotate_secret(ADMIN, &me, Some(client("", "", "refresh-1"))).await.unwrap();
    assert_eq!(trade().await, ["client-1", "CANARY-client-secret", "refresh-1"]);
    world.broker.rotate_secret(ADMIN, &me, Some(client("client-2", "other", "refresh-2"))).await.unwrap();
    assert_eq!(trade().await, ["client-2", "other", "refresh-2"]);
    // Of a first one there is none to keep.
    let none = world.broker.add_secret(ADMIN, secret("gmail/you"), client("", "", "refresh-1")).await;
    assert!(invalid(none).contains("client"));
}

#[tokio::test]
async fn a_value_is_of_bearable_length_and_has_no_control_characters() {
    let world = service("bearer").await;
    let me = secret("plain/me");
    let longest = "x".repeat(16 * 1024);
    // In UTF-8 this letter ends with the byte 0x80.
    for text in ["x", "two words", "~", "\u{c0}", &longest] {
        world.broker.add_secret(ADMIN, me.clone(), NewValue::Bearer(bytes(text))).await.unwrap();
        world.broker.remove_secret(ADMIN, &me, false).await.unwrap();
    }
    for text in ["", "a\0", "\u{1f}a", "a\tb", "a\n", "a\r\nb: c", "a\u{7f}b", &format!("{longest}x")] {
        let added = world.broker.add_secret(ADMIN, me.clone(), NewValue::Bearer(bytes(text))).await;
        assert!(invalid(added).contains("a value has"), "{text:?}");
    }
    assert!(world.broker.secrets().unwrap().is_empty());
    // Nor has the secret of a client.
    let world = World::new().await;
    for of_client in ["a\nb", "\u{7f}", "a\u{1f}"] {
        let added = world.broker.add_secret(ADMIN, secret("gmail/you"), client("c", of_client, "r")).await;
        assert!(invalid(added).contains("control"), "{of_client:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_stays_its_owners() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let before = world.store.item("secret/gmail/me");
    let again = world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("refresh-x")).await;
    let exists = AdminError::Exists { what: "a secret", name: "gmail/me".to_owned() };
    assert_eq!(again.err(), Some(exists));
    assert_eq!(world.audit.count(Kind::SecretAdded), 2, "nothing happened, and the log says so");
    assert_eq!(world.store.item("secret/gmail/me"), before);
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
}

#[tokio::test]
async fn no_secret_comes_or_goes_without_the_log_and_the_store() {
    let mut world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let (me, you) = (secret("drive/me"), secret("gmail/you"));
    let kept = world.store.keys();
    let broker = &world.broker;
    world.audit.break_door(Door::Record);
    let added = broker.add_secret(ADMIN, you.clone(), oauth("refresh-0")).await;
    assert!(matches!(added, Err(AdminError::Audit(_))), "{added:?}");
    let removed = broker.remove_secret(ADMIN, &me, false).await;
    assert!(matches!(removed, Err(AdminError::Audit(_))), "{removed:?}");
    world.audit.mend();
    for key in ["secret/gmail/you", "secret/drive/me"] {
        world.store.fail(key, Commit::Full, false);
    }
    let added = broker.add_secret(ADMIN, you.clone(), oauth("refresh-0")).await;
    assert!(matches!(added, Err(AdminError::Store(_))), "{added:?}");
    let removed = broker.remove_secret(ADMIN, &me, false).await;
    assert!(matches!(removed, Err(AdminError::Store(_))), "{removed:?}");
    assert_eq!(world.store.keys(), kept);
    assert!(broker.secret(&you).is_err());
    assert!(world.upstream.forgotten.lock().unwrap().is_empty(), "its connections stay too");
    // What stayed serves, in this run and in the next.
    world.grant(&["drive.list_folder"], vec![]).await;
    for _ in 0..2 {
        world.call("drive.list_folder", json!({"folder_id": "f1"})).await.unwrap();
        world.restart().await;
    }
    world.broker.remove_secret(ADMIN, &me, false).await.unwrap();
    assert_eq!(*world.upstream.forgotten.lock().unwrap(), ["drive/me"]);
}

/// The next secret of a name is not let in before the store has forgotten what was made with the last one.
#[tokio::test]
async fn what_was_made_with_the_last_of_a_name_is_forgotten_first() {
    let mut boxes = boxes(&[]).await;
    let token = || NewValue::Bearer(bytes("token"));
    let me = secret("box/me");
    boxes.world.grant(&["box.make"], vec![]).await;
    let made = boxes.call("box.make", json!({})).await.unwrap()["id"].as_str().unwrap().to_owned();
    boxes.world.broker.remove_secret(ADMIN, &me, false).await.unwrap();
    boxes.world.store.fail("made/", Commit::Full, false);
    let again = boxes.world.broker.add_secret(ADMIN, me.clone(), token()).await;
    assert!(matches!(again, Err(AdminError::Store(_))), "{again:?}");
    assert!(boxes.world.broker.secret(&me).is_err());
    boxes.world.broker.add_secret(ADMIN, me, token()).await.unwrap();
    boxes.world.restart().await;
    boxes.world.grant(&[READ], vec![Caveat::MadeByAgent]).await;
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": made })).await), Class::OutOfScope);
}

#[tokio::test]
async fn a_secret_is_shown_with_its_own_grants_and_the_age_of_its_value() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.google.lock().unwrap().refresh.push("refresh-1".to_owned());
    let view = |name: &str| world.broker.secret(&secret(name)).unwrap();
    assert_eq!((view("gmail/me").grants, view("drive/me").grants), (1, 0));
    let begun = view("gmail/me").created_at_ms;
    assert_eq!(view("gmail/me").rotated_at_ms, begun);
    for age in [5_000, 12_000] {
        world.clock.advance(age);
        world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-1"))).await.unwrap();
    }
    assert_eq!((view("gmail/me").created_at_ms, view("gmail/me").rotated_at_ms), (begun, begun + 17_000));
    let versions: Vec<u64> =
        view("gmail/me").versions.into_iter().map(|version| version.created_at_ms).collect();
    assert_eq!(versions, [begun, begun + 5_000, begun + 17_000]);
}

/// Whoever takes over a changed record has looked at the entry before: what came meanwhile stays, what went stays away.
#[tokio::test]
async fn a_record_is_taken_over_by_the_entry_it_is_of_alone() {
    let world = World::new().await;
    world.google.lock().unwrap().refresh.push("refresh-1".to_owned());
    let me = secret("gmail/me");
    let old = world.broker.secret_entry(&me).unwrap();
    let changed = || {
        let mut record = old.record.clone();
        record.trusted_authors = vec!["*@evil.example".to_owned()];
        record
    };
    world.broker.rotate_secret(ADMIN, &me, Some(oauth("refresh-1"))).await.unwrap();
    world.broker.adopt_record(&old, changed(), 9);
    let view = world.broker.secret(&me).unwrap();
    assert_eq!((view.version, view.trusted_authors.len()), (2, 0));
    world.broker.remove_secret(ADMIN, &me, false).await.unwrap();
    world.broker.adopt_record(&old, changed(), 9);
    assert!(world.broker.secret(&me).is_err());
    let now = world.broker.secret_entry(&secret("drive/me")).unwrap();
    let mut record = now.record.clone();
    record.trusted_authors = vec!["*@family.example".to_owned()];
    world.broker.adopt_record(&now, record, 9);
    let new = world.broker.secret_entry(&secret("drive/me")).unwrap();
    assert_eq!((new.record.trusted_authors.len(), new.version), (1, 9));
    assert!(Arc::ptr_eq(&new.value, &now.value) && Arc::ptr_eq(&new.tokens, &now.tokens));
}
