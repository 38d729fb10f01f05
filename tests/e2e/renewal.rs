//! Credentials that change many times under load, and refresh tokens that change at each use, with kills in between.
//!
//! The upstream here gives a new refresh token at each refresh, and ends all of an account's tokens when an old one comes
//! back (RFC 9700, section 4.14.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use claviger_agent::{CallOutcome, Session};
use claviger_tests::world::{Plan, World, note};
use serde_json::{Map, Value, json};
use stand_in_google::{Config, Fault, Lineage, LoggedRequest, Seed};

/// What a person can ask for by the environment.
fn asked(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A world whose upstream renews refresh tokens; with secrets and grants, and the first refresh token of `gmail/me`.
async fn renewing() -> (World, String) {
    let google = Config { seed: Seed::demo(), rotate_refresh: true, ..Config::default() };
    let world = World::start(Plan { google, ..Plan::default() }).await;
    let [first, _] = world.add_secrets().await;
    world.usual_grants().await;
    (world, first)
}

/// Callers, each of whom calls at its own pace until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    began: Instant,
    callers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    /// `callers` at once, who together make about `rate` calls a second, or as many as they can.
    async fn start(world: &World, callers: usize, rate: Option<usize>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let pause = rate.map(|rate| Duration::from_secs_f64(callers as f64 / rate as f64));
        let mut tasks = Vec::new();
        for _ in 0..callers {
            let session = world.session().await;
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tasks.push(tokio::spawn(async move {
                let mut failures = Vec::new();
                let mut turns = pause.map(tokio::time::interval);
                while !stop.load(Ordering::SeqCst) {
                    if let Some(turns) = &mut turns {
                        turns.tick().await;
                    }
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
        Self { stop, answered, began: Instant::now(), callers: tasks }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more calls were answered.
    async fn go_on(&self, world: &World, more: usize) {
        let goal = self.answered() + more;
        world.eventually("calls are answered", async || (self.answered() >= goal).then_some(())).await;
    }

    /// How many were answered, how many a second, and what failed.
    async fn end(self) -> (usize, f64, Vec<String>) {
        let (count, seconds) = (self.answered(), self.began.elapsed().as_secs_f64());
        self.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        (count, count as f64 / seconds, failures)
    }
}

/// The lineages of the access tokens of those requests, but for the token endpoint's, which has none.
fn lineages(world: &World, requests: &[LoggedRequest]) -> Vec<Lineage> {
    let bearers = requests.iter().filter_map(|request| request.authorization.as_deref());
    bearers.map(|bearer| world.google.lineage(bearer).expect("a bearer of the upstream's own")).collect()
}

/// 12 rotations, or as many as `CLAVIGER_TEST_ROTATIONS` says, under as many calls as the machine gives, or under
/// `CLAVIGER_TEST_CALLS_A_SECOND` by `CLAVIGER_TEST_CALLERS` callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rotations_under_load_fail_no_call_and_leave_no_old_version_in_use() {
    let (world, first) = renewing().await;
    let (rotations, callers) = (asked("CLAVIGER_TEST_ROTATIONS", 12), asked("CLAVIGER_TEST_CALLERS", 6));
    let rate = asked("CLAVIGER_TEST_CALLS_A_SECOND", 0);
    let load = Load::start(&world, callers, (rate > 0).then_some(rate)).await;
    load.go_on(&world, 20).await;
    let mut slowest = Duration::ZERO;
    for number in 0..rotations {
        let old = world.google.newest(&first).unwrap().0.generation;
        let began = Instant::now();
        let rotated = world.admin(&["secret", "rotate", "gmail/me"]).await;
        slowest = slowest.max(began.elapsed());
        assert_eq!(rotated["secret"]["version"], number + 2);
        // Acknowledged: whatever the upstream hears from now on is of the new version.
        let heard = world.google.log().len();
        // As many calls as were under way had been heard before.
        load.go_on(&world, 20 + callers).await;
        let later = lineages(&world, &world.google.log()[heard..]);
        assert!(later.len() >= 20, "{later:?}");
        let stale: Vec<_> = later.iter().filter(|lineage| lineage.generation <= old).collect();
        assert!(stale.is_empty(), "rotation {number}, generation {old}: {stale:?}");
        world.google.clear_log();
    }
    let (count, a_second, failures) = load.end().await;
    note(&format!(
        "{rotations} rotations under {count} calls, {a_second:.0} a second; the slowest rotation took {} ms",
        slowest.as_millis()
    ));
    assert_eq!(failures, Vec::<String>::new());
    let (newest, revoked) = world.google.newest(&first).unwrap();
    assert!(!revoked && newest.generation >= rotations as u64, "{newest:?}");
    let versions = world.admin(&["secret", "show", "gmail/me"]).await["versions"].clone();
    let states: Vec<&str> =
        versions.as_array().unwrap().iter().map(|version| version["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "current").count(), 1, "{states:?}");
    assert!(states.iter().all(|state| ["current", "retired"].contains(state)), "{states:?}");
}

/// However many find the access token over at once, the refresh token is spent once: twice, and the upstream would end
/// all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_callers_spend_a_refresh_token_once() {
    let (world, first) = renewing().await;
    let session = Arc::new(world.session().await);
    let call = async |session: Arc<Session>, tool: &'static str| {
        let args = match tool {
            "gmail_send_message" => json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."}),
            _ => json!({}),
        };
        let Value::Object(args) = args else { unreachable!() };
        session.call(tool, args).await.unwrap()
    };
    let _ = call(Arc::clone(&session), "gmail_list_labels").await;
    for round in 0..5 {
        world.google.advance(Duration::from_secs(2 * 3600));
        world.google.clear_log();
        let before = world.google.newest(&first).unwrap().0.generation;
        let calls: Vec<_> = (0..12)
            .map(|number| {
                let tools = ["gmail_list_labels", "gmail_send_message", "gmail_search_messages"];
                tokio::spawn(call(Arc::clone(&session), tools[number % 3]))
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            let outcome = call.await.unwrap();
            assert!(
                matches!(&outcome, CallOutcome::Answered(answer) if answer.is_error != Some(true)),
                "round {round}, call {number}: {outcome:?}"
            );
        }
        let refreshes = world.google.log().iter().filter(|request| request.path == "/token").count() as u64;
        let (newest, revoked) = world.google.newest(&first).unwrap();
        assert!(!revoked, "round {round}: an old refresh token came back");
        assert_eq!(newest.generation - before, refreshes, "round {round}: each refresh was a new generation");
        // One for each scope that the tools ask for.
        assert!((1..=2).contains(&refreshes), "round {round}: {refreshes} refreshes");
    }
}

/// The vault is killed while the upstream's answer, with the only refresh token that is still good, is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_the_answer_loses_the_account_and_says_so_or_is_within_the_upstreams_grace() {
    for grace in [Duration::ZERO, Duration::from_secs(600)] {
        let (mut world, first) = renewing().await;
        world.google.set_refresh_grace(grace);
        let _ = world.call("gmail_list_labels", json!({})).await.ok();
        let before = world.google.newest(&first).unwrap().0.generation;
        world.google.advance(Duration::from_secs(2 * 3600));
        world.google.fault_once("/token", Fault::Slow(Duration::from_secs(30)));
        let session = world.session().await;
        let lost = tokio::spawn(async move { session.call("gmail_list_labels", Map::new()).await.is_ok() });
        world
            .eventually("the upstream has renewed the token", async || {
                (world.google.newest(&first).unwrap().0.generation > before).then_some(())
            })
            .await;
        world.kill_vault().await;
        lost.abort();
        world.start_unsealed().await;
        let called = world.call("gmail_list_labels", json!({})).await;
        let (_, revoked) = world.google.newest(&first).unwrap();
        if grace.is_zero() {
            // The upstream cannot know who it is that comes with an old token. It is said what to do, and nothing is tried
            // again and again.
            assert!(revoked);
            assert_eq!(called.refused().class, "needs-login");
            world.google.clear_log();
            for _ in 0..5 {
                assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "needs-login");
            }
            assert!(world.google.log().is_empty(), "the upstream was asked again");
            let status = world.admin(&["status"]).await["warnings"].to_string();
            assert!(status.contains("gmail/me") && status.contains("claviger connect"), "{status}");
            // The other account is not hurt, and a restart changes nothing.
            let _ = world.call("drive_search_files", json!({})).await.ok();
            world.kill_vault().await;
            world.start_unsealed().await;
            assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "needs-login");
            let _ =
                world.connect("gmail/me", &["--renew", "--for", "read,write,send"], false).await.success();
        } else {
            assert!(!revoked);
        }
        let _ = world.call("gmail_list_labels", json!({})).await.ok();
    }
}

/// The upstream renews the token and its answer is lost, while the vault lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_within_the_upstreams_grace() {
    let (world, first) = renewing().await;
    world.google.set_refresh_grace(Duration::from_secs(600));
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    for fault in [Fault::LoseAnswer, Fault::Truncate, Fault::Close, Fault::Status(503, None)] {
        world.google.advance(Duration::from_secs(2 * 3600));
        world.google.fault_once("/token", fault.clone());
        let _ = world.call("gmail_list_labels", json!({})).await;
        let _ = world.call("gmail_list_labels", json!({})).await.ok();
        assert!(!world.google.newest(&first).unwrap().1, "{fault:?}");
    }
}

/// Killed at any instant of renewals: a refresh token whose access token was ever used is durable, so the account is lost
/// only where an answer of the upstream's had not arrived; and then the vault says so, and a login mends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_renewals_lose_no_token_that_was_used() {
    let (mut world, mut newest_known) = renewing().await;
    let rounds = asked("CLAVIGER_TEST_RENEWAL_KILLS", 6);
    let (mut lost, mut renewals) = (0, 0);
    for round in 0..rounds {
        // Each access token is over as soon as it was used once.
        let load = Load::start(&world, 3, None).await;
        let began = world.google.newest(&newest_known).unwrap().0.generation;
        for _ in 0..round % 4 + 1 {
            load.go_on(&world, 2).await;
            world.google.advance(Duration::from_secs(2 * 3600));
        }
        // Not at rest: the next renewal begins now.
        #[allow(clippy::disallowed_methods, reason = "a kill at any instant, in another process")]
        tokio::time::sleep(Duration::from_millis((round as u64 * 37) % 120)).await;
        world.kill_vault().await;
        load.stop.store(true, Ordering::SeqCst);
        load.callers.iter().for_each(tokio::task::JoinHandle::abort);
        let newest = world.google.newest(&newest_known).unwrap().0;
        renewals += newest.generation - began;
        let used = lineages(&world, &world.google.log());
        let used = used.contains(&newest);
        world.google.clear_log();
        world.start_unsealed().await;
        let called = world.call("gmail_list_labels", json!({})).await;
        if world.google.newest(&newest_known).unwrap().1 {
            assert!(!used, "round {round}: a token that was used was not durable");
            assert_eq!(called.refused().class, "needs-login", "round {round}");
            lost += 1;
            let entered = world.google.direct_refresh_token(&["gmail.modify", "gmail.send"]);
            let values = format!("{}\n{entered}\n", world.google.client_secret());
            let id = world.google.client_id();
            let line = ["secret", "rotate", "gmail/me", "--enter", "--stdin", "--client-id", id];
            let _ = world.claviger_with(&line, &values).await.success();
            newest_known = entered;
        }
        let _ = world.call("gmail_list_labels", json!({})).await.ok();
    }
    note(&format!("{rounds} kills among {renewals} renewals; {lost} met an answer on its way"));
}
