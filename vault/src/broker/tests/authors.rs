//! Whose words do not taint, as the built-in catalog has it: threads, attachments, drafts, files, events; and each way to
//! make a stranger's words pass for a trusted person's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use claviger_domain::event::{Ending, Kind};
use serde_json::{Value, json};

use super::upstream::{Seen, json as answer};
use super::world::{ADMIN, World, adapter, agent, oauth, secret, within};
use crate::broker::view::Minted;
use crate::port::Answer;

const GOOD: &str = "mx.google.com; dmarc=pass (p=REJECT) header.from=family.example";
const CALENDAR: &str = "c_1@group.calendar.google.com";

/// What is upstream, by the path below `/v1/users/me/`, `/v3/files/` or `/v3/calendars/`.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// With an agent that reads nothing outside the vault, and an owner who trusts a family and herself.
async fn world(tools: &[&str]) -> (World, Objects) {
    let world = World::empty().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    for (name, uid) in [("gmail", 3001), ("drive", 3002), ("calendar", 3003)] {
        world.broker.add_adapter(ADMIN, adapter(name), Some(uid), None).await.unwrap();
        let name = secret(&format!("{name}/me"));
        world.broker.add_secret(ADMIN, name.clone(), oauth("refresh-0")).await.unwrap();
        let patterns = vec!["*@family.example".to_owned(), "me@example.org".to_owned()];
        world.broker.trust_authors(ADMIN, &name, patterns).await.unwrap();
    }
    world.grant(tools, vec![]).await;
    let objects = Objects::default();
    let (known, google) = (Arc::clone(&objects), super::google::serve(&world.google));
    world.upstream.answer_with(move |seen: &Seen| {
        let path = seen.target.split('?').next().unwrap();
        let rest = ["/gmail/v1/users/me/", "/drive/v3/files/", "/drive/v3/", "/calendar/v3/calendars/"]
            .iter()
            .find_map(|prefix| path.trim_start_matches("/upload").strip_prefix(prefix));
        let Some(rest) = rest else { return google(seen) };
        let rest = rest.replace("%40", "@");
        match (seen.method.as_str(), known.lock().unwrap().get(&rest)) {
            ("GET", _) if seen.target.contains("alt=media") || path.ends_with("/export") => {
                Ok(Answer { status: 200, headers: Vec::new(), body: "Dear all, see you".into() })
            }
            ("GET", Some(Value::Number(status))) => {
                answer(u16::try_from(status.as_u64().unwrap()).unwrap(), &json!({}))
            }
            ("GET", Some(object)) => answer(200, object),
            ("GET", None) => answer(404, &json!({})),
            ("DELETE", _) => Ok(Answer { status: 204, headers: Vec::new(), body: "".into() }),
            _ => {
                answer(200, &json!({ "id": "new", "parents": ["in"], "threadId": "t", "labelIds": ["SENT"] }))
            }
        }
    });
    (world, objects)
}

fn put(objects: &Objects, path: &str, object: Value) {
    objects.lock().unwrap().insert(path.to_owned(), object);
}

fn tainted(world: &World) -> bool {
    world.broker.is_tainted(&agent("ann"))
}

/// Whether a step taints; afterwards the agent has read nothing.
async fn taints(world: &World, minted: &Minted, step: &str, params: &[(&str, &str)]) -> bool {
    world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
    world.send(minted, step, params).await.unwrap();
    let tainted = tainted(world);
    world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
    tainted
}

/// The same of the first step of a call.
async fn call_taints(world: &World, tool: &str, args: Value) -> bool {
    world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
    world.call(tool, args).await.unwrap();
    let tainted = tainted(world);
    world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
    tainted
}

fn mail(id: &str, from: &str, verdict: Option<&str>) -> Value {
    let mut headers = vec![json!({ "name": "From", "value": from })];
    headers.extend(verdict.map(|verdict| json!({ "name": "Authentication-Results", "value": verdict })));
    json!({ "id": id, "threadId": "t", "labelIds": ["INBOX"], "snippet": "See you on Sunday",
        "internalDate": "1767225600000", "payload": { "headers": headers, "parts": [
            { "partId": "1", "filename": "a.txt", "body": { "attachmentId": "a1", "size": 3 } },
        ] } })
}

