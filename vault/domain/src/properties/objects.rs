//! People, days, ids and what lies below: worlds that differ only in what is out of scope look the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{arg, ident, parse, step, tool};
use crate::arg::{Arg, ArgKind};
use crate::caveat::{Caveat, DateBound, PeopleBound, ResourceBound, Role};
use crate::look::{Holds, Look, see};
use crate::scope::{Found, Limit, Scope, judge_probe};
use crate::seen::Party;
use crate::step::{AnswerKind, Check, Elements, Probe, Refuse, Span, Step};

fn at(text: &str) -> crate::pointer::Pointer {
    text.parse().unwrap()
}

fn people(role: Role, patterns: &[&str]) -> Caveat {
    Caveat::People(PeopleBound {
        role,
        patterns: patterns.iter().map(|text| text.parse().unwrap()).collect(),
    })
}

fn resource(name: &str, ids: &[&str], nested: bool) -> Caveat {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Caveat::Resource(ResourceBound { resource: ident(name), ids, shown: Vec::new(), nested })
}

/// A step whose list is judged under each of these names.
fn listing(nonempty: bool) -> Step {
    let mut step = step("list");
    for (name, place) in [
        ("folder", "/parents"),
        ("sender", "/headers/*[name=From]/value"),
        ("owner", "/owners/*/mail"),
        ("date", "/when"),
        ("file", "/id"),
        ("made", "/id"),
    ] {
        let elements = Elements { list: at("/files"), at: at(place), nonempty };
        step.checks.insert(ident(name), Check { elements: Some(elements), ..Check::default() });
    }
    step
}

/// And one whose whole answer is judged.
fn getting() -> Step {
    let mut step = listing(false);
    for check in step.checks.values_mut() {
        let place = check.elements.take().map(|elements| elements.at);
        check.response = place;
    }
    step
}

fn header() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "good@x.org",
        "Ann <good@x.org>",
        "evil@y.org",
        "\"good@x.org\" <evil@y.org>",
        "good@x.org, evil@y.org",
        "good@x.org <evil@y.org>",
        "=?utf-8?Q?good=40x.org?= <evil@y.org>",
        "Team: good@x.org, good2@x.org;",
        "(c) good@x.org",
        "good@x.org\0",
        "",
        "?",
    ])
    .prop_map(str::to_owned)
}

fn object() -> impl Strategy<Value = Value> {
    let headers = prop::collection::vec((prop::sample::select(vec!["From", "FROM", "To"]), header()), 0..3);
    let when = prop::sample::select(vec![
        json!("2026-01-01"),
        json!("2026-01-31T23:59:59Z"),
        json!("2026-01-31T23:59:59-01:00"),
        json!("1767225600000"),
        json!(1_767_225_599_999_u64),
        json!({ "date": "2026-01-15" }),
        json!({ "dateTime": "2026-01-15T00:00:00Z" }),
        json!({}),
        json!(null),
        json!("soon"),
    ]);
    let id = prop::sample::select(vec!["a", "b", "c"]);
    let parents = prop::collection::vec(prop::sample::select(vec!["in", "below", "out"]), 0..3);
    let owners = prop::collection::vec(header(), 0..3);
    (headers, when, id, parents, owners).prop_map(|(headers, when, id, parents, owners)| {
        let headers: Vec<Value> =
            headers.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let owners: Vec<Value> = owners.into_iter().map(|mail| json!({ "mail": mail })).collect();
        json!({ "headers": headers, "when": when, "id": id, "parents": parents, "owners": owners })
    })
}

fn bound() -> impl Strategy<Value = Caveat> {
    let day = |text: &str| Some(text.parse().unwrap());
    prop::sample::select(vec![
        people(Role::Sender, &["*@x.org"]),
        people(Role::Sender, &["good@x.org"]),
        people(Role::Sender, &["*"]),
        people(Role::Sender, &[]),
        people(Role::Owner, &["*@x.org"]),
        Caveat::Within(DateBound { after: day("2026-01-01"), before: day("2026-02-01") }),
        Caveat::Within(DateBound { after: None, before: day("2026-01-01") }),
        Caveat::Within(DateBound { after: None, before: None }),
        resource("file", &["a", "b"], false),
        resource("folder", &["in"], false),
        resource("folder", &["in"], true),
        Caveat::MadeByAgent,
    ])
}

