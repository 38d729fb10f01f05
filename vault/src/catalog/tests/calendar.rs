//! What goes over the wire for Calendar and contacts, in full; and what of a call makes it reach others.

use std::collections::BTreeMap;

use claviger_canonical::Canonical;
use claviger_domain::arg::{ArgValue, Arguments};
use claviger_domain::effect::Effect;
use claviger_domain::look::{filled, see};
use claviger_domain::name::Ident;
use claviger_domain::render::{Filling, render};
use claviger_domain::seen::{Party, Seen};
use claviger_domain::tool::Tool;
use serde_json::{Value, json};

use super::built_in;
use super::wire::{check, ident};

const EVENT: &str = "id%2Cstatus%2Csummary%2Cdescription%2Clocation%2Cstart%2Cend%2CrecurringEventId%2C";
const PEOPLE: &str = "organizer%28email%2CdisplayName%2Cself%29%2Ccreator%28email%29%2CeventType%2CprivateCopy\
                      %2CguestsCanModify%2CguestsCanSeeOtherGuests%2CanyoneCanAddSelf%2Cattendees%28email%2CdisplayName%2CresponseStatus%2Cself\
                      %2Coptional%2Corganizer%2Cresource%29%2CattendeesOmitted%2Cvisibility%2Ctransparency%2ChangoutLink\
                      %2Cupdated";
const DONE: &str =
    "fields=id%2Cstatus%2Csummary%2Clocation%2Cstart%2Cend%2Cattendees%28email%2CresponseStatus%2Cself%29";

#[test]
fn calendar_reads() {
    check(
        "calendar.list_calendars",
        json!({}),
        &[(
            "list",
            &[],
            None,
            "GET /calendar/v3/users/me/calendarList?fields=items%28id%2Csummary%2CsummaryOverride%2CtimeZone%2C\
             accessRole%2Cprimary%29&maxResults=250",
        )],
    );
    check(
        "calendar.list_events",
        json!({ "calendar_id": "en.usa#holiday@group.v.calendar.google.com", "from": "2026-12-01",
                "to": "2026-12-08T00:00:00+01:00", "max_results": 5, "page": "page_0123456789abcdef" }),
        &[(
            "list",
            &[],
            Some("tok"),
            &format!(
                "GET /calendar/v3/calendars/en.usa%23holiday%40group.v.calendar.google.com/events?fields=nextPageToken%2C\
                 items%28{EVENT}{PEOPLE}%29&maxResults=5&orderBy=startTime&singleEvents=true\
                 &timeMax=2026-12-08T00%3A00%3A00%2B01%3A00&timeMin=2026-12-01T00%3A00%3A00Z&pageToken=tok"
            ),
        )],
    );
    check(
        "calendar.search_events",
        json!({ "calendar_id": "me@x.org", "words": "Fence OR Mona@x.org" }),
        &[(
            "list",
            &[],
            None,
            &format!(
                "GET /calendar/v3/calendars/me%40x.org/events?fields=nextPageToken%2Citems%28{EVENT}{PEOPLE}%29\
                 &maxResults=25&orderBy=startTime&q=fence%20or%20mona%40x.org&singleEvents=true"
            ),
        )],
    );
    check(
        "calendar.get_event",
        json!({ "calendar_id": "me@x.org", "event_id": "abc_20261207T080000Z" }),
        &[(
            "get",
            &[],
            None,
            &format!(
                "GET /calendar/v3/calendars/me%40x.org/events/abc_20261207T080000Z?fields={EVENT}recurrence%2C{PEOPLE}"
            ),
        )],
    );
    check(
        "calendar.free_busy",
        json!({ "calendar_ids": ["me@x.org", "mona@x.org"], "from": "2026-12-01", "to": "2026-12-02" }),
        &[(
            "query",
            &[],
            None,
            "POST /calendar/v3/freeBusy\napplication/json\n{\"items\":[{\"id\":\"me@x.org\"},{\"id\":\"mona@x.org\"}],\
             \"timeMax\":\"2026-12-02T00:00:00Z\",\"timeMin\":\"2026-12-01T00:00:00Z\"}",
        )],
    );
}

