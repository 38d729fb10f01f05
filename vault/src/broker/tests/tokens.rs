//! Access tokens to the letter: who waits for whom, who asks again, and what a provider's odd answers come to.

use std::sync::Arc;

use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::oauth::{connected, get};
use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, oauth, secret};
use crate::broker::token_answer::{error, parse, scope};
use crate::port::Answer;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world
}

/// A token that is there is not waited for, whatever else the provider is asked for just now.
#[tokio::test]
async fn a_call_that_has_its_token_waits_for_no_other_refresh() {
    let world = Arc::new(connected(None).await);
    get(&world).await.unwrap();
    let mail = json!({"to": ["a@example.com"], "subject": "s", "body": "b"});
    let (sends, reads) =
        (world.mint(SEND, mail).await.unwrap(), world.mint(GET, json!({"message_id": "m1"})).await.unwrap());
    let before = world.upstream.seen.lock().unwrap().len();
    let calls = world.upstream.calls().len();
    world.upstream.gate(false);
    let sending = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.send(&sends, "send", &[]).await.is_ok() }
    });
    world.upstream.wait_for(before + 1).await;
    assert_eq!(world.upstream.calls().len(), calls, "it asks for a token first");
    let reading = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.send(&reads, "get", &[]).await.is_ok() }
    });
    world.upstream.wait_for(before + 2).await;
    assert_eq!(world.upstream.calls().len(), calls + 1);
    world.upstream.gate(true);
    assert!(sending.await.unwrap() && reading.await.unwrap());
}

/// A refresh token that is refused is not tried again by those that waited meanwhile.
#[tokio::test]
async fn many_that_waited_for_a_refused_token_do_not_ask_again() {
    let world = Arc::new(world().await);
    world.google.lock().unwrap().refresh.clear();
    world.upstream.gate(false);
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
        let world = Arc::clone(&world);
        tasks.push(tokio::spawn(async move { world.send(&minted, "get", &[]).await.err() }));
    }
    world.upstream.wait_for(1).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    world.upstream.gate(true);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().class, Class::NeedsLogin);
    }
    assert_eq!(world.upstream.token_requests().len(), 1);
}

/// Only "I do not narrow" makes the vault ask for the whole: no other refusal widens what a tool's token is good for.
#[tokio::test]
async fn a_wider_token_is_asked_for_where_the_provider_does_not_narrow_and_nowhere_else() {
    for word in ["invalid_request", "temporarily_unavailable", "access_denied"] {
        let world = connected(None).await;
        let google = super::google::serve(&world.google);
        world.upstream.answer_with(move |seen| match seen.is_token() && seen.field("scope").is_some() {
            true => answer(400, &json!({ "error": word })),
            false => google(seen),
        });
        let before = world.upstream.seen.lock().unwrap().len();
        assert_eq!(get(&world).await, Err(Class::Upstream), "{word}");
        assert_eq!(world.upstream.seen.lock().unwrap().len(), before + 1, "{word}");
    }
    // Where the whole was asked for, there is nothing wider.
    let world = world().await;
    world.google.lock().unwrap().token_error = Some((400, "invalid_scope"));
    assert_eq!(get(&world).await, Err(Class::Upstream));
    assert_eq!(world.upstream.token_requests().len(), 1);
}

/// A provider that tells the same refresh token each time has renewed nothing, and nothing is written.
#[tokio::test]
async fn the_same_refresh_token_again_is_not_written() {
    let world = world().await;
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| {
        let reply = google(seen)?;
        if !seen.is_token() {
            return Ok(reply);
        }
        let mut told: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        told["refresh_token"] = json!("refresh-0");
        answer(200, &told)
    });
    let version = || world.store.item("secret-value/gmail/me/1").unwrap().version;
    let before = version();
    get(&world).await.unwrap();
    world.clock.advance(3_600_000);
    get(&world).await.unwrap();
    assert_eq!((world.upstream.token_requests().len(), version()), (2, before));
}

