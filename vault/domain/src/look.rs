//! Looks: what the vault must see of an object before it decides a call, because the arguments do not tell.

use std::collections::BTreeMap;

use claviger_canonical::Digest;
use serde_json::Value;

use crate::address::Address;
use crate::arg::{ArgValue, Arguments};
use crate::effect::Effect;
use crate::name::Ident;
use crate::people::{people, people_if_any};
use crate::pointer::Pointer;
use crate::seen::{Party, Seen};
use crate::step::{LookedUp, ParamSource, Step};

/// How the address of a calendar ends that is no person's.
const CALENDARS: &str = "@group.calendar.google.com";

/// The address of the calendar that an argument names, where it is no person's: it stands among those who see it, and as
/// the organiser of its events. A calendar with any other address is a person's, who is somebody.
#[must_use]
pub fn calendars_own(calendar: &ArgValue) -> Option<Address> {
    match calendar.texts().as_slice() {
        [id] if id.ends_with(CALENDARS) => id.parse().ok(),
        _ => None,
    }
}

/// One look at the object of a call: before the call is decided, and again right before its request is sent. Both must
/// have seen the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its name within its tool.
    pub name: Ident,
    /// A step of the service, rendered from the call's arguments.
    pub step: Ident,
    /// Where it cannot be made, the call goes on as one that reaches somebody unknown, instead of being refused.
    pub optional: bool,
    /// It is made only where the caller gave this argument.
    pub when: Option<Ident>,
    /// Whom bytes will reach: addresses, or headers of addresses.
    pub people: Vec<Pointer>,
    /// The owner's own addresses, which never count.
    pub except: Vec<Pointer>,
    /// The argument that names the calendar. A calendar that is no person's has an address, which stands among those who
    /// see it; that one does not count.
    pub except_calendar: Option<Ident>,
    /// Only where this holds is the object the owner's alone; anything else makes the call a send.
    pub private: Option<Holds>,
    /// Where something stands there, the call is a send.
    pub sends_if: Vec<Pointer>,
    /// What an approval pins; empty for the whole answer.
    pub pin: Vec<Pointer>,
    /// What a person sees before agreeing: a name for people, and where it stands.
    pub show: BTreeMap<String, Pointer>,
    /// Where the object's etag stands, for `If-Match`.
    pub etag: Option<Pointer>,
}

/// That one place of an answer has one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// The place.
    pub at: Pointer,
    /// The value: a text, or yes or no.
    pub is: Value,
}

impl Look {
    /// Whether a call with these arguments looks.
    #[must_use]
    pub fn is_due(&self, args: &Arguments) -> bool {
        self.when.as_ref().is_none_or(|when| args.is_given(when))
    }

    /// Whom bytes would reach besides the owner, whose own address `own` is, where it is known. One who cannot be read
    /// is [`Party::Unknown`]; so is whoever sees an object that is not the owner's alone, where nobody is listed.
    #[must_use]
    pub fn reaches(&self, answer: &Value, args: &Arguments, own: Option<&Address>) -> Vec<Party> {
        let mut mine: Vec<Address> = own.into_iter().cloned().collect();
        mine.extend(self.except.iter().filter_map(|at| people(answer, at)).flatten());
        let calendar = self.except_calendar.as_ref().and_then(|name| args.get(name));
        mine.extend(calendar.and_then(calendars_own));
        let is_mine = |address: &Address| {
            mine.iter().any(|known| known.as_str().eq_ignore_ascii_case(address.as_str()))
        };
        let mut found = Vec::new();
        for at in &self.people {
            match people_if_any(answer, at) {
                None => found.push(Party::Unknown),
                Some(all) => {
                    found.extend(all.into_iter().filter(|a| !is_mine(a)).map(Party::Address));
                }
            }
        }
        if found.is_empty() && self.is_seen_by_others(answer) {
            found.push(Party::Unknown);
        }
        found.sort();
        found.dedup();
        found
    }

    /// The effect that a call would have on such an object, if it is worse than what its tool declares. Not knowing means
    /// send.
    #[must_use]
    pub fn effect(&self, answer: &Value, reached: &[Party]) -> Option<Effect> {
        (self.is_seen_by_others(answer) || !reached.is_empty()).then_some(Effect::Send)
    }

