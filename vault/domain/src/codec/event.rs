//! Parts of a calendar event (Google Calendar v3): its times, and its guests.

use serde_json::{Map, Value, json};

use crate::address::Address;
use crate::when::When;

/// How many guests Google takes for one event.
const GUESTS_MAX: usize = 200;

/// What of a guest is written back as it was: all that a client may write.
const KEPT: [&str; 7] =
    ["email", "displayName", "optional", "resource", "responseStatus", "comment", "additionalGuests"];

/// A guest list cannot be made. It never repeats what stands in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// The list that the event has is none, or somebody in it has no readable address.
    #[error("the event's guest list cannot be read, so it cannot be changed without loss")]
    Unreadable,
    /// More guests than an event may have.
    #[error("an event has at most {GUESTS_MAX} guests")]
    TooMany,
    /// A response to an event that the account is not invited to.
    #[error("the account is not among the guests of this event")]
    NotInvited,
}

/// `start` or `end` of an event: `{"date"}` for a day, `{"dateTime", "timeZone"}` for a moment. The other form is `null`,
/// which changes an event from the one to the other, and means nothing in a new one.
#[must_use]
pub fn time(at: When, zone: Option<&str>) -> Value {
    match at {
        When::Day(day) => json!({ "date": day.to_string(), "dateTime": null, "timeZone": null }),
        When::Moment(moment) => {
            let mut time = json!({ "date": null, "dateTime": moment.to_string() });
            if let Some(zone) = zone {
                time["timeZone"] = zone.into();
            }
            time
        }
    }
}

/// What changes in a guest list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// Who is invited besides; whoever is invited already is not invited twice.
    pub add: &'a [Address],
    /// Who is no longer invited.
    pub remove: &'a [Address],
    /// What the account itself answers: a `responseStatus`.
    pub response: Option<&'a str>,
}

/// The whole list of guests after the changes, as Google wants it: what it is not given, it forgets. `present` is the
/// event's `attendees`; `Null` where it has none.
///
/// # Errors
/// [`GuestError`].
pub fn guests(present: &Value, changes: Changes<'_>) -> Result<Value, GuestError> {
    let present = match present {
        Value::Null => &[],
        Value::Array(guests) => guests.as_slice(),
        _ => return Err(GuestError::Unreadable),
    };
    let mut all: Vec<(Address, Map<String, Value>)> = Vec::with_capacity(present.len());
    let mut answered = false;
    for guest in present {
        let address = guest.get("email").and_then(Value::as_str).and_then(|email| email.parse().ok());
        let (Some(address), Value::Object(members)) = (address, guest) else {
            return Err(GuestError::Unreadable);
        };
        let mut kept = members.clone();
        kept.retain(|name, _| KEPT.contains(&name.as_str()));
        if let Some(response) = changes.response
            && members.get("self") == Some(&Value::Bool(true))
        {
            kept.insert("responseStatus".to_owned(), response.into());
            answered = true;
        }
        all.push((address, kept));
    }
    if changes.response.is_some() && !answered {
        return Err(GuestError::NotInvited);
    }
    all.retain(|(address, _)| !changes.remove.iter().any(|gone| same(gone, address)));
    for address in changes.add {
        if !all.iter().any(|(known, _)| same(known, address)) {
            let guest = Map::from_iter([("email".to_owned(), Value::from(address.to_string()))]);
            all.push((address.clone(), guest));
        }
    }
    if all.len() > GUESTS_MAX {
        return Err(GuestError::TooMany);
    }
    Ok(all.into_iter().map(|(_, guest)| Value::Object(guest)).collect())
}

