//! Google Calendar: events as they can be read.
//!
//! | tool | structured content |
//! |---|---|
//! | `list_calendars` | `calendars: [{id, name, role, primary, time_zone}]` |
//! | `list_events`, `search_events` | `events: [`[event](event::event)`]`, `next_page` |
//! | `get_event`, `create_event` | an event |
//! | `update_event`, `respond_to_event` | an event, without what others may have written |
//! | `delete_event` | `deleted: true` |
//! | `free_busy` | `from`, `to`, `calendars: [{id, busy: [{start, end}], problem}]` |

pub mod event;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::service::listing::tell_pages;
use crate::service::{Service, Shaped};
use crate::text::clean;

/// The module of Google Calendar.
pub struct Calendar;

impl Service for Calendar {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            match tool {
                "list_calendars" => Ok(calendars(&call.json("list", &[]).await?)),
                "list_events" | "search_events" => Ok(events(&call.json("list", &[]).await?)),
                "get_event" => Ok(event::read(&call.json("get", &[]).await?)),
                "create_event" => done("Made", &call.json("create", &[]).await?),
                "update_event" => done("Changed", &call.json("update", &[]).await?),
                "respond_to_event" => done("Answered", &call.json("respond", &[]).await?),
                "delete_event" => {
                    let _ = call.send("delete", &[]).await?.success()?;
                    let told = Map::from_iter([("deleted".to_owned(), Value::Bool(true))]);
                    Ok(Shaped::new(told, "Deleted."))
                }
                "free_busy" => Ok(busy(&call.json("query", &[]).await?)),
                // A tool that an admin added in an overriding catalog file.
                _ => crate::generic::Generic.run(tool, call).await,
            }
        }
        .boxed()
    }
}

/// A member as one line of text; empty if there is none.
fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(|text| clean::line(text, 1000)).unwrap_or_default()
}

/// The elements of a member; an answer without it has none.
fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn calendars(answer: &Value) -> Shaped {
    let mut lines = vec!["Calendars (id: name)".to_owned()];
    let mut told = Vec::new();
    for entry in list(answer, "items") {
        // What the owner calls it goes before what others do.
        let name = Some(text(entry, "summaryOverride")).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| text(entry, "summary"));
        let (id, role) = (text(entry, "id"), text(entry, "accessRole"));
        let primary = entry.get("primary") == Some(&Value::Bool(true));
        lines.push(format!("{id}: {name} ({role}{})", if primary { ", the owner's own" } else { "" }));
        told.push(json!({
            "id": id, "name": name, "role": role, "primary": primary, "time_zone": text(entry, "timeZone"),
        }));
    }
    Shaped::new(Map::from_iter([("calendars".to_owned(), told.into())]), lines.join("\n"))
}

