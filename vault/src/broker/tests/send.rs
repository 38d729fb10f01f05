//! Sending: what a capability is good for, and what leaves and comes back under it.

use std::sync::Arc;

use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Ending, Kind};
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, class, within};

const GET: &str = "gmail.get_message";
const SEARCH: &str = "gmail.search_messages";

fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, SEARCH], vec![within("label", &["Label_ai"])]).await;
    world
}

#[tokio::test]
async fn what_is_sent_and_what_is_released() {
    let world = world().await;
    let sent = world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    assert!(sent.untrusted);
    assert_eq!(sent.headers, [("content-type".to_owned(), b"application/json".to_vec())]);
    // Only the step's fields: no historyId.
    assert_eq!(
        value(&sent.body),
        json!({"id": "m1", "threadId": "t", "labelIds": ["Label_ai", "INBOX"], "snippet": "hello"})
    );
    let call = &world.upstream.calls()[0];
    assert_eq!(call.secret, "gmail/me");
    assert_eq!(call.origin, "https://gmail.googleapis.com");
    assert_eq!(
        (call.method.as_str(), call.target.as_str()),
        ("GET", "/gmail/v1/users/me/messages/m1?format=full")
    );
    assert_eq!((call.credential.as_str(), call.body.as_str()), ("access-1", ""));
    // The token's use and the call's: an intent and an outcome each, in that order, all under the call.
    let kinds: Vec<Kind> =
        world.audit.records.lock().unwrap().iter().map(|(_, event, _)| event.kind).collect();
    let kinds = &kinds[kinds.len() - 5..];
    assert_eq!(kinds, [Kind::Minted, Kind::Intent, Kind::Outcome, Kind::Intent, Kind::Outcome]);
    let calls: Vec<_> =
        world.audit.events(Kind::Intent).into_iter().map(|(_, event, _)| event.call).collect();
    assert!(calls.iter().all(|call| call.is_some() && *call == calls[0]));
    world.all_announced();
}

#[tokio::test]
async fn a_capability_is_its_adapters_and_its_secrets() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let send = async |who: &str, bytes: &[u8]| {
        class(world.broker.send(&adapter(who), bytes, "get", Default::default()).await)
    };
    assert_eq!(send("drive", &minted.capability).await, Class::BadCapability);
    for at in 0..32 {
        let mut wrong = minted.capability.to_vec();
        wrong[at] ^= 1;
        assert_eq!(send("gmail", &wrong).await, Class::BadCapability, "byte {at}");
    }
    for bytes in [&minted.capability[..31], &minted.capability[..16], b"", &[0; 64]] {
        assert_eq!(send("gmail", bytes).await, Class::BadCapability);
    }
    assert!(world.upstream.seen.lock().unwrap().is_empty());
    world.send(&minted, "get", &[]).await.unwrap();
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::BadCapability);
    // Expired at its sixtieth second.
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let late = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.advance(59_999);
    world.send(&minted, "get", &[]).await.unwrap();
    world.clock.advance(1);
    assert_eq!(class(world.send(&late, "get", &[]).await), Class::BadCapability);
    // Its adapter was removed meanwhile.
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.broker.remove_adapter(ADMIN, &adapter("gmail")).await.unwrap();
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::BadCapability);
}

