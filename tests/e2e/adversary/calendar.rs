//! Events as mails, invitations, and other people's calendars.

use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};
use stand_in_google::SeedEvent;

use super::adapter::{abuse, misuse, strange};
use super::agent::{bad_ids, strangers};
use super::{
    Attempt, FORM, FORM_OR_SCOPE, Must, Puppet, SCOPE, attempt, control, harm, hold, pollution, with,
};

const SCOPES: [&str; 5] = [
    "calendar.calendarlist.readonly",
    "calendar.events",
    "calendar.events.readonly",
    "calendar.freebusy",
    "calendar.acls.readonly",
];
const HIDDEN: Must = Must::NotTell(&["Surgery", "Weber", "Budget", "corp.example", "Garden", "Long ago"]);

pub(super) async fn world() -> World {
    let world = World::single_user().await;
    world.add_adapter("calendar").await;
    let token = world.google.direct_refresh_token(&SCOPES);
    world.add_secret("calendar/me", &token).await;
    world.grant(&[AGENT, "calendar/me", "--read", "--calendar", "Agent"]).await;
    let party = SeedEvent::new("Agent", "Party", "2026-12-12T18:00:00Z", "2026-12-12T20:00:00Z");
    let party = SeedEvent { organizer: Some("mona@example.com".to_owned()), ..party };
    world.google.add_event(&party.with(&["mona@example.com", "owner@example.com"])).unwrap();
    let bounds = ["--calendar", "Agent", "--attendees", "*@example.com", "--approve", "never"];
    for tools in [
        &["--tool", "calendar.create_event", "--links", "none"][..],
        &["--tool", "calendar.update_event", "--tool", "calendar.respond_to_event"],
    ] {
        world.grant(&[&[AGENT, "calendar/me"], &bounds[..], tools].concat()).await;
    }
    world
}

fn making(world: &World) -> Value {
    json!({
        "calendar_id": world.google.calendar_id("Agent").unwrap(), "title": "Buy seeds",
        "start": "2026-12-10T09:00:00+01:00", "end": "2026-12-10T09:30:00+01:00",
    })
}

fn on(world: &World, title: &str) -> Value {
    json!({
        "calendar_id": world.google.calendar_id("Agent").unwrap(), "event_id": world.google.event_id(title).unwrap(),
    })
}