    /// Whether the object says, or does not deny, that it is not the owner's alone.
    fn is_seen_by_others(&self, answer: &Value) -> bool {
        let private = self.private.as_ref().is_none_or(
            |Holds { at, is }| matches!(at.every(answer).as_deref(), Some([only]) if *only == is),
        );
        let something = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(true) | Value::Number(_) | Value::Object(_) => true,
        };
        !private || self.sends_if.iter().any(|at| at.select(answer).into_iter().any(something))
    }

    /// The bytes that stand for what was seen. Where nothing stands at any of the places to be pinned, it is the whole
    /// answer: an object that does not say which version it is can be anything by the next look.
    #[must_use]
    pub fn pinned(&self, answer: &Value) -> Vec<u8> {
        let parts: Vec<Vec<&Value>> = self.pin.iter().map(|at| at.select(answer)).collect();
        let text = if parts.iter().all(Vec::is_empty) {
            answer.to_string()
        } else {
            serde_json::json!(parts).to_string()
        };
        let mut bytes = Vec::with_capacity(text.len() + self.name.as_str().len() + 16);
        for part in [self.name.as_str(), &text] {
            bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    /// What a person sees of it before agreeing, whole: pairs of a name and a text.
    #[must_use]
    pub fn shown(&self, answer: &Value) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown = |(name, at): (&String, &Pointer)| {
            let texts: Vec<String> = at.select(answer).into_iter().map(text).collect();
            let texts = if texts.is_empty() { "(nothing)".to_owned() } else { texts.join(", ") };
            (name.clone(), texts)
        };
        self.show.iter().map(shown).collect()
    }

    /// The object's etag: visible ASCII, at most 200 characters, so that it is a header's value.
    #[must_use]
    pub fn etag(&self, answer: &Value) -> Option<String> {
        let found = self.etag.as_ref()?.every(answer)?;
        let [Value::String(text)] = found.as_slice() else { return None };
        let plain = (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        plain.then(|| text.clone())
    }
}

/// The parameters of a step that come from looks, filled from what these answered; those of a look that was not due are
/// absent. `None` where one cannot be filled: a parameter that is missing would make another request.
#[must_use]
pub fn filled(step: &Step, answers: &BTreeMap<Ident, Value>) -> Option<BTreeMap<Ident, ArgValue>> {
    let mut found = BTreeMap::new();
    for (name, source) in &step.params {
        let ParamSource::Look { look, at, kind } = source else { continue };
        let Some(answer) = answers.get(look) else { continue };
        let value = match kind {
            LookedUp::Text => match at.every(answer)?.as_slice() {
                [Value::String(text)] => ArgValue::Text(text.clone()),
                _ => return None,
            },
            LookedUp::Addresses => ArgValue::Addresses(people_if_any(answer, at)?),
            LookedUp::Json => match at.select(answer).as_slice() {
                [] => ArgValue::Text("null".to_owned()),
                [only] => ArgValue::Text(only.to_string()),
                _ => return None,
            },
        };
        found.insert(name.clone(), value);
    }
    Some(found)
}

/// What all looks at a call's object come to. The digest stands for what each pins, for whom the call would reach and for
/// its effect: none of these changes unseen between two looks.
#[must_use]
pub fn see(
    looks: &[Look],
    answers: &BTreeMap<Ident, Value>,
    args: &Arguments,
    declared: Effect,
    own: Option<&Address>,
) -> Seen {
    let mut seen = Seen::nothing(declared);
    let mut bytes = Vec::new();
    for look in looks {
        let Some(answer) = answers.get(&look.name) else { continue };
        let reached = look.reaches(answer, args, own);
        if let Some(worse) = look.effect(answer, &reached) {
            seen.effect = seen.effect.max(worse);
        }
        bytes.extend(look.pinned(answer));
        for party in &reached {
            let text = match party {
                Party::Address(address) => address.as_str(),
                Party::Unknown => "",
            };
            bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(seen.effect.as_str().as_bytes());
        seen.people.extend(reached);
        seen.shown.extend(look.shown(answer));
    }
    if !bytes.is_empty() {
        seen.digest = Some(*Digest::of(&bytes).as_bytes());
    }
    seen
}

/// Whether the looks are done again right before that step: where it is filled or guarded by one, and before every
/// request that may change something.
#[must_use]
pub fn needs_looks(step: &Step) -> bool {
    step.if_match.is_some()
        || step.params.values().any(|source| matches!(source, ParamSource::Look { .. }))
        || step.method != crate::step::Method::Get
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    fn look() -> Look {
        let at = |text: &str| text.parse::<Pointer>().unwrap();
        Look {
            name: "event".parse().unwrap(),
            step: "facts".parse().unwrap(),
            optional: false,
            when: None,
            people: vec![at("/guests/*/mail")],
            except: vec![at("/me")],
            except_calendar: Some("calendar".parse().unwrap()),
            private: Some(Holds { at: at("/shared"), is: json!(false) }),
            sends_if: vec![at("/rooms")],
            pin: vec![at("/etag")],
            show: BTreeMap::from([("Title".to_owned(), at("/title"))]),
            etag: Some(at("/etag")),
        }
    }

    fn effect(answer: &Value) -> Option<Effect> {
        let look = look();
        look.effect(answer, &look.reaches(answer, &Arguments::default(), None))
    }

    #[test]
    fn not_knowing_means_send() {
        assert_eq!(effect(&json!({ "shared": false })), None);
        assert_eq!(effect(&json!({ "shared": false, "guests": [], "rooms": [] })), None);
        for answer in [
            json!({}),
            json!({ "shared": true }),
            json!({ "shared": null }),
            json!({ "shared": "false" }),
            json!({ "shared": 0 }),
            json!({ "shared": [false] }),
            json!([]),
            json!(null),
            json!({ "shared": false, "rooms": ["r"] }),
            json!({ "shared": false, "rooms": true }),
            json!({ "shared": false, "rooms": "r" }),
            json!({ "shared": false, "rooms": {} }),
            json!({ "shared": false, "guests": [{ "mail": "a@x.org" }] }),
            json!({ "shared": false, "guests": [{}] }),
            json!({ "shared": false, "guests": "a@x.org" }),
            json!({ "shared": false, "guests": null }),
        ] {
            assert_eq!(effect(&answer), Some(Effect::Send), "{answer}");
        }
    }

    #[test]
    fn the_owner_is_nobody_else() {
        let party = |text: &str| Party::Address(text.parse().unwrap());
        let own: Address = "own@x.org".parse().unwrap();
        let answer = json!({ "shared": false, "me": "Me@x.org", "guests": [
            { "mail": "me@X.org" }, { "mail": "OWN@x.org" }, { "mail": "b@y.org" }, { "mail": "b@y.org" },
        ] });
        assert_eq!(look().reaches(&answer, &Arguments::default(), Some(&own)), [party("b@y.org")]);
        assert_eq!(look().reaches(&answer, &Arguments::default(), None).len(), 2);
        let odd = json!({ "me": "?", "guests": [{ "mail": "b@y.org" }, { "mail": "?" }] });
        assert_eq!(look().reaches(&odd, &Arguments::default(), None), [Party::Unknown]);
    }

    #[test]
    fn who_is_not_listed_is_unknown() {
        let reached = |answer: Value| look().reaches(&answer, &Arguments::default(), None);
        assert_eq!(reached(json!({ "shared": false, "guests": [] })), []);
        for answer in [
            json!({ "shared": true }),
            json!({ "guests": [] }),
            json!({ "shared": false, "guests": [], "rooms": true }),
            json!({ "shared": true, "me": "me@x.org", "guests": [{ "mail": "me@x.org" }] }),
        ] {
            assert_eq!(reached(answer.clone()), [Party::Unknown], "{answer}");
        }
    }

    #[test]
    fn what_is_pinned_changes_with_it() {
        let pinned = |answer: Value| look().pinned(&answer);
        assert_eq!(pinned(json!({ "etag": "1", "x": 1 })), pinned(json!({ "x": 2, "etag": "1" })));
        assert_ne!(pinned(json!({ "etag": "1" })), pinned(json!({ "etag": "2" })));
        assert_ne!(pinned(json!({ "etag": "1" })), pinned(json!({ "etag": 1 })));
        // An object that says no version is pinned whole.
        assert_ne!(pinned(json!({ "x": 1 })), pinned(json!({ "x": 2 })));
        let whole = Look { pin: Vec::new(), ..look() };
        assert_ne!(
            whole.pinned(&json!({ "etag": "1", "x": 1 })),
            whole.pinned(&json!({ "etag": "1", "x": 2 }))
        );
    }

    #[test]
    fn an_etag_is_a_headers_value() {
        let etag = |value: Value| look().etag(&json!({ "etag": value }));
        assert_eq!(etag(json!("\"3\"")), Some("\"3\"".to_owned()));
        for bad in [
            json!(""),
            json!("a b"),
            json!("a\r\nx: y"),
            json!("é"),
            json!(3),
            json!(null),
            json!("a".repeat(201)),
        ] {
            assert_eq!(etag(bad), None);
        }
        assert_eq!(look().shown(&json!({ "title": "T" })), [("Title".to_owned(), "T".to_owned())]);
        assert_eq!(look().shown(&json!({})), [("Title".to_owned(), "(nothing)".to_owned())]);
    }
}
