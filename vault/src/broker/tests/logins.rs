//! Logins to the letter: what is asked for, with which client, and that nothing is kept of a login that went wrong.

use claviger_domain::catalog::Catalog;
use claviger_domain::secret::SecretBytes;
use serde_json::{Value, json};

use super::connect::{ask, connect, finish, invalid, param};
use super::fakes::Door;
use super::oauth::get;
use super::upstream::json as answer;
use super::world::{ADMIN, World, catalog, secret};
use crate::broker::error::AdminError;
use crate::broker::view::ConnectAsk;
use crate::port::Commit;

fn tools(name: &str, tools: &[&str]) -> ConnectAsk {
    let tools = tools.iter().map(|tool| tool.parse().unwrap()).collect();
    ConnectAsk { effects: Vec::new(), tools, ..ask(name, false, true) }
}

fn fewer() -> Catalog {
    let mut catalog = catalog();
    catalog.services.values_mut().for_each(|service| drop(service.tools.pop_last()));
    catalog
}

/// Who is told the account's name says so, and nothing else does.
fn userinfo(world: &World, status: u16, told: Value) {
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.target.as_str() {
        "/v1/userinfo" => answer(status, &told),
        _ => google(seen),
    });
}

#[tokio::test]
async fn a_login_does_not_outlive_the_services_it_began_by() {
    let world = World::empty().await;
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    assert!(world.broker.reload(fewer()).await.unwrap());
    assert!(invalid(finish(&world, &begun, &param(&begun, "state")).await).contains("not under way"));
    assert!(world.upstream.seen.lock().unwrap().is_empty());
}

/// A secret that was entered by hand is renewed with the client that was entered with it.
#[tokio::test]
async fn a_renewed_login_takes_the_secrets_own_client() {
    let world = World::new().await;
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", true, false)).await.unwrap();
    assert_eq!(param(&begun, "client_id"), "client-1");
    finish(&world, &begun, &param(&begun, "state")).await.unwrap();
    let request = world.upstream.token_requests().pop().unwrap();
    assert_eq!(request.field("client_secret").as_deref(), Some("CANARY-client-secret"));
    assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 2);
}

#[tokio::test]
async fn what_is_asked_for_is_a_tool_of_that_service() {
    let world = World::empty().await;
    let asked = |name: &'static str, list: &'static [&'static str]| {
        world.broker.begin_connect(ADMIN, tools(name, list))
    };
    asked("gmail/me", &["gmail.get_message"]).await.unwrap();
    // Beside one that is there, too; and a tool of that name in another service is none.
    for unknown in ["gmail.no_such_tool", "drive.read_file", "drive.get_message"] {
        let mut both = tools("gmail/me", &["gmail.get_message", unknown]);
        both.effects = ask("gmail/me", false, true).effects;
        let refused = world.broker.begin_connect(ADMIN, both).await;
        assert!(matches!(refused, Err(AdminError::Missing { what: "tool", .. })), "{unknown}");
    }
    let mut lowest = tools("gmail/me", &["gmail.get_message"]);
    lowest.redirect_uri = "http://127.0.0.1:1/".to_owned();
    world.broker.begin_connect(ADMIN, lowest).await.unwrap();
}