fn found() -> Found {
    let below = BTreeMap::from([("in".to_owned(), BTreeSet::from(["below".to_owned()]))]);
    Found {
        made: vec!["a".to_owned()],
        below: BTreeMap::from([(ident("folder"), below)]),
        ..Found::default()
    }
}

fn settled(caveats: &[Caveat]) -> Scope {
    let tool = tool([], vec![listing(false)]);
    let args = parse(&tool, &json!({})).unwrap();
    Scope::of(caveats).settle(&found(), &tool, &args).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// An element is let through where it would be let through alone, whatever stands beside it.
    #[test]
    fn what_is_outside_leaves_no_trace(
        items in prop::collection::vec(object(), 0..5),
        others in prop::collection::vec((object(), any::<prop::sample::Index>()), 0..4),
        bounds in prop::collection::vec(bound(), 1..3),
        nonempty in any::<bool>(),
    ) {
        let scope = settled(&bounds);
        let judge = |step: &Step, items: &[Value]| scope.judge(step, json!({ "files": items }));
        let alone = |item: &Value| {
            judge(&listing(true), std::slice::from_ref(item)).is_ok()
        };
        let mut more = items.clone();
        for (other, place) in others {
            if !alone(&other) {
                more.insert(place.index(more.len() + 1), other);
            }
        }
        let step = listing(nonempty);
        let told = |judged: Result<Value, crate::refusal::Denial>| {
            judged.map_err(|denial| (denial.class, denial.field))
        };
        let (few, many) = (told(judge(&step, &items)), told(judge(&step, &more)));
        prop_assert_eq!(&few, &many);
        prop_assert_eq!(few.is_err(), nonempty && !items.iter().any(alone));
        // An object alone is judged as an element is.
        for item in &items {
            let mut whole = getting();
            whole.answer = crate::step::AnswerKind::Bytes;
            prop_assert_eq!(scope.judge(&whole, item.clone()).is_ok(), alone(item), "{}", item);
        }
    }

    /// A further bound only takes away.
    #[test]
    fn more_bounds_show_less(
        items in prop::collection::vec(object(), 0..5),
        bounds in prop::collection::vec(bound(), 0..3),
        more in bound(),
    ) {
        let show = |bounds: &[Caveat]| -> Vec<Value> {
            let judged = settled(bounds).judge(&listing(false), json!({ "files": items })).unwrap();
            judged["files"].as_array().unwrap().clone()
        };
        let before = show(&bounds);
        let after = show(&[bounds, vec![more]].concat());
        prop_assert!(after.iter().all(|item| before.contains(item)));
    }

    /// Whoever is allowed is so by every address that any reader finds: a stranger in plain brackets never passes.
    #[test]
    fn no_stranger_passes(item in object()) {
        let scope = settled(&[people(Role::Sender, &["*@x.org"])]);
        let text = item["headers"].to_string();
        if scope.judge(&listing(true), json!({ "files": [item] })).is_ok() {
            let senders: Vec<Value> = serde_json::from_str(&text).unwrap();
            for header in senders.iter().filter(|header| header["name"] != json!("To")) {
                prop_assert!(!header["value"].as_str().unwrap().contains("evil@y.org"), "{}", text);
            }
        }
    }

    /// What is seen in an object makes its effect worse, never better, and its digest tells whatever is decided by it.
    #[test]
    fn looking_is_monotone(
        one in prop::collection::vec(header(), 0..3),
        two in prop::collection::vec(header(), 0..3),
        shared in prop::sample::select(vec![json!(true), json!(false), json!(null)]),
        declared in prop::sample::select(crate::effect::Effect::ALL.to_vec()),
    ) {
        let look = Look {
            name: ident("thing"),
            step: ident("facts"),
            when: None,
            people: vec![at("/guests/*/mail")],
            except: Vec::new(),
            except_calendar: None,
            private: Some(Holds { at: at("/shared"), is: json!(false) }),
            sends_if: Vec::new(),
            pin: vec![at("/etag")],
            show: BTreeMap::new(),
            etag: None,
            optional: false,
        };
        let seen = |guests: &[String]| {
            let guests: Vec<Value> = guests.iter().map(|mail| json!({ "mail": mail })).collect();
            let answer = json!({ "etag": "same", "shared": shared, "guests": guests });
            see(std::slice::from_ref(&look), &BTreeMap::from([(ident("thing"), answer)]), &crate::arg::Arguments::default(), declared, None)
        };
        let (first, second) = (seen(&one), seen(&two));
        prop_assert!(first.effect >= declared);
        prop_assert!(first.people.is_empty() || first.effect >= crate::effect::Effect::Send);
        if first.digest == second.digest {
            prop_assert_eq!(&first.people, &second.people);
            prop_assert_eq!(first.effect, second.effect);
        }
        // Whoever cannot be read is allowed by no pattern.
        let caveat = people(Role::Attendee, &["*"]);
        let tool = tool([], vec![step("act")]);
        let args = parse(&tool, &json!({})).unwrap();
        let unknown = first.people.contains(&Party::Unknown);
        prop_assert_eq!(caveat.reaches(&tool, &args, Some(&first.people)).is_err(), unknown);
    }

    #[test]
    fn no_answer_panics(items in prop::collection::vec(object(), 0..3), bounds in prop::collection::vec(bound(), 0..3), odd in prop::sample::select(vec![json!(null), json!([]), json!({}), json!({ "files": {} }), json!({ "files": [null, 1, [], {}] })])) {
        let scope = settled(&bounds);
        for answer in [json!({ "files": items }), odd] {
            let _ = scope.judge(&listing(false), answer.clone());
            let _ = scope.judge(&getting(), answer);
        }
    }
}

