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
    if let (Some(fields), Some(known)) = (&fields, known(call, rest)) {
        fields.within(&known)?;
    }
    let reply = answer(world, call, rest)?;
    Ok(match (fields, serde_json::from_slice::<Value>(&reply.body)) {
        (Some(fields), Ok(value)) => Reply { body: fields.project(&value).to_string().into(), ..reply },
        _ => reply,
    })
}

/// What an event has, from Google's reference of Calendar v3.
const EVENT: &str = "kind,etag,id,status,htmlLink,created,updated,summary,description,location,colorId,\
    creator(id,email,displayName,self),organizer(id,email,displayName,self),start(date,dateTime,timeZone),\
    end(date,dateTime,timeZone),endTimeUnspecified,recurrence,recurringEventId,\
    originalStartTime(date,dateTime,timeZone),transparency,visibility,iCalUID,sequence,\
    attendees(id,email,displayName,organizer,self,resource,optional,responseStatus,comment,additionalGuests),\
    attendeesOmitted,extendedProperties,hangoutLink,conferenceData,gadget,anyoneCanAddSelf,guestsCanInviteOthers,\
    guestsCanModify,guestsCanSeeOtherGuests,privateCopy,locked,reminders,source,workingLocationProperties,\
    outOfOfficeProperties,focusTimeProperties,birthdayProperties,attachments,eventType";

/// What an entry of the list of calendars has.
const ENTRY: &str = "kind,etag,id,summary,description,location,timeZone,summaryOverride,colorId,backgroundColor,\
    foregroundColor,hidden,selected,accessRole,defaultReminders,notificationSettings,primary,deleted,\
    conferenceProperties,dataOwner,autoAcceptInvitations";

/// A selection of all that an answer may have; `None` where there is no such resource.
fn known(call: &Call, rest: &[&str]) -> Option<String> {
    match rest {
        ["users", "me", "calendarList"] => {
            Some(format!("kind,etag,nextPageToken,nextSyncToken,items({ENTRY})"))
        }
        ["users", "me", "calendarList", _] => Some(ENTRY.to_owned()),
        ["calendars", _, "acl"] => {
            let rule = "kind,etag,id,role,scope(type,value)";
            Some(format!("kind,etag,nextPageToken,nextSyncToken,items({rule})"))
        }
        ["calendars", _, "events"] if call.method == Method::GET => Some(format!(
            "kind,etag,summary,description,updated,timeZone,accessRole,defaultReminders,nextPageToken,nextSyncToken,\
             items({EVENT})"
        )),
        ["calendars", _, "events"] | ["calendars", _, "events", _] => Some(EVENT.to_owned()),
        ["freeBusy"] => Some("kind,timeMin,timeMax,groups,calendars".to_owned()),
        _ => None,
    }
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
