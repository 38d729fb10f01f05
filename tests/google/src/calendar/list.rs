//! `calendarList.list`, `calendarList.get` and `acl.list`.

use serde_json::{Value, json};

use super::store::Calendar;
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

pub(super) fn list(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "calendar.calendarList.list")?;
    call.query.check(
        &["maxResults", "minAccessRole", "pageToken", "showDeleted", "showHidden", "syncToken"],
        &[],
    )?;
    call.query.flag("showDeleted")?;
    let hidden = call.query.flag("showHidden")?;
    let size = call.query.number("maxResults", 100, 1, 250)?;
    let shown: Vec<&Calendar> =
        world.calendars.all().iter().filter(|calendar| hidden || !calendar.hidden).collect();
    let query = format!("calendarList {hidden}");
    let start = world.pages.start(call.query.get("pageToken"), &query)?;
    let items: Vec<Value> = shown.iter().skip(start).take(size).map(|calendar| json_of(calendar)).collect();
    let total = shown.len();
    let mut answer = json!({ "kind": "calendar#calendarList", "etag": "\"1\"", "items": items });
    match world.pages.next(&query, start + size, total) {
        Some(next) => answer["nextPageToken"] = json!(next),
        None => answer["nextSyncToken"] = json!("stand-in-sync-token"),
    }
    Ok(Reply::json(200, &answer))
}

pub(super) fn get(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "calendar.calendarList.get")?;
    call.query.check(&[], &[])?;
    Ok(Reply::json(200, &json_of(world.calendars.calendar(id)?)))
}

/// Who may see a calendar; only its owners may ask.
pub(super) fn acl(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "calendar.acl.list")?;
    call.query.check(&["maxResults", "pageToken", "showDeleted", "syncToken"], &[])?;
    call.query.flag("showDeleted")?;
    call.query.number("maxResults", 100, 1, 250)?;
    if call.query.get("pageToken").is_some() {
        return Err(refuse::invalid_argument("Invalid pageToken"));
    }
    let calendar = world.calendars.calendar(id)?;
    if calendar.role != "owner" {
        return Err(refuse::forbidden("forbidden", "Forbidden"));
    }
    let rule = |who: &str, role: &str| {
        let (kind, scope) = match who {
            "default" => ("default".to_owned(), json!({ "type": "default" })),
            domain if !domain.contains('@') => {
                (format!("domain:{domain}"), json!({ "type": "domain", "value": domain }))
            }
            user => (format!("user:{user}"), json!({ "type": "user", "value": user })),
        };
        json!({ "kind": "calendar#aclRule", "etag": "\"1\"", "id": kind, "scope": scope, "role": role })
    };
    let mut rules = vec![rule(&world.owner.email, "owner")];
    if !calendar.primary {
        // A calendar that is no person's has its own address among its owners.
        rules.push(rule(&calendar.id, "owner"));
    }
    rules.extend(calendar.shared_with.iter().map(|(who, role)| rule(who, role)));
    Ok(Reply::json(200, &json!({ "kind": "calendar#acl", "etag": "\"1\"", "items": rules })))
}

fn json_of(calendar: &Calendar) -> Value {
    let mut value = json!({
        "kind": "calendar#calendarListEntry",
        "etag": "\"1\"",
        "id": calendar.id,
        "summary": calendar.name,
        "timeZone": "UTC",
        "colorId": "1",
        "selected": true,
        "accessRole": calendar.role,
        "defaultReminders": [],
    });
    for (name, yes) in [("primary", calendar.primary), ("hidden", calendar.hidden)] {
        if yes {
            value[name] = json!(true);
        }
    }
    value
}