/// Each tool's narrowest scope, and of what its looks need nothing that one of these gives already.
#[tokio::test]
async fn no_more_is_asked_for_than_the_tools_and_their_looks_need() {
    const WHO: [&str; 2] = ["openid", "https://www.googleapis.com/auth/userinfo.email"];
    let world = World::empty().await;
    for (name, tool, needed) in [
        ("gmail/me", "gmail.send_message", &["gmail.send"][..]),
        // Who sees the calendar is asked first, by a right of its own.
        ("calendar/me", "calendar.create_event", &["calendar.events", "calendar.acls.readonly"]),
        // The event is looked at first, which the tool's own scope allows.
        ("calendar/me", "calendar.delete_event", &["calendar.events"]),
        ("drive/me", "drive.read_file", &["drive.readonly"]),
    ] {
        let begun = world.broker.begin_connect(ADMIN, tools(name, &[tool])).await.unwrap();
        let asked = param(&begun, "scope").replace("%2F", "/").replace("%3A", ":");
        let asked: Vec<&str> = asked.split(['+', ' ']).flat_map(|part| part.split("%20")).collect();
        let own = needed.iter().map(|scope| format!("https://www.googleapis.com/auth/{scope}"));
        let wanted: Vec<String> = WHO.iter().map(ToString::to_string).chain(own).collect();
        assert_eq!(asked, wanted, "{tool}");
    }
}

/// Neither the exchange nor the question who it is may go unrecorded; and a client that is not kept would be forgotten.
#[tokio::test]
async fn nothing_is_kept_of_a_login_that_cannot_be_recorded_or_made_durable() {
    type Break = fn(&World);
    let breaks: [Break; 4] = [
        |world| world.audit.break_door(Door::Outcome),
        |world| world.audit.break_door(Door::OutcomeQueued),
        |world| world.store.fail("oauth-client/", Commit::Full, false),
        |world| world.store.fail("secret/", Commit::Full, false),
    ];
    for (at, trouble) in breaks.into_iter().enumerate() {
        let world = World::empty().await;
        trouble(&world);
        assert!(connect(&world, "gmail/me", false).await.is_err(), "{at}");
        assert!(world.broker.secrets().unwrap().is_empty(), "{at}");
        assert!(!world.store.keys().iter().any(|key| key.starts_with("secret")), "{at}");
        world.audit.mend();
        connect(&world, "gmail/me", false).await.unwrap();
    }
    // What there was before works as before.
    for (at, trouble) in breaks.into_iter().enumerate() {
        let world = World::new().await;
        world.grant(&["gmail.get_message"], vec![]).await;
        trouble(&world);
        assert!(connect(&world, "gmail/me", true).await.is_err(), "{at}");
        assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 1, "{at}");
        world.audit.mend();
        get(&world).await.unwrap();
    }
}

#[tokio::test]
async fn an_account_is_named_plainly_by_an_answer_of_success_or_not_at_all() {
    for (status, told) in [
        (500, json!({ "sub": "subject-1" })),
        (403, json!({ "sub": "subject-1", "email": "me@example.org" })),
        (200, json!({ "sub": "two words" })),
        (200, json!({ "sub": "a\u{1b}[31m" })),
        (200, json!({ "sub": "" })),
        (200, json!({ "email": "me@example.org" })),
        (200, json!([])),
    ] {
        let world = World::empty().await;
        userinfo(&world, status, told.clone());
        let refused = connect(&world, "gmail/me", false).await;
        assert!(matches!(refused, Err(AdminError::Upstream { .. })), "{status} {told}");
        assert!(world.broker.secrets().unwrap().is_empty(), "{status} {told}");
    }
    // An address that is shown is one line of plain text.
    let world = World::empty().await;
    userinfo(&world, 200, json!({ "sub": "subject-1", "email": "me\u{1b}[2J@example.org" }));
    let done = connect(&world, "gmail/me", false).await.unwrap();
    assert_eq!((done.secret.subject.as_deref(), done.secret.email), (Some("subject-1"), None));
}

/// The answer to a code is used once: a second code needs a second login.
#[tokio::test]
async fn a_code_goes_to_the_provider_once() {
    let world = World::empty().await;
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    let state = param(&begun, "state");
    finish(&world, &begun, &state).await.unwrap();
    let code = SecretBytes::from_text("another".to_owned());
    let again = world.broker.finish_connect(ADMIN, &begun.session, code, &state).await;
    assert!(invalid(again).contains("not under way"));
    assert_eq!(world.upstream.token_requests().len(), 1);
}
