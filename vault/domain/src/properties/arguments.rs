//! Arguments at their edges: the last that is taken and the first that is not.

use std::collections::BTreeMap;

use claviger_canonical::Canonical;
use serde_json::{Value, json};

use super::world::{everything, ident, parse};
use crate::arg::{ArgKind, ArgValue, parse_id, parse_pinned};

fn check(kind: ArgKind, value: Value, expected: bool) {
    let canonical = Canonical::from_json(&json!({ "v": value })).unwrap();
    let claviger_canonical::Value::Object(members) = canonical.value() else { panic!("an object") };
    assert_eq!(kind.parse(members.get("v").unwrap()).is_ok(), expected, "{kind:?} {value}");
}

#[test]
fn each_kind_ends_where_it_says() {
    let of = |text: &str, times: usize| json!(text.repeat(times));
    check(ArgKind::Line { max: 3 }, of("é", 3), true);
    check(ArgKind::Line { max: 3 }, of("é", 4), false);
    check(ArgKind::Line { max: 3 }, json!(""), false);
    check(ArgKind::Text { max: 3 }, of("é", 3), true);
    check(ArgKind::Text { max: 3 }, of("é", 4), false);
    check(ArgKind::Text { max: 3 }, json!(""), true);
    check(ArgKind::Integer { min: -1, max: 2 }, json!(-1), true);
    check(ArgKind::Integer { min: -1, max: 2 }, json!(2), true);
    check(ArgKind::Integer { min: -1, max: 2 }, json!(-2), false);
    check(ArgKind::Integer { min: -1, max: 2 }, json!(3), false);
    for (kind, one, other) in [
        (ArgKind::Ids { max: 2 }, json!("a"), json!("b")),
        (ArgKind::Calendars { max: 2 }, json!("a@x.org"), json!("b@x.org")),
        (ArgKind::Addresses { max: 2 }, json!("a@x.org"), json!("b@x.org")),
    ] {
        check(kind.clone(), json!([]), true);
        check(kind.clone(), json!([one, other]), true);
        check(kind.clone(), json!([one, other, "c@x.org"]), false);
        check(kind, one, false);
    }
    check(ArgKind::Ids { max: 2 }, json!(["a", "a"]), false);
    check(ArgKind::Calendars { max: 2 }, json!(["a@x.org", "a@x.org"]), false);
    let file = |name: &str| json!({ "name": name, "type": "text/plain", "data": "aGk=" });
    check(ArgKind::Attachments { max: 2 }, json!([file("a"), file("b")]), true);
    check(ArgKind::Attachments { max: 2 }, json!([file("a"), file("b"), file("c")]), false);
    check(ArgKind::Attachments { max: 2 }, file("a"), false);
    check(ArgKind::Page, json!("page_0123456789abcdef"), true);
    for mark in
        ["page_0123456789abcdef0", "page_0123456789abcde", "page_0123456789abcdeg", "0123456789abcdef", ""]
    {
        check(ArgKind::Page, json!(mark), false);
    }
    check(ArgKind::Choice(vec!["a".to_owned()]), json!("a"), true);
    check(ArgKind::Choice(vec!["a".to_owned()]), json!("b"), false);
    check(ArgKind::Choice(Vec::new()), json!(""), false);
    check(ArgKind::DateTime, json!("2026-03-01T09:30:00+01:00"), true);
    check(ArgKind::DateTime, json!("2026-03-01 09:30"), false);
    check(ArgKind::Event, json!("abc_20260301"), true);
    check(ArgKind::Event, json!("abc/def"), false);
    check(ArgKind::Calendar, json!("me@x.org"), true);
    check(ArgKind::Calendar, json!("me/x"), false);
    check(ArgKind::Name, json!("my.notes"), true);
    check(ArgKind::Name, json!("my/notes"), false);
    check(ArgKind::Branch, json!("fix/a-b"), true);
    check(ArgKind::Branch, json!("other:fix"), false);
}

#[test]
fn what_a_grant_pins_is_an_id_or_a_calendars() {
    for id in ["Label_1", "me@x.org", "en.usa#holiday@group.v.calendar.google.com"] {
        assert_eq!(parse_pinned(id).as_deref(), Ok(id));
    }
    for id in ["", "a/b", "..", "a b", "ME@x.org", "a%2fb"] {
        assert_eq!(parse_pinned(id), Err(parse_id(id).unwrap_err()), "{id:?}");
    }
}

#[test]
fn what_was_wrong_is_kept_for_the_owner_and_no_more_of_it_than_helps() {
    let tool = everything();
    let value = |given: Value| parse(&tool, &given).unwrap_err().value;
    assert_eq!(value(json!({ "folder_id": "a/b", "needed": "a" })).as_deref(), Some("\"a/b\""));
    assert_eq!(value(json!({ "folder_id": { "b": 1, "a": [] } })).as_deref(), Some("{\"a\":[],\"b\":1}"));
    let long = value(json!({ "folder_id": "é".repeat(1_000) })).unwrap();
    assert_eq!(long.chars().count(), 200);
    assert!(long.starts_with("\"éé"));
}

#[test]
fn what_the_vault_has_read_replaces_nothing_that_was_given() {
    let args = parse(&everything(), &json!({ "folder_id": "a", "needed": "a" })).unwrap();
    let text = |text: &str| ArgValue::Text(text.to_owned());
    let more = BTreeMap::from([(ident("folder_id"), text("b")), (ident("draft"), text("c"))]);
    let all = args.with(more);
    assert_eq!(all.get(&ident("folder_id")).unwrap().texts(), ["a"]);
    assert_eq!(all.get(&ident("draft")).unwrap().texts(), ["c"]);
    assert_eq!(all.iter().count(), args.iter().count() + 1);
    // A default is nobody's doing; what the caller gave is his.
    assert!(
        all.is_given(&ident("folder_id")) && !all.is_given(&ident("number")) && !all.is_given(&ident("no"))
    );
}
