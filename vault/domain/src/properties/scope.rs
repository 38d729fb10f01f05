//! What an answer may show, and what a probe must say.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::world::{arg, ident, parse, resource_bound, step, tool};
use crate::arg::ArgKind;
use crate::caveat::{Caveat, ResourceBound};
use crate::refusal::Class;
use crate::scope::{Limit, Scope, judge_probe};
use crate::step::{AnswerKind, Check, Elements, Probe, Step};

fn bound(ids: &[&str]) -> ResourceBound {
    ResourceBound {
        resource: ident("folder"),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        shown: Vec::new(),
        nested: false,
    }
}

fn scope(bounds: &[ResourceBound]) -> Scope {
    Scope::of(&bounds.iter().cloned().map(Caveat::Resource).collect::<Vec<_>>())
}

fn by_response() -> Step {
    let mut step = step("get");
    step.checks
        .insert(ident("folder"), Check { response: Some("/parents".parse().unwrap()), ..Check::default() });
    step
}

fn by_elements(list: &str) -> Step {
    let mut step = step("list");
    let elements = Elements { list: list.parse().unwrap(), at: "/parents".parse().unwrap(), nonempty: false };
    step.checks.insert(ident("folder"), Check { elements: Some(elements), ..Check::default() });
    step
}

#[test]
fn a_whole_number_is_an_id() {
    let bounds = scope(&[bound(&["7"])]);
    for (answer, expected) in [
        (json!({ "parents": 7 }), true),
        (json!({ "parents": "7" }), true),
        (json!({ "parents": [8, 7] }), true),
        (json!({ "parents": 8 }), false),
        (json!({ "parents": 7.0 }), false),
        (json!({ "parents": -7 }), false),
        (json!({ "parents": "07" }), false),
        (json!({ "parents": 70 }), false),
    ] {
        assert_eq!(bounds.judge(&by_response(), answer.clone()).is_ok(), expected, "{answer}");
    }
    let mut never = Scope::default();
    never.exclude(bound(&["7"]));
    assert!(never.judge(&by_response(), json!({ "parents": 8 })).is_ok());
    for hidden in
        [json!({ "parents": 7 }), json!({ "parents": [8, 7] }), json!({ "parents": 8.5 }), json!({})]
    {
        assert!(never.judge(&by_response(), hidden.clone()).is_err(), "{hidden}");
    }
}

#[test]
fn a_field_may_be_named_deep_in_an_answer() {
    let mut get = step("get");
    let fields = ["id", "user.login", "files.name", "files.by.login", "whole"];
    get.answer = AnswerKind::Json { fields: fields.iter().map(|field| (*field).to_owned()).collect() };
    let judged = scope(&[]).judge(
        &get,
        json!({
            "id": 1, "user": { "login": "ann", "mail": "x" }, "other": 1, "whole": { "a": [{ "b": 1 }] },
            "files": [{ "name": "n", "by": { "login": "bob", "id": 2 }, "raw": "x" }, "odd", null, { "by": [[{ "login": "c", "x": 1 }]] }],
        }),
    );
    assert_eq!(
        judged.unwrap(),
        json!({
            "id": 1, "user": { "login": "ann" }, "whole": { "a": [{ "b": 1 }] },
            "files": [{ "name": "n", "by": { "login": "bob" } }, null, null, { "by": [[{ "login": "c" }]] }],
        })
    );
    // What has no such members shows nothing in their place.
    assert_eq!(
        scope(&[]).judge(&get, json!({ "user": "ann", "files": 3 })).unwrap(),
        json!({ "user": null, "files": null })
    );
}

