//! Access tokens: one refresh for many, renewed tokens durable before use, and what only a login mends.

use std::sync::Arc;

use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, class, oauth, secret};
use crate::broker::error::AdminError;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, "gmail.send_message"], vec![]).await;
    world
}

pub(super) async fn get(world: &World) -> Result<(), Class> {
    world.call(GET, json!({"message_id": "m1"})).await.map(drop).map_err(|refusal| refusal.class)
}

/// That many calls at once; how many were allowed.
async fn at_once(world: &Arc<World>, calls: usize) -> usize {
    let mut tasks = Vec::new();
    for _ in 0..calls {
        let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
        let world = Arc::clone(world);
        tasks.push(tokio::spawn(async move { world.send(&minted, "get", &[]).await.is_ok() }));
    }
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    won
}

#[tokio::test]
async fn many_wait_for_one_refresh() {
    let world = Arc::new(world().await);
    assert_eq!(at_once(&world, 32).await, 32);
    assert_eq!(world.upstream.token_requests().len(), 1);
    let asked = &world.upstream.token_requests()[0];
    assert_eq!(asked.origin, "https://oauth2.googleapis.com");
    assert_eq!(asked.field("refresh_token").as_deref(), Some("refresh-0"));
    world.all_announced();
}

#[tokio::test]
async fn many_that_waited_for_a_failure_are_told_once() {
    let world = Arc::new(world().await);
    world.google.lock().unwrap().token_error = Some((503, "unavailable"));
    assert_eq!(at_once(&world, 32).await, 0);
    // Those that came while it was under way do not each try again.
    assert!(world.upstream.token_requests().len() <= 2, "{}", world.upstream.token_requests().len());
    world.google.lock().unwrap().token_error = None;
    get(&world).await.unwrap();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_short_ones_are_kept() {
    let world = world().await;
    get(&world).await.unwrap();
    world.clock.advance(3_539_999);
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 1);
    world.clock.advance(1);
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 2);
    // Five seconds: kept for half of them, and never used when it is dead.
    world.google.lock().unwrap().life_s = 5;
    world.clock.advance(3_600_000);
    get(&world).await.unwrap();
    world.clock.advance(2_499);
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 3);
    world.clock.advance(1);
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 4);
    // One that is dead on arrival is tried once a call, no more.
    world.google.lock().unwrap().life_s = 0;
    world.clock.advance(5_000);
    get(&world).await.unwrap();
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 6);
}

#[tokio::test]
async fn a_dead_access_token_is_renewed_once() {
    let world = world().await;
    get(&world).await.unwrap();
    world.google.lock().unwrap().access.clear();
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 2);
    // An upstream that takes none: two tries, then the owner's turn.
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| {
        if seen.is_token() { google(seen) } else { super::upstream::json(401, &json!({})) }
    });
    let before = world.upstream.calls().len();
    assert_eq!(get(&world).await, Err(Class::NeedsLogin));
    assert_eq!(world.upstream.calls().len(), before + 2);
    assert_eq!(world.upstream.token_requests().len(), 3);
}

#[tokio::test]
async fn a_refused_refresh_token_needs_a_login_and_says_so_for_good() {
    let mut world = world().await;
    world.google.lock().unwrap().refresh.clear();
    assert_eq!(get(&world).await, Err(Class::NeedsLogin));
    assert_eq!(get(&world).await, Err(Class::NeedsLogin));
    assert_eq!(world.upstream.token_requests().len(), 1, "nobody asks again");
    assert_eq!(world.audit.count(Kind::NeedsLogin), 1);
    assert!(world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
    assert!(!world.broker.secret(&secret("drive/me")).unwrap().needs_login);
    assert!(world.broker.status().warnings[0].contains("claviger connect gmail/me --renew"));
    world.restart().await;
    assert!(world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
    assert_eq!(get(&world).await, Err(Class::NeedsLogin));
    assert_eq!(world.upstream.token_requests().len(), 1);
    // A new value mends it.
    world.google.lock().unwrap().refresh.push("refresh-9".to_owned());
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-9"))).await.unwrap();
    get(&world).await.unwrap();
    assert!(!world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
}

#[tokio::test]
async fn a_renewed_refresh_token_is_durable_before_its_access_token_is_used() {
    let mut world = world().await;
    world.google.lock().unwrap().renews = true;
    for fault in [Commit::Full, Commit::Unavailable] {
        world.store.fail("secret-value/gmail/me", fault, false);
        world.store.fail("secret-value/gmail/me", fault, false);
        world.clock.advance(3_600_000);
        let (calls, tokens) = (world.upstream.calls().len(), world.upstream.token_requests().len());
        assert_eq!(get(&world).await, Err(Class::Unavailable));
        assert_eq!(get(&world).await, Err(Class::Unavailable));
        assert_eq!(world.upstream.calls().len(), calls, "used before it was durable");
        assert_eq!(world.upstream.token_requests().len(), tokens + 1, "the old one was spent again");
        // The store is well again: the new token was not lost.
        get(&world).await.unwrap();
    }
    // Unknown is not failure, and a store that did not say so is caught up with.
    for happens in [true, false] {
        world.clock.advance(3_600_000);
        world.store.fail("secret-value/gmail/me", Commit::Unknown, happens);
        world.store.down(true);
        assert_eq!(get(&world).await, Err(Class::Unavailable));
        world.store.down(false);
        get(&world).await.unwrap();
    }
    world.restart().await;
    get(&world).await.unwrap();
    world.all_announced();
}

#[tokio::test]
async fn no_refresh_for_a_call_that_was_revoked() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let id = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, id).await.unwrap();
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::Revoked);
    assert!(world.upstream.seen.lock().unwrap().is_empty());
}