/// Who is on an event already is told of being taken off: the owner is told why that is refused, and what to do.
#[test]
fn who_is_there_already_is_no_guest_to_be_taken_off() {
    let tool = tool([], vec![step("act")]);
    let args = parse(&tool, &json!({})).unwrap();
    let guest = [Party::Address("eve@evil.example".parse().unwrap())];
    for (bound, word) in [
        (people(Role::Attendee, &["*@example.org"]), "take them off yourself"),
        (Caveat::Recipients(["*@example.org".parse().unwrap()].into()), "to the recipients of a new grant"),
    ] {
        let denial = bound.reaches(&tool, &args, Some(&guest)).unwrap_err();
        let fix = denial.fix.unwrap();
        assert!(fix.contains(word) && fix.contains("eve@evil.example"), "{fix}");
    }
}

#[test]
fn what_nobody_named_is_nothing() {
    // Before it is settled, what the agent made is nothing, and what lies below is not there.
    let judge = |scope: &Scope, item: Value| scope.judge(&listing(true), json!({ "files": [item] })).is_ok();
    let made = Scope::of(&[Caveat::MadeByAgent]);
    assert!(!judge(&made, json!({ "id": "a" })));
    assert!(judge(&settled(&[Caveat::MadeByAgent]), json!({ "id": "a" })));
    let nested = resource("folder", &["in"], true);
    assert!(!judge(&Scope::of(std::slice::from_ref(&nested)), json!({ "parents": ["below"] })));
    assert!(judge(&settled(&[nested]), json!({ "parents": ["below"] })));
    // A bound that is not nested does not take what lies below.
    assert!(!judge(&settled(&[resource("folder", &["in"], false)]), json!({ "parents": ["below"] })));
    // Nor does what lies below one folder lie below another.
    let other = Scope::of(&[resource("folder", &["other"], true)]);
    let tool = tool([], vec![listing(false)]);
    let args = parse(&tool, &json!({})).unwrap();
    assert!(!judge(&other.settle(&found(), &tool, &args).unwrap(), json!({ "parents": ["below"] })));
}