#[test]
fn an_object_that_does_not_say_where_it_belongs_is_out_of_scope() {
    let scope = scope(&[bound(&["a"])]);
    for (answer, expected) in [
        (json!({ "parents": ["a"] }), true),
        (json!({ "parents": ["x", "a", 5] }), true),
        (json!({ "parents": "a" }), true),
        (json!({}), false),
        (json!({ "parents": [] }), false),
        (json!({ "parents": null }), false),
        (json!({ "parents": {} }), false),
        (json!({ "parents": { "0": "a", "a": "a" } }), false),
        (json!({ "parents": [["a"]] }), false),
        (json!({ "parents": [{ "id": "a" }] }), false),
        (json!({ "parents": ["A", "a ", " a", "a\u{0}"] }), false),
        (json!({ "parents": [true, 1, null] }), false),
        (json!({ "Parents": ["a"] }), false),
        (json!([{ "parents": ["a"] }]), false),
        (json!("a"), false),
        (json!(null), false),
    ] {
        let judged = scope.judge(&by_response(), answer.clone());
        assert_eq!(judged.is_ok(), expected, "{answer}");
        if let Err(denial) = judged {
            assert_eq!(denial.class, Class::OutOfScope, "{answer}");
        }
    }
}

#[test]
fn a_list_that_is_not_where_it_should_be_is_not_passed_on() {
    let scope = scope(&[bound(&["a"])]);
    let check = |list: &str, answer: Value, expected: Option<Value>| {
        assert_eq!(scope.judge(&by_elements(list), answer.clone()).ok(), expected, "{list} {answer}");
    };
    check("/files", json!({ "id": 1 }), Some(json!({ "id": 1 })));
    check(
        "/files",
        json!({ "files": [{ "parents": ["a"] }, { "parents": ["b"] }, {}, null, "a", ["a"]] }),
        Some(json!({ "files": [{ "parents": ["a"] }] })),
    );
    check("/files", json!({ "files": { "0": { "parents": ["b"] } } }), None);
    check("/files", json!({ "files": null }), None);
    check("/files", json!({ "files": "secret" }), None);
    check("/files", json!([{ "parents": ["a"] }]), None);
    // A way that leads elsewhere must not let through what stands there instead.
    check("/files/items", json!({ "files": [{ "parents": ["b"] }] }), None);
    check("/files/items", json!({ "files": {} }), None);
    check("/files/items", json!({ "id": 1 }), Some(json!({ "id": 1 })));
    // A star is many lists, none of which was judged.
    check("/files/*/items", json!({ "files": [{ "items": [{ "parents": ["b"] }] }] }), None);
    check("/*", json!([{ "parents": ["b"] }]), None);
    check("", json!({ "id": 1 }), None);
}

#[test]
fn a_step_without_a_check_is_refused_under_a_bound() {
    let unbounded = scope(&[]);
    let bounded = scope(&[bound(&["a"])]);
    assert!(unbounded.judge(&step("get"), json!({ "id": "x", "other": 1 })).is_ok());
    assert_eq!(bounded.judge(&step("get"), json!({ "id": "x" })).unwrap_err().class, Class::OutOfScope);
}

#[test]
fn an_answer_that_is_no_object_is_refused() {
    for answer in [json!([]), json!("x"), json!(1), json!(null), json!([{ "id": 1 }])] {
        assert_eq!(scope(&[]).judge(&step("get"), answer).unwrap_err().class, Class::Upstream);
    }
}

#[test]
fn several_bounds_must_each_hold() {
    let two = scope(&[bound(&["a", "b"]), bound(&["b", "c"])]);
    assert!(two.judge(&by_response(), json!({ "parents": ["a"] })).is_err());
    assert!(two.judge(&by_response(), json!({ "parents": ["b"] })).is_ok());
    assert!(two.judge(&by_response(), json!({ "parents": ["a", "c"] })).is_ok());
    assert_eq!(two.choices(&ident("folder")), Some(["b".to_owned()].into()));
    assert_eq!(scope(&[bound(&["a"]), bound(&[])]).choices(&ident("folder")), Some([].into()));
    assert_eq!(scope(&[]).choices(&ident("folder")), None);
}

pub(super) fn labelling() -> (crate::tool::Tool, Probe) {
    let kind = || arg(ArgKind::Ids { max: 5 });
    let probe = Probe {
        step: ident("labels"),
        at: "/labels".parse().unwrap(),
        again: false,
        add: Some(ident("add")),
        remove: Some(ident("remove")),
        each: None,
        of: None,
        adds: Vec::new(),
        removes: Vec::new(),
        span: None,
    };
    (tool([("add", kind()), ("remove", kind())], vec![step("modify")]), probe)
}