fn guests(world: &World) -> Vec<Attempt> {
    let (new, fence) = (making(world), on(world, "Fence with Mona"));
    let mut all = Vec::new();
    for (address, must) in strangers() {
        let must = if address == "family@example.org" { SCOPE } else { must };
        all.push(attempt(
            format!("the guest {address:?}"),
            "calendar.create_event",
            with(&new, json!({"attendees": [address]})),
            must,
        ));
        all.push(attempt(
            format!("one more guest {address:?}"),
            "calendar.update_event",
            with(&fence, json!({"add_attendees": [address]})),
            must,
        ));
    }
    let stranger = "attacker@evil.example";
    for more in [
        json!({"attendees": ["mona@example.com", stranger]}),
        json!({"attendees": [{"email": stranger}]}),
        json!({"attendees": stranger}),
        json!({"attendees": [stranger], "send_updates": "none"}),
        json!({"attendees": [stranger], "send_updates": "externalOnly"}),
        json!({"send_updates": "ALL"}),
        json!({"send_updates": true}),
        json!({"sendNotifications": true}),
        json!({"sendUpdates": "all"}),
        json!({"add_attendees": [stranger]}),
        json!({"organizer": {"email": stranger}}),
        json!({"visibility": "public"}),
        json!({"guestsCanInviteOthers": true}),
        json!({"anyoneCanAddSelf": true}),
        json!({"conferenceData": {}}),
        json!({"attachments": [{"fileUrl": "https://evil.example"}]}),
        json!({"source": {"url": "https://evil.example"}}),
        json!({"recurrence": ["RRULE:FREQ=DAILY"]}),
        json!({"id": "abcdef"}),
        json!({"reminders": {}}),
        json!({"start": "now"}),
        json!({"start": "2026-12-10T09:00:00"}),
        json!({"start": "2026-02-30"}),
        json!({"time_zone": "x\r\ny"}),
        json!({"title": "x\r\nATTENDEE:mailto:attacker@evil.example"}),
        json!({"location": "x\nATTENDEE:mailto:attacker@evil.example"}),
        json!({"title": "\u{202e}x"}),
    ] {
        all.push(attempt(
            format!("an event with {more}"),
            "calendar.create_event",
            with(&new, more.clone()),
            FORM_OR_SCOPE,
        ));
    }
    for text in [
        "https://evil.example/?q=code",
        "HTTPS://EVIL.EXAMPLE",
        "http://evil.example",
        "//evil.example/x",
        "www.evil.example",
        "see evil.example/x",
        "[x](https://evil.example)",
        "<a href='https://evil.example'>x</a>",
        "https:\\\\evil.example",
        "hxxps//evil.example https://x@evil.example",
        "https://evil。example/",
        "mailto:attacker@evil.example",
        "ftp://evil.example",
        "https://192.0.2.1/",
    ] {
        for field in ["description", "location", "title"] {
            let args = with(&new, json!({field: text, "attendees": ["mona@example.com"]}));
            let must =
                if text.contains("https://") || text.contains("HTTPS://") { SCOPE } else { FORM_OR_SCOPE };
            all.push(attempt(format!("{text:?} as {field}"), "calendar.create_event", args, must));
        }
    }
    // The upstream may say no to what is well formed and makes no sense.
    for more in [json!({"time_zone": "Europe/../../etc"}), json!({"start": "2026-12-10"})] {
        let upstream = Must::BeRefused(&["upstream", "bad-arguments", "out-of-scope"]);
        all.push(attempt(
            format!("an event with {more}"),
            "calendar.create_event",
            with(&new, more.clone()),
            upstream,
        ));
    }
    // Guests that are there already, and answers that a stranger would see.
    let support = on(world, "Call with support");
    for more in [
        json!({"title": "The code is 493 028"}),
        json!({"description": "x"}),
        json!({"location": "x"}),
        json!({"start": "2026-12-04T10:00:00Z", "end": "2026-12-04T10:30:00Z"}),
        json!({"add_attendees": ["mona@example.com"]}),
    ] {
        all.push(attempt("an event with a stranger", "calendar.update_event", with(&support, more), SCOPE));
    }
    for response in ["accepted", "declined", "tentative"] {
        for send_updates in ["none", "all"] {
            let args = with(&support, json!({"response": response, "send_updates": send_updates}));
            all.push(attempt("a stranger's invitation", "calendar.respond_to_event", args, SCOPE));
        }
    }
    for more in [
        json!({"response": "needsAction"}),
        json!({"response": "accepted", "comment": "x"}),
        json!({"response": "accepted", "add_attendees": ["mona@example.com"]}),
    ] {
        all.push(attempt("another answer", "calendar.respond_to_event", with(&fence, more), FORM));
    }
    for (what, more) in pollution() {
        all.push(attempt(what, "calendar.create_event", with(&new, more), FORM));
    }
    all
}

