//! `freebusy.query`.

use serde_json::{Map, Value, json};

use crate::clock::{parse_rfc3339, rfc3339};
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

pub(super) fn query(world: &mut World, call: &Call) -> Answer {
    const KNOWN: [&str; 6] =
        ["timeMin", "timeMax", "timeZone", "groupExpansionMax", "calendarExpansionMax", "items"];
    world.authorize(call, "calendar.freebusy.query")?;
    call.query.check(&[], &[])?;
    let body = call.json_object()?;
    if let Some(unknown) = body.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(refuse::bad_request(&format!(
            "Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field."
        )));
    }
    let wrong = || refuse::bad_request("Bad Request");
    // Google wants a moment with an offset; a day is none.
    let with_offset = |text: &&str| text.parse::<jiff::Timestamp>().is_ok();
    let moment = |name: &str| {
        let text = body.get(name).and_then(Value::as_str).filter(with_offset);
        text.and_then(parse_rfc3339).ok_or_else(wrong)
    };
    let (from, to) = (moment("timeMin")?, moment("timeMax")?);
    if to <= from {
        return Err(refuse::error(400, "INVALID_ARGUMENT", "timeRangeEmpty", "Time range empty."));
    }
    let mut calendars = Map::new();
    for item in body.get("items").and_then(Value::as_array).ok_or_else(wrong)? {
        let id = item.get("id").and_then(Value::as_str).ok_or_else(wrong)?;
        let told = match world.calendars.calendar(id) {
            Err(_) => json!({ "errors": [{ "domain": "global", "reason": "notFound" }], "busy": [] }),
            Ok(calendar) => {
                let mut busy: Vec<(i64, i64)> = world
                    .calendars
                    .events_of(&calendar.id)
                    .filter(|event| !event.cancelled && event.end.ms() > from && event.start.ms() < to)
                    .map(|event| (event.start.ms().max(from), event.end.ms().min(to)))
                    .collect();
                busy.sort_unstable();
                let busy: Vec<Value> = busy
                    .into_iter()
                    .map(|(start, end)| json!({ "start": rfc3339(start), "end": rfc3339(end) }))
                    .collect();
                json!({ "busy": busy })
            }
        };
        calendars.insert(id.to_owned(), told);
    }
    Ok(Reply::json(
        200,
        &json!({
            "kind": "calendar#freeBusy", "timeMin": rfc3339(from), "timeMax": rfc3339(to), "calendars": calendars,
        }),
    ))
}