#[test]
fn arguments_are_decided_again_once_it_is_known_what_is_meant() {
    let required = |kind| Arg { required: true, ..arg(kind) };
    let mut step = step("get");
    step.checks.insert(ident("made"), Check { arg: Some(ident("id")), ..Check::default() });
    step.checks.insert(ident("folder"), Check { arg: Some(ident("id")), ..Check::default() });
    let tool = tool([("id", required(ArgKind::Id))], vec![step]);
    let check = |caveat: &Caveat, id: &str, expected: bool| {
        let args = parse(&tool, &json!({ "id": id })).unwrap();
        assert!(caveat.decide(&tool, &args, 0).is_ok(), "it is not known yet");
        let scope = Scope::of(std::slice::from_ref(caveat));
        assert_eq!(scope.settle(&found(), &tool, &args).is_ok(), expected, "{caveat:?} {id}");
    };
    check(&Caveat::MadeByAgent, "a", true);
    check(&Caveat::MadeByAgent, "b", false);
    let nested = resource("folder", &["in"], true);
    check(&nested, "in", true);
    check(&nested, "below", true);
    check(&nested, "out", false);
}

#[test]
fn whom_a_call_reaches_is_decided_once_where_its_arguments_tell() {
    let scope = Scope::of(&[people(Role::Attendee, &["*@x.org"])]);
    let silent = tool([], vec![step("act")]);
    let mut inviting = step("act");
    inviting.recipients = vec![ident("to")];
    let telling = tool([("to", arg(ArgKind::Addresses { max: 3 }))], vec![inviting]);
    let settle = |tool: &crate::tool::Tool| {
        scope.settle(&Found::default(), tool, &parse(tool, &json!({})).unwrap()).unwrap()
    };
    assert!(settle(&telling).checks(&telling.steps[0]).unwrap().is_empty());
    assert!(settle(&silent).checks(&silent.steps[0]).is_err());
    assert!(scope.checks(&telling.steps[0]).is_err(), "before anybody looked");
}

#[test]
fn people_and_days_are_probed_as_they_are_read() {
    let tool = tool([], vec![step("act")]);
    let args = parse(&tool, &json!({})).unwrap();
    let probe = |place: &str| Probe { at: at(place), ..probe() };
    let sender =
        Limit::People(PeopleBound { role: Role::Sender, patterns: vec!["*@x.org".parse().unwrap()] });
    let day = Limit::Within(DateBound { after: Some("2026-01-01".parse().unwrap()), before: None });
    let judged =
        |limit: &Limit, place: &str, answer: Value| judge_probe(limit, &probe(place), &args, &answer).is_ok();
    assert!(judged(&sender, "/from", json!({ "from": "a@x.org" })));
    assert!(!judged(&sender, "/from", json!({ "from": "a@x.org, b@y.org" })));
    assert!(!judged(&sender, "/from", json!({})));
    assert!(judged(&day, "/when", json!({ "when": "2026-01-01" })));
    assert!(!judged(&day, "/when", json!({ "when": "2025-12-31" })));
    assert!(!judged(&day, "/when", json!({ "when": [] })));
    let paths = Limit::Paths(vec!["a".parse().unwrap()]);
    assert!(!judged(&paths, "/path", json!({ "path": "a" })));
}