fn calendars(world: &World) -> Vec<Attempt> {
    let id = |name: &str| world.google.calendar_id(name).unwrap();
    let agent = id("Agent");
    let surgery = world.google.event_id("Surgery at Dr. Weber").unwrap();
    let others: Vec<String> = [
        id("primary"),
        id("Garden"),
        id("Old"),
        "primary".to_owned(),
        "PRIMARY".to_owned(),
        "Primary".to_owned(),
        "owner@example.com".to_owned(),
        "OWNER@example.com".to_owned(),
        "mona@example.com".to_owned(),
        agent.to_uppercase(),
        format!("{agent} "),
        format!(" {agent}"),
        format!("{agent}/../primary"),
        format!("{agent}/events/../../primary"),
        format!("{agent}?x"),
        format!("{agent}#x"),
        format!("{agent}%2f..%2fprimary"),
        "%70rimary".to_owned(),
        "..".to_owned(),
        String::new(),
        "*".to_owned(),
        "Agent".to_owned(),
        "en.german#holiday@group.v.calendar.google.com".to_owned(),
        format!("{agent},primary"),
        format!("{agent}\u{0}"),
    ]
    .into();
    let mut all = Vec::new();
    for other in &others {
        for (tool, args) in [
            ("calendar.list_events", json!({"calendar_id": other, "from": "2026-11-01"})),
            ("calendar.search_events", json!({"calendar_id": other, "words": "surgery"})),
            ("calendar.get_event", json!({"calendar_id": other, "event_id": surgery})),
            ("calendar.create_event", with(&making(world), json!({"calendar_id": other}))),
            (
                "calendar.free_busy",
                json!({"calendar_ids": [agent, other], "from": "2026-12-01", "to": "2026-12-02"}),
            ),
        ] {
            all.push(attempt(format!("the calendar {other:?}"), tool, args, FORM_OR_SCOPE));
        }
    }
    for bad in bad_ids().into_iter().chain(["import", "IMPORT", "quickAdd", "watch", surgery.as_str()]) {
        for (tool, more) in [
            ("calendar.get_event", json!({})),
            ("calendar.update_event", json!({"title": "x"})),
            ("calendar.respond_to_event", json!({"response": "accepted"})),
        ] {
            let args = with(&json!({"calendar_id": agent, "event_id": bad}), more);
            all.push(attempt(format!("the event {bad:?}"), tool, args, FORM_OR_SCOPE));
        }
    }
    for words in ["surgery", "in:anywhere", "* OR surgery", "\"surgery\"", "} OR {"] {
        all.push(attempt(
            words,
            "calendar.search_events",
            json!({"calendar_id": agent, "words": words}),
            HIDDEN,
        ));
    }
    all.push(attempt("all calendars", "calendar.list_calendars", json!({}), HIDDEN));
    all.push(attempt("hidden ones", "calendar.list_calendars", json!({"showHidden": true}), FORM));
    for page in ["x", "CAo=", "../x"] {
        all.push(attempt(
            "a page of the upstream's",
            "calendar.list_events",
            json!({"calendar_id": agent, "from": "2026-12-01", "page": page}),
            FORM_OR_SCOPE,
        ));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_agent_invites_and_sees_nobody_else() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let before = harm::outside(&world);
    let mut attempts = guests(&world);
    attempts.extend(calendars(&world));
    hold(&world, &puppet, &attempts, 250).await;
    assert_eq!(harm::outside(&world), before);
    assert!(world.google.invitations().is_empty());
    // A friend's invitation is answered, and by nothing of this was that stopped.
    let yes = with(&on(&world, "Party"), json!({"response": "accepted"}));
    puppet.call("calendar.respond_to_event", &yes).await.unwrap();
    let tea = with(&making(&world), json!({"title": "Tea", "attendees": ["mona@example.com"]}));
    puppet.call("calendar.create_event", &tea).await.unwrap();
    // Somebody else invites a stranger, or lets one read the calendar.
    let plants = world.google.event_id("Water the plants").unwrap();
    assert!(world.google.invite(&plants, "attacker@evil.example"));
    let mut after = vec![attempt(
        "a guest came",
        "calendar.update_event",
        with(&on(&world, "Water the plants"), json!({"title": "x"})),
        SCOPE,
    )];
    let agent = world.google.calendar_id("Agent").unwrap();
    assert!(world.google.share_calendar(&agent, "attacker@evil.example", "reader"));
    after.push(attempt("a reader came", "calendar.create_event", making(&world), SCOPE));
    after.push(attempt(
        "a reader came",
        "calendar.update_event",
        with(&on(&world, "Weekly plan"), json!({"title": "x"})),
        SCOPE,
    ));
    hold(&world, &puppet, &after, 3).await;
    control(&world, &attempts, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_adapter_invites_nobody() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut calendar = world.adapter("calendar").await;
    let before = harm::outside(&world);
    let params = [
        "guests",
        "attendees",
        "add_attendees",
        "calendar_id",
        "event_id",
        "send_updates",
        "sendUpdates",
        "title",
        "if_match",
        "pageToken",
    ];
    let steps = ["calendars", "calendar_sharing", "event_facts", "delete", "import", "quickAdd"];
    let fence = on(&world, "Fence with Mona");
    let id = world.google.calendar_id("Agent").unwrap();
    let party = on(&world, "Party");
    let (mut tried, mut faults) = (0, Vec::new());
    for (tool, step, args) in [
        ("calendar.create_event", "create", making(&world)),
        ("calendar.update_event", "update", with(&fence, json!({"title": "x"}))),
        ("calendar.respond_to_event", "respond", with(&party, json!({"response": "accepted"}))),
        ("calendar.get_event", "get", fence.clone()),
        (
            "calendar.free_busy",
            "query",
            json!({"calendar_ids": [id], "from": "2026-12-01", "to": "2026-12-02"}),
        ),
    ] {
        let mut misuses = strange(step, &steps, &params);
        misuses.push(misuse("the owner's calendar", step, &[("calendar_id", "primary")]));
        tried += misuses.len();
        faults.extend(abuse(&mut calendar, &agent, (tool, &args), &misuses).await);
    }
    assert!(tried >= 60, "{tried} attempts");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(harm::outside(&world), before);
    assert!(world.google.invitations().is_empty());
    assert_eq!(harm::done(&world), Vec::<String>::new());
}