#[tokio::test]
async fn sixty_four_racers_for_one_request() {
    let world = Arc::new(world().await);
    let minted = Arc::new(world.mint(GET, json!({"message_id": "m1"})).await.unwrap());
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let (world, minted) = (Arc::clone(&world), Arc::clone(&minted));
            tokio::spawn(async move { world.send(&minted, "get", &[]).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += u32::from(racer.await.unwrap());
    }
    assert_eq!((won, world.upstream.calls().len()), (1, 1));
}

#[tokio::test]
async fn steps_and_parameters() {
    let world = world().await;
    let minted = world.mint(SEARCH, json!({})).await.unwrap();
    for (step, params) in [
        ("nothing", vec![]),
        ("", vec![]),
        ("labels", vec![]),
        ("list", vec![("q", "in:anywhere")]),
        ("list", vec![("label", "INBOX")]),
        ("summary", vec![]),
        ("summary", vec![("message_id", "m1")]),
        ("summary", vec![("message_id", "secret1")]),
        ("summary", vec![("message_id", "../../settings")]),
    ] {
        let refused = class(world.send(&minted, step, &params).await);
        assert!(matches!(refused, Class::BadStep | Class::OutOfScope), "{step} {params:?}: {refused}");
    }
    assert!(world.upstream.seen.lock().unwrap().is_empty());
    // The label is filled in by the vault; the ids of the answer are usable from then on, and only those.
    let sent = world.send(&minted, "list", &[]).await.unwrap();
    assert_eq!(value(&sent.body)["messages"].as_array().unwrap().len(), 2);
    assert!(world.upstream.calls()[0].target.contains("labelIds=Label_ai"));
    assert!(!String::from_utf8_lossy(&sent.body).contains("resultSizeEstimate"));
    world.send(&minted, "summary", &[("message_id", "m2")]).await.unwrap();
    assert_eq!(class(world.send(&minted, "summary", &[("message_id", "secret1")]).await), Class::BadStep);
    // Another call has learnt nothing of it.
    let other = world.mint(SEARCH, json!({})).await.unwrap();
    assert_eq!(class(world.send(&other, "summary", &[("message_id", "m2")]).await), Class::BadStep);
}

#[tokio::test]
async fn of_several_in_scope_the_step_must_choose() {
    let world = World::new().await;
    world.grant(&[SEARCH], vec![within("label", &["Label_ai", "INBOX"])]).await;
    let minted = world.mint(SEARCH, json!({})).await.unwrap();
    assert_eq!(minted.choices, [("label".to_owned(), vec!["INBOX".to_owned(), "Label_ai".to_owned()])]);
    assert_eq!(class(world.send(&minted, "list", &[]).await), Class::OutOfScope);
    assert_eq!(class(world.send(&minted, "list", &[("label", "SENT")]).await), Class::OutOfScope);
    world.send(&minted, "list", &[("label", "INBOX")]).await.unwrap();
    // Two bounds of one resource: what both allow.
    let world = World::new().await;
    let both = vec![within("label", &["Label_ai", "INBOX"]), within("label", &["Label_ai"])];
    world.grant(&[SEARCH], both).await;
    let minted = world.mint(SEARCH, json!({})).await.unwrap();
    assert_eq!(class(world.send(&minted, "list", &[("label", "INBOX")]).await), Class::OutOfScope);
    world.send(&minted, "list", &[]).await.unwrap();
}

#[tokio::test]
async fn pages_are_the_handles_own() {
    let mut world = world().await;
    world.try_grant("bob", &[SEARCH], vec![within("label", &["Label_ai"])]).await.unwrap();
    let sent = world.call(SEARCH, json!({})).await.unwrap();
    let mark = value(&sent.body)["nextPageToken"].as_str().unwrap().to_owned();
    assert!(mark.starts_with("page_"), "{mark}");
    assert!(!String::from_utf8_lossy(&sent.body).contains("upstream-token"));
    world.call(SEARCH, json!({"page": mark})).await.unwrap();
    assert!(world.upstream.calls()[1].target.contains("pageToken=upstream-token"));
    // A page is one of the search it came from.
    let other = world.call(SEARCH, json!({"page": mark, "from": "boss@example.com"})).await.err().unwrap();
    assert_eq!((other.class, other.field.as_deref()), (Class::OutOfScope, Some("page")));
    // Bob's handle, an invented mark, the upstream's own token.
    let (text, bytes) = world.present_as("bob", SEARCH, &json!({"page": mark}), |_| {});
    let bobs = world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    assert_eq!(class(world.send(&bobs, "list", &[]).await), Class::OutOfScope);
    for other in ["upstream-token", "page_0000000000000000"] {
        assert_ne!(
            world.call(SEARCH, json!({"page": other})).await.map_err(|refusal| refusal.class).err(),
            None
        );
    }
    assert_eq!(world.upstream.calls().len(), 2);
    // It dies with the process.
    world.restart().await;
    assert_eq!(class(world.call(SEARCH, json!({"page": mark})).await), Class::OutOfScope);
}

#[tokio::test]
async fn a_page_of_another_label_is_not_turned_to() {
    let world = World::new().await;
    world.grant(&[SEARCH], vec![within("label", &["Label_ai", "INBOX"])]).await;
    let minted = world.mint(SEARCH, json!({})).await.unwrap();
    let sent = world.send(&minted, "list", &[("label", "INBOX")]).await.unwrap();
    let mark = value(&sent.body)["nextPageToken"].clone();
    let next = world.mint(SEARCH, json!({"page": mark})).await.unwrap();
    assert_eq!(class(world.send(&next, "list", &[("label", "Label_ai")]).await), Class::OutOfScope);
    world.send(&next, "list", &[("label", "INBOX")]).await.unwrap();
    assert!(world.upstream.calls()[1].target.contains("labelIds=INBOX"));
    // A revoked handle leaves nothing behind, even where its last answer came after.
    let id = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, id).await.unwrap();
    let refused = class(world.send(&next, "list", &[("label", "INBOX")]).await);
    assert!(matches!(refused, Class::Revoked | Class::OutOfScope), "{refused}");
}