/// What takes time must lie within with all of it, also after a change.
#[test]
fn an_event_is_within_only_if_all_of_it_is() {
    let day = |text: &str| Some(text.parse().unwrap());
    let limit = Limit::Within(DateBound { after: day("2026-01-10"), before: day("2026-02-01") });
    let span = Span {
        until: Some(at("/end")),
        recurs: Some(at("/recurrence")),
        given: Some((ident("start"), ident("end"))),
    };
    let when = || arg(ArgKind::DateTime);
    let tool = tool([("start", when()), ("end", when())], vec![step("act")]);
    let probe = Probe { at: at("/start"), span: Some(span), ..probe() };
    let judged = |event: &Value, change: Value| {
        judge_probe(&limit, &probe, &parse(&tool, &change).unwrap(), event).is_ok()
    };
    let event = |start: &str, end: &str| {
        let part = |text: &str| match text.len() {
            10 => json!({ "date": text }),
            _ => json!({ "dateTime": text, "timeZone": "UTC" }),
        };
        json!({ "start": part(start), "end": part(end) })
    };
    for (start, end, within) in [
        ("2026-01-10T00:00:00Z", "2026-01-10T01:00:00Z", true),
        ("2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", true),
        ("2026-01-31T23:00:00Z", "2026-02-01T00:00:01Z", false),
        ("2026-01-31T23:00:00Z", "2026-01-31T23:00:00-01:00", true),
        ("2026-01-31T23:00:00Z", "2026-01-31T23:30:00-01:00", false),
        ("2026-01-20T10:00:00Z", "2026-06-01T10:00:00Z", false),
        ("2026-01-09T23:59:59Z", "2026-01-10T10:00:00Z", false),
        ("2026-01-01T10:00:00Z", "2026-06-01T10:00:00Z", false),
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z", false),
        ("2026-01-20T10:00:00Z", "2026-01-20T10:00:00Z", true),
        ("2026-01-20T10:00:00Z", "2026-01-02T10:00:00Z", false),
        ("2026-01-31", "2026-02-01", true),
        ("2026-01-31", "2026-02-02", false),
        ("2026-01-10", "2026-01-11", true),
        ("2026-01-09", "2026-01-11", false),
    ] {
        assert_eq!(judged(&event(start, end), json!({})), within, "{start} {end}");
    }
    for odd in [
        json!({ "start": { "date": "2026-01-20" } }),
        json!({ "start": { "date": "2026-01-20" }, "end": {} }),
        json!({ "start": { "date": "2026-01-20" }, "end": { "date": "soon" } }),
        json!({ "start": { "date": "2026-01-20" }, "end": { "dateTime": "2026-01-21T00:00:00" } }),
        json!({ "end": { "date": "2026-01-21" } }),
    ] {
        assert!(!judged(&odd, json!({})), "{odd}");
    }
    // A series is on other days too.
    let mut series = event("2026-01-20T10:00:00Z", "2026-01-20T11:00:00Z");
    series["recurrence"] = json!(["RRULE:FREQ=WEEKLY"]);
    assert!(!judged(&series, json!({})));
    series["recurrence"] = json!([]);
    assert!(judged(&series, json!({})));
    // What a change would leave.
    let inside = event("2026-01-20T10:00:00Z", "2026-01-20T11:00:00Z");
    for (change, within) in [
        (json!({ "start": "2026-01-10T00:00:00Z" }), true),
        (json!({ "start": "2026-01-09T23:59:59Z" }), false),
        (json!({ "end": "2026-02-01T00:00:00Z" }), true),
        (json!({ "end": "2026-02-01T00:00:01Z" }), false),
        (json!({ "start": "2026-01-31", "end": "2026-02-01" }), true),
        (json!({ "start": "2026-01-31", "end": "2026-02-02" }), false),
        (json!({ "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T11:00:00Z" }), false),
    ] {
        assert_eq!(judged(&inside, change.clone()), within, "{change}");
    }
    // And from without nothing is drawn in.
    let outside = event("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z");
    assert!(!judged(&outside, json!({ "start": "2026-01-20T10:00:00Z", "end": "2026-01-20T11:00:00Z" })));
}

#[test]
fn what_is_to_be_made_is_dated_by_its_arguments() {
    let span = Span { given: Some((ident("start"), ident("end"))), ..Span::default() };
    let mut make = step("make");
    make.checks.insert(ident("date"), Check { span: Some(span), ..Check::default() });
    let when = || arg(ArgKind::DateTime);
    let tool = tool([("start", when()), ("end", when())], vec![make]);
    let day = |text: &str| Some(text.parse().unwrap());
    let caveat = Caveat::Within(DateBound { after: day("2026-01-10"), before: day("2026-02-01") });
    assert!(caveat.enforceable(&tool).is_ok());
    for (args, within) in [
        (json!({ "start": "2026-01-10", "end": "2026-02-01" }), true),
        (json!({ "start": "2026-01-31T23:00:00Z", "end": "2026-02-01T00:00:00Z" }), true),
        (json!({ "start": "2026-01-31T23:00:00Z", "end": "2026-02-01T00:00:01Z" }), false),
        (json!({ "start": "2026-01-31", "end": "2026-02-02" }), false),
        (json!({ "start": "2026-01-09", "end": "2026-01-12" }), false),
        (json!({ "start": "2026-01-10T00:30:00+01:00", "end": "2026-01-12T00:00:00Z" }), false),
        // Nothing is left to be guessed.
        (json!({ "start": "2026-01-20" }), false),
        (json!({ "end": "2026-01-21" }), false),
        (json!({}), false),
    ] {
        let decided = caveat.decide(&tool, &parse(&tool, &args).unwrap(), 0);
        assert_eq!(decided.is_ok(), within, "{args}");
    }
    let scope = Scope::of(&[caveat]);
    assert_eq!(scope.checks(&tool.steps[0]).unwrap().len(), 1);
}