#[test]
fn contacts_read() {
    let mask = "readMask=names%2CemailAddresses";
    let search = format!(
        "?fields=results%28person%28names%28displayName%29%2CemailAddresses%28value%29%29%29&pageSize=10&query=mona%20m&{mask}"
    );
    for (tool, path) in [
        ("contacts.search_contacts", "/v1/people:searchContacts"),
        ("contacts.search_other_contacts", "/v1/otherContacts:search"),
    ] {
        check(
            tool,
            json!({ "words": "Mona M" }),
            &[
                ("warm", &[], None, &format!("GET {path}?pageSize=1&query=&{mask}")),
                ("search", &[], None, &format!("GET {path}{search}")),
            ],
        );
    }
}

#[test]
fn calendar_acts() {
    check(
        "calendar.create_event",
        json!({ "calendar_id": "me@x.org", "title": "A \"b\"", "start": "2026-12-01", "end": "2026-12-02" }),
        &[(
            "create",
            &[],
            None,
            &format!(
                "POST /calendar/v3/calendars/me%40x.org/events?{DONE}&sendUpdates=none\napplication/json\n\
                 {{\"end\":{{\"date\":\"2026-12-02\",\"dateTime\":null,\"timeZone\":null}},\
                 \"start\":{{\"date\":\"2026-12-01\",\"dateTime\":null,\"timeZone\":null}},\"summary\":\"A \\\"b\\\"\"}}"
            ),
        )],
    );
    check(
        "calendar.create_event",
        json!({ "calendar_id": "me@x.org", "title": "T", "start": "2026-12-01T09:00:00+01:00",
                "end": "2026-12-01T10:00:00+01:00", "time_zone": "Europe/Berlin", "description": "D", "location": "L",
                "attendees": ["mona@x.org"], "send_updates": "all" }),
        &[(
            "create",
            &[],
            None,
            &format!(
                "POST /calendar/v3/calendars/me%40x.org/events?{DONE}&sendUpdates=all\napplication/json\n\
                 {{\"attendees\":[{{\"email\":\"mona@x.org\"}}],\"description\":\"D\",\
                 \"end\":{{\"date\":null,\"dateTime\":\"2026-12-01T10:00:00+01:00\",\"timeZone\":\"Europe/Berlin\"}},\
                 \"location\":\"L\",\
                 \"start\":{{\"date\":null,\"dateTime\":\"2026-12-01T09:00:00+01:00\",\"timeZone\":\"Europe/Berlin\"}},\
                 \"summary\":\"T\"}}"
            ),
        )],
    );
    check(
        "calendar.delete_event",
        json!({ "calendar_id": "me@x.org", "event_id": "e1" }),
        &[("delete", &[], None, "DELETE /calendar/v3/calendars/me%40x.org/events/e1?sendUpdates=none")],
    );
    // What is not said stays as it is: no empty field, no guest list.
    check(
        "calendar.update_event",
        json!({ "calendar_id": "me@x.org", "event_id": "e1", "title": "T" }),
        &[(
            "update",
            &[],
            None,
            "PATCH /calendar/v3/calendars/me%40x.org/events/e1?fields=id%2Cstatus%2Cstart%2Cend&sendUpdates=none\napplication/json\n\
                 {\"summary\":\"T\"}",
        )],
    );
}

fn tool(name: &str) -> Tool {
    built_in().tool(&name.parse().unwrap()).unwrap().clone()
}

fn args(tool: &Tool, given: &Value) -> Arguments {
    Arguments::parse(&tool.args, Canonical::from_json(given).unwrap().value()).unwrap()
}

/// The body of a tool's only step, with what its looks saw.
fn body(tool: &Tool, given: &Value, answers: &BTreeMap<Ident, Value>) -> Option<Value> {
    let step = &tool.steps[0];
    let args = args(tool, given).with(filled(step, answers)?);
    let request = render(step, Filling { args: &args, params: &BTreeMap::new(), page_token: None }).ok()?;
    Some(serde_json::from_slice(&request.body).unwrap())
}

fn event(guests: Value) -> Value {
    let mut event =
        json!({ "id": "e1", "etag": "\"1\"", "organizer": { "email": "me@x.org", "self": true } });
    if guests != Value::Null {
        event["attendees"] = guests;
    }
    event
}

