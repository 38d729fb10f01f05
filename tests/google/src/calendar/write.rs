//! `events.insert`, `events.patch` and `events.delete`, and the mails they send to guests.

use serde_json::{Map, Value, json};

use super::store::{Calendar, Event};
use super::time::Time;
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// How many guests an event may have.
const GUESTS_MAX: usize = 200;

const PARAMETERS: [&str; 5] =
    ["conferenceDataVersion", "maxAttendees", "sendNotifications", "sendUpdates", "supportsAttachments"];

pub(super) fn insert(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "calendar.events.insert")?;
    call.query.check(&PARAMETERS, &[])?;
    let mails = mails(call)?;
    let calendar = writable(world.calendars.visible(id, &bearer, "calendar.events.owned")?)?.id.clone();
    let body = call.json_object()?;
    let time = |name: &str| Time::read(body.get(name).unwrap_or(&Value::Null));
    let mut event = Event {
        id: world.calendars.new_id(),
        organizer: calendar.clone(),
        calendar,
        title: String::new(),
        description: None,
        location: None,
        start: time("start")?,
        end: time("end")?,
        attendees: Vec::new(),
        series: None,
        private: false,
        cancelled: false,
        changed: 0,
        changed_ms: 0,
    };
    apply(&mut event, &body)?;
    sound(&event)?;
    let event = world.calendars.put(event, call.now_ms);
    if mails {
        world.calendars.mail(&event.id, &event.guests(), "invited");
    }
    Ok(Reply::json(200, &world.calendars.json(&event)).with("etag", &event.etag()))
}

pub(super) fn patch(world: &mut World, call: &Call, id: &str, event: &str) -> Answer {
    let bearer = world.authorize(call, "calendar.events.patch")?;
    call.query.check(&["alwaysIncludeEmail"].into_iter().chain(PARAMETERS).collect::<Vec<_>>(), &[])?;
    let mails = mails(call)?;
    let calendar = writable(world.calendars.visible(id, &bearer, "calendar.events.owned")?)?.id.clone();
    let mut event = world.calendars.event(&calendar, event)?.clone();
    unchanged(call, &event)?;
    let body = call.json_object()?;
    let before = event.guests();
    let mut merged = body.clone();
    for (name, time) in [("start", &event.start), ("end", &event.end)] {
        // A patch changes members, not the whole: what it does not name stays, and `null` takes it away.
        if let Some(Value::Object(change)) = body.get(name) {
            let mut all = match time.json() {
                Value::Object(all) => all,
                _ => Map::new(),
            };
            all.extend(change.clone());
            all.retain(|_, value| !value.is_null());
            merged.insert(name.to_owned(), Value::Object(all));
        }
    }
    apply(&mut event, &merged)?;
    sound(&event)?;
    let event = world.calendars.put(event, call.now_ms);
    if mails {
        let after = event.guests();
        let parts = |from: &[String], of: &[String], there: bool| -> Vec<String> {
            from.iter().filter(|guest| of.contains(guest) == there).cloned().collect()
        };
        world.calendars.mail(&event.id, &parts(&after, &before, false), "invited");
        world.calendars.mail(&event.id, &parts(&after, &before, true), "changed");
        world.calendars.mail(&event.id, &parts(&before, &after, false), "cancelled");
    }
    Ok(Reply::json(200, &world.calendars.json(&event)).with("etag", &event.etag()))
}

pub(super) fn delete(world: &mut World, call: &Call, id: &str, event: &str) -> Answer {
    let bearer = world.authorize(call, "calendar.events.delete")?;
    call.query.check(&["sendNotifications", "sendUpdates"], &[])?;
    let mails = mails(call)?;
    let calendar = writable(world.calendars.visible(id, &bearer, "calendar.events.owned")?)?.id.clone();
    let mut event = world.calendars.event(&calendar, event)?.clone();
    unchanged(call, &event)?;
    event.cancelled = true;
    let event = world.calendars.put(event, call.now_ms);
    if mails {
        world.calendars.mail(&event.id, &event.guests(), "cancelled");
    }
    Ok(Reply::empty())
}

/// Whether guests get a mail; 400 for a word that is none.
fn mails(call: &Call) -> Result<bool, Reply> {
    match call.query.get("sendUpdates") {
        None | Some("none") => Ok(false),
        Some("all" | "externalOnly") => Ok(true),
        Some(_) => Err(refuse::bad_request("Invalid value at 'send_updates'")),
    }
}

/// 412 where the request was made for another state of the event (RFC 9110 section 13.1.1).
fn unchanged(call: &Call, event: &Event) -> Result<(), Reply> {
    match call.header("if-match") {
        None if !call.headers.contains_key("if-match") => Ok(()),
        Some("*") => Ok(()),
        Some(etag) if etag == event.etag() => Ok(()),
        _ => Err(refuse::error(412, "FAILED_PRECONDITION", "conditionNotMet", "Precondition Failed")),
    }
}

fn writable(calendar: &Calendar) -> Result<&Calendar, Reply> {
    if matches!(calendar.role.as_str(), "owner" | "writer") {
        Ok(calendar)
    } else {
        Err(refuse::forbidden("requiredAccessLevel", "You need to have writer access to this calendar."))
    }
}

fn sound(event: &Event) -> Result<(), Reply> {
    let wrong = |reason: &str, message: &str| Err(refuse::error(400, "INVALID_ARGUMENT", reason, message));
    if event.start.is_day() != event.end.is_day() {
        return wrong("invalid", "Start and end times must either both be date or both be dateTime.");
    }
    if event.end.ms() < event.start.ms() {
        return wrong("timeRangeEmpty", "The specified time range is empty.");
    }
    if event.attendees.len() > GUESTS_MAX {
        return wrong("calendarInvitationsLimit", "Too many guests.");
    }
    Ok(())
}

/// Writes a body's members into an event; 400 for what no event has, and for what only Google writes.
fn apply(event: &mut Event, body: &Map<String, Value>) -> Result<(), Reply> {
    for (name, value) in body {
        let wrong = || refuse::bad_request(&format!("Invalid value at 'resource.{name}'"));
        let text = || match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(wrong()),
        };
        match name.as_str() {
            "summary" => event.title = text()?.unwrap_or_default(),
            "description" => event.description = text()?,
            "location" => event.location = text()?,
            "start" => event.start = Time::read(value)?,
            "end" => event.end = Time::read(value)?,
            "visibility" => event.private = text()?.as_deref() == Some("private"),
            "attendees" => event.attendees = guests(value).ok_or_else(wrong)?,
            _ => {
                return Err(refuse::bad_request(&format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
                )));
            }
        }
    }
    Ok(())
}

/// The guests a body names: each with an address, each once.
fn guests(value: &Value) -> Option<Vec<Map<String, Value>>> {
    const KNOWN: [&str; 9] = [
        "email",
        "displayName",
        "optional",
        "resource",
        "responseStatus",
        "comment",
        "additionalGuests",
        "id",
        "organizer",
    ];
    let mut found: Vec<Map<String, Value>> = Vec::new();
    for guest in value.as_array()? {
        let mut guest = guest.as_object()?.clone();
        let email = guest.get("email")?.as_str()?.to_owned();
        if !email.contains('@') || guest.keys().any(|key| !KNOWN.contains(&key.as_str())) {
            return None;
        }
        guest.entry("responseStatus").or_insert(json!("needsAction"));
        if !found.iter().any(|known| known.get("email") == guest.get("email")) {
            found.push(guest);
        }
    }
    Some(found)
}