/// A secret whose scopes are known, as after a login.
pub(super) async fn connected(granted: Option<&str>) -> World {
    let world = World::empty().await;
    world.broker.add_agent(ADMIN, super::world::agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, super::world::adapter("gmail"), Some(3001), None).await.unwrap();
    world.google.lock().unwrap().grants = granted.map(str::to_owned);
    super::connect::connect(&world, "gmail/me", false).await.unwrap();
    world.grant(&[GET, "gmail.send_message"], vec![]).await;
    world
}

#[tokio::test]
async fn a_token_is_asked_for_as_narrow_as_the_tool() {
    let world = connected(None).await;
    get(&world).await.unwrap();
    let asked = world.upstream.token_requests().pop().unwrap().field("scope").unwrap();
    assert_eq!(asked, "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fgmail.readonly");
    world
        .call("gmail.send_message", json!({"to": ["a@example.com"], "subject": "s", "body": "b"}))
        .await
        .unwrap();
    let asked = world.upstream.token_requests().pop().unwrap().field("scope").unwrap();
    assert!(asked.ends_with("gmail.send"), "{asked}");
    // What the provider said the token is good for is on record.
    let told = |(_, _, detail): &(_, _, claviger_domain::event::Detail)| {
        detail.0.iter().any(|(name, text)| name == "scope" && text.ends_with("gmail.send"))
    };
    assert!(world.audit.events(Kind::Outcome).iter().any(told));
}

#[tokio::test]
async fn a_scope_that_was_not_granted_needs_a_login() {
    let world = connected(Some("openid https://www.googleapis.com/auth/gmail.readonly")).await;
    get(&world).await.unwrap();
    let send = json!({"to": ["a@example.com"], "subject": "s", "body": "b"});
    let before = world.upstream.seen.lock().unwrap().len();
    let refusal = world.call("gmail.send_message", send).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::NeedsLogin, Some("scope")));
    assert_eq!(world.upstream.seen.lock().unwrap().len(), before);
    let why = world.broker.why(ADMIN, refusal.reference.unwrap()).await.unwrap();
    assert!(why.event.1.0.iter().any(|(name, text)| name == "fix" && text.contains("--renew")));
}

#[tokio::test]
async fn a_provider_that_does_not_narrow_is_asked_for_the_whole_from_then_on() {
    let world = connected(None).await;
    world.google.lock().unwrap().no_narrowing = true;
    let before = world.upstream.token_requests().len();
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), before + 2);
    world.clock.advance(3_600_000);
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), before + 3);
    assert_eq!(world.upstream.token_requests().pop().unwrap().field("scope"), None);
}

#[tokio::test]
async fn nonsense_from_the_token_endpoint_is_no_token() {
    let world = world().await;
    for answer in [
        json!({"access_token": "a b", "token_type": "Bearer"}),
        json!({"access_token": "", "token_type": "Bearer"}),
        json!({"access_token": "abc"}),
        json!({"access_token": "abc", "token_type": "mac"}),
        json!({"access_token": "abc\r\nX: y", "token_type": "Bearer"}),
        json!({"access_token": 7, "token_type": "Bearer"}),
        json!([]),
        json!("abc"),
        json!(["abc", null, "Bearer", 60, null]),
    ] {
        let told = answer.clone();
        world.upstream.answer_with(move |_| super::upstream::json(200, &told));
        assert_eq!(get(&world).await, Err(Class::Upstream), "{answer}");
    }
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_renewed_refresh_token_survives_an_outcome_that_cannot_be_recorded() {
    let mut world = world().await;
    world.google.lock().unwrap().renews = true;
    world.audit.break_door(Door::Outcome);
    assert_eq!(get(&world).await, Err(Class::Unavailable));
    assert!(world.upstream.calls().is_empty(), "the access token was used");
    let rotated = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await;
    assert!(rotated.is_err(), "{rotated:?}");
    assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 1);
    world.audit.mend();
    world.restart().await;
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 3);
}

#[tokio::test]
async fn a_scope_that_is_none_gives_no_token_and_loses_no_refresh_token() {
    let many = vec!["a"; 101].join(" ");
    let long = "a".repeat(257);
    for scope in
        [&many, &long, "tok\u{e9}n", "x-abcdefgh", "a access-token-1 b", "https://x/access-token-1/y"]
    {
        let world = world().await;
        let told = json!({"access_token": "access-token-1", "refresh_token": "abcdefgh", "token_type": "Bearer",
            "scope": scope});
        world.upstream.answer_with(move |_| super::upstream::json(200, &told));
        assert_eq!(get(&world).await, Err(Class::Upstream), "{scope}");
        assert!(world.upstream.calls().is_empty());
        let recorded = format!("{:?}", world.audit.events(Kind::Outcome));
        assert!(!recorded.contains("access-token-1") && !recorded.contains("abcdefgh"), "{recorded}");
        world.google.lock().unwrap().refresh = vec!["abcdefgh".to_owned()];
        world.upstream.answer_with(super::google::serve(&world.google));
        get(&world).await.unwrap();
    }
}

#[tokio::test]
async fn a_provider_that_renews_nothing_cannot_rotate() {
    let world = world().await;
    let refused = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await;
    assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{refused:?}");
    assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 1);
    get(&world).await.unwrap();
}