/// Calendars do not tell upper from lower case in an address.
fn same(one: &Address, other: &Address) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn addresses(list: &[&str]) -> Vec<Address> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn times() {
        let at = |text: &str| text.parse::<When>().unwrap();
        assert_eq!(
            time(at("2026-03-01"), Some("Europe/Berlin")),
            json!({ "date": "2026-03-01", "dateTime": null, "timeZone": null })
        );
        assert_eq!(
            time(at("2026-03-01T09:00:00+01:00"), Some("Europe/Berlin")),
            json!({ "date": null, "dateTime": "2026-03-01T09:00:00+01:00", "timeZone": "Europe/Berlin" })
        );
        assert_eq!(
            time(at("2026-03-01T09:00:00Z"), None),
            json!({ "date": null, "dateTime": "2026-03-01T09:00:00Z" })
        );
    }

    #[test]
    fn adding_is_not_replacing() {
        let present = json!([
            { "email": "ann@example.org", "responseStatus": "accepted", "optional": true, "organizer": true },
            { "email": "Bo@Example.org", "displayName": "Bo", "self": true, "responseStatus": "needsAction" },
        ]);
        let add = addresses(&["cy@example.org", "ANN@example.org", "cy@example.org"]);
        let remove = addresses(&["bo@example.org"]);
        let changed = |add: &[Address], remove: &[Address], response| {
            guests(&present, Changes { add, remove, response })
        };
        assert_eq!(
            changed(&add, &[], None).unwrap(),
            json!([
                { "email": "ann@example.org", "responseStatus": "accepted", "optional": true },
                { "email": "Bo@Example.org", "displayName": "Bo", "responseStatus": "needsAction" },
                { "email": "cy@example.org" },
            ])
        );
        assert_eq!(
            changed(&[], &remove, None).unwrap(),
            json!([{ "email": "ann@example.org", "responseStatus": "accepted", "optional": true }])
        );
        assert_eq!(
            changed(&[], &[], Some("declined")).unwrap()[1],
            json!({ "email": "Bo@Example.org", "displayName": "Bo", "responseStatus": "declined" })
        );
        assert_eq!(guests(&Value::Null, Changes::default()).unwrap(), json!([]));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_not_changed() {
        for present in [
            json!("ann@example.org"),
            json!({}),
            json!([{ "displayName": "Ann" }]),
            json!([{ "email": "not an address" }]),
            json!([{ "email": 1 }]),
            json!(["ann@example.org"]),
        ] {
            assert_eq!(guests(&present, Changes::default()), Err(GuestError::Unreadable), "{present}");
        }
        let present = json!([{ "email": "ann@example.org" }]);
        let response = Changes { response: Some("accepted"), ..Changes::default() };
        assert_eq!(guests(&present, response), Err(GuestError::NotInvited));
        let many: Vec<Address> = (0..201).map(|n| format!("g{n}@example.org").parse().unwrap()).collect();
        let all = Changes { add: &many, ..Changes::default() };
        assert_eq!(guests(&Value::Null, all), Err(GuestError::TooMany));
        let most = Changes { add: &many[1..], ..Changes::default() };
        assert_eq!(guests(&Value::Null, most).unwrap().as_array().unwrap().len(), 200);
    }

    proptest! {
        /// Nobody is in the result who was neither there nor added, and nobody is lost who was not taken off.
        #[test]
        fn the_result_is_what_was_there_and_what_was_added(
            present in prop::collection::vec("[a-d]", 0..5),
            add in prop::collection::vec("[a-f]", 0..4),
            remove in prop::collection::vec("[a-f]", 0..3),
        ) {
            let address = |name: &String| format!("{name}@example.org");
            let list: Value = present.iter().map(|name| json!({ "email": address(name) })).collect();
            let parse = |names: &[String]| -> Vec<Address> {
                names.iter().map(|name| address(name).parse().unwrap()).collect()
            };
            let (added, removed) = (parse(&add), parse(&remove));
            let result = guests(&list, Changes { add: &added, remove: &removed, response: None }).unwrap();
            let found: Vec<&str> = result.as_array().unwrap().iter().map(|guest| guest["email"].as_str().unwrap()).collect();
            for name in ["a", "b", "c", "d", "e", "f"].map(str::to_owned) {
                let stays = (present.contains(&name) && !remove.contains(&name)) || add.contains(&name);
                prop_assert_eq!(found.contains(&address(&name).as_str()), stays, "{}", name);
            }
        }
    }
}