/// Putting a mail in the bin takes INBOX off it, whatever the arguments say.
#[test]
fn what_a_request_changes_by_itself_counts_too() {
    let (tool, probe) = labelling();
    let probe = Probe { adds: vec!["TRASH".to_owned()], removes: vec!["INBOX".to_owned()], ..probe };
    let judged = |ids: &[&str], has: Value| {
        let args = parse(&tool, &json!({})).unwrap();
        judge_probe(&Limit::Resource(bound(ids)), &probe, &args, &json!({ "labels": has })).is_ok()
    };
    assert!(judged(&["a"], json!(["a", "INBOX"])));
    assert!(!judged(&["INBOX"], json!(["a", "INBOX"])));
    assert!(!judged(&["inbox"], json!(["a", "inbox"])));
    assert!(judged(&["INBOX", "a"], json!(["a", "INBOX"])));
    // What it will have does not make up for what it has not.
    assert!(!judged(&["TRASH"], json!(["a"])));
}

#[test]
fn an_object_must_be_in_scope_before_and_after() {
    let (tool, probe) = labelling();
    let check = |ids: &[&str], has: Value, change: Value, expected: bool| {
        let args = parse(&tool, &change).unwrap();
        let judged = judge_probe(&Limit::Resource(bound(ids)), &probe, &args, &json!({ "labels": has }));
        assert_eq!(judged.is_ok(), expected, "{ids:?} {has} {change}");
    };
    check(&["AI"], json!(["AI", "INBOX"]), json!({ "remove": ["INBOX"] }), true);
    check(&["AI"], json!(["AI"]), json!({ "add": ["X"] }), true);
    // It cannot let itself in, nor out, nor out and in at once.
    check(&["AI"], json!(["INBOX"]), json!({ "add": ["AI"] }), false);
    check(&["AI"], json!(["AI"]), json!({ "remove": ["AI"] }), false);
    check(&["AI"], json!(["AI"]), json!({ "remove": ["ai"] }), false);
    check(&["AI"], json!(["AI"]), json!({ "add": ["AI"], "remove": ["AI"] }), false);
    check(&["AI"], json!(["AI"]), json!({ "add": ["ai"], "remove": ["AI"] }), false);
    // From one label in scope to another.
    check(&["AI", "B"], json!(["AI"]), json!({ "add": ["B"], "remove": ["AI"] }), true);
    check(&["AI", "B"], json!(["AI"]), json!({ "add": ["C"], "remove": ["AI"] }), false);
    check(&["AI", "B"], json!(["AI"]), json!({ "add": ["B"], "remove": ["AI", "B"] }), false);
    // An answer that does not say.
    check(&["AI"], json!(null), json!({}), false);
    check(&["AI"], json!({ "AI": true }), json!({}), false);
    check(&[], json!(["AI"]), json!({}), false);
    let args = parse(&tool, &json!({})).unwrap();
    for answer in [json!({}), json!([]), json!("AI"), json!(null), json!(["AI"])] {
        assert!(judge_probe(&Limit::Resource(bound(&["AI"])), &probe, &args, &answer).is_err(), "{answer}");
    }
}

fn leaf() -> BoxedStrategy<Value> {
    let id = || prop::sample::select(vec!["a", "b", "c", "x"]);
    prop_oneof![
        id().prop_map(Value::from),
        prop::collection::vec(id(), 0..3).prop_map(Value::from),
        prop::sample::select(vec![
            json!(null),
            json!(1),
            json!(["a", 1]),
            json!([["a"]]),
            json!({ "a": "a" })
        ]),
    ]
    .boxed()
}

fn object(keys: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::collection::vec((prop::sample::select(keys), leaf()), 0..4)
        .prop_map(|pairs| {
            Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        })
        .boxed()
}

fn element() -> BoxedStrategy<Value> {
    prop_oneof![6 => object(&["parents", "id"]), 1 => leaf()].boxed()
}

