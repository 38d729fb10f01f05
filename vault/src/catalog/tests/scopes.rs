//! Every OAuth scope that the catalog names is one that Google takes for the method it is used with.

use claviger_domain::step::{Segment, Step};
use claviger_domain::tool::{Auth, Service};

use super::built_in;

const MAIL: &str = "https://mail.google.com/";
const CALENDAR_LIST: &[&str] =
    &["calendar", "calendar.calendarlist", "calendar.calendarlist.readonly", "calendar.readonly"];
const EVENTS: &[&str] = &[
    "calendar",
    "calendar.events",
    "calendar.events.owned",
    "calendar.events.owned.readonly",
    "calendar.events.readonly",
    "calendar.readonly",
];
const EVENTS_WRITE: &[&str] = &["calendar", "calendar.events", "calendar.events.owned"];

/// Method, path, and the scopes of which any one suffices, as the discovery documents of Gmail v1, Drive v3, Calendar v3 and People v1 list
/// them (2026), without those of add-ons, of app data and of single other products.
const ACCEPTED: &[(&str, &str, &[&str])] = &[
    (
        "GET",
        "/gmail/v1/users/me/labels",
        &[MAIL, "gmail.labels", "gmail.metadata", "gmail.modify", "gmail.readonly"],
    ),
    ("GET", "/gmail/v1/users/me/messages", &[MAIL, "gmail.metadata", "gmail.modify", "gmail.readonly"]),
    ("GET", "/gmail/v1/users/me/messages/{}", &[MAIL, "gmail.metadata", "gmail.modify", "gmail.readonly"]),
    ("GET", "/gmail/v1/users/me/threads/{}", &[MAIL, "gmail.metadata", "gmail.modify", "gmail.readonly"]),
    ("GET", "/gmail/v1/users/me/messages/{}/attachments/{}", &[MAIL, "gmail.modify", "gmail.readonly"]),
    ("POST", "/gmail/v1/users/me/messages/batchModify", &[MAIL, "gmail.modify"]),
    ("POST", "/gmail/v1/users/me/messages/{}/trash", &[MAIL, "gmail.modify"]),
    ("POST", "/gmail/v1/users/me/messages/{}/untrash", &[MAIL, "gmail.modify"]),
    ("GET", "/gmail/v1/users/me/drafts", &[MAIL, "gmail.compose", "gmail.modify", "gmail.readonly"]),
    ("GET", "/gmail/v1/users/me/drafts/{}", &[MAIL, "gmail.compose", "gmail.modify", "gmail.readonly"]),
    ("POST", "/gmail/v1/users/me/drafts", &[MAIL, "gmail.compose", "gmail.modify"]),
    ("PUT", "/gmail/v1/users/me/drafts/{}", &[MAIL, "gmail.compose", "gmail.modify"]),
    ("DELETE", "/gmail/v1/users/me/drafts/{}", &[MAIL, "gmail.compose", "gmail.modify"]),
    ("POST", "/gmail/v1/users/me/drafts/send", &[MAIL, "gmail.compose", "gmail.modify"]),
    ("POST", "/gmail/v1/users/me/messages/{}/modify", &[MAIL, "gmail.modify"]),
    ("POST", "/gmail/v1/users/me/messages/send", &[MAIL, "gmail.compose", "gmail.modify", "gmail.send"]),
    (
        "POST",
        "/upload/gmail/v1/users/me/messages/send",
        &[MAIL, "gmail.compose", "gmail.modify", "gmail.send"],
    ),
    // Where an upload goes on: the method that began it.
    (
        "PUT",
        "/upload/gmail/v1/users/me/messages/send",
        &[MAIL, "gmail.compose", "gmail.modify", "gmail.send"],
    ),
    (
        "GET",
        "/drive/v3/files",
        &["drive", "drive.file", "drive.metadata", "drive.metadata.readonly", "drive.readonly"],
    ),
    (
        "GET",
        "/drive/v3/files/{}",
        &["drive", "drive.file", "drive.metadata", "drive.metadata.readonly", "drive.readonly"],
    ),
    ("GET", "/drive/v3/files/{}/export", &["drive", "drive.file", "drive.readonly"]),
    ("POST", "/upload/drive/v3/files", &["drive", "drive.file"]),
    // Where an upload goes on: the method that began it.
    ("PUT", "/upload/drive/v3/files", &["drive", "drive.file"]),
    ("PATCH", "/upload/drive/v3/files/{}", &["drive", "drive.file"]),
    ("POST", "/drive/v3/files", &["drive", "drive.file"]),
    ("PATCH", "/drive/v3/files/{}", &["drive", "drive.file", "drive.metadata"]),
    ("POST", "/drive/v3/files/{}/copy", &["drive", "drive.file"]),
    (
        "GET",
        "/drive/v3/files/{}/permissions",
        &["drive", "drive.file", "drive.metadata", "drive.metadata.readonly", "drive.readonly"],
    ),
    ("POST", "/drive/v3/files/{}/permissions", &["drive", "drive.file"]),
    ("DELETE", "/drive/v3/files/{}/permissions/{}", &["drive", "drive.file"]),
    ("GET", "/calendar/v3/users/me/calendarList", CALENDAR_LIST),
    ("GET", "/calendar/v3/calendars/{}/acl", &["calendar", "calendar.acls", "calendar.acls.readonly"]),
    ("GET", "/calendar/v3/calendars/{}/events", EVENTS),
    ("GET", "/calendar/v3/calendars/{}/events/{}", EVENTS),
    ("POST", "/calendar/v3/calendars/{}/events", EVENTS_WRITE),
    ("PATCH", "/calendar/v3/calendars/{}/events/{}", EVENTS_WRITE),
    ("DELETE", "/calendar/v3/calendars/{}/events/{}", EVENTS_WRITE),
    (
        "POST",
        "/calendar/v3/freeBusy",
        &["calendar", "calendar.events.freebusy", "calendar.freebusy", "calendar.readonly"],
    ),
    ("GET", "/v1/people:searchContacts", &["contacts", "contacts.readonly"]),
    ("GET", "/v1/otherContacts:search", &["contacts.other.readonly"]),
];

