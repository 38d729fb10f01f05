//! What a look must see before a call is decided, and what becomes of what it saw.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{arg, ident, parse, step, tool};
use crate::arg::ArgKind;
use crate::effect::Effect;
use crate::look::{Look, filled, see};
use crate::pointer::Pointer;
use crate::seen::Party;
use crate::step::{LookedUp, ParamSource, Step};

fn at(text: &str) -> Pointer {
    text.parse().unwrap()
}

fn look(name: &str) -> Look {
    Look {
        name: ident(name),
        step: ident("get"),
        optional: false,
        when: None,
        people: vec![at("/readers/*")],
        except: Vec::new(),
        except_calendar: Some(ident("calendar")),
        private: None,
        sends_if: vec![at("/rooms"), at("/public")],
        pin: vec![at("/etag")],
        show: BTreeMap::from([("Title".to_owned(), at("/title"))]),
        etag: None,
    }
}

#[test]
fn it_is_due_where_its_argument_is_given() {
    let tool = tool(
        [
            ("line", arg(ArgKind::Line { max: 4 })),
            (
                "body",
                crate::arg::Arg {
                    default: Some(crate::arg::ArgValue::Text("x".to_owned())),
                    ..arg(ArgKind::Text { max: 4 })
                },
            ),
        ],
        vec![step("act")],
    );
    let due = |when: Option<&str>, given: Value| {
        Look { when: when.map(ident), ..look("event") }.is_due(&parse(&tool, &given).unwrap())
    };
    assert!(due(None, json!({})));
    assert!(due(Some("line"), json!({ "line": "a" })));
    assert!(!due(Some("line"), json!({})));
    // A default is not the caller's doing.
    assert!(!due(Some("body"), json!({})) && due(Some("body"), json!({ "body": "x" })));
}

/// A shared calendar has an address, which stands among its readers; a person's calendar has the person's.
#[test]
fn a_calendar_that_is_no_persons_reads_nothing() {
    let tool = tool([("calendar", arg(ArgKind::Calendar))], vec![step("act")]);
    let reached = |id: &str, readers: Value| {
        let args = parse(&tool, &json!({ "calendar": id })).unwrap();
        look("event").reaches(&json!({ "readers": readers }), &args, None)
    };
    let shared = "c_1@group.calendar.google.com";
    assert_eq!(reached(shared, json!([shared])), []);
    assert_eq!(reached(shared, json!([shared, "a@x.org"])), [Party::Address("a@x.org".parse().unwrap())]);
    assert_eq!(reached("a@x.org", json!(["a@x.org"])), [Party::Address("a@x.org".parse().unwrap())]);
}

#[test]
fn one_sign_of_others_is_enough() {
    let effect = |answer: Value| look("event").effect(&answer, &[]);
    assert_eq!(effect(json!({})), None);
    assert_eq!(effect(json!({ "rooms": ["r"] })), Some(Effect::Send));
    assert_eq!(effect(json!({ "public": true })), Some(Effect::Send));
    assert_eq!(effect(json!({ "rooms": [], "public": false })), None);
    let many = Look { sends_if: vec![at("/rooms/*/open")], ..look("event") };
    let effect = |open: Value| many.effect(&json!({ "rooms": [{ "open": false }, { "open": open }] }), &[]);
    assert_eq!((effect(json!(false)), effect(json!(true))), (None, Some(Effect::Send)));
}

fn taking(kind: LookedUp) -> Step {
    let mut step = step("send");
    step.params.insert(ident("raw"), ParamSource::Look { look: ident("draft"), at: at("/raw"), kind });
    step.params.insert(ident("id"), ParamSource::Answer);
    step
}

#[test]
fn a_parameter_is_filled_with_what_stands_there_or_no_request_is_made() {
    let fill = |kind, answer: Value| {
        let found = filled(&taking(kind), &BTreeMap::from([(ident("draft"), answer)]))?;
        assert_eq!(found.keys().collect::<Vec<_>>(), [&ident("raw")]);
        Some(found[&ident("raw")].texts().join(" "))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(fill(LookedUp::Text, json!({ "raw": "abc" })), some("abc"));
    for odd in
        [json!({}), json!({ "raw": 1 }), json!({ "raw": null }), json!({ "raw": ["abc"] }), json!(null)]
    {
        assert_eq!(fill(LookedUp::Text, odd.clone()), None, "{odd}");
    }
    assert_eq!(
        fill(LookedUp::Addresses, json!({ "raw": ["A <a@x.org>", "b@x.org"] })),
        some("a@x.org b@x.org")
    );
    assert_eq!(fill(LookedUp::Addresses, json!({ "raw": [] })), some(""));
    assert_eq!(fill(LookedUp::Addresses, json!({ "raw": ["a@x.org", "?"] })), None);
    assert_eq!(fill(LookedUp::Json, json!({ "raw": { "b": [1] } })), some("{\"b\":[1]}"));
    assert_eq!(fill(LookedUp::Json, json!({})), some("null"));
    // What one pointer could stand for twice is nothing.
    let mut twice = taking(LookedUp::Json);
    let both = ParamSource::Look { look: ident("draft"), at: at("/parts/*"), kind: LookedUp::Json };
    twice.params.insert(ident("raw"), both);
    let answers = |parts: Value| BTreeMap::from([(ident("draft"), json!({ "parts": parts }))]);
    assert!(filled(&twice, &answers(json!([1]))).is_some());
    assert!(filled(&twice, &answers(json!([1, 2]))).is_none());
    // A look that was not due fills nothing.
    assert_eq!(filled(&taking(LookedUp::Text), &BTreeMap::new()), Some(BTreeMap::new()));
}

/// What several looks see counts together, and nothing of it changes unseen.
#[test]
fn all_looks_count_together() {
    let looks = [look("first"), look("second")];
    let of = |first: Value, second: Value, declared| {
        let answers = BTreeMap::from([(ident("first"), first), (ident("second"), second)]);
        see(&looks, &answers, &crate::arg::Arguments::default(), declared, None)
    };
    let plain = of(json!({ "etag": "1" }), json!({ "etag": "1" }), Effect::Write);
    assert_eq!((plain.effect, plain.people.len()), (Effect::Write, 0));
    assert_eq!(
        plain.shown,
        [("Title".to_owned(), "(nothing)".to_owned()), ("Title".to_owned(), "(nothing)".to_owned())]
    );
    let reader = json!({ "etag": "1", "readers": ["a@x.org"] });
    let seen = of(json!({ "etag": "1" }), reader.clone(), Effect::Write);
    assert_eq!(
        (seen.effect, seen.people.clone()),
        (Effect::Send, vec![Party::Address("a@x.org".parse().unwrap())])
    );
    // Never less than declared.
    assert_eq!(of(json!({ "etag": "1" }), reader.clone(), Effect::Delete).effect, Effect::Delete);
    let digests = [
        plain.digest,
        seen.digest,
        of(reader, json!({ "etag": "1" }), Effect::Write).digest,
        of(json!({ "etag": "2" }), json!({ "etag": "1" }), Effect::Write).digest,
        of(json!({ "etag": "1" }), json!({ "etag": "2" }), Effect::Write).digest,
        of(json!({ "etag": "1" }), json!({ "etag": "1" }), Effect::Delete).digest,
    ];
    for (n, one) in digests.iter().enumerate() {
        assert!(one.is_some() && !digests[..n].contains(one), "{n}");
    }
    let none = see(&looks, &BTreeMap::new(), &crate::arg::Arguments::default(), Effect::Read, None);
    assert_eq!((none.effect, none.digest), (Effect::Read, None));
}
