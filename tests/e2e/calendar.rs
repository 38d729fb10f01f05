//! Calendar and contacts, with the real programs: what stays with the owner, and what reaches others.

use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};

/// A world with a calendar, and grants on the calendar `Agent`: reads, and writes with guests of `example.com` only.
async fn world() -> World {
    let world = World::single_user().await;
    world.add_adapter("calendar").await;
    // By a login, so that the vault knows which of a calendar's owners the account is.
    let line = ["--for", "read,write,send,delete"];
    let _ = world.connect("calendar/me", &line, true).await.success();
    world.grant(&[AGENT, "calendar/me", "--read", "--calendar", "Agent"]).await;
    world
        .grant(&[
            AGENT,
            "calendar/me",
            "--tool",
            "calendar.create_event",
            "--tool",
            "calendar.update_event",
            "--calendar",
            "Agent",
            "--attendees",
            "*@example.com",
            "--approve",
            "never",
        ])
        .await;
    world
}

fn making(world: &World, more: Value) -> Value {
    let mut given = json!({
        "calendar_id": world.google.calendar_id("Agent").unwrap(), "title": "Buy seeds",
        "start": "2026-12-10T09:00:00+01:00", "end": "2026-12-10T09:30:00+01:00",
    });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    given
}

fn changing(world: &World, title: &str, more: Value) -> Value {
    let mut given = json!({
        "calendar_id": world.google.calendar_id("Agent").unwrap(), "event_id": world.google.event_id(title).unwrap(),
    });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    given
}

