//! Secrets change, grants end, agents are stopped, all while calls run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use claviger_agent::CallOutcome;
use claviger_tests::world::{AGENT, Plan, World};
use serde_json::{Map, json};
use stand_in_google::{Config, Fault, Seed};

/// Callers that call until they are told to stop.
struct Callers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Callers {
    async fn start(world: &World, count: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..count {
            let (session, stop, answered) = (world.session().await, Arc::clone(&stop), Arc::clone(&answered));
            tasks.push(tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    match session.call("gmail_list_labels", Map::new()).await {
                        Ok(CallOutcome::Answered(answer)) if answer.is_error != Some(true) => {
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                        other => failures.push(format!("{other:?}")),
                    }
                }
                failures
            }));
        }
        Self { stop, answered, tasks }
    }

    /// Waits until so many more calls were answered.
    async fn go_on(&self, world: &World, more: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + more;
        world
            .eventually("calls are answered", async || {
                (self.answered.load(Ordering::SeqCst) >= goal).then_some(())
            })
            .await;
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.unwrap());
        }
        failures
    }
}

async fn rotating() -> World {
    let google = Config { seed: Seed::demo(), rotate_refresh: true, ..Config::default() };
    World::start(Plan { google, ..Plan::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_under_calls_and_none_fails() {
    let world = rotating().await;
    let [first, _] = world.add_secrets().await;
    world.usual_grants().await;
    let callers = Callers::start(&world, 4).await;
    callers.go_on(&world, 8).await;
    for version in 2..5 {
        let rotated = world.admin(&["secret", "rotate", "gmail/me"]).await;
        assert_eq!(rotated["secret"]["version"], version);
        callers.go_on(&world, 8).await;
    }
    assert_eq!(callers.end().await, Vec::<String>::new(), "calls failed during a rotation");
    let versions = world.admin(&["secret", "show", "gmail/me"]).await["versions"].clone();
    let current = versions.as_array().unwrap().iter().filter(|version| version["state"] == "current").count();
    assert_eq!(current, 1, "{versions}");
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    // The token of the beginning is dead upstream.
    assert!(!world.takes_refresh_token(&first).await, "the first refresh token still lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_entered_under_calls_and_none_fails() {
    let world = World::single_user().await;
    let [first, _] = world.add_secrets().await;
    world.usual_grants().await;
    let callers = Callers::start(&world, 3).await;
    callers.go_on(&world, 6).await;
    let second = world.google.direct_refresh_token(&["gmail.modify", "gmail.send"]);
    let values = format!("{}\n{second}\n", world.google.client_secret());
    let line = [
        "--json",
        "secret",
        "rotate",
        "gmail/me",
        "--enter",
        "--stdin",
        "--client-id",
        world.google.client_id(),
    ];
    let rotated = world.claviger_with(&line, &values).await.success().json();
    assert_eq!(rotated["secret"]["version"], 2);
    callers.go_on(&world, 6).await;
    assert_eq!(callers.end().await, Vec::<String>::new(), "calls failed during a rotation");
    // Google ends all of a client's access to an account at once, so the old one is left, and that is said.
    let told = rotated["old_version_upstream"].as_str().unwrap();
    assert_eq!(told.starts_with("not done"), world.takes_refresh_token(&first).await, "{told}");
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    // And nothing of either is said.
    assert!(!rotated.to_string().contains(&second[..12]));
}

/// A provider that gives a new refresh token at each refresh: it is durable before the access token is used, so that a
/// vault that is killed goes on with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_refresh_token_outlives_a_kill() {
    let mut world = rotating().await;
    let [first, _] = world.add_secrets().await;
    world.usual_grants().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    for _ in 0..2 {
        world.kill_vault().await;
        world.start_unsealed().await;
        // Each life renews it once more: with an older one, the upstream would end the whole family.
        let _ = world.call("gmail_list_labels", json!({})).await.ok();
    }
    assert!(!world.takes_refresh_token(&first).await, "it was not renewed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_access_token_is_renewed_once_for_all_callers() {
    let world = World::ready().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    world.google.clear_log();
    // By the upstream's clock all access tokens are over; the vault learns it by a 401.
    world.google.advance(Duration::from_secs(2 * 3600));
    let session = Arc::new(world.session().await);
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let session = Arc::clone(&session);
            tokio::spawn(async move { session.call("gmail_list_labels", Map::new()).await.unwrap() })
        })
        .collect();
    for call in calls {
        assert!(
            matches!(call.await.unwrap(), CallOutcome::Answered(answer) if answer.is_error != Some(true))
        );
    }
    let refreshes = world.google.log().iter().filter(|request| request.path == "/token").count();
    assert_eq!(refreshes, 1, "parallel callers refresh once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_and_freezing_hold_from_the_next_call_on() {
    let world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    let session = world.session().await;
    let class = async |tool: &str| match session.call(tool, Map::new()).await.unwrap() {
        CallOutcome::Refused(refusal) => refusal.class().to_owned(),
        CallOutcome::Answered(answer) => panic!("answered: {answer:?}"),
    };
    let answered = async |tool: &str| {
        let outcome = session.call(tool, Map::new()).await.unwrap();
        assert!(matches!(outcome, CallOutcome::Answered(_)), "{outcome:?}");
    };
    answered("gmail_list_labels").await;
    for _ in 0..3 {
        world.admin(&["freeze", AGENT]).await;
        assert_eq!(class("gmail_list_labels").await, "frozen");
        assert_eq!(class("drive_search_files").await, "frozen");
        world.admin(&["thaw", AGENT]).await;
        answered("gmail_list_labels").await;
    }
    world.admin(&["revoke", grants[0]["handle"].as_str().unwrap()]).await;
    assert_eq!(class("gmail_list_labels").await, "revoked");
    answered("drive_search_files").await;
    // Final: neither a thaw nor a restart brings it back.
    world.admin(&["freeze", AGENT]).await;
    world.admin(&["thaw", AGENT]).await;
    assert_eq!(class("gmail_list_labels").await, "revoked");
    let listed = world.admin(&["grant", "ls", "--all"]).await;
    let state = |id: &str| {
        listed["grants"].as_array().unwrap().iter().find(|grant| grant["id"] == id).unwrap()["state"].clone()
    };
    assert_eq!(state(grants[0]["id"].as_str().unwrap()), "revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_and_a_freeze_outlive_a_kill() {
    let mut world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    world.admin(&["revoke", grants[0]["id"].as_str().unwrap()]).await;
    world.admin(&["freeze", AGENT]).await;
    world.kill_vault().await;
    world.start_unsealed().await;
    assert_eq!(world.call("drive_search_files", json!({})).await.refused().class, "frozen");
    world.admin(&["thaw", AGENT]).await;
    let _ = world.call("drive_search_files", json!({})).await.ok();
    // The tool is no longer offered.
    assert_eq!(world.call("gmail_list_labels", json!({})).await.ran.code, 2);
}

/// A revocation is acknowledged while a call is under way: that call's next use is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_several_uses_is_cut_by_a_revocation() {
    let world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    world.google.fault_once("/gmail/v1/users/me/messages", Fault::Slow(Duration::from_secs(3)));
    world.google.clear_log();
    let search = tokio::spawn({
        let session = world.session().await;
        async move { session.call("gmail_search_messages", Map::new()).await.unwrap() }
    });
    world
        .eventually("the list is asked for", async || {
            world.google.log().iter().any(|r| r.path.ends_with("/messages")).then_some(())
        })
        .await;
    world.admin(&["revoke", grants[0]["id"].as_str().unwrap()]).await;
    let CallOutcome::Refused(refusal) = search.await.unwrap() else { panic!("it was answered") };
    assert_eq!(refusal.class(), "revoked");
    assert!(
        !world.google.log().iter().any(|request| request.path.contains("/messages/")),
        "a use began after it"
    );
}