fn friends(id: &str) -> Value {
    mail(id, "Mum <mum@family.example>", Some(GOOD))
}

/// Mails that no receiver vouches for as a trusted person's.
fn strangers() -> Vec<Value> {
    vec![
        mail("m", "Mum <mum@family.example>", None),
        mail("m", "x@evil.example", Some("mx.google.com; dmarc=pass header.from=evil.example")),
        mail("m", "mum@family.example", Some("mx.google.com; dmarc=fail header.from=family.example")),
        mail("m", "mum@famiIy.example", Some("mx.google.com; dmarc=pass header.from=famiIy.example")),
        mail(
            "m",
            "mum@family.example.evil.example",
            Some("mx.google.com; dmarc=pass header.from=family.example.evil.example"),
        ),
        mail("m", "Family: mum@family.example;", Some(GOOD)),
        mail("m", "mum@family.example, x@evil.example", Some(GOOD)),
        // What the owner sent: it may quote anybody, and nobody received it.
        mail("m", "me@example.org", None),
    ]
}

#[tokio::test]
async fn a_thread_is_trusted_if_each_of_its_mails_is() {
    let (world, objects) = world(&["gmail.get_thread"]).await;
    put(&objects, "messages/m0", friends("m0"));
    let read = json!({ "thread_id": "t" });
    put(&objects, "threads/t", json!({ "id": "t", "messages": [friends("m0"), friends("m")] }));
    put(&objects, "messages/m", friends("m"));
    let minted = world.mint("gmail.get_thread", read.clone()).await.unwrap();
    assert!(!taints(&world, &minted, "thread", &[]).await);
    assert!(!taints(&world, &minted, "message", &[("message_id", "m0")]).await);
    assert!(!taints(&world, &minted, "message", &[("message_id", "m")]).await);
    for stranger in strangers() {
        put(&objects, "threads/t", json!({ "id": "t", "messages": [friends("m0"), stranger] }));
        put(&objects, "messages/m", stranger.clone());
        let minted = world.mint("gmail.get_thread", read.clone()).await.unwrap();
        assert!(taints(&world, &minted, "thread", &[]).await, "{stranger}");
        assert!(taints(&world, &minted, "message", &[("message_id", "m")]).await, "{stranger}");
        assert!(!taints(&world, &minted, "message", &[("message_id", "m0")]).await, "{stranger}");
    }
    // A list that was cut short, or says more than mails, is not known.
    for odd in
        [json!({ "id": "t", "messages": {} }), json!({ "id": "by a stranger", "messages": [friends("m")] })]
    {
        put(&objects, "threads/t", odd.clone());
        let minted = world.mint("gmail.get_thread", read.clone()).await.unwrap();
        assert!(taints(&world, &minted, "thread", &[]).await, "{odd}");
    }
    world.all_announced();
}

#[tokio::test]
async fn an_attachment_is_by_whoever_sent_the_mail_that_carries_it() {
    let (world, objects) = world(&["gmail.get_attachment"]).await;
    put(&objects, "messages/m/attachments/a1", json!({ "size": 3, "data": "YWJj" }));
    let args = json!({ "message_id": "m", "part": "1" });
    for (carrier, by_stranger) in
        std::iter::once((friends("m"), false)).chain(strangers().into_iter().map(|mail| (mail, true)))
    {
        put(&objects, "messages/m", carrier.clone());
        let minted = world.mint("gmail.get_attachment", args.clone()).await.unwrap();
        assert_eq!(taints(&world, &minted, "message", &[]).await, by_stranger, "{carrier}");
        let attachment = taints(&world, &minted, "attachment", &[("attachment_id", "a1")]).await;
        assert_eq!(attachment, by_stranger, "{carrier}");
    }
    // Where nobody says who sent it, a stranger did.
    put(&objects, "messages/m", friends("m"));
    let minted = world.mint("gmail.get_attachment", args).await.unwrap();
    world.send(&minted, "message", &[]).await.unwrap();
    for gone in [json!(404), json!(500), json!({})] {
        put(&objects, "messages/m", gone.clone());
        let spent =
            world.mint("gmail.get_attachment", json!({ "message_id": "m", "part": "1" })).await.unwrap();
        drop(spent);
        world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
        if world.send(&minted, "attachment", &[("attachment_id", "a1")]).await.is_ok() {
            assert!(tainted(&world), "{gone}");
        }
    }
    world.all_announced();
}