fn sharing(more: &[(&str, &str)]) -> Value {
    let rule = |who: &str, role: &str| match who {
        "default" => json!({ "role": role, "scope": { "type": "default" } }),
        who => json!({ "role": role, "scope": { "type": "user", "value": who } }),
    };
    let own = [("me@x.org", "owner"), ("c_1@group.calendar.google.com", "owner")];
    json!({ "items": own.iter().chain(more).map(|(who, role)| rule(who, role)).collect::<Vec<_>>() })
}

fn seen(tool: &Tool, given: &Value, event: Value, sharing: Value) -> Seen {
    let answers = BTreeMap::from([(ident("event"), event), (ident("sharing"), sharing)]);
    let (args, own) = (args(tool, given), "me@x.org".parse().unwrap());
    see(&tool.looks, &answers, &args, tool.effect_of(&args), Some(&own))
}

#[test]
fn adding_a_guest_keeps_those_that_are_there() {
    let update = tool("calendar.update_event");
    let me = json!({ "email": "me@x.org", "self": true, "responseStatus": "accepted" });
    let looked =
        BTreeMap::from([(ident("event"), event(json!([me, { "email": "bo@x.org", "optional": true }])))]);
    let given = json!({ "calendar_id": "me@x.org", "event_id": "e1", "add_attendees": ["cy@x.org"], "remove_attendees": ["bo@x.org"] });
    assert_eq!(
        body(&update, &given, &looked).unwrap(),
        json!({ "attendees": [{ "email": "me@x.org", "responseStatus": "accepted" }, { "email": "cy@x.org" }] })
    );
    let none = BTreeMap::from([(ident("event"), event(Value::Null))]);
    assert_eq!(body(&update, &given, &none).unwrap(), json!({ "attendees": [{ "email": "cy@x.org" }] }));
    // A list that cannot be read is not overwritten.
    let odd = BTreeMap::from([(ident("event"), event(json!([{ "displayName": "Bo" }])))]);
    assert_eq!(body(&update, &given, &odd), None);

    let respond = tool("calendar.respond_to_event");
    let given = json!({ "calendar_id": "me@x.org", "event_id": "e1", "response": "declined" });
    let answered = body(&respond, &given, &looked).unwrap();
    assert_eq!(answered["attendees"][0], json!({ "email": "me@x.org", "responseStatus": "declined" }));
    assert_eq!(answered["attendees"][1], json!({ "email": "bo@x.org", "optional": true }));
    assert_eq!(body(&respond, &given, &none), None, "whoever is not invited answers nothing");
}

