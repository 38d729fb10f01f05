//! New versions to the letter: each is retired by its own rotation, and nothing is told as ended that lives on.

use std::sync::Arc;

use claviger_domain::refusal::Class;
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::connect::connect;
use super::oauth::{connected, get};
use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, catalog, oauth, secret};
use crate::broker::error::AdminError;
use crate::broker::token::{AccessToken, Tokens};
use crate::port::{Commit, UpstreamFault};

const GET: &str = "gmail.get_message";

async fn alone() -> World {
    let world = World::empty().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("gmail"), Some(3001), None).await.unwrap();
    world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("refresh-0")).await.unwrap();
    world.grant(&[GET], vec![]).await;
    world.google.lock().unwrap().refresh.push("refresh-new".to_owned());
    world
}

fn states(world: &World) -> Vec<(u32, &'static str)> {
    let versions = world.broker.secret(&secret("gmail/me")).unwrap().versions;
    versions.into_iter().map(|version| (version.number, version.state)).collect()
}

async fn rotate(world: &World, refresh: &str) -> Result<String, AdminError> {
    let rotated = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth(refresh))).await;
    rotated.map(|(_, told)| told)
}

/// A rotation under way, once its version is the current one and it waits for the uses of the one before.
async fn begin_rotation(world: &Arc<World>, refresh: &'static str) -> tokio::task::JoinHandle<String> {
    let before = world.broker.secret(&secret("gmail/me")).unwrap().version;
    let other = Arc::clone(world);
    let rotation = tokio::spawn(async move { rotate(&other, refresh).await.unwrap() });
    while world.broker.secret(&secret("gmail/me")).unwrap().version == before {
        assert!(!rotation.is_finished(), "it failed");
        tokio::task::yield_now().await;
    }
    settle().await;
    rotation
}

/// A use of the current version that waits for the upstream.
async fn begin_use(world: &Arc<World>) -> tokio::task::JoinHandle<Result<(), Class>> {
    let before = world.upstream.seen.lock().unwrap().len();
    let other = Arc::clone(world);
    let using = tokio::spawn(async move { get(&other).await });
    world.upstream.wait_for(before + 1).await;
    using
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_version_that_is_done_with_stays_so() {
    let world = Arc::new(alone().await);
    rotate(&world, "refresh-new").await.unwrap();
    assert_eq!(states(&world), [(1, "retired"), (2, "current")]);
    get(&world).await.unwrap();
    world.upstream.gate(false);
    let using = begin_use(&world).await;
    let rotation = begin_rotation(&world, "refresh-0").await;
    assert_eq!(states(&world), [(1, "retired"), (2, "retiring"), (3, "current")]);
    world.upstream.gate(true);
    using.await.unwrap().unwrap();
    rotation.await.unwrap();
    assert_eq!(states(&world), [(1, "retired"), (2, "retired"), (3, "current")]);
    get(&world).await.unwrap();
}

/// The first rotation gives up waiting while uses of the second version are still under way.
#[tokio::test]
async fn a_rotation_retires_no_version_that_came_after_its_own() {
    let world = Arc::new(alone().await);
    get(&world).await.unwrap();
    world.upstream.gate(false);
    let first_use = begin_use(&world).await;
    let first = begin_rotation(&world, "refresh-new").await;
    let second_use = begin_use(&world).await;
    world.clock.advance(30_000);
    let second = begin_rotation(&world, "refresh-0").await;
    world.clock.advance(30_000);
    first.await.unwrap();
    settle().await;
    assert!(!second.is_finished());
    assert_eq!(states(&world), [(1, "retired"), (2, "retiring"), (3, "current")]);
    assert!(world.store.item("secret-value/gmail/me/2").is_some(), "it is in use");
    world.upstream.gate(true);
    first_use.await.unwrap().unwrap();
    second_use.await.unwrap().unwrap();
    second.await.unwrap();
    assert_eq!(states(&world), [(1, "retired"), (2, "retired"), (3, "current")]);
    assert!(world.store.item("secret-value/gmail/me/2").is_none());
}

#[tokio::test]
async fn an_end_that_the_store_did_not_take_is_told_and_made_up_for() {
    let mut world = alone().await;
    world.store.fail("secret-value/gmail/me/1", Commit::Full, false);
    let told = rotate(&world, "refresh-new").await.unwrap();
    assert!(told.contains("its end is not on record"), "{told}");
    for _ in 0..2 {
        assert_eq!(states(&world), [(1, "retiring"), (2, "current")]);
        assert!(world.store.item("secret-value/gmail/me/1").is_some());
        world.restart().await;
    }
    rotate(&world, "refresh-0").await.unwrap();
    assert_eq!(states(&world), [(1, "retired"), (2, "retired"), (3, "current")]);
    assert!(world.store.item("secret-value/gmail/me/1").is_none());
}

#[tokio::test]
async fn only_a_login_can_be_renewed_by_somebody_else() {
    let boxes = super::boxes::boxes(&[]).await;
    let refused = boxes.world.broker.rotate_secret(ADMIN, &secret("box/me"), None).await;
    let Err(AdminError::Invalid { why, .. }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("a new value"), "{why}");
    assert!(boxes.world.upstream.seen.lock().unwrap().is_empty());
    assert_eq!(boxes.world.broker.secret(&secret("box/me")).unwrap().version, 1);
}

/// The access token that comes with a renewal is as wide as the account made it: it serves where no narrower is asked for.
#[tokio::test]
async fn what_came_with_a_renewal_is_used_where_it_is_no_wider_than_asked_for() {
    let world = alone().await;
    world.google.lock().unwrap().renews = true;
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await.unwrap();
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 1);
    let world = connected(None).await;
    world.google.lock().unwrap().renews = true;
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await.unwrap();
    let before = world.upstream.token_requests().len();
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), before + 1);
    let asked = world.upstream.token_requests().pop().unwrap().field("scope").unwrap();
    assert!(asked.ends_with("gmail.readonly"), "{asked}");
}