#[tokio::test]
async fn a_drafts_text_is_nobodys_that_anybody_vouches_for() {
    let (world, objects) = world(&["gmail.list_drafts", "gmail.get_draft", "gmail.send_draft"]).await;
    put(&objects, "drafts", json!({ "drafts": [{ "id": "d", "message": { "id": "m", "threadId": "t" } }] }));
    put(&objects, "drafts/d", json!({ "id": "d", "message": friends("m") }));
    let minted = world.mint("gmail.list_drafts", json!({})).await.unwrap();
    assert!(!taints(&world, &minted, "list", &[]).await, "ids are nobody's words");
    assert!(taints(&world, &minted, "summary", &[("draft_id", "d")]).await);
    assert!(call_taints(&world, "gmail.get_draft", json!({ "draft_id": "d" })).await);
    put(&objects, "drafts", json!({ "drafts": [{ "id": "d", "message": { "snippet": "do as I say" } }] }));
    let minted = world.mint("gmail.list_drafts", json!({})).await.unwrap();
    assert!(taints(&world, &minted, "list", &[]).await);
}

fn by(email: &str) -> Value {
    json!({ "role": "writer", "type": "user", "emailAddress": email })
}

fn file(id: &str) -> Value {
    json!({
        "id": id, "name": "a plan", "mimeType": "text/plain", "parents": ["in"], "shared": false, "trashed": false,
        "modifiedTime": "2026-01-02T03:04:05.000Z", "owners": [{ "emailAddress": "me@example.org" }],
        "permissions": [{ "role": "owner", "type": "user", "emailAddress": "me@example.org" }, by("mum@family.example")],
        "lastModifyingUser": { "emailAddress": "mum@family.example" },
    })
}

/// Files with somebody among their authors who is not known.
fn strange_files() -> Vec<Value> {
    let with = |name: &str, value: Value| {
        let mut file = file("f");
        match name {
            "permissions" => file["permissions"].as_array_mut().unwrap().push(value),
            _ => file[name] = value,
        }
        file
    };
    let without = |name: &str| {
        let mut file = file("f");
        file.as_object_mut().unwrap().remove(name);
        file
    };
    vec![
        with("permissions", by("x@evil.example")),
        with("permissions", by("mum@famiIy.example")),
        with("permissions", json!({ "role": "writer", "type": "anyone" })),
        with("permissions", json!({ "role": "commenter", "type": "anyone" })),
        with(
            "permissions",
            json!({ "role": "writer", "type": "group", "emailAddress": "all@family.example" }),
        ),
        with("permissions", json!({ "role": "writer", "type": "domain", "domain": "family.example" })),
        with("permissions", json!({ "role": "writer", "type": "user" })),
        with("lastModifyingUser", json!({ "emailAddress": "x@evil.example" })),
        with("lastModifyingUser", json!({ "displayName": "mum@family.example" })),
        // A shared drive's file, or one that the owner may not share, says neither.
        without("permissions"),
        without("lastModifyingUser"),
    ]
}