fn events(answer: &Value) -> Shaped {
    let events: Vec<Map<String, Value>> = list(answer, "items").iter().map(event::event).collect();
    let mut text = match events.len() {
        0 => "No events.".to_owned(),
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    for event in &events {
        text.push('\n');
        text.push_str(&event::line(event));
    }
    let events: Vec<Value> = events.into_iter().map(Value::Object).collect();
    let mut structured = Map::from_iter([("events".to_owned(), events.into())]);
    let page = answer.get("nextPageToken").and_then(Value::as_str).map(|page| (None, page.to_owned()));
    text.push_str(&tell_pages(page.into_iter().collect(), false, "calendar", &mut structured));
    Shaped::new(structured, text)
}

fn done(word: &str, answer: &Value) -> Result<Shaped, Failure> {
    if text(answer, "id").is_empty() {
        // Google did it, or did not: without an id nobody here can say.
        return Err(Failure::Refused(Refused::here(Refused::UNKNOWN)));
    }
    let mut told = event::event(answer);
    let line = if answer.get("summary").is_some() {
        format!("{word}: {}", event::line(&told))
    } else {
        // An answer that is trusted tells nothing that others may have written, and so not what it was not asked for.
        for (theirs, ours) in
            [("location", "location"), ("organizer", "organizer"), ("attendees", "attendees")]
        {
            if answer.get(theirs).is_none() {
                told.remove(ours);
            }
        }
        told.remove("title");
        format!("{word}: the event (id {})", text(answer, "id"))
    };
    Ok(Shaped::new(told, line))
}

fn busy(answer: &Value) -> Shaped {
    let (from, to) = (text(answer, "timeMin"), text(answer, "timeMax"));
    let mut lines = vec![format!("Busy from {from} to {to}")];
    let mut told = Vec::new();
    let calendars = answer.get("calendars").and_then(Value::as_object);
    for (id, calendar) in calendars.into_iter().flatten() {
        let id = clean::line(id, 300);
        let spans: Vec<(String, String)> =
            list(calendar, "busy").iter().map(|span| (text(span, "start"), text(span, "end"))).collect();
        let problem = list(calendar, "errors").first().map(|error| text(error, "reason"));
        let said: Vec<String> = match &problem {
            Some(reason) => vec![format!("cannot be told ({reason})")],
            None if spans.is_empty() => vec!["free".to_owned()],
            None => spans.iter().map(|(start, end)| format!("{start} to {end}")).collect(),
        };
        lines.push(format!("{id}: {}", said.join("; ")));
        let spans: Vec<Value> =
            spans.into_iter().map(|(start, end)| json!({ "start": start, "end": end })).collect();
        told.push(json!({ "id": id, "busy": spans, "problem": problem }));
    }
    let structured = Map::from_iter([
        ("from".to_owned(), from.into()),
        ("to".to_owned(), to.into()),
        ("calendars".to_owned(), told.into()),
    ]);
    Shaped::new(structured, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn what_was_not_told_of_a_change_is_left_out() {
        let shaped =
            done("Changed", &json!({ "id": "e1", "status": "confirmed", "start": { "date": "2026-12-01" } }))
                .unwrap();
        assert_eq!(shaped.text, "Changed: the event (id e1)");
        assert_eq!(shaped.structured["start"], "2026-12-01");
        assert!(
            !["title", "location", "attendees", "organizer"]
                .iter()
                .any(|name| shaped.structured.contains_key(*name))
        );
    }

    #[test]
    fn calendars_are_told_by_the_owners_name_for_them() {
        let shaped = calendars(&json!({ "items": [
            { "id": "me@x.org", "summary": "me@x.org", "accessRole": "owner", "primary": true, "timeZone": "UTC" },
            { "id": "c_1@g", "summary": "Mona\u{202e}", "summaryOverride": "Garden", "accessRole": "reader", "etag": "x" },
        ] }));
        assert_eq!(
            Value::Object(shaped.structured),
            json!({ "calendars": [
                { "id": "me@x.org", "name": "me@x.org", "role": "owner", "primary": true, "time_zone": "UTC" },
                { "id": "c_1@g", "name": "Garden", "role": "reader", "primary": false, "time_zone": "" },
            ] })
        );
        assert_eq!(
            shaped.text,
            "Calendars (id: name)\nme@x.org: me@x.org (owner, the owner's own)\nc_1@g: Garden (reader)"
        );
        assert_eq!(calendars(&json!({})).structured["calendars"], json!([]));
    }

    #[test]
    fn busy_times_and_what_cannot_be_told() {
        let shaped = busy(&json!({
            "timeMin": "a", "timeMax": "b", "calendars": {
                "me@x.org": { "busy": [{ "start": "1", "end": "2" }] },
                "no@x.org": { "errors": [{ "domain": "global", "reason": "notFound" }], "busy": [] },
                "so@x.org": { "busy": [] },
            },
        }));
        assert_eq!(
            shaped.text,
            "Busy from a to b\nme@x.org: 1 to 2\nno@x.org: cannot be told (notFound)\nso@x.org: free"
        );
        assert_eq!(
            shaped.structured["calendars"][0],
            json!({ "id": "me@x.org", "busy": [{ "start": "1", "end": "2" }], "problem": null })
        );
    }

    #[test]
    fn without_an_id_nobody_knows_what_was_done() {
        assert!(done("Made", &json!({})).is_err());
        assert!(done("Made", &json!({ "id": "e1" })).unwrap().text.starts_with("Made: "));
    }
}