async fn account(world: &World, name: &str, subject: Option<&str>) {
    match subject {
        Some(subject) => {
            world.google.lock().unwrap().subject = subject.to_owned();
            connect(world, name, false).await.unwrap();
        }
        None => drop(world.broker.add_secret(ADMIN, secret(name), oauth("refresh-0")).await.unwrap()),
    }
}

/// One revocation ends all that the account has given: whoever may be the same account is spared.
#[tokio::test]
async fn a_secret_is_ended_upstream_only_where_no_other_may_be_of_its_account() {
    for (own, other, ended) in [
        (Some("s1"), Some("s1"), false),
        (Some("s1"), Some("s2"), true),
        (Some("s1"), None, false),
        (None, Some("s1"), false),
        (None, None, false),
    ] {
        let world = World::empty().await;
        account(&world, "gmail/me", own).await;
        account(&world, "drive/me", other).await;
        let (told, _) = world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await.unwrap();
        assert_eq!(told == "revoked", ended, "{own:?} {other:?}: {told}");
        assert_eq!(told.contains("drive/me"), !ended, "{own:?} {other:?}: {told}");
        let revocations = world.upstream.calls().iter().filter(|call| call.target == "/revoke").count();
        assert_eq!(revocations, usize::from(ended), "{own:?} {other:?}");
    }
}

/// Where a revocation ends one token alone, nobody else's stands in its way.
#[tokio::test]
async fn a_provider_that_ends_single_tokens_is_asked_to() {
    let mut catalog = catalog();
    catalog.providers.values_mut().for_each(|provider| provider.revokes_account = false);
    let world = World::with(catalog).await;
    account(&world, "gmail/me", None).await;
    account(&world, "drive/me", None).await;
    assert_eq!(rotate(&world, "refresh-new").await.unwrap(), "revoked");
    let ended = world.upstream.calls().pop().unwrap();
    assert_eq!((ended.target.as_str(), ended.field("token").as_deref()), ("/revoke", Some("refresh-0")));
    let (told, _) = world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await.unwrap();
    assert_eq!(told, "revoked");
    assert_eq!(world.upstream.calls().pop().unwrap().field("token").as_deref(), Some("refresh-new"));
}

/// A secret whose renewed token the store did not take: the one in the store is spent, and stands for nothing. So often
/// more the store does not take it.
async fn spent(more: usize) -> World {
    let world = alone().await;
    world.google.lock().unwrap().renews = true;
    for _ in 0..=more {
        world.store.fail("secret-value/gmail/me", Commit::Full, false);
    }
    assert_eq!(get(&world).await, Err(Class::Unavailable));
    assert_eq!(world.upstream.token_requests().len(), 1);
    world
}