#[tokio::test]
async fn a_file_is_trusted_if_all_who_may_write_into_it_are() {
    let tools = [
        "drive.search_files",
        "drive.list_folder",
        "drive.get_file_metadata",
        "drive.read_file",
        "drive.list_permissions",
    ];
    let (world, objects) = world(&tools).await;
    let all = std::iter::once((file("f"), false)).chain(strange_files().into_iter().map(|file| (file, true)));
    for (file, strange) in all {
        put(&objects, "f", file.clone());
        put(&objects, "files", json!({ "files": [self::file("g"), file], "nextPageToken": "~!!~token" }));
        for (tool, args) in [("search_files", json!({})), ("list_folder", json!({ "folder_id": "in" }))] {
            let tool = format!("drive.{tool}");
            assert_eq!(call_taints(&world, &tool, args.clone()).await, strange, "{tool} {file}");
            let told = world.call(&tool, args).await.unwrap();
            let told: Value = serde_json::from_slice(&told.body).unwrap();
            assert_eq!(told["files"][1]["name"], "a plan");
            assert!(
                !told.to_string().contains("permissions") && !told.to_string().contains("lastMod"),
                "{told}"
            );
        }
        let args = json!({ "file_id": "f" });
        assert_eq!(call_taints(&world, "drive.get_file_metadata", args.clone()).await, strange, "{file}");
        let told = world.call("drive.get_file_metadata", args.clone()).await.unwrap();
        let told = String::from_utf8(told.body.to_vec()).unwrap();
        assert!(
            !told.contains("permissions") && !told.contains("lastMod") && told.contains("a plan"),
            "{told}"
        );
        for step in ["metadata", "content", "export_text", "export_markdown", "export_csv"] {
            let minted = world.mint("drive.read_file", args.clone()).await.unwrap();
            assert_eq!(taints(&world, &minted, step, &[]).await, strange, "{step} {file}");
        }
    }
    // Another's word beside the list, and a list of none.
    put(&objects, "files", json!({ "files": [file("f")], "nextPageToken": "do as I say" }));
    assert!(call_taints(&world, "drive.search_files", json!({})).await);
    put(&objects, "files", json!({ "files": [] }));
    assert!(!call_taints(&world, "drive.search_files", json!({})).await);
    // Who may edit cannot be asked.
    put(&objects, "f", json!(403));
    let minted = world.mint("drive.read_file", json!({ "file_id": "f" })).await.unwrap();
    assert!(taints(&world, &minted, "content", &[]).await);
    // Each question has its own record, with what became of it.
    let mut asked = 0;
    for (_, event, _) in world.audit.events(Kind::Outcome) {
        if event.step.as_deref() == Some("probe file_authors") {
            let answered = event.status == Some(200);
            assert_eq!(event.ending, Some(if answered { Ending::Released } else { Ending::Withheld }));
            asked += usize::from(!answered);
        }
    }
    assert_eq!(asked, 1);
    world.all_announced();
}

#[tokio::test]
async fn a_list_of_who_sees_a_file_is_by_all_on_it() {
    let (world, objects) = world(&["drive.list_permissions"]).await;
    let owner = json!({ "id": "1", "role": "owner", "type": "user", "emailAddress": "me@example.org", "displayName": "Me" });
    let reader = |email: &str| json!({ "id": "2", "role": "reader", "type": "user", "emailAddress": email, "displayName": "do this" });
    for (list, strange) in [
        (json!({ "permissions": [owner, reader("mum@family.example")] }), false),
        (json!({ "permissions": [owner, reader("x@evil.example")] }), true),
        (json!({ "permissions": [owner, { "id": "a", "role": "reader", "type": "anyone" }] }), true),
        // The rest of the list is not known.
        (json!({ "permissions": [owner], "nextPageToken": "more" }), true),
        (json!({ "permissions": [] }), true),
    ] {
        put(&objects, "f/permissions", list.clone());
        let args = json!({ "file_id": "f" });
        assert_eq!(call_taints(&world, "drive.list_permissions", args.clone()).await, strange, "{list}");
        let told = world.call("drive.list_permissions", args).await.unwrap();
        assert!(!String::from_utf8_lossy(&told.body).contains("nextPage"));
    }
}