/// The old version's refusal comes after the new one is current: the new one needs no login.
#[tokio::test]
async fn a_refusal_of_the_old_version_says_nothing_of_the_new_one() {
    let world = Arc::new(world().await);
    world.upstream.gate(false);
    let late = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world).await }
    });
    world.upstream.wait_for(1).await;
    world.google.lock().unwrap().refresh = vec!["refresh-new".to_owned()];
    let rotation = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await }
    });
    while world.broker.secret(&secret("gmail/me")).unwrap().version == 1 {
        tokio::task::yield_now().await;
    }
    world.upstream.gate(true);
    assert_eq!(late.await.unwrap(), Err(Class::NeedsLogin));
    rotation.await.unwrap().unwrap();
    let mut world = Arc::into_inner(world).unwrap();
    assert!(!world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
    world.restart().await;
    assert!(!world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
    get(&world).await.unwrap();
}

async fn alone() -> World {
    let world = World::empty().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("gmail"), Some(3001), None).await.unwrap();
    world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("refresh-0")).await.unwrap();
    world
}

/// RFC 7009: a token that the provider does not know is as good as revoked; any other refusal is told as one.
#[tokio::test]
async fn an_end_upstream_is_told_as_what_it_is() {
    for (status, body, ended) in [
        (200, json!({}), true),
        (400, json!({ "error": "invalid_token" }), true),
        (400, json!({ "error": "invalid_request" }), false),
        (400, json!({}), false),
        (401, json!({ "error": "invalid_token" }), false),
        (500, json!({}), false),
    ] {
        let world = alone().await;
        let told = body.clone();
        world.upstream.answer_with(move |_| answer(status, &told));
        let (told, _) = world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await.unwrap();
        assert_eq!(told == "revoked", ended, "{status} {body}: {told}");
        assert_eq!(told.starts_with("failed"), !ended, "{status} {body}: {told}");
    }
    // What cannot be recorded is not told as done.
    let world = alone().await;
    world.audit.break_door(Door::Outcome);
    let (told, _) = world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await.unwrap();
    assert!(told.starts_with("failed"), "{told}");
}

fn told(status: u16, body: &serde_json::Value) -> Answer {
    answer(status, body).unwrap()
}

/// RFC 6749, section 5.2: what is shown to the owner, and decides what is done next, is one of the RFC's words.
#[test]
fn a_word_that_could_be_none_of_the_rfcs_is_no_reason() {
    let (longest, longer) = ("a".repeat(64), "a".repeat(65));
    for (word, taken) in [
        ("invalid_grant", true),
        (longest.as_str(), true),
        (longer.as_str(), false),
        ("invalid grant", false),
        ("invalid\u{1b}[31m", false),
        ("Invalid_grant", false),
        ("\u{e9}", false),
    ] {
        assert_eq!(error(&told(400, &json!({ "error": word }))).as_deref(), taken.then_some(word), "{word}");
    }
}

/// What is said to be granted by an answer that granted nothing is not recorded as granted.
#[test]
fn an_answer_of_failure_names_no_scope() {
    let body = json!({ "access_token": "t0", "token_type": "Bearer", "scope": "a b" });
    assert_eq!(scope(&told(200, &body)).as_deref(), Some("a b"));
    for status in [201, 400, 401, 500] {
        assert_eq!(scope(&told(status, &body)), None, "{status}");
    }
}

#[test]
fn as_many_scopes_are_taken_as_there_may_be() {
    let scopes = |text: &str| {
        let body = json!({ "access_token": "t0", "token_type": "Bearer", "scope": text });
        parse(&told(200, &body)).ok().and_then(|answer| answer.scopes).map(|scopes| scopes.len())
    };
    assert_eq!(scopes(&vec!["a"; 100].join(" ")), Some(100));
    assert_eq!(scopes(&vec!["a"; 101].join(" ")), None);
    assert_eq!((scopes(&"a".repeat(256)), scopes(&"a".repeat(257))), (Some(1), None));
}