/// A list keeps to whole events.
#[test]
fn a_list_leaves_out_what_reaches_out() {
    let span = Span { until: Some(at("/end")), ..Span::default() };
    let elements = Elements { list: at("/items"), at: at("/start"), nonempty: false };
    let mut list = step("list");
    list.answer = AnswerKind::Json { fields: vec!["items".to_owned()] };
    list.checks
        .insert(ident("date"), Check { elements: Some(elements), span: Some(span), ..Check::default() });
    let bound =
        DateBound { after: Some("2026-01-10".parse().unwrap()), before: Some("2026-02-01".parse().unwrap()) };
    let scope = Scope::of(&[Caveat::Within(bound)]);
    let item = |id: &str, start: &str, end: &str| json!({ "id": id, "start": { "date": start }, "end": { "date": end } });
    let answer = json!({ "items": [
        item("in", "2026-01-30", "2026-02-01"), item("out", "2026-01-30", "2026-02-02"),
        item("before", "2026-01-09", "2026-01-11"), { "id": "endless", "start": { "date": "2026-01-30" } },
    ] });
    let kept = scope.judge(&list, answer).unwrap();
    let ids: Vec<&Value> = kept["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&json!("in")]);
}

fn probe() -> Probe {
    Probe {
        step: ident("facts"),
        at: at("/x"),
        again: false,
        add: None,
        remove: None,
        each: None,
        of: None,
        adds: Vec::new(),
        removes: Vec::new(),
        span: None,
    }
}

#[test]
fn what_is_refused_is_refused_without_any_bound() {
    let refuse =
        |elements: Option<&str>, is: Value| Refuse { elements: elements.map(at), at: at("/kind"), is };
    let nothing = Scope::default();
    let mut whole = step("get");
    whole.refuse = vec![refuse(None, json!("shortcut")), refuse(None, json!(true))];
    for (answer, expected) in [
        (json!({ "id": 1 }), true),
        (json!({ "id": 1, "kind": "file" }), true),
        (json!({ "id": 1, "kind": "shortcut" }), false),
        (json!({ "id": 1, "kind": ["file", "shortcut"] }), false),
        (json!({ "id": 1, "kind": true }), false),
        (json!({ "id": 1, "kind": "true" }), true),
    ] {
        assert_eq!(nothing.judge(&whole, answer.clone()).is_ok(), expected, "{answer}");
    }
    let mut list = step("list");
    list.refuse = vec![refuse(Some("/files"), json!("shortcut"))];
    let judged =
        nothing.judge(&list, json!({ "files": [{ "kind": "shortcut" }, { "kind": "file" }] })).unwrap();
    assert_eq!(judged, json!({ "files": [{ "kind": "file" }] }));
}

/// A list of nobody, or of no day, says nothing of the object: it is not within.
#[test]
fn nobody_and_no_day_are_within_nothing() {
    let day = |text: &str| Some(text.parse().unwrap());
    let judged = |caveat: Caveat, object: Value| {
        let mut whole = getting();
        whole.answer = crate::step::AnswerKind::Bytes;
        let judged = Scope::of(std::slice::from_ref(&caveat)).judge(&whole, object);
        judged.map(drop).map_err(|denial| denial.caveat.unwrap_or_default())
    };
    let from = |value: &str| json!({ "headers": [{ "name": "From", "value": value }] });
    let any = || people(Role::Sender, &["*"]);
    assert!(judged(any(), from("a@x.org")).is_ok());
    assert!(judged(any(), from("undisclosed-recipients:;")).is_err());
    assert!(judged(any(), json!({ "headers": [] })).is_err());
    assert!(judged(people(Role::Owner, &["*"]), json!({ "owners": [{ "mail": "a@x.org" }] })).is_ok());
    assert!(judged(people(Role::Owner, &["*"]), json!({ "owners": [] })).is_err());
    let within = |after: Option<&str>, before: Option<&str>| {
        Caveat::Within(DateBound { after: after.and_then(day), before: before.and_then(day) })
    };
    let days = Limit::Within(DateBound { after: None, before: None });
    let tool = tool([], vec![step("act")]);
    let args = parse(&tool, &json!({})).unwrap();
    let probed = |answer: Value| judge_probe(&days, &Probe { at: at("/when/*"), ..probe() }, &args, &answer);
    assert!(probed(json!({ "when": ["2026-01-01"] })).is_ok());
    assert!(probed(json!({ "when": [] })).is_err());
    // From the first day on, and before the last.
    for (bound, first, expected) in [
        (within(Some("2026-01-02"), None), "2026-01-01", false),
        (within(Some("2026-01-02"), None), "2026-01-02", true),
        (within(None, Some("2026-01-02")), "2026-01-01", true),
        (within(None, Some("2026-01-02")), "2026-01-02", false),
        (within(None, Some("2026-01-02")), "2026-01-03", false),
        (within(Some("2026-01-02"), Some("2026-01-04")), "2026-01-03", true),
    ] {
        assert_eq!(judged(bound, json!({ "when": first })).is_ok(), expected, "{first}");
    }
    // Each says which bound it was.
    assert_eq!(judged(Caveat::MadeByAgent, json!({ "id": "x" })), Err("made_by_agent".to_owned()));
    let folder = judged(resource("folder", &["in"], false), json!({ "parents": ["out"] }));
    assert_eq!(folder, Err("resource.folder = in".to_owned()));
}

#[test]
fn a_scope_tells_what_it_bounds() {
    let whole = Scope::of(&[Caveat::Calls(1), Caveat::Tools(Vec::new())]);
    assert!(whole.is_unbounded() && !whole.is_made() && whole.roots().is_empty());
    let made = Scope::of(&[resource("folder", &["in"], false), Caveat::MadeByAgent]);
    assert!(!made.is_unbounded() && made.is_made() && made.roots().is_empty());
    let mut nested = Scope::of(&[
        resource("folder", &["in", "b"], true),
        resource("label", &["l"], false),
        people(Role::Owner, &[]),
    ]);
    assert!(!nested.is_made());
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(nested.roots(), BTreeMap::from([(ident("folder"), ids(&["b", "in"]))]));
    assert_eq!(nested.choices(&ident("folder")), Some(ids(&["b", "in"])));
    assert_eq!(nested.choices(&ident("label")), Some(ids(&["l"])));
    assert_eq!(nested.choices(&ident("calendar")), None);
    assert!(nested.forbidden_roots().is_empty());
    let Caveat::Resource(never) = resource("label", &["secret"], true) else { panic!("a resource") };
    nested.exclude(never);
    assert_eq!(nested.forbidden_roots(), BTreeMap::from([(ident("label"), ids(&["secret"]))]));
    assert_eq!(nested.roots().len(), 1);
    // What was refused says what the object has, or that it has nothing.
    let value = |object: Value| {
        Scope::of(&[resource("folder", &["in"], false)]).judge(&getting(), object).unwrap_err().value
    };
    assert_eq!(value(json!({ "parents": ["x", "y"] })).as_deref(), Some("x, y"));
    assert_eq!(value(json!({ "parents": [] })).as_deref(), Some("(none)"));
    let deny = |object: Value| {
        let mut scope = Scope::default();
        let Caveat::Resource(never) = resource("folder", &["in"], false) else { panic!("a resource") };
        scope.exclude(never);
        scope.judge(&getting(), object).unwrap_err().caveat
    };
    assert_eq!(deny(json!({ "parents": ["in"] })).as_deref(), Some("deny: resource.folder = in"));
}
