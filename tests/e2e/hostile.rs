//! An upstream that misbehaves, seen through the whole stack.

use std::time::Duration;

use claviger_tests::world::called::Called;
use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};
use stand_in_google::{Config, EchoForm, Fault, StandIn};

const MAIL: &str = "Invoice 2026-118 for November";

async fn read(world: &World) -> Called {
    let id = world.google.mail_id(MAIL).unwrap();
    world.call("gmail_get_message", json!({"message_id": id})).await
}

/// Refused for what the upstream did. Where a resource bounds the call, what cannot be judged is out of scope.
#[track_caller]
fn assert_no_answer(called: &Called, what: &str) {
    let refused = called.refused();
    assert!(["upstream", "out-of-scope"].contains(&refused.class.as_str()), "{what}: {refused:?}");
}

fn letter() -> Value {
    json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_carry_no_credential_anywhere() {
    let world = World::ready().await;
    // Another origin that has a good certificate of its own, and the same one at another path.
    let elsewhere = StandIn::start(Config::default()).await.unwrap();
    let port = elsewhere.origin().rsplit_once(':').unwrap().1;
    let plain = world.google.origin().replacen("https://", "http://", 1);
    for status in [301, 302, 303, 307, 308] {
        for location in [
            format!("{}/gmail/v1/users/me/messages/1", elsewhere.origin()),
            format!("https://127.0.0.1:{port}/"),
            format!("{plain}/gmail/v1/users/me/profile"),
            format!("{}/redirected", world.google.origin()),
            "/redirected".to_owned(),
        ] {
            let fault = Fault::Redirect { status, location: location.clone() };
            world.google.fault_once("/gmail/v1/users/me/messages/", fault);
            let called = read(&world).await;
            assert_eq!(called.refused().class, "upstream", "{status} {location}");
            assert!(!called.ran.all().contains(&location), "the location is told");
        }
        world.google.fault_once(
            "/gmail/v1/users/me/messages/send",
            Fault::Redirect {
                status,
                location: format!("{}/gmail/v1/users/me/messages/send", elsewhere.origin()),
            },
        );
        let _ = world.call("gmail_send_message", letter()).await.refused();
    }
    assert!(elsewhere.log().is_empty(), "somebody followed: {:?}", elsewhere.log());
    assert!(!world.google.log().iter().any(|request| request.path.contains("redirected")));
    assert!(world.google.outbox().is_empty());
    // A token endpoint that redirects gets no further either.
    world.google.advance(Duration::from_secs(7200));
    world.google.fault_once(
        "/token",
        Fault::Redirect { status: 307, location: format!("{}/token", elsewhere.origin()) },
    );
    assert_no_answer(&read(&world).await, "a token endpoint that redirects");
    assert!(elsewhere.log().is_empty());
    let _ = read(&world).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_lie_about_their_length_or_are_too_large_are_withheld() {
    let world = World::ready().await;
    for fault in [Fault::Truncate, Fault::Close, Fault::Gzip, Fault::HugeBody(3 << 20), Fault::HugeHeaders] {
        world.google.fault_once("/gmail/v1/users/me/messages/", fault.clone());
        let called = read(&world).await;
        assert_no_answer(&called, &format!("{fault:?}"));
        assert!(!called.ran.all().contains("249.00"), "{fault:?}: half an answer is told");
        let _ = read(&world).await.ok();
    }
    // What stands behind the promised length is no part of the answer, and of no later one.
    world.google.fault_once("/gmail/v1/users/me/messages/", Fault::TooLong);
    let _ = read(&world).await;
    let _ = read(&world).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upstream_keeps_nobody_else_waiting() {
    let world = World::ready().await;
    let _ = read(&world).await.ok();
    world.google.fault_once("/gmail/v1/users/me/messages/", Fault::Slow(Duration::from_secs(4)));
    let slow = read(&world);
    tokio::pin!(slow);
    let others = async {
        world
            .eventually("the slow request is there", async || {
                world
                    .google
                    .log()
                    .iter()
                    .filter(|request| request.path.contains("/messages/"))
                    .nth(1)
                    .map(|_| ())
            })
            .await;
        for _ in 0..3 {
            let _ = world.call("gmail_list_labels", json!({})).await.ok();
        }
    };
    tokio::select! {
        _ = &mut slow => panic!("the slow call was over before the others"),
        () = others => {}
    }
    let _ = slow.await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echoed_credential_is_withheld_and_freezes_at_the_second_time() {
    for (number, form) in [
        EchoForm::Raw,
        EchoForm::Base64 { skip: 0 },
        EchoForm::Base64 { skip: 1 },
        EchoForm::Base64 { skip: 2 },
        EchoForm::Url,
        EchoForm::Hex,
        EchoForm::Json,
    ]
    .chunks(2)
    .enumerate()
    {
        let world = World::with_secrets().await;
        world.grant(&[AGENT, "gmail/me", "--tool", "gmail.list_labels"]).await;
        for (at, form) in form.iter().enumerate() {
            world.google.fault_once("/gmail/v1/users/me/labels", Fault::EchoAuthorization(*form));
            let called = world.call("gmail_list_labels", json!({})).await;
            assert_eq!(called.refused().class, "withheld", "{form:?}");
            assert!(!called.ran.all().contains("ya29"));
            let frozen = world.admin(&["agent", "ls"]).await["agents"][0]["frozen"].clone();
            assert_eq!(frozen, json!(at == 1), "{number} {form:?}");
        }
        let next = world.call("gmail_list_labels", json!({})).await;
        if form.len() == 2 {
            assert_eq!(next.refused().class, "frozen");
            let log = world.admin(&["log", "--agent", AGENT]).await;
            assert!(log["events"].as_array().unwrap().iter().any(|event| event["kind"] == "echo"), "{log}");
        } else {
            let _ = next.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_in_a_header_is_withheld_or_does_not_pass() {
    let world = World::ready().await;
    world.google.fault_once("/gmail/v1/users/me/labels", Fault::EchoInHeader);
    let called = world.call("gmail_list_labels", json!({})).await;
    assert!(!called.ran.all().contains("ya29"), "{called:?}");
    assert_eq!(called.refused().class, "withheld");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_are_not_kept() {
    let world = World::ready().await;
    world.google.fault_always("/gmail/", Fault::SetCookie);
    for _ in 0..3 {
        let _ = read(&world).await.ok();
    }
    let asked = world.google.log();
    assert!(asked.len() >= 3);
    for request in asked {
        assert_eq!(request.header("cookie"), None, "{}", request.path);
        assert_eq!(request.header("accept-encoding").unwrap_or("identity"), "identity");
        assert!(!request.query.contains("ya29"), "a credential in an address");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_401_is_tried_once_more_with_a_new_token_and_no_more() {
    let world = World::ready().await;
    let _ = read(&world).await.ok();
    world.google.clear_log();
    let count = |path: &str| world.google.log().iter().filter(|request| request.path.contains(path)).count();
    world.google.fault_once("/gmail/v1/users/me/messages/", Fault::Status(401, None));
    let _ = read(&world).await.ok();
    assert_eq!((count("/messages/"), count("/token")), (2, 1));
    world.google.clear_log();
    world.google.fault_always("/gmail/v1/users/me/messages/", Fault::Status(401, None));
    assert_eq!(read(&world).await.refused().class, "needs-login");
    assert_eq!((count("/messages/"), count("/token")), (2, 1), "it goes on trying");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_errors_of_the_upstream_are_told_as_what_they_are() {
    let world = World::ready().await;
    for (status, classes) in [
        (403, &["out-of-scope"][..]),
        (404, &["out-of-scope"]),
        (429, &["upstream", "rate-limited"]),
        (500, &["upstream"]),
        (503, &["upstream"]),
    ] {
        world.google.clear_log();
        world.google.fault_once("/gmail/v1/users/me/messages/", Fault::Status(status, Some(7)));
        let refused = read(&world).await.refused();
        assert!(classes.contains(&refused.class.as_str()), "{status}: {refused:?}");
        let asked = world.google.log().iter().filter(|request| request.path.contains("/messages/")).count();
        assert_eq!(asked, 1, "{status} was tried again");
        let told = world.claviger(&["why", &refused.reference]).await.success().out;
        assert!(told.contains(&status.to_string()) || status == 404, "{status}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_send_is_unknown_and_never_sent_again() {
    let world = World::ready().await;
    world.google.fault_once("/gmail/v1/users/me/messages/send", Fault::LoseAnswer);
    let called = world.call("gmail_send_message", letter()).await;
    assert_eq!(called.refused().class, "unknown");
    assert_eq!(world.google.outbox().len(), 1, "exactly one mail");
    let log = world.admin(&["log", "--tool", "gmail.send_message"]).await;
    let unknown = |event: &&Value| event["kind"] == "outcome" && event["ending"] == "unknown";
    assert_eq!(log["events"].as_array().unwrap().iter().filter(unknown).count(), 1, "{log}");
    // A connection that ended before the request took effect looks the same from here.
    world.google.fault_once("/gmail/v1/users/me/messages/send", Fault::Close);
    assert_eq!(world.call("gmail_send_message", letter()).await.refused().class, "unknown");
    assert_eq!(world.google.outbox().len(), 1);
    let agent = world.google.file_id("Agent").unwrap();
    world.google.fault_once("/upload/", Fault::LoseAnswer);
    let new = json!({"folder_id": agent, "name": "once.txt", "content": "x"});
    assert_eq!(world.call("drive_create_file", new).await.refused().class, "unknown");
    let found = world.call("drive_search_files", json!({"name": "once"})).await;
    assert_eq!(found.ok()["files"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_refresh_token_asks_for_a_login_and_a_login_helps() {
    let world = World::single_user().await;
    let _ = world.connect("gmail/me", &["--for", "read,write,send"], false).await.success();
    world.grant(&[AGENT, "gmail/me", "--tool", "gmail.list_labels"]).await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    world.google.revoke_all();
    assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "needs-login");
    let warnings = world.admin(&["status"]).await["warnings"].to_string();
    assert!(warnings.contains("claviger connect gmail/me --renew"), "{warnings}");
    let _ = world.connect("gmail/me", &["--for", "read,write,send", "--renew"], false).await.success();
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
}
