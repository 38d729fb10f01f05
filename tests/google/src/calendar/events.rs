//! `events.list` and `events.get`.

use serde_json::{Value, json};

use super::store::Event;
use crate::clock::parse_rfc3339;
use crate::google_error as refuse;
use crate::query::has_phrase;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

const SINGLE: [&str; 18] = [
    "alwaysIncludeEmail",
    "iCalUID",
    "maxAttendees",
    "maxResults",
    "orderBy",
    "pageToken",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "showDeleted",
    "showHiddenInvitations",
    "singleEvents",
    "syncToken",
    "timeMax",
    "timeMin",
    "timeZone",
    "updatedMin",
    "eventTypes",
];

pub(super) fn list(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "calendar.events.list")?;
    call.query.check(&SINGLE, &[])?;
    let calendar = world.calendars.visible(id, &bearer, "calendar.events.owned.readonly")?;
    let moment = |name: &str| -> Result<Option<i64>, Reply> {
        let Some(text) = call.query.get(name) else { return Ok(None) };
        // Google wants an offset here.
        let known = text.parse::<jiff::Timestamp>().ok().and_then(|_| parse_rfc3339(text));
        known.map(Some).ok_or_else(refuse_bad)
    };
    let (from, to) = (moment("timeMin")?, moment("timeMax")?);
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        return Err(refuse::error(
            400,
            "INVALID_ARGUMENT",
            "timeRangeEmpty",
            "The specified time range is empty.",
        ));
    }
    let single = call.query.flag("singleEvents")?;
    match call.query.get("orderBy") {
        None | Some("updated") => {}
        Some("startTime") if single => {}
        Some(_) => return Err(refuse_bad()),
    }
    let size = call.query.number("maxResults", 250, 1, 2500)?;
    let words = call.query.get("q").unwrap_or("");
    let within = |event: &&Event| {
        !event.cancelled
            && from.is_none_or(|from| event.end.ms() > from)
            && to.is_none_or(|to| event.start.ms() < to)
    };
    // Plain words: each stands somewhere, and no sign among them means anything.
    let named = |event: &&Event| {
        let mut text = format!("{} {}", event.title, event.guests().join(" "));
        for more in [&event.description, &event.location].into_iter().flatten() {
            text.push(' ');
            text.push_str(more);
        }
        words.split_whitespace().all(|word| has_phrase(&text, word))
    };
    let (name, calendar_id) = (calendar.name.clone(), calendar.id.clone());
    let mut found: Vec<&Event> =
        world.calendars.events_of(&calendar_id).filter(within).filter(named).collect();
    found.sort_by_key(|event| (event.start.ms(), event.id.clone()));
    let query = format!("events {calendar_id} {from:?} {to:?} {words:?} {single}");
    let start = world.pages.start(call.query.get("pageToken"), &query)?;
    let items: Vec<Value> =
        found.iter().skip(start).take(size).map(|event| world.calendars.json(event)).collect();
    let total = found.len();
    let mut answer = json!({
        "kind": "calendar#events", "etag": "\"1\"", "summary": name, "timeZone": "UTC", "accessRole": "owner",
        "defaultReminders": [], "items": items,
    });
    match world.pages.next(&query, start + size, total) {
        Some(next) => answer["nextPageToken"] = json!(next),
        None => answer["nextSyncToken"] = json!("stand-in-sync-token"),
    }
    Ok(Reply::json(200, &answer))
}

pub(super) fn get(world: &mut World, call: &Call, id: &str, event: &str) -> Answer {
    let bearer = world.authorize(call, "calendar.events.get")?;
    call.query.check(&["alwaysIncludeEmail", "maxAttendees", "timeZone"], &[])?;
    let calendar = world.calendars.visible(id, &bearer, "calendar.events.owned.readonly")?;
    let event = world.calendars.event(&calendar.id, event)?;
    Ok(Reply::json(200, &world.calendars.json(event)).with("etag", &event.etag()))
}

fn refuse_bad() -> Reply {
    refuse::error(400, "INVALID_ARGUMENT", "badRequest", "Bad Request")
}