/// What is dropped was not read, and so says nothing: neither of itself nor of its authors.
#[tokio::test]
async fn what_is_out_of_scope_taints_nobody() {
    let (world, objects) = world(&["drive.read_file"]).await;
    world.grant(&["drive.list_folder"], vec![within("file", &["f"])]).await;
    let mut strange = strange_files().remove(0);
    strange["id"] = json!("x");
    put(&objects, "files", json!({ "files": [strange, file("f")] }));
    assert!(!call_taints(&world, "drive.list_folder", json!({ "folder_id": "in" })).await);
    strange["id"] = json!("f");
    put(&objects, "files", json!({ "files": [strange] }));
    assert!(call_taints(&world, "drive.list_folder", json!({ "folder_id": "in" })).await);
}

fn event() -> Value {
    json!({
        "id": "e", "status": "confirmed", "eventType": "default", "summary": "Supper", "etag": "\"1\"",
        "start": { "dateTime": "2026-01-20T18:00:00Z" }, "end": { "dateTime": "2026-01-20T20:00:00Z" },
        "organizer": { "email": CALENDAR, "self": true }, "creator": { "email": "me@example.org" },
        "attendees": [{ "email": "me@example.org", "self": true }, { "email": "mum@family.example", "displayName": "Mum" }],
    })
}

fn rule(role: &str, kind: &str, value: &str) -> Value {
    json!({ "role": role, "scope": { "type": kind, "value": value } })
}

#[tokio::test]
async fn an_event_is_trusted_if_its_people_and_its_calendars_writers_are() {
    let (world, objects) =
        world(&["calendar.list_events", "calendar.search_events", "calendar.get_event"]).await;
    let calls = [
        ("calendar.list_events", json!({ "calendar_id": CALENDAR, "from": "2026-01-01" })),
        ("calendar.search_events", json!({ "calendar_id": CALENDAR, "words": "supper" })),
        ("calendar.get_event", json!({ "calendar_id": CALENDAR, "event_id": "e" })),
    ];
    let (events, one, acl) =
        (format!("{CALENDAR}/events"), format!("{CALENDAR}/events/e"), format!("{CALENDAR}/acl"));
    let rules = json!([
        rule("owner", "user", "me@example.org"),
        rule("owner", "user", CALENDAR),
        rule("reader", "default", "")
    ]);
    let changed = |change: Value| {
        let mut event = event();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(event.as_object_mut().unwrap().remove(name)),
                value => event[name] = value.clone(),
            }
        }
        event
    };
    let guest = |guest: Value| changed(json!({ "attendees": [{ "email": "me@example.org" }, guest] }));
    for (event, strange) in [
        (event(), false),
        (changed(json!({ "attendees": null })), false),
        (changed(json!({ "organizer": { "email": "mum@family.example" } })), false),
        (changed(json!({ "guestsCanModify": false, "guestsCanSeeOtherGuests": true })), false),
        (changed(json!({ "organizer": { "email": "x@evil.example" } })), true),
        (changed(json!({ "organizer": { "displayName": "Mum" } })), true),
        (changed(json!({ "organizer": null })), true),
        // Another calendar than the one that was read is nobody whom the rules below tell.
        (changed(json!({ "organizer": { "email": "c_2@group.calendar.google.com" } })), true),
        (changed(json!({ "creator": { "email": "x@evil.example" } })), true),
        (changed(json!({ "creator": null })), true),
        (guest(json!({ "email": "x@evil.example" })), true),
        (guest(json!({ "displayName": "mum@family.example" })), true),
        (guest(json!({ "email": "mum@famiIy.example" })), true),
        (guest(json!({ "email": "" })), true),
        (changed(json!({ "attendees": "mum@family.example" })), true),
        (changed(json!({ "attendeesOmitted": true })), true),
        (changed(json!({ "guestsCanModify": true })), true),
        (changed(json!({ "guestsCanSeeOtherGuests": false })), true),
        (changed(json!({ "anyoneCanAddSelf": true })), true),
        (changed(json!({ "privateCopy": true })), true),
        // Google makes events out of strangers' mails.
        (changed(json!({ "eventType": "fromGmail" })), true),
        (changed(json!({ "eventType": null })), true),
    ] {
        put(&objects, &acl, json!({ "items": rules }));
        put(&objects, &one, event.clone());
        put(&objects, &events, json!({ "items": [self::event(), event] }));
        for (tool, args) in &calls {
            assert_eq!(call_taints(&world, tool, args.clone()).await, strange, "{tool} {event}");
            let told = world.call(tool, args.clone()).await.unwrap();
            let told = String::from_utf8(told.body.to_vec()).unwrap();
            assert!(
                !told.contains("eventType") && !told.contains("creator") && told.contains("Supper"),
                "{told}"
            );
        }
    }
    put(&objects, &one, event());
    put(&objects, &events, json!({ "items": [event()] }));
    let with = |rule: Value| {
        let mut rules = rules.clone();
        rules.as_array_mut().unwrap().push(rule);
        json!({ "items": rules })
    };
    for (sharing, strange) in [
        (with(rule("writer", "user", "mum@family.example")), false),
        (with(rule("reader", "user", "x@evil.example")), false),
        (with(rule("writer", "user", "x@evil.example")), true),
        (with(rule("owner", "user", "c_2@group.calendar.google.com")), true),
        (with(rule("writer", "group", "all@family.example")), true),
        (with(rule("writer", "domain", "family.example")), true),
        (with(rule("writer", "default", "")), true),
        (json!({ "items": rules, "nextPageToken": "more" }), true),
        (json!({ "items": [] }), true),
        // Only owners may ask.
        (json!(403), true),
        (json!(404), true),
    ] {
        put(&objects, &acl, sharing.clone());
        for (tool, args) in &calls {
            assert_eq!(call_taints(&world, tool, args.clone()).await, strange, "{tool} {sharing}");
        }
    }
    world.all_announced();
}

