//! Rotation: atomic, with no call that fails for it, and consistent wherever it was stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, oauth, secret};
use crate::broker::error::AdminError;
use crate::broker::view::{NewValue, VersionView};
use crate::port::Commit;

const GET: &str = "gmail.get_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.google.lock().unwrap().refresh.push("refresh-new".to_owned());
    world
}

async fn get(world: &World) -> Result<(), Class> {
    world.call(GET, json!({"message_id": "m1"})).await.map(drop).map_err(|refusal| refusal.class)
}

fn states(world: &World) -> Vec<(u32, &'static str)> {
    let versions = world.broker.secret(&secret("gmail/me")).unwrap().versions;
    versions.into_iter().map(|VersionView { number, state, .. }| (number, state)).collect()
}

#[tokio::test]
async fn uses_under_way_end_with_the_old_one_and_the_next_begin_with_the_new() {
    let world = Arc::new(world().await);
    get(&world).await.unwrap();
    world.upstream.gate(false);
    let old = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world).await }
    });
    world.upstream.wait_for(3).await;
    let rotation = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await }
    });
    while world.broker.secret(&secret("gmail/me")).unwrap().version == 1 {
        tokio::task::yield_now().await;
    }
    let new = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world).await }
    });
    world.upstream.wait_for(4).await;
    assert!(!rotation.is_finished() && world.audit.count(Kind::SecretRetired) == 0);
    assert_eq!(states(&world), [(1, "retiring"), (2, "current")]);
    world.upstream.gate(true);
    old.await.unwrap().unwrap();
    new.await.unwrap().unwrap();
    let (view, upstream) = rotation.await.unwrap().unwrap();
    assert_eq!(view.version, 2);
    assert!(upstream.contains("would end the new version too"), "{upstream}");
    assert_eq!(states(&world), [(1, "retired"), (2, "current")]);
    assert_eq!(world.store.item("secret-value/gmail/me/1"), None, "the old value is erased");
    assert_eq!(*world.upstream.forgotten.lock().unwrap(), ["gmail/me"]);
    let tokens = world.upstream.token_requests();
    assert_eq!(tokens[1].field("refresh_token").as_deref(), Some("refresh-new"));
    let versions: Vec<_> = world
        .audit
        .events(Kind::Intent)
        .into_iter()
        .filter_map(|(_, event, _)| event.secret_version)
        .collect();
    assert_eq!(versions, [1, 1, 1, 2, 2]);
}

#[tokio::test]
async fn a_use_that_never_ends_is_not_waited_for_for_ever() {
    let world = Arc::new(world().await);
    get(&world).await.unwrap();
    world.upstream.gate(false);
    let old = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world).await }
    });
    world.upstream.wait_for(3).await;
    let rotation = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await }
    });
    while world.broker.secret(&secret("gmail/me")).unwrap().version == 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(60_000);
    rotation.await.unwrap().unwrap();
    world.upstream.gate(true);
    old.await.unwrap().unwrap();
}

/// Sixty calls, some before, some during, some after: as many as one agent may have under way, but a few.
async fn under_load(renewed_by_the_provider: bool) {
    let world = Arc::new(world().await);
    world.google.lock().unwrap().renews = renewed_by_the_provider;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..60_u32 {
        let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
        let (world, done) = (Arc::clone(&world), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            // Every tenth finds its token dead, so that refreshes run while the secret is rotated.
            if number % 10 == 0 {
                world.google.lock().unwrap().access.clear();
            }
            let result = world.send(&minted, "get", &[]).await;
            done.store(true, Ordering::SeqCst);
            result.map(drop)
        }));
    }
    while !done.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let value = (!renewed_by_the_provider).then(|| oauth("refresh-new"));
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), value).await.unwrap();
    for task in tasks {
        let result = task.await.unwrap();
        // A token that dies twice within one call is the test's doing, not the rotation's.
        assert!(
            result.as_ref().err().is_none_or(|refusal| refusal.field.as_deref() == Some("credential")),
            "{result:?}"
        );
    }
    assert!(!world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
    world.all_announced();
}

#[tokio::test]
async fn no_call_fails_while_a_new_value_comes_in() {
    under_load(false).await;
}

#[tokio::test]
async fn no_call_fails_while_the_provider_renews() {
    under_load(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_fails_on_many_threads() {
    for _ in 0..5 {
        under_load(false).await;
        under_load(true).await;
    }
}

#[tokio::test]
async fn who_waited_for_a_token_while_the_provider_renewed_goes_on_with_the_new_version() {
    let world = Arc::new(world().await);
    world.google.lock().unwrap().renews = true;
    world.upstream.gate(false);
    let rotation = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await }
    });
    world.upstream.wait_for(1).await;
    let call = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world).await }
    });
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.upstream.token_requests().len(), 1, "nobody else spends the token meanwhile");
    world.upstream.gate(true);
    rotation.await.unwrap().unwrap();
    call.await.unwrap().unwrap();
    assert!(!world.broker.secret(&secret("gmail/me")).unwrap().needs_login);
}

