//! Calendar v3: the list of calendars, who may see them, their events, and who is busy when.

mod busy;
mod events;
mod list;
mod store;
mod time;
mod write;

use http::Method;
use serde_json::Value;

use crate::fields::Fields;
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

pub(crate) use store::Calendars;
pub use store::Invitation;

/// Answers everything below `/calendar/v3`; `rest` is what follows.
pub(crate) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    world.live(call)?;
    // `fields` is checked before the handler runs: a refused request must have no effect.
    let fields = call.query.get("fields").map(Fields::parse).transpose()?;
    let reply = answer(world, call, rest)?;
    Ok(match (fields, serde_json::from_slice::<Value>(&reply.body)) {
        (Some(fields), Ok(value)) => Reply { body: fields.project(&value).to_string().into(), ..reply },
        _ => reply,
    })
}

fn answer(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, ["users", "me", "calendarList"]) => list::list(world, call),
        (&Method::GET, ["users", "me", "calendarList", id]) => list::get(world, call, id),
        (&Method::GET, ["calendars", id, "acl"]) => list::acl(world, call, id),
        (&Method::GET, ["calendars", id, "events"]) => events::list(world, call, id),
        (&Method::POST, ["calendars", id, "events"]) => write::insert(world, call, id),
        (&Method::GET, ["calendars", id, "events", event]) => events::get(world, call, id, event),
        (&Method::PATCH, ["calendars", id, "events", event]) => write::patch(world, call, id, event),
        (&Method::DELETE, ["calendars", id, "events", event]) => write::delete(world, call, id, event),
        (&Method::POST, ["freeBusy"]) => busy::query(world, call),
        _ => Err(refuse::not_found("Not Found")),
    }
}