/// Nobody is asked where the answer itself names a stranger: a request less, and nothing to be learned from it.
#[tokio::test]
async fn what_the_answer_tells_is_looked_at_first() {
    let (world, objects) = world(&["calendar.get_event"]).await;
    let mut stranger = event();
    stranger["organizer"] = json!({ "email": "x@evil.example" });
    put(&objects, &format!("{CALENDAR}/events/e"), stranger);
    assert!(
        call_taints(&world, "calendar.get_event", json!({ "calendar_id": CALENDAR, "event_id": "e" })).await
    );
    assert!(!world.upstream.calls().iter().any(|seen| seen.target.contains("/acl")));
}

/// An agent that is always tainted is not worth a request.
#[tokio::test]
async fn who_is_always_tainted_causes_no_question() {
    let (world, objects) = world(&["drive.read_file"]).await;
    world.broker.add_agent(ADMIN, agent("open"), Some(2009), false, false).await.unwrap();
    world.try_grant("open", &["drive.read_file"], vec![]).await.unwrap();
    put(&objects, "f", file("f"));
    let mut nonce = [0; 12];
    crate::port::Entropy::fill(&*world.entropy, &mut nonce);
    let args = json!({ "file_id": "f" });
    let (text, bytes) = world.present_as("open", "drive.read_file", &args, |claim| claim.nonce = nonce);
    let minted = world.broker.mint(&adapter("drive"), &text, &bytes).await.unwrap();
    let before = world.upstream.calls().len();
    world.send(&minted, "content", &[]).await.unwrap();
    assert_eq!(world.upstream.calls().len(), before + 1);
    assert!(world.broker.is_tainted(&agent("open")));
}