fn guests(world: &World, title: &str) -> Vec<String> {
    let event = world.google.event(&world.google.event_id(title).unwrap()).unwrap();
    let all = event["attendees"].as_array().cloned().unwrap_or_default();
    all.iter().map(|guest| guest["email"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_read_in_their_calendar_and_nowhere_else() {
    let world = world().await;
    let id = |name: &str| world.google.calendar_id(name).unwrap();
    let listed = world.call("calendar_list_calendars", json!({})).await;
    let names: Vec<&str> = listed.ok()["calendars"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Agent"], "the other calendars are told");
    let events = world
        .call(
            "calendar_list_events",
            json!({"calendar_id": id("Agent"), "from": "2026-12-01", "to": "2026-12-20"}),
        )
        .await;
    let titles: Vec<&str> =
        events.ok()["events"].as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Water the plants", "Fence with Mona", "Call with support", "Weekly plan"]);
    let found = world
        .call("calendar_search_events", json!({"calendar_id": id("Agent"), "words": "FENCE mona"}))
        .await;
    assert_eq!(found.ok()["events"].as_array().unwrap().len(), 1);
    let read = world.call("calendar_get_event", changing(&world, "Fence with Mona", json!({}))).await;
    assert_eq!(read.ok()["attendees"][0]["email"], "mona@example.com");
    let busy = world
        .call(
            "calendar_free_busy",
            json!({"calendar_ids": [id("Agent")], "from": "2026-12-03", "to": "2026-12-04"}),
        )
        .await;
    assert_eq!(busy.ok()["calendars"][0]["busy"].as_array().unwrap().len(), 1);

    // Another calendar, and another name of it, are not there; neither is its event under this calendar's name.
    let surgery = world.google.event_id("Surgery at Dr. Weber").unwrap();
    for (tool, args) in [
        ("calendar_list_events", json!({"calendar_id": id("primary"), "from": "2026-12-01"})),
        ("calendar_list_events", json!({"calendar_id": "primary", "from": "2026-12-01"})),
        ("calendar_search_events", json!({"calendar_id": id("Garden"), "words": "garden"})),
        ("calendar_get_event", json!({"calendar_id": id("primary"), "event_id": surgery})),
        ("calendar_get_event", json!({"calendar_id": id("Agent"), "event_id": surgery})),
        (
            "calendar_free_busy",
            json!({"calendar_ids": [id("Agent"), id("primary")], "from": "2026-12-01", "to": "2026-12-02"}),
        ),
        ("calendar_create_event", making(&world, json!({"calendar_id": id("primary")}))),
    ] {
        let called = world.call(tool, args.clone()).await;
        let class = called.refused().class;
        assert!(["out-of-scope", "bad-arguments"].contains(&class.as_str()), "{tool} {args}: {class}");
        assert!(
            !called.ran.all().contains("Surgery") && !called.ran.all().contains("Weber"),
            "{tool} tells it"
        );
    }
    let absent = world
        .call("calendar_get_event", json!({"calendar_id": id("Agent"), "event_id": "0123456789abcdef"}))
        .await
        .refused();
    let hidden = world
        .call("calendar_get_event", json!({"calendar_id": id("Agent"), "event_id": surgery}))
        .await
        .refused();
    assert_eq!((absent.class, absent.field), (hidden.class, hidden.field));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_are_those_that_were_allowed_in_what_results() {
    let world = world().await;
    let made = world.call("calendar_create_event", making(&world, json!({}))).await;
    assert_eq!(made.ok()["title"], "Buy seeds");
    let effect = |title: &str| {
        let (world, title) = (&world, title.to_owned());
        async move {
            let log = world.admin(&["log"]).await.to_string();
            (log.contains("\"effect\":\"write\""), log.contains("\"effect\":\"send\""), title)
        }
    };
    let (write, send, _) = effect("Buy seeds").await;
    assert!(write && !send, "an event without guests is a write");

    for more in [
        json!({"attendees": ["attacker@evil.example"]}),
        json!({"attendees": ["mona@example.com", "attacker@evil.example"]}),
        json!({"attendees": ["mona@example.com.evil.example"]}),
    ] {
        let refused = world.call("calendar_create_event", making(&world, more.clone())).await.refused();
        assert_eq!(refused.class, "out-of-scope", "{more}");
    }
    let invited =
        making(&world, json!({"title": "Tea", "attendees": ["mona@example.com"], "send_updates": "all"}));
    let _ = world.call("calendar_create_event", invited).await.ok();
    assert_eq!(world.google.invitations().len(), 1);

    // Adding is not replacing.
    let adding = changing(&world, "Fence with Mona", json!({"add_attendees": ["theo@example.com"]}));
    let _ = world.call("calendar_update_event", adding).await.ok();
    let all = ["mona@example.com", "owner@example.com", "theo@example.com"];
    assert_eq!(guests(&world, "Fence with Mona"), all);
    let stranger = changing(&world, "Fence with Mona", json!({"add_attendees": ["attacker@evil.example"]}));
    assert_eq!(world.call("calendar_update_event", stranger).await.refused().class, "out-of-scope");
    assert_eq!(guests(&world, "Fence with Mona"), all);

    // Who is there already counts, whether named or not, and also where they are to be taken off: they would hear of it.
    // The owner is told so.
    let off = guests(&world, "Call with support");
    let off = changing(&world, "Call with support", json!({"remove_attendees": off}));
    let refused = world.call("calendar_update_event", off).await.refused();
    assert_eq!(refused.class, "out-of-scope");
    let why = world.claviger(&["why", &refused.reference]).await.success().out;
    assert!(why.contains("take them off yourself"), "{why}");
    let title = changing(&world, "Call with support", json!({"title": "The code is 493 028"}));
    assert_eq!(world.call("calendar_update_event", title).await.refused().class, "out-of-scope");
    assert!(world.google.event_id("Call with support").is_some(), "it was changed");
    let plants = world.google.event_id("Water the plants").unwrap();
    assert!(world.google.invite(&plants, "attacker@evil.example"));
    let moved = changing(&world, "Water the plants", json!({"description": "secret"}));
    assert_eq!(world.call("calendar_update_event", moved).await.refused().class, "out-of-scope");
    // So does whoever reads the calendar.
    let agent = world.google.calendar_id("Agent").unwrap();
    assert!(world.google.share_calendar(&agent, "attacker@evil.example", "reader"));
    let refused = world.call("calendar_create_event", making(&world, json!({}))).await.refused();
    assert_eq!(refused.class, "out-of-scope");
    assert!(!world.google.log().iter().any(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        body.contains("evil.example") || body.contains("493 028")
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_deleted_and_answered_and_accounts_connected() {
    let world = World::single_user().await;
    world.add_adapter("calendar").await;
    world.add_adapter("contacts").await;
    let connected =
        world.connect("calendar/me", &["--for", "read,write,send,delete"], true).await.success().json();
    assert_eq!(connected["missing_scopes"].as_array().map_or(0, Vec::len), 0, "{connected}");
    let _ = world.connect("contacts/me", &["--for", "read"], true).await.success();
    world.grant(&[AGENT, "contacts/me", "--read"]).await;
    let found = world.call("contacts_search_contacts", json!({"words": "mona"})).await;
    assert_eq!(found.ok()["contacts"], json!([{"name": "Mona Miller", "addresses": ["mona@example.com"]}]));
    let other = world.call("contacts_search_other_contacts", json!({"words": "billing"})).await;
    assert_eq!(other.ok()["contacts"][0]["addresses"][0], "billing@supplies.example");

    let tools = ["--tool", "calendar.delete_event", "--tool", "calendar.respond_to_event"];
    let line: Vec<&str> =
        [AGENT, "calendar/me"].into_iter().chain(tools).chain(["--approve", "never"]).collect();
    world.grant(&line).await;
    let primary = world.google.calendar_id("primary").unwrap();
    let budget = world.google.event_id("Budget review").unwrap();
    let answer = json!({"calendar_id": primary, "event_id": budget, "response": "accepted"});
    let _ = world.call("calendar_respond_to_event", answer).await.ok();
    let event = world.google.event(&budget).unwrap();
    assert_eq!(event["attendees"][1]["responseStatus"], "accepted");
    assert_eq!(event["attendees"][0]["email"], "boss@corp.example", "the other guest is lost");
    let surgery = world.google.event_id("Surgery at Dr. Weber").unwrap();
    let gone = json!({"calendar_id": primary, "event_id": surgery});
    let _ = world.call("calendar_delete_event", gone.clone()).await.ok();
    assert_eq!(world.google.event(&surgery).unwrap()["status"], "cancelled");
    assert_eq!(world.call("calendar_delete_event", gone).await.refused().class, "out-of-scope");
}
