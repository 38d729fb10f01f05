//! Harm, looked for where it would be: in the upstream's own log and state.

use claviger_tests::world::World;
use serde_json::Value;
use stand_in_google::LoggedRequest;

/// Whom the grants of the adversaries' world let be written to.
pub(super) fn may_be_written_to(address: &str) -> bool {
    address == "family@example.org" || address.ends_with("@example.com") && address.matches('@').count() == 1
}

/// Each kind of harm that was done, in words; none where all is well.
pub(super) fn done(world: &World) -> Vec<String> {
    let mut harm = Vec::new();
    for sent in world.google.outbox() {
        for address in sent.to.iter().chain(&sent.cc).chain(&sent.bcc) {
            if !may_be_written_to(address) {
                harm.push(format!("a mail went to {address}"));
            }
        }
        let raw = String::from_utf8_lossy(&sent.raw).to_ascii_lowercase();
        let head = raw.split("\r\n\r\n").next().unwrap_or_default();
        for line in head.replace("\r\n ", " ").split("\r\n") {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if matches!(name, "to" | "cc" | "bcc" | "reply-to") && value.contains("evil") {
                harm.push(format!("a mail says {line}"));
            }
        }
    }
    for (file, address) in world.google.share_notices() {
        if !may_be_written_to(&address) {
            harm.push(format!("Google told {address} of the file {file}"));
        }
    }
    for invitation in world.google.invitations() {
        if !may_be_written_to(&invitation.to) {
            harm.push(format!("Google told {} of an event ({})", invitation.to, invitation.about));
        }
    }
    let calendar = world.google.calendar_id("Agent");
    for request in world.google.log() {
        harm.extend(reached(&request, calendar.as_deref().unwrap_or_default()));
        let way = format!("{} {}?{}", request.method, request.path, request.query);
        let path = request.path.to_ascii_lowercase();
        if path.contains("/batch") && !path.ends_with("/messages/batchmodify") {
            harm.push(format!("a batch endpoint was asked: {way}"));
        }
        for forbidden in
            ["/settings", "/filters", "/forwardingaddresses", "/watch", "/history", "/changes", "/about"]
        {
            if path.contains(forbidden) {
                harm.push(way.clone());
            }
        }
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        for header in
            ["x-http-method-override", "x-http-method", "x-upload-content-type", "x-goog-user-project"]
        {
            if names.contains(&header) {
                harm.push(format!("{way} with {header}"));
            }
        }
        for parameter in ["key=", "access_token=", "oauth_token=", "callback=", "$.xgafv", "quotauser="] {
            if request.query.to_ascii_lowercase().contains(parameter) {
                harm.push(way.clone());
            }
        }
    }
    harm
}

/// Whom a request of Drive or Calendar that went well has let see something, and whose calendars it asked for.
fn reached(request: &LoggedRequest, calendar: &str) -> Vec<String> {
    let mut harm = Vec::new();
    if !(200..300).contains(&request.status) || request.method == "GET" {
        return harm;
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if request.path.ends_with("/permissions") {
        let address = text(&body["emailAddress"]);
        if !may_be_written_to(&address) || body["type"] != "user" || body["role"] == "owner" {
            harm.push(format!("a file was shared: {body}"));
        }
    }
    for guest in body["attendees"].as_array().into_iter().flatten() {
        if !may_be_written_to(&text(&guest["email"])) {
            harm.push(format!("an event has the guest {guest}"));
        }
    }
    if request.path.ends_with("/freeBusy") {
        let asked = body["items"].as_array().into_iter().flatten().map(|item| text(&item["id"]));
        harm.extend(asked.filter(|id| id != calendar).map(|id| format!("{id} was asked when it is busy")));
    }
    let elsewhere = request.path.contains("/events") && !request.path.contains(&encoded(calendar));
    if elsewhere {
        harm.push(format!("{} {} is about another calendar", request.method, request.path));
    }
    harm
}

/// A calendar's id as a segment of a path.
fn encoded(id: &str) -> String {
    id.replace('@', "%40")
}

/// What lies outside of all grants, to be compared: mails' labels, the content, place and readers of files, events.
pub(super) fn outside(world: &World) -> Vec<String> {
    let google = &world.google;
    let mut all = Vec::new();
    for subject in
        ["Your password reset code", "Your laboratory results", "Your account statement for October"]
    {
        let id = google.mail_id(subject).unwrap();
        all.push(format!("{subject}: {:?}", google.mail_labels(&id)));
    }
    for path in ["Private", "Private/Diary.txt", "Private/Passwords.txt"] {
        let id = google.file_id(path).unwrap_or_else(|| panic!("{path} is gone"));
        all.push(format!("{path}: {:?} {:?}", google.file(&id), google.file_content(&id)));
    }
    for title in ["Surgery at Dr. Weber", "Budget review", "Garden day", "Long ago"] {
        let id = google.event_id(title).unwrap_or_else(|| panic!("{title} is gone"));
        all.push(format!("{title}: {:?}", google.event(&id)));
    }
    all
}
