//! The calendars themselves, and their JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::time::Time;
use crate::clock::rfc3339;
use crate::google_error as refuse;
use crate::random;
use crate::scopes;
use crate::seed::{SeedCalendar, SeedEvent};
use crate::wire::Reply;
use crate::world::Bearer;

/// A mail that Calendar would have sent to a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The event's id.
    pub event: String,
    /// The guest's address.
    pub to: String,
    /// `invited`, `changed`, `cancelled` or `answered`.
    pub about: &'static str,
}

/// One calendar on the account's list.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) primary: bool,
    pub(super) hidden: bool,
    /// What the account may do: `owner`, `writer`, `reader` or `freeBusyReader`.
    pub(super) role: String,
    /// Who else may, each with a role; the address `default` is everybody.
    pub(super) shared_with: Vec<(String, String)>,
}

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) calendar: String,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) location: Option<String>,
    pub(super) start: Time,
    pub(super) end: Time,
    pub(super) organizer: String,
    /// As Google writes them, without `self`, which depends on who looks.
    pub(super) attendees: Vec<Map<String, Value>>,
    /// The series that it is one of.
    pub(super) series: Option<String>,
    pub(super) private: bool,
    pub(super) cancelled: bool,
    pub(super) changed: u64,
    pub(super) changed_ms: i64,
}

impl Event {
    /// The entity tag, quotes and all.
    pub(super) fn etag(&self) -> String {
        format!("\"{}\"", 3_000_000_000_000_000_u64 + self.changed)
    }

    /// The addresses of its guests.
    pub(super) fn guests(&self) -> Vec<String> {
        self.attendees.iter().filter_map(|guest| guest.get("email")?.as_str()).map(str::to_owned).collect()
    }
}

/// Names, each with an id.
pub(crate) type Named = Vec<(String, String)>;

/// All calendars and events.
#[derive(Debug)]
pub(crate) struct Calendars {
    calendars: Vec<Calendar>,
    events: BTreeMap<String, Event>,
    pub(super) me: String,
    made: u64,
    /// The mails to guests, oldest first.
    pub(crate) invitations: Vec<Invitation>,
}