#[tokio::test]
async fn rotation_by_the_provider_survives_a_store_that_does_not_take_it() {
    for (fault, happens) in [(Commit::Full, false), (Commit::Unavailable, false), (Commit::Unknown, false)] {
        let mut world = world().await;
        world.google.lock().unwrap().renews = true;
        world.store.fail("secret/gmail/me", fault, happens);
        let result = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await;
        assert!(result.is_err(), "{fault:?}");
        // The provider has ended the old token; the new one was kept.
        get(&world).await.unwrap();
        world.restart().await;
        get(&world).await.unwrap();
        let (view, told) = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await.unwrap();
        assert_eq!(view.version, 2);
        assert!(told.contains("the provider ended it"), "{told}");
        get(&world).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_happened_without_an_answer_is_found_out() {
    let world = world().await;
    world.store.fail("secret/gmail/me", Commit::Unknown, true);
    let (view, _) =
        world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await.unwrap();
    assert_eq!(view.version, 2);
}

#[tokio::test]
async fn not_recorded_is_not_rotated() {
    let world = world().await;
    world.audit.break_door(Door::Record);
    let result = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await;
    assert!(matches!(result, Err(AdminError::Audit(_))), "{result:?}");
    world.audit.mend();
    assert_eq!(states(&world), [(1, "current")]);
    get(&world).await.unwrap();
}

#[tokio::test]
async fn wherever_it_was_stopped_the_store_is_whole() {
    let mut world = world().await;
    // The disk as it is at each commit of a rotation.
    let copies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (store, kept) = (Arc::clone(&world.store), Arc::clone(&copies));
    *world.store.hook.lock().unwrap() = Some(Box::new(move |_| kept.lock().unwrap().push(store.copy())));
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await.unwrap();
    *world.store.hook.lock().unwrap() = None;
    let copies = copies.lock().unwrap().clone();
    assert_eq!(copies.len(), 2, "one to make it current, one to retire the old");
    for (copy, wanted) in
        copies.into_iter().zip([vec![(1, "current")], vec![(1, "retiring"), (2, "current")]])
    {
        world.store = copy;
        world.restart().await;
        assert_eq!(states(&world), wanted);
        get(&world).await.unwrap();
    }
    // What an earlier run left retiring goes with the next rotation.
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await.unwrap();
    assert_eq!(states(&world), [(1, "retired"), (2, "retired"), (3, "current")]);
    let values: Vec<String> =
        world.store.keys().into_iter().filter(|key| key.starts_with("secret-value/gmail/me")).collect();
    assert_eq!(values, ["secret-value/gmail/me/3"]);
}

#[tokio::test]
async fn values_of_the_wrong_kind() {
    let world = world().await;
    let text = |text: &str| SecretBytes::from_text(text.to_owned());
    for value in [
        NewValue::Bearer(text("x")),
        NewValue::Header(text("x")),
        NewValue::Basic("u".to_owned(), text("x")),
        oauth(""),
        oauth("two\nlines"),
        oauth(&"x".repeat(16 * 1024 + 1)),
    ] {
        let result = world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(value)).await;
        assert!(matches!(result, Err(AdminError::Invalid { .. })), "{result:?}");
    }
    let unknown = world.broker.rotate_secret(ADMIN, &secret("gmail/nobody"), None).await;
    assert!(matches!(unknown, Err(AdminError::Missing { .. })));
    assert_eq!(states(&world), [(1, "current")]);
}

#[tokio::test]
async fn removal_ends_upstream_only_what_stands_alone() {
    let world = world().await;
    // Two secrets that may be one account's at one provider: ending one would end the other.
    let (told, grants) = world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await.unwrap();
    assert!(told.contains("drive/me"), "{told}");
    assert_eq!(grants, 1);
    let (told, _) = world.broker.remove_secret(ADMIN, &secret("drive/me"), true).await.unwrap();
    assert_eq!(told, "revoked");
    let revoked = world.upstream.calls().pop().unwrap();
    assert_eq!((revoked.target.as_str(), revoked.field("token").as_deref()), ("/revoke", Some("refresh-0")));
    assert!(world.store.keys().iter().all(|key| !key.starts_with("secret")), "{:?}", world.store.keys());
}