fn accepted(step: &Step) -> &'static [&'static str] {
    let path: String = step
        .path
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Param(_) | Segment::Rest(_) => "/{}".to_owned(),
        })
        .collect();
    let method = step.method.as_str();
    let known = ACCEPTED.iter().find(|(known, at, _)| *known == method && *at == path);
    known.unwrap_or_else(|| panic!("{method} {path} is in no table")).2
}

#[test]
fn each_scope_of_a_tool_is_taken_for_each_of_its_requests() {
    // Other credentials have no scopes that the vault could choose among.
    let oauth = |service: &&Service| matches!(service.auth, Auth::OAuth2 { .. } | Auth::None);
    for service in built_in().services.values().filter(oauth) {
        // What an adapter does itself needs no token.
        let local = |tool: &&claviger_domain::tool::Tool| tool.steps.iter().all(|step| step.local);
        for tool in service.tools.values().filter(|tool| !local(tool)) {
            assert!(!tool.scope.is_empty());
            for step in &tool.steps {
                for scope in &tool.scope {
                    assert!(accepted(step).contains(&scope.as_str()), "{} {}: {scope}", tool.name, step.name);
                }
                // Where a tool's token is there, what the vault looks at for it is not refused for want of another: a
                // look has its own list, and is asked for when an account is connected.
                let probes = step.checks.values().filter_map(|check| check.probe.as_ref());
                // Who may see a calendar has a scope of its own, which is asked for besides.
                let authors = step.authors.iter().filter_map(|authors| authors.step.as_ref());
                let authors = authors.filter(|name| name.as_str() != "calendar_sharing");
                for probe in probes.map(|probe| &probe.step).chain(authors).map(|name| &service.steps[name]) {
                    for scope in &tool.scope {
                        assert!(probe.scope.contains(scope), "{} probes {}: {scope}", tool.name, probe.name);
                    }
                }
            }
        }
        for step in service.steps.values() {
            assert!(!step.scope.is_empty());
            for scope in &step.scope {
                assert!(accepted(step).contains(&scope.as_str()), "{} {}: {scope}", service.id, step.name);
            }
        }
    }
}

/// Gmail refuses a search under `gmail.metadata`, and bodies; Drive gives no content under a metadata scope.
#[test]
fn no_tool_counts_on_a_scope_that_hides_what_it_needs() {
    let catalog = built_in();
    for (tool, useless) in [
        ("gmail.search_messages", "gmail.metadata"),
        ("gmail.get_message", "gmail.metadata"),
        ("gmail.get_thread", "gmail.metadata"),
        ("gmail.get_attachment", "gmail.metadata"),
        ("gmail.reply", "gmail.send"),
        ("gmail.send_draft", "gmail.send"),
        ("drive.read_file", "drive.metadata.readonly"),
        ("drive.search_files", "drive.metadata.readonly"),
        ("calendar.list_events", "calendar.events.freebusy"),
        ("calendar.get_event", "calendar.events.freebusy"),
    ] {
        let tool = catalog.tool(&tool.parse().unwrap()).unwrap();
        assert!(!tool.scope.iter().any(|scope| scope == useless), "{}", tool.name);
    }
}