impl Calendars {
    /// The owner's own calendar, without events.
    pub(crate) fn new(owner: &str) -> Self {
        let primary = Calendar {
            id: owner.to_owned(),
            name: owner.to_owned(),
            primary: true,
            hidden: false,
            role: "owner".to_owned(),
            shared_with: Vec::new(),
        };
        Self {
            calendars: vec![primary],
            events: BTreeMap::new(),
            me: owner.to_owned(),
            made: 0,
            invitations: Vec::new(),
        }
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A new event's id: 26 characters of base32hex.
    pub(super) fn new_id(&mut self) -> String {
        let made = self.next();
        random::sha256_hex(format!("event {made} {}", self.me).as_bytes()).chars().take(26).collect()
    }

    /// Puts a seeded calendar in; returns its id.
    pub(crate) fn add_calendar(&mut self, seed: &SeedCalendar) -> String {
        let digest = random::sha256_hex(format!("calendar {} {}", seed.name, self.me).as_bytes());
        let id = format!("c_{}@group.calendar.google.com", digest.get(..24).unwrap_or(&digest));
        self.calendars.push(Calendar {
            id: id.clone(),
            name: seed.name.clone(),
            primary: false,
            hidden: seed.hidden,
            role: seed.role.clone(),
            shared_with: seed.shared_with.clone(),
        });
        id
    }

    /// Puts a seeded event in; `None` if there is no calendar of that name.
    pub(crate) fn add_event(&mut self, seed: &SeedEvent) -> Option<String> {
        let calendar = self.id_of(&seed.calendar)?;
        let mut id = self.new_id();
        let series = seed.series.then(|| id.clone());
        if seed.series {
            let digits: String =
                seed.start.chars().filter(|c| c.is_ascii_digit() || *c == 'T').take(15).collect();
            id = format!("{id}_{digits}Z");
        }
        let guest = |email: &String| {
            Map::from_iter([
                ("email".to_owned(), json!(email)),
                ("responseStatus".to_owned(), json!("needsAction")),
            ])
        };
        let changed = self.next();
        self.events.insert(
            id.clone(),
            Event {
                id: id.clone(),
                organizer: seed.organizer.clone().unwrap_or_else(|| calendar.clone()),
                calendar,
                title: seed.title.clone(),
                description: seed.description.clone(),
                location: None,
                start: Time::of(&seed.start),
                end: Time::of(&seed.end),
                attendees: seed.attendees.iter().map(guest).collect(),
                series,
                private: false,
                cancelled: false,
                changed,
                changed_ms: Time::of(&seed.start).ms(),
            },
        );
        Some(id)
    }

    /// The calendars on the list.
    pub(super) fn all(&self) -> &[Calendar] {
        &self.calendars
    }

    /// The id of the calendar of that name.
    pub(crate) fn id_of(&self, name: &str) -> Option<String> {
        self.calendars
            .iter()
            .find(|calendar| calendar.name == name || calendar.primary && name == "primary")
            .map(|calendar| calendar.id.clone())
    }

    /// A calendar by its id, in which case does not count, or by `primary`; 404 if there is none.
    pub(super) fn calendar(&self, id: &str) -> Result<&Calendar, Reply> {
        let named = |calendar: &&Calendar| {
            calendar.id.eq_ignore_ascii_case(id) || calendar.primary && id.eq_ignore_ascii_case("primary")
        };
        self.calendars.iter().find(named).ok_or_else(|| refuse::not_found("Not Found"))
    }

    /// As [`Calendars::calendar`], where the bearer may have to do with its events at all.
    pub(super) fn visible(&self, id: &str, bearer: &Bearer, owned: &str) -> Result<&Calendar, Reply> {
        let calendar = self.calendar(id)?;
        let only_owned = ["calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly"];
        if scopes::has(&bearer.scopes, owned)
            && !scopes::any(&bearer.scopes, &only_owned)
            && calendar.role != "owner"
        {
            return Err(refuse::not_found("Not Found"));
        }
        Ok(calendar)
    }

    /// The events of a calendar.
    pub(super) fn events_of(&self, calendar: &str) -> impl Iterator<Item = &Event> {
        self.events.values().filter(move |event| event.calendar == calendar)
    }

    /// An event of a calendar; 404 if there is none, 410 if it was cancelled.
    pub(super) fn event(&self, calendar: &str, id: &str) -> Result<&Event, Reply> {
        match self.events.get(id).filter(|event| event.calendar == calendar) {
            Some(event) if event.cancelled => {
                Err(refuse::error(410, "GONE", "deleted", "Resource has been deleted"))
            }
            Some(event) => Ok(event),
            None => Err(refuse::not_found("Not Found")),
        }
    }

    /// Puts an event in or replaces it; it gets a new entity tag.
    pub(super) fn put(&mut self, mut event: Event, now_ms: i64) -> Event {
        event.changed = self.next();
        event.changed_ms = now_ms;
        self.events.insert(event.id.clone(), event.clone());
        event
    }

    /// An event's JSON with every field this stand-in has.
    pub(super) fn json(&self, event: &Event) -> Value {
        let calendar = self.calendars.iter().find(|calendar| calendar.id == event.calendar);
        let busy_only = calendar.is_some_and(|calendar| {
            calendar.role == "freeBusyReader" || event.private && calendar.role == "reader"
        });
        let mut value = json!({
            "kind": "calendar#event",
            "etag": event.etag(),
            "id": event.id,
            "status": if event.cancelled { "cancelled" } else { "confirmed" },
            "created": rfc3339(0),
            "updated": rfc3339(event.changed_ms),
            "start": event.start.json(),
            "end": event.end.json(),
            "iCalUID": format!("{}@google.com", event.id),
            "eventType": "default",
        });
        if busy_only {
            value["visibility"] = json!("private");
            return value;
        }
        value["summary"] = json!(event.title);
        let mut organizer = json!({ "email": event.organizer });
        if event.organizer == event.calendar {
            organizer["self"] = json!(true);
        }
        // What is made in a calendar of the owner's, the owner made.
        let creator = if event.organizer == event.calendar { &self.me } else { &event.organizer };
        value["creator"] = json!({ "email": creator });
        if *creator == self.me {
            value["creator"]["self"] = json!(true);
        }
        value["organizer"] = organizer;
        let texts = [("description", &event.description), ("location", &event.location)];
        for (name, text) in texts {
            if let Some(text) = text {
                value[name] = json!(text);
            }
        }
        if !event.attendees.is_empty() {
            let one = |guest: &Map<String, Value>| {
                let mut guest = guest.clone();
                let email = guest.get("email").and_then(Value::as_str).unwrap_or_default();
                if email.eq_ignore_ascii_case(&self.me) {
                    guest.insert("self".to_owned(), json!(true));
                }
                Value::Object(guest)
            };
            value["attendees"] = event.attendees.iter().map(one).collect();
        }
        if let Some(series) = &event.series {
            value["recurringEventId"] = json!(series);
            value["originalStartTime"] = event.start.json();
        }
        value
    }

    /// Notes the mails to these guests.
    pub(super) fn mail(&mut self, event: &str, guests: &[String], about: &'static str) {
        let others = guests.iter().filter(|guest| !guest.eq_ignore_ascii_case(&self.me));
        let mails: Vec<Invitation> =
            others.map(|to| Invitation { event: event.to_owned(), to: to.clone(), about }).collect();
        self.invitations.extend(mails);
    }

    /// The id of the first event of that title, for tests.
    pub(crate) fn by_title(&self, title: &str) -> Option<String> {
        self.events.values().find(|event| event.title == title).map(|event| event.id.clone())
    }

    /// An event's JSON, for tests.
    pub(crate) fn describe(&self, id: &str) -> Option<Value> {
        self.events.get(id).map(|event| self.json(event))
    }

    /// Invites somebody from outside the API; `false` if there is no such event.
    pub(crate) fn invite(&mut self, id: &str, guest: &str) -> bool {
        let Some(mut event) = self.events.get(id).cloned() else { return false };
        event.attendees.push(Map::from_iter([("email".to_owned(), json!(guest))]));
        let at = event.changed_ms;
        self.put(event, at);
        true
    }

    /// Shares a calendar from outside the API; `false` if there is none of that id.
    pub(crate) fn share(&mut self, id: &str, with: &str, role: &str) -> bool {
        let found = self.calendars.iter_mut().find(|calendar| calendar.id == id);
        found.map(|calendar| calendar.shared_with.push((with.to_owned(), role.to_owned()))).is_some()
    }

    /// Names and ids of all calendars, and titles and ids of all events.
    pub(crate) fn names(&self) -> (Named, Named) {
        let calendars = self.calendars.iter().map(|one| (one.name.clone(), one.id.clone())).collect();
        let events = self.events.values().map(|one| (one.title.clone(), one.id.clone())).collect();
        (calendars, events)
    }
}