#[test]
fn an_event_that_nobody_else_sees_is_a_write_and_every_other_a_send() {
    let (create, update) = (tool("calendar.create_event"), tool("calendar.update_event"));
    let own = json!([{ "email": "me@x.org", "self": true }]);
    let making = |more: Value| {
        let mut given = json!({ "calendar_id": "c_1@group.calendar.google.com", "title": "T", "start": "2026-12-01", "end": "2026-12-02" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        given
    };
    let changing = |more: Value| {
        let mut given = json!({ "calendar_id": "c_1@group.calendar.google.com", "event_id": "e1" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        given
    };
    let effect =
        |tool: &Tool, given: &Value, event: Value, sharing: Value| seen(tool, given, event, sharing).effect;
    assert_eq!(effect(&create, &making(json!({})), json!(null), sharing(&[])), Effect::Write);
    assert_eq!(
        effect(&create, &making(json!({ "attendees": [] })), json!(null), sharing(&[])),
        Effect::Write
    );
    let guest = making(json!({ "attendees": ["mona@x.org"] }));
    assert_eq!(effect(&create, &guest, json!(null), sharing(&[])), Effect::Send);
    let busy = sharing(&[("mona@x.org", "freeBusyReader"), ("default", "none")]);
    assert_eq!(effect(&create, &making(json!({})), json!(null), busy), Effect::Write);
    for shared in [
        sharing(&[("mona@x.org", "reader")]),
        sharing(&[("mona@x.org", "writer")]),
        sharing(&[("mona@x.org", "aRoleToCome")]),
        sharing(&[("default", "reader")]),
        // Another owner is somebody else, and so is another calendar; to know when somebody is busy is a person's right,
        // a whole domain's it is not.
        sharing(&[("mona@x.org", "owner")]),
        sharing(&[("c_2@group.calendar.google.com", "owner")]),
        sharing(&[("default", "freeBusyReader")]),
        json!({ "items": [{ "role": "freeBusyReader", "scope": { "type": "domain", "value": "x.org" } }] }),
        sharing(&[("x.org", "reader")]),
        json!({ "items": [], "nextPageToken": "more" }),
        json!({ "items": "odd" }),
        // The look could not be made.
        Value::Null,
    ] {
        assert_eq!(
            effect(&create, &making(json!({})), json!(null), shared.clone()),
            Effect::Send,
            "{shared}"
        );
        let change = changing(json!({ "title": "T" }));
        assert_eq!(effect(&update, &change, event(own.clone()), shared), Effect::Send);
    }
    assert_eq!(
        effect(&update, &changing(json!({ "title": "T" })), event(own.clone()), sharing(&[])),
        Effect::Write
    );
    assert_eq!(
        effect(&update, &changing(json!({ "title": "T" })), event(Value::Null), sharing(&[])),
        Effect::Write
    );
    let adding = changing(json!({ "add_attendees": ["mona@x.org"] }));
    assert_eq!(effect(&update, &adding, event(own.clone()), sharing(&[])), Effect::Send);
    for guests in [
        json!([{ "email": "mona@x.org" }]),
        json!([{ "email": "me@x.org", "self": true }, { "email": "mona@x.org", "self": false }]),
        json!([{ "displayName": "Mona" }]),
        json!({ "email": "mona@x.org" }),
    ] {
        let change = changing(json!({ "title": "T" }));
        assert_eq!(effect(&update, &change, event(guests.clone()), sharing(&[])), Effect::Send, "{guests}");
    }
    // What somebody else organises, or any guest may change, is not the owner's alone, though nobody is listed.
    for (organizer, more) in [
        (json!({ "email": "boss@x.org" }), json!({})),
        (json!({ "email": "boss@x.org", "self": false }), json!({ "guestsCanModify": true })),
        (json!(null), json!({})),
        (json!({ "email": "me@x.org", "self": true }), json!({ "guestsCanModify": true })),
    ] {
        let mut theirs = event(own.clone());
        theirs["organizer"] = organizer;
        theirs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = seen(&update, &changing(json!({ "title": "T" })), theirs.clone(), sharing(&[]));
        assert_eq!(found.effect, Effect::Send, "{theirs}");
        assert!(found.people.contains(&Party::Unknown), "{theirs}");
        let found = seen(&tool("calendar.delete_event"), &changing(json!({})), theirs, sharing(&[]));
        assert!(found.people.contains(&Party::Unknown));
    }
    let delete = tool("calendar.delete_event");
    assert_eq!(effect(&delete, &changing(json!({})), event(own), sharing(&[])), Effect::Delete);
}

#[test]
fn one_calendar_has_one_name() {
    let list = tool("calendar.list_events");
    let parse = |id: &str| {
        let given = json!({ "calendar_id": id, "from": "2026-12-01" });
        Arguments::parse(&list.args, Canonical::from_json(&given).unwrap().value())
    };
    assert!(parse("me@x.org").is_ok());
    for other in
        ["primary", "PRIMARY", "Primary", "Me@x.org", "me@X.org", "me%40x.org", "me@x.org/events/../acl", ""]
    {
        assert!(parse(other).is_err(), "{other}");
    }
    let busy = tool("calendar.free_busy");
    let given = json!({ "calendar_ids": ["me@x.org", "primary"], "from": "2026-12-01", "to": "2026-12-02" });
    assert!(Arguments::parse(&busy.args, Canonical::from_json(&given).unwrap().value()).is_err());
}

/// The moments that are kept are those that were meant.
#[test]
fn a_time_keeps_its_offset() {
    let list = tool("calendar.list_events");
    let given = json!({ "calendar_id": "me@x.org", "from": "2026-12-01T09:00:00+00:00" });
    let parsed = args(&list, &given);
    assert_eq!(
        parsed.get(&ident("from")).map(ArgValue::texts),
        Some(vec!["2026-12-01T09:00:00Z".to_owned()])
    );
}