fn answer() -> BoxedStrategy<Value> {
    let list = prop_oneof![6 => prop::collection::vec(element(), 0..5).prop_map(Value::from), 1 => leaf()];
    (object(&["id", "parents", "total", "next"]), prop::option::of(list))
        .prop_map(|(mut object, list)| {
            if let Some(list) = list {
                object["files"] = list;
            }
            object
        })
        .boxed()
}

/// Written again from the words alone: a text in scope at `parents`, or in the list at `parents`.
fn belongs(element: &Value, bound: &ResourceBound) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|id| bound.ids.iter().any(|known| known == id));
    match element.get("parents") {
        Some(Value::Array(items)) => items.iter().any(known),
        Some(value) => known(value),
        None => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_outside_is_released(
        answer in answer(),
        bounds in prop::collection::vec(resource_bound(), 0..3),
        fields in prop::sample::subsequence(vec!["id", "files", "parents", "total"], 0..4),
        response in any::<bool>(),
        elements in any::<bool>(),
    ) {
        let mut step = step("get");
        step.answer = AnswerKind::Json { fields: fields.iter().map(|field| (*field).to_owned()).collect() };
        let mut check = Check::default();
        if response {
            check.response = Some("/parents".parse().unwrap());
        }
        if elements {
            check.elements = by_elements("/files").checks[&ident("folder")].elements.clone();
        }
        step.checks.insert(ident("folder"), check);
        let judged = scope(&bounds).judge(&step, answer.clone());
        if let Ok(Value::Object(shown)) = &judged {
            prop_assert!(shown.keys().all(|name| fields.contains(&name.as_str())));
            for bound in &bounds {
                prop_assert!(!response || belongs(&answer, bound));
                if elements && let Some(list) = shown.get("files") {
                    prop_assert!(list.as_array().unwrap().iter().all(|item| belongs(item, bound)), "{list}");
                }
            }
            // And nothing in scope is lost.
            let inside = |item: &&Value| !elements || bounds.iter().all(|bound| belongs(item, bound));
            if let (Some(Value::Array(before)), Some(Value::Array(after))) = (answer.get("files"), shown.get("files")) {
                prop_assert_eq!(before.iter().filter(inside).collect::<Vec<_>>(), after.iter().collect::<Vec<_>>());
            }
        } else {
            prop_assert!(judged.is_err());
        }
    }

    /// What is out of scope cannot be told from its not being there.
    #[test]
    fn what_is_outside_leaves_no_trace(
        items in prop::collection::vec(element(), 0..5),
        others in prop::collection::vec((element(), any::<prop::sample::Index>()), 0..4),
        bound in resource_bound(),
    ) {
        let mut more = items.clone();
        for (other, at) in others {
            if !belongs(&other, &bound) {
                more.insert(at.index(more.len() + 1), other);
            }
        }
        let judge = |items: Vec<Value>| {
            scope(std::slice::from_ref(&bound)).judge(&by_elements("/files"), json!({ "files": items, "total": 9 }))
        };
        prop_assert_eq!(judge(items), judge(more));
    }

    #[test]
    fn a_probe_that_passes_was_inside_before_and_is_inside_after(
        answer in object(&["labels", "parents"]),
        add in prop::sample::subsequence(vec!["a", "b", "c", "x"], 0..3),
        remove in prop::sample::subsequence(vec!["a", "b", "c", "x", "A"], 0..3),
        bound in resource_bound(),
    ) {
        let (tool, probe) = labelling();
        let args = parse(&tool, &json!({ "add": add, "remove": remove })).unwrap();
        if judge_probe(&Limit::Resource(bound.clone()), &probe, &args, &answer).is_ok() {
            let has = |list: &[&str], id: &str| list.iter().any(|item| item.eq_ignore_ascii_case(id));
            let mut before = Map::new();
            before.insert("parents".to_owned(), answer["labels"].clone());
            prop_assert!(belongs(&Value::Object(before), &bound));
            let after = bound.ids.iter().any(|id| {
                let one = ResourceBound { ids: vec![id.clone()], ..bound.clone() };
                let had = belongs(&json!({ "parents": answer["labels"] }), &one);
                (had || add.contains(&id.as_str())) && !has(&remove, id)
            });
            prop_assert!(after);
        }
    }
}