#[tokio::test]
async fn a_spent_token_is_not_ended_in_the_place_of_the_new_one() {
    let remove =
        async |world: &World| world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await.unwrap().0;
    let world = spent(1).await;
    let told = remove(&world).await;
    assert!(told.starts_with("failed"), "{told}");
    assert!(world.upstream.calls().is_empty(), "the old one was ended, and the new one lives on");
    // Nor where somebody is just about to save it.
    let world = spent(0).await;
    let entry = world.broker.secret_entry(&secret("gmail/me")).unwrap();
    let alone = entry.tokens.refreshing.lock().await;
    let told = remove(&world).await;
    assert!(told.starts_with("failed"), "{told}");
    assert!(world.upstream.calls().is_empty());
    drop(alone);
    // The store is well again: the new one is ended.
    let world = spent(0).await;
    assert_eq!(remove(&world).await, "revoked");
    let ended = world.upstream.calls().pop().unwrap();
    assert_eq!(ended.field("token").as_deref(), Some("refresh-1"));
    assert!(world.store.keys().iter().all(|key| !key.starts_with("secret")), "{:?}", world.store.keys());
}

#[tokio::test]
async fn a_new_value_replaces_a_renewed_token_that_is_durable_and_no_other() {
    let world = spent(1).await;
    assert!(rotate(&world, "refresh-new").await.is_err());
    assert_eq!(states(&world), [(1, "current")]);
    get(&world).await.unwrap();
    assert_eq!(world.upstream.token_requests().len(), 2, "the renewed one was kept");
    // Nobody uses it meanwhile, and the store is well again.
    let world = spent(0).await;
    rotate(&world, "refresh-new").await.unwrap();
    assert_eq!(states(&world), [(1, "retired"), (2, "current")]);
    world.google.lock().unwrap().refresh.push("refresh-new".to_owned());
    get(&world).await.unwrap();
}

/// A token that was refused late is not the one that is there now.
#[test]
fn only_the_token_that_was_refused_is_dropped() {
    let token = |text: &str| SecretBytes::from_text(text.to_owned());
    let tokens = Tokens::default();
    let there = |scope: &str| tokens.find(scope, 0).is_some();
    for scope in ["a", "b"] {
        tokens.keep(scope.to_owned(), AccessToken::new(token("new"), 0, 3600));
    }
    tokens.drop_token("a", &token("old"));
    tokens.drop_token("c", &token("new"));
    assert!(there("a") && there("b"));
    tokens.drop_token("a", &token("new"));
    assert!(!there("a") && there("b"));
}

/// The provider says that the account took all back: what it gave before is not used any more either.
#[tokio::test]
async fn a_token_that_is_still_good_is_not_used_once_a_login_is_needed() {
    let world = connected(None).await;
    get(&world).await.unwrap();
    world.google.lock().unwrap().refresh.clear();
    let mail = json!({ "to": ["a@example.com"], "subject": "s", "body": "b" });
    let refused = world.call("gmail.send_message", mail).await.unwrap_err();
    assert_eq!(refused.class, Class::NeedsLogin);
    let before = world.upstream.seen.lock().unwrap().len();
    assert_eq!(get(&world).await, Err(Class::NeedsLogin));
    assert_eq!(world.upstream.seen.lock().unwrap().len(), before);
}

/// A scope with a colon is a whole name; the provider's prefix is for those without.
#[tokio::test]
async fn a_scope_that_is_a_whole_name_is_asked_for_as_it_stands() {
    let world = connected(Some("openid https://mail.google.com/")).await;
    get(&world).await.unwrap();
    let asked = world.upstream.token_requests().pop().unwrap().field("scope").unwrap();
    assert_eq!(asked, "https%3A%2F%2Fmail.google.com%2F");
}

/// The provider's trouble says nothing of the object, and nothing is told as not there for it.
#[tokio::test]
async fn a_providers_trouble_is_told_as_the_tokens() {
    type Reason = fn() -> super::upstream::Reply;
    let reasons: [Reason; 6] = [
        || answer(500, &json!({})),
        || answer(200, &json!({})),
        || Err(UpstreamFault::Answer("it is too long")),
        || Err(UpstreamFault::Redirect(302)),
        || Err(UpstreamFault::Slow),
        || Err(UpstreamFault::Broken("reset")),
    ];
    for (at, reason) in reasons.into_iter().enumerate() {
        let world = alone().await;
        world.upstream.answer_with(move |_| reason());
        let refused = world.call(GET, json!({ "message_id": "m1" })).await.unwrap_err();
        assert_eq!((refused.class, refused.field.as_deref()), (Class::Upstream, Some("token")), "{at}");
        assert!(world.upstream.calls().is_empty());
    }
}