#[tokio::test]
async fn a_page_of_another_tool_is_not_turned_to() {
    let world = World::new().await;
    world.google.lock().unwrap().files.clear();
    world.upstream.answer_with({
        let google = super::google::serve(&world.google);
        move |seen| match seen.target.contains("/drive/v3/files") {
            true => {
                let files: Vec<Value> =
                    (0..3).map(|n| json!({"id": format!("f{n}"), "parents": ["folder_ai"]})).collect();
                answer(200, &json!({"files": files}))
            }
            false => google(seen),
        }
    });
    world.grant(&["drive.list_folder", "drive.search_files"], vec![within("folder", &["folder_ai"])]).await;
    let sent = world.call("drive.search_files", json!({"max_results": 2})).await.unwrap();
    let mark = value(&sent.body)["nextPageToken"].clone();
    let other = json!({"folder_id": "folder_ai", "page": mark, "max_results": 2});
    assert_eq!(class(world.call("drive.list_folder", other).await), Class::OutOfScope);
}

#[tokio::test]
async fn absent_forbidden_and_out_of_scope_are_one() {
    let world = world().await;
    let mut told = Vec::new();
    for id in ["secret1", "absent1"] {
        let refusal = world.call(GET, json!({"message_id": id})).await.err().unwrap();
        told.push((refusal.class, refusal.field));
    }
    world.upstream.answer_with({
        let google = super::google::serve(&world.google);
        move |seen| if seen.is_token() { google(seen) } else { answer(403, &json!({"error": "CANARY"})) }
    });
    let refusal = world.call(GET, json!({"message_id": "m1"})).await.err().unwrap();
    told.push((refusal.class, refusal.field));
    assert_eq!(told[0], (Class::OutOfScope, Some("object".to_owned())));
    assert!(told.iter().all(|each| *each == told[0]), "{told:?}");
    // The owner is told which it was.
    let reference = world.audit.events(Kind::Refused)[0].1.reference;
    let why = world.broker.why(ADMIN, reference).await.unwrap();
    assert!(
        why.event.1.0.iter().any(|(name, text)| name == "value" && text == "INBOX"),
        "{:?}",
        why.event.1.0
    );
    assert!(why.grant.is_some() && why.call.len() >= 3);
}

#[tokio::test]
async fn what_the_upstream_says_in_error_stays_here() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    for (status, wanted) in [
        (400, Class::Upstream),
        (403, Class::Upstream),
        (404, Class::OutOfScope),
        (410, Class::OutOfScope),
        (429, Class::Upstream),
        (500, Class::Upstream),
        (503, Class::Upstream),
    ] {
        let google = super::google::serve(&world.google);
        world.upstream.answer_with(move |seen| {
            if seen.is_token() {
                google(seen)
            } else {
                answer(status, &json!({"error": "CANARY-of-the-upstream"}))
            }
        });
        let refusal = world.call(GET, json!({"message_id": "m1"})).await.err().unwrap();
        assert_eq!(refusal.class, wanted, "{status}");
        assert!(!refusal.to_string().contains("CANARY"));
    }
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| {
        if seen.is_token() { google(seen) } else { answer(200, &json!(["not", "an object"])) }
    });
    assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::Upstream);
    let endings = world.audit.events(Kind::Outcome);
    assert_eq!(endings.last().unwrap().1.ending, Some(Ending::Withheld));
}

#[tokio::test]
async fn frozen_or_revoked_after_mint() {
    let world = world().await;
    let first = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let second = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
    assert_eq!(class(world.send(&first, "get", &[]).await), Class::Frozen);
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    let id = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, id).await.unwrap();
    assert_eq!(class(world.send(&second, "get", &[]).await), Class::Revoked);
    assert!(world.upstream.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn calls_of_one_agent_leave_room_for_another() {
    let world = World::new().await;
    world.grant(&["gmail.send_message"], vec![]).await;
    world.try_grant("bob", &[GET], vec![Caveat::Calls(9)]).await.unwrap();
    let body = "x".repeat(99_000);
    let mut refused = None;
    for number in 0..1000 {
        let args = json!({"to": ["a@example.com"], "subject": format!("{number}"), "body": body});
        if let Err(refusal) = world.mint("gmail.send_message", args).await {
            refused = Some((number, refusal.class));
            break;
        }
    }
    let (number, told) = refused.expect("one agent may hold any amount of memory");
    assert_eq!(told, Class::Busy);
    assert!(number > 200, "{number}");
    let (text, bytes) = world.present_as("bob", GET, &json!({"message_id": "m1"}), |_| {});
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    // And there is room again when they are over.
    world.clock.advance(60_000);
    world.broker.tick().await;
    assert_eq!(world.broker.status().live_capabilities, 0);
    world
        .mint("gmail.send_message", json!({"to": ["a@example.com"], "subject": "s", "body": body}))
        .await
        .unwrap();
}