/// What carries a stranger's words to where they would pass for the owner's counts as reading them.
#[tokio::test]
async fn words_are_not_laundered_by_a_copy_a_move_or_an_editors_leave() {
    let tools = ["copy_file", "move_file", "rename_file", "update_file", "unshare_file"];
    let names: Vec<String> = tools.iter().map(|tool| format!("drive.{tool}")).collect();
    let (world, objects) = world(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    put(&objects, "in", json!({ "id": "in", "name": "in", "shared": false, "permissions": [] }));
    put(&objects, "out", json!({ "id": "out", "name": "out", "shared": false, "permissions": [] }));
    for (file, strange) in
        std::iter::once((file("f"), false)).chain(strange_files().into_iter().map(|file| (file, true)))
    {
        put(&objects, "f", file.clone());
        for (tool, args) in [
            ("drive.copy_file", json!({ "file_id": "f", "folder_id": "in", "name": "mine" })),
            ("drive.move_file", json!({ "file_id": "f", "from_folder_id": "in", "folder_id": "out" })),
            ("drive.rename_file", json!({ "file_id": "f", "name": "mine" })),
            ("drive.update_file", json!({ "file_id": "f", "content": "mine" })),
            ("drive.unshare_file", json!({ "file_id": "f", "permission_id": "2" })),
        ] {
            assert_eq!(call_taints(&world, tool, args).await, strange, "{tool} {file}");
            // It was asked before anything was done: afterwards a stranger may no longer stand there.
            let calls = world.upstream.calls();
            let change = calls.iter().rposition(|seen| seen.method != "GET").unwrap();
            let asked = calls.iter().rposition(|seen| seen.target.contains("lastModifyingUser")).unwrap();
            assert!(asked < change, "{tool}");
        }
    }
    // Whatever comes of the request, the mark is there.
    put(&objects, "f", strange_files().remove(0));
    let before = world.upstream.calls().len();
    world.store.fail("agent/ann", crate::port::Commit::Full, false);
    let refused =
        world.call("drive.copy_file", json!({ "file_id": "f", "folder_id": "in", "name": "mine" })).await;
    assert!(refused.is_err());
    assert!(
        world.upstream.calls()[before..].iter().all(|seen| seen.method == "GET"),
        "without a mark nothing is done"
    );
    world.all_announced();
}

#[tokio::test]
async fn words_are_not_laundered_by_the_owners_own_mail() {
    let tools = [
        "gmail.forward",
        "gmail.forward_whole",
        "gmail.reply",
        "gmail.reply_all",
        "gmail.send_message",
        "gmail.send_draft",
    ];
    let (world, objects) = world(&tools).await;
    let letter = |mut mail: Value| {
        let headers = mail["payload"]["headers"].as_array_mut().unwrap();
        for (name, value) in
            [("To", "me@example.org"), ("Subject", "Sunday"), ("Message-ID", "<1@family.example>")]
        {
            headers.push(json!({ "name": name, "value": value }));
        }
        mail["payload"]["mimeType"] = json!("text/plain");
        mail["payload"]["parts"] = json!([]);
        mail["payload"]["body"] = json!({ "size": 2, "data": "SGk" });
        mail["raw"] = json!("RnJvbTogYUBiLmMKClg");
        mail
    };
    let calls = |tool: &str| match tool {
        "gmail.forward" | "gmail.forward_whole" => {
            json!({ "message_id": "m", "to": ["me@example.org"], "body": "see" })
        }
        _ => json!({ "message_id": "m", "body": "yes" }),
    };
    for tool in &tools[..4] {
        put(&objects, "messages/m", letter(friends("m")));
        assert!(!call_taints(&world, tool, calls(tool)).await, "{tool}");
        for stranger in strangers() {
            put(&objects, "messages/m", letter(stranger.clone()));
            // An original whose people cannot be read is not answered at all.
            world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
            if world.call(tool, calls(tool)).await.is_ok() {
                assert!(tainted(&world), "{tool} {stranger}");
            }
        }
    }
    world.broker.untaint(ADMIN, &agent("ann")).await.unwrap();
    let own = json!({ "to": ["me@example.org"], "subject": "s", "body": "b" });
    assert!(!call_taints(&world, "gmail.send_message", own).await, "the agent's own words are its own");
    let draft = "VG86IG1lQGV4YW1wbGUub3JnDQpTdWJqZWN0OiBzDQoNCkhpDQo";
    put(&objects, "drafts/d", json!({ "id": "d", "message": { "id": "m", "threadId": "t", "raw": draft } }));
    assert!(call_taints(&world, "gmail.send_draft", json!({ "draft_id": "d" })).await);
    world.all_announced();
}
