//! Calendar's rules: what it refuses, what a change leaves, whom it tells.

use serde_json::{Value, json};
use stand_in_google::{Config, Seed, SeedCalendar, SeedEvent};

use crate::client::{Answer, Google, demo, query, start};

const LIST: &str = "/calendar/v3/users/me/calendarList";

async fn owner() -> (Google, String, String) {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["calendar"]);
    let events = events_of(&google, "Agent");
    (google, token, events)
}

fn events_of(google: &Google, name: &str) -> String {
    format!("/calendar/v3/calendars/{}/events", google.stand_in.calendar_id(name).unwrap())
}

fn titles(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.json()["items"].clone();
    items.as_array().unwrap().iter().map(|item| item["summary"].as_str().unwrap().to_owned()).collect()
}

fn supper(more: Value) -> Value {
    let mut event = json!({
        "summary": "Supper", "start": { "dateTime": "2026-12-10T18:00:00Z" }, "end": { "dateTime": "2026-12-10T20:00:00Z" },
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

impl Google {
    async fn matched(&self, token: &str, method: &str, path: &str, etags: &[&str], body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(etags.iter().map(|etag| ("if-match", *etag)));
        let body = if method == "DELETE" { String::new() } else { body.to_string() };
        self.try_send(method, path, &headers, body).await.unwrap()
    }
}

#[tokio::test]
async fn each_endpoint_refuses_what_it_does_not_know() {
    let (google, token, events) = owner().await;
    let event = google.stand_in.event_id("Fence with Mona").unwrap();
    let acl = events.replace("/events", "/acl");
    for path in [LIST, &events, &format!("{events}/{event}"), &acl] {
        for pair in [
            "unheard=of",
            "q[]=x",
            "key[]=x",
            "calendarId=other",
            "fields=secret",
            "fields=items(secret)",
            "fields=items(",
        ] {
            let answer = google.get(&token, &format!("{path}?{pair}")).await;
            assert_eq!(answer.status, 400, "{path}?{pair}");
        }
        let twice = google.get(&token, &format!("{path}?fields=etag&fields=kind")).await;
        assert_eq!(twice.status, 400, "{path}");
    }
    for (path, pair) in [
        (LIST, "maxResults=0"),
        (LIST, "maxResults=251"),
        (LIST, "pageToken=x"),
        (LIST, "showHidden=yes"),
        (&acl, "maxResults=251"),
        (&acl, "pageToken=x"),
        (&events, "maxResults=0"),
        (&events, "maxResults=2501"),
        (&events, "maxResults=ten"),
        (&events, "pageToken=x"),
        (&events, "singleEvents=1"),
        (&events, "orderBy=colour"),
        // By beginning only where a series is told apart.
        (&events, "orderBy=startTime"),
        (&events, "timeMin=2026-12-01"),
        (&events, "timeMin=2026-12-01T00:00:00"),
        (&events, "timeMin=2026-12-02T00:00:00Z&timeMax=2026-12-01T00:00:00Z"),
    ] {
        assert_eq!(google.get(&token, &format!("{path}?{pair}")).await.status, 400, "{path}?{pair}");
    }
    // Methods that are not there, as far as this stand-in goes.
    for (method, path) in [
        ("PUT", format!("{events}/{event}")),
        ("POST", format!("{events}/{event}")),
        ("DELETE", events.clone()),
        ("POST", LIST.to_owned()),
        ("DELETE", LIST.to_owned()),
        ("POST", acl.clone()),
        ("DELETE", acl.clone()),
        ("GET", "/calendar/v3/freeBusy".to_owned()),
        ("POST", format!("{events}/import")),
        ("POST", format!("{events}/{event}/move")),
        ("POST", format!("{events}/quickAdd")),
        ("POST", "/calendar/v3/channels/stop".to_owned()),
    ] {
        let body = if method == "GET" { None } else { Some(json!({})) };
        assert_eq!(google.call(&token, method, &path, body).await.status, 404, "{method} {path}");
    }
    for id in ["none", "..", "%2e%2e"] {
        let answer = google.get(&token, &format!("{events}/{id}")).await;
        assert!([400, 404].contains(&answer.status), "{id}: {answer:?}");
    }
    assert_eq!(google.get(&token, "/calendar/v3/calendars/nobody@example.com/events").await.status, 404);
}

#[tokio::test]
async fn lists_keep_to_their_window_and_pages_to_their_query() {
    let (google, token, events) = owner().await;
    let all = google.get(&token, &format!("{events}?singleEvents=true&orderBy=startTime")).await;
    assert_eq!(titles(&all), ["Water the plants", "Fence with Mona", "Call with support", "Weekly plan"]);
    // What ends as the window begins, or begins as it ends, is outside of it; what reaches into it is inside.
    for (from, to, expected) in [
        ("2026-12-03T14:00:00Z", "2026-12-04T09:00:00Z", vec![]),
        ("2026-12-03T13:30:00Z", "2026-12-04T09:00:00Z", vec!["Fence with Mona"]),
        ("2026-12-03T14:00:00Z", "2026-12-04T09:00:01Z", vec!["Call with support"]),
        ("2026-12-01T23:00:00Z", "2026-12-01T23:30:00Z", vec!["Water the plants"]),
    ] {
        let window = query(&[("timeMin", from), ("timeMax", to)]);
        assert_eq!(titles(&google.get(&token, &format!("{events}?{window}")).await), expected, "{from} {to}");
    }
    let words = query(&[("q", "fence mona@example.com")]);
    assert_eq!(titles(&google.get(&token, &format!("{events}?{words}")).await), ["Fence with Mona"]);
    let first = google.get(&token, &format!("{events}?maxResults=3")).await.json();
    let next = first["nextPageToken"].as_str().unwrap().to_owned();
    assert!(first.get("nextSyncToken").is_none());
    let second = google.get(&token, &format!("{events}?maxResults=3&pageToken={next}")).await;
    assert_eq!(titles(&second), ["Weekly plan"]);
    assert!(second.json().get("nextPageToken").is_none());
    let other = events_of(&google, "Garden");
    for path in [
        format!("{events}?q=x&pageToken={next}"),
        format!("{other}?pageToken={next}"),
        format!("{LIST}?pageToken={next}"),
    ] {
        assert_eq!(google.get(&token, &path).await.status, 400, "{path}");
    }
    // A hidden calendar is on the list for whoever asks for it, and its events are there for whoever knows it.
    let names = |answer: Answer| titles(&answer);
    assert_eq!(names(google.get(&token, LIST).await), ["owner@example.com", "Agent", "Garden"]);
    assert_eq!(names(google.get(&token, &format!("{LIST}?showHidden=true")).await).len(), 4);
    let page = google.get(&token, &format!("{LIST}?maxResults=2")).await.json();
    let next = page["nextPageToken"].as_str().unwrap();
    assert_eq!(names(google.get(&token, &format!("{LIST}?maxResults=2&pageToken={next}")).await), ["Garden"]);
}

#[tokio::test]
async fn only_the_asked_fields_of_an_event_come() {
    let (google, token, events) = owner().await;
    let event = google.stand_in.event_id("Fence with Mona").unwrap();
    let fields = "id,organizer(email,self),creator(email),eventType,attendees(email)";
    let answer = google.get(&token, &format!("{events}/{event}?fields={fields}")).await.json();
    let calendar = google.stand_in.calendar_id("Agent").unwrap();
    assert_eq!(
        answer,
        json!({
            "id": event, "organizer": { "email": calendar, "self": true }, "creator": { "email": "owner@example.com" },
            "eventType": "default", "attendees": [{ "email": "mona@example.com" }, { "email": "owner@example.com" }],
        })
    );
    let list =
        google.get(&token, &format!("{events}?fields=nextPageToken,items(id)&maxResults=1")).await.json();
    assert_eq!(list.as_object().unwrap().len(), 2, "{list}");
    assert_eq!(list["items"][0].as_object().unwrap().len(), 1);
    for odd in ["organizer(secret)", "attendees(email(x))", "items(id)", "start(zone)"] {
        let answer = google.get(&token, &format!("{events}/{event}?fields={odd}")).await;
        assert_eq!(answer.status, 400, "{odd}");
    }
    // An invitation is by whoever organises it, and `self` is not theirs.
    let review = google.stand_in.event_id("Budget review").unwrap();
    let invited = google.get(&token, &format!("{}/{review}", events_of(&google, "primary"))).await.json();
    assert_eq!(invited["organizer"], json!({ "email": "boss@corp.example" }));
    assert_eq!(invited["creator"], json!({ "email": "boss@corp.example" }));
    assert_eq!(invited["attendees"][1]["self"], true);
}

#[tokio::test]
async fn what_is_no_event_is_not_made() {
    let (google, token, events) = owner().await;
    let many: Vec<Value> = (0..201).map(|n| json!({ "email": format!("g{n}@example.com") })).collect();
    let at = |text: &str| json!({ "dateTime": text });
    for body in [
        json!({}),
        json!({ "summary": "x" }),
        supper(json!({ "start": null })),
        supper(json!({ "end": {} })),
        supper(json!({ "start": { "date": "2026-12-10" } })),
        supper(json!({ "start": { "date": "2026-12-10", "dateTime": "2026-12-10T18:00:00Z" } })),
        supper(json!({ "start": at("2026-12-10T18:00:00") })),
        supper(json!({ "start": at("10 December") })),
        supper(json!({ "start": { "dateTime": "2026-12-10T18:00:00Z", "timeZone": "Europe/Nowhere" } })),
        supper(json!({ "start": { "dateTime": "2026-12-10T18:00:00Z", "zone": "UTC" } })),
        supper(json!({ "start": at("2026-12-10T21:00:00Z") })),
        supper(json!({ "start": "2026-12-10T18:00:00Z" })),
        supper(json!({ "summary": 1 })),
        supper(json!({ "attendees": "mona@example.com" })),
        supper(json!({ "attendees": ["mona@example.com"] })),
        supper(json!({ "attendees": [{ "displayName": "Mona" }] })),
        supper(json!({ "attendees": [{ "email": "mona" }] })),
        supper(json!({ "attendees": [{ "email": "mona@example.com", "role": "owner" }] })),
        supper(json!({ "attendees": many })),
        // What only Google writes, and what is no member at all.
        supper(json!({ "organizer": { "email": "boss@corp.example" } })),
        supper(json!({ "creator": { "email": "boss@corp.example" } })),
        supper(json!({ "unheard": "of" })),
    ] {
        assert_eq!(google.post(&token, &events, body.clone()).await.status, 400, "{body}");
    }
    for pair in [
        "sendUpdates=some",
        "sendUpdates=ALL",
        "sendUpdates=all&sendUpdates=none",
        "unheard=of",
        "fields=secret",
    ] {
        let answer = google.post(&token, &format!("{events}?{pair}"), supper(json!({}))).await;
        assert_eq!(answer.status, 400, "{pair}");
    }
    let form = [("authorization", format!("Bearer {token}"))];
    let headers = [("authorization", form[0].1.as_str()), ("content-type", "text/plain")];
    assert_eq!(
        google.try_send("POST", &events, &headers, supper(json!({})).to_string()).await.unwrap().status,
        400
    );
    assert_eq!(google.stand_in.event_id("Supper"), None);
    assert_eq!(google.stand_in.invitations(), []);
}

#[tokio::test]
async fn a_change_is_of_the_event_that_was_seen() {
    let (google, token, events) = owner().await;
    let made =
        google.post(&token, &events, supper(json!({ "attendees": [{ "email": "mona@example.com" }] }))).await;
    let (id, etag) =
        (made.json()["id"].as_str().unwrap().to_owned(), made.json()["etag"].as_str().unwrap().to_owned());
    assert_eq!(made.header("etag"), etag);
    let path = format!("{events}/{id}");
    let title = json!({ "summary": "Breakfast" });
    for etags in [&["\"0\""][..], &[""], &["*x"], &[&etag, "\"0\""], &["W/\"1\""]] {
        for method in ["PATCH", "DELETE"] {
            let refused = google.matched(&token, method, &path, etags, title.clone()).await;
            assert_eq!(refused.status, 412, "{method} {etags:?}");
        }
    }
    assert_eq!(google.stand_in.event(&id).unwrap()["summary"], "Supper");
    // A patch changes what it names and nothing else; but a list is one value, and null takes away.
    let changed = google.matched(&token, "PATCH", &path, &[&etag], title).await.json();
    assert_eq!((&changed["summary"], &changed["start"]), (&json!("Breakfast"), &made.json()["start"]));
    assert_eq!(changed["attendees"][0]["email"], "mona@example.com");
    assert_ne!(changed["etag"], etag.as_str());
    // The tag that was good is good no longer.
    let stale = google.matched(&token, "PATCH", &path, &[&etag], json!({ "summary": "Lunch" })).await;
    assert_eq!(stale.status, 412);
    let day = json!({ "start": { "date": "2026-12-11", "dateTime": null }, "end": { "date": "2026-12-12", "dateTime": null } });
    assert_eq!(
        google.call(&token, "PATCH", &path, Some(json!({ "start": { "date": "2026-12-11" } }))).await.status,
        400
    );
    let whole = google.call(&token, "PATCH", &path, Some(day)).await.json();
    assert_eq!(whole["start"], json!({ "date": "2026-12-11" }));
    let other = json!({ "attendees": [{ "email": "theo@example.com" }], "description": null });
    let other = google.call(&token, "PATCH", &path, Some(other)).await.json();
    let guests: Vec<&Value> =
        other["attendees"].as_array().unwrap().iter().map(|guest| &guest["email"]).collect();
    assert_eq!(guests, ["theo@example.com"], "who is not named is no longer a guest");
    assert_eq!(google.matched(&token, "DELETE", &path, &["*"], json!({})).await.status, 204);
    for method in ["GET", "PATCH", "DELETE"] {
        let body = (method != "GET").then(|| json!({}));
        assert_eq!(google.call(&token, method, &path, body).await.status, 410, "{method}");
    }
}

#[tokio::test]
async fn guests_are_told_only_if_that_is_asked() {
    let (google, token, events) = owner().await;
    let guests = |guests: &[&str]| {
        let guests: Vec<Value> = guests.iter().map(|guest| json!({ "email": guest })).collect();
        json!({ "attendees": guests })
    };
    let told = || -> Vec<(String, &'static str)> {
        google.stand_in.invitations().into_iter().map(|mail| (mail.to, mail.about)).collect()
    };
    let first = supper(guests(&["mona@example.com", "owner@example.com"]));
    for silent in [events.clone(), format!("{events}?sendUpdates=none")] {
        google.post(&token, &silent, first.clone()).await;
    }
    assert_eq!(told(), []);
    let made = google.post(&token, &format!("{events}?sendUpdates=all"), first).await.json();
    assert_eq!(told(), [("mona@example.com".to_owned(), "invited")], "the owner is not told");
    let path = format!("{events}/{}", made["id"].as_str().unwrap());
    let other = guests(&["theo@example.com", "owner@example.com"]);
    google.call(&token, "PATCH", &format!("{path}?sendUpdates=externalOnly"), Some(other)).await;
    google.call(&token, "DELETE", &format!("{path}?sendUpdates=all"), None).await;
    let expected = [
        ("mona@example.com", "invited"),
        ("theo@example.com", "invited"),
        ("mona@example.com", "cancelled"),
        ("theo@example.com", "cancelled"),
    ];
    assert_eq!(told(), expected.map(|(to, about)| (to.to_owned(), about)));
}

#[tokio::test]
async fn a_calendars_role_says_what_one_may_do_there() {
    let seed = Seed {
        calendars: ["owner", "writer", "reader", "freeBusyReader"]
            .map(|role| SeedCalendar::new(role, role))
            .into_iter()
            .collect(),
        events: ["owner", "writer", "reader", "freeBusyReader"]
            .map(|role| {
                SeedEvent::new(role, &format!("of {role}"), "2026-12-01", "2026-12-02")
                    .with(&["mona@example.com"])
            })
            .into_iter()
            .collect(),
        ..Seed::demo()
    };
    let seed = Seed { events: seed.events, calendars: seed.calendars, ..Seed::default() };
    let google = start(Config { seed, ..Config::default() }).await;
    let token = google.stand_in.direct_token(&["calendar"]);
    for (role, acl, write) in
        [("owner", 200, 200), ("writer", 403, 200), ("reader", 403, 403), ("freeBusyReader", 403, 403)]
    {
        let events = events_of(&google, role);
        assert_eq!(google.get(&token, &events.replace("/events", "/acl")).await.status, acl, "{role}");
        assert_eq!(google.post(&token, &events, supper(json!({}))).await.status, write, "{role}");
        let id = google.stand_in.event_id(&format!("of {role}")).unwrap();
        let path = format!("{events}/{id}");
        let title = json!({ "summary": format!("of {role}") });
        assert_eq!(google.call(&token, "PATCH", &path, Some(title)).await.status, write, "{role}");
        // Who sees only when somebody is busy sees neither title nor guests.
        let told = google.get(&token, &path).await.json();
        assert_eq!(told.get("summary").is_some(), role != "freeBusyReader", "{told}");
        assert_eq!(told.get("attendees").is_some(), role != "freeBusyReader", "{told}");
    }
    let acl = events_of(&google, "owner").replace("/events", "/acl");
    let calendar = google.stand_in.calendar_id("owner").unwrap();
    assert!(google.stand_in.share_calendar(&calendar, "default", "reader"));
    assert!(google.stand_in.share_calendar(&calendar, "example.org", "writer"));
    let rules = google.get(&token, &format!("{acl}?fields=items(role,scope),nextPageToken")).await.json();
    assert_eq!(
        rules["items"],
        json!([
            { "role": "owner", "scope": { "type": "user", "value": "owner@example.com" } },
            { "role": "owner", "scope": { "type": "user", "value": calendar } },
            { "role": "reader", "scope": { "type": "default" } },
            { "role": "writer", "scope": { "type": "domain", "value": "example.org" } },
        ])
    );
}

#[tokio::test]
async fn each_scope_opens_its_own_doors() {
    let (google, _, events) = owner().await;
    let garden = events_of(&google, "Garden");
    let (acl, event) =
        (events.replace("/events", "/acl"), google.stand_in.event_id("Fence with Mona").unwrap());
    let busy = json!({ "timeMin": "2026-12-01T00:00:00Z", "timeMax": "2026-12-02T00:00:00Z", "items": [] });
    for (scope, list, read, others, write, share, free) in [
        ("calendar", 200, 200, 200, 200, 200, 200),
        ("calendar.readonly", 200, 200, 200, 403, 403, 200),
        ("calendar.events", 403, 200, 200, 200, 403, 403),
        ("calendar.events.readonly", 403, 200, 200, 403, 403, 403),
        // What is not the owner's own is not there at all.
        ("calendar.events.owned", 403, 200, 200, 200, 403, 403),
        ("calendar.events.owned.readonly", 403, 200, 404, 403, 403, 403),
        ("calendar.calendarlist.readonly", 200, 403, 403, 403, 403, 403),
        ("calendar.acls.readonly", 403, 403, 403, 403, 200, 403),
        ("calendar.freebusy", 403, 403, 403, 403, 403, 200),
        ("gmail.modify", 403, 403, 403, 403, 403, 403),
    ] {
        let token = google.stand_in.direct_token(&[scope]);
        assert_eq!(google.get(&token, LIST).await.status, list, "{scope}");
        assert_eq!(google.get(&token, &events).await.status, read, "{scope}");
        assert_eq!(google.get(&token, &garden).await.status, others, "{scope}");
        let title = json!({ "summary": "Fence with Mona" });
        let path = format!("{events}/{event}");
        assert_eq!(google.call(&token, "PATCH", &path, Some(title)).await.status, write, "{scope}");
        assert_eq!(google.get(&token, &acl).await.status, share, "{scope}");
        assert_eq!(google.post(&token, "/calendar/v3/freeBusy", busy.clone()).await.status, free, "{scope}");
    }
    assert_eq!(google.get("none", LIST).await.status, 401);
}

#[tokio::test]
async fn busy_times_tell_nothing_but_times() {
    let (google, token, _) = owner().await;
    let ask = |from: &str, to: &str, items: Value| json!({ "timeMin": from, "timeMax": to, "items": items });
    let agent = google.stand_in.calendar_id("Agent").unwrap();
    for body in [
        json!({}),
        ask("2026-12-03", "2026-12-04", json!([])),
        ask("2026-12-04T00:00:00Z", "2026-12-03T00:00:00Z", json!([])),
        ask("2026-12-03T00:00:00Z", "2026-12-04T00:00:00Z", json!(agent)),
        ask("2026-12-03T00:00:00Z", "2026-12-04T00:00:00Z", json!([agent])),
        json!({ "timeMin": "2026-12-03T00:00:00Z", "timeMax": "2026-12-04T00:00:00Z", "items": [], "unheard": "of" }),
    ] {
        assert_eq!(google.post(&token, "/calendar/v3/freeBusy", body.clone()).await.status, 400, "{body}");
    }
    let items = json!([{ "id": agent }, { "id": "nobody@example.com" }]);
    let told = google
        .post(&token, "/calendar/v3/freeBusy", ask("2026-12-03T13:30:00Z", "2026-12-04T00:00:00Z", items))
        .await
        .json();
    let busy = json!([{ "start": "2026-12-03T13:30:00.000Z", "end": "2026-12-03T14:00:00.000Z" }]);
    assert_eq!(told["calendars"][&agent], json!({ "busy": busy }));
    assert_eq!(told["calendars"]["nobody@example.com"]["errors"][0]["reason"], "notFound");
    assert!(!told.to_string().contains("Fence"));
    let query = google.post(&token, "/calendar/v3/freeBusy?unheard=of", json!({})).await;
    assert_eq!(query.status, 400);
}
