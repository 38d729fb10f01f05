//! Caveats only ever take away.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::json;

use super::world::{allowed, call, caveat, caveats, everything, ident, parse};
use crate::arg::ArgKind;
use crate::caveat::{Bound, Caveat, ResourceBound};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn one_more_never_allows_more(given in call(), mut list in caveats(), extra in caveat(), at in any::<prop::sample::Index>()) {
        let tool = everything();
        let before = allowed(&tool, &list, &given);
        list.insert(at.index(list.len() + 1), extra);
        prop_assert!(before || !allowed(&tool, &list, &given));
    }

    #[test]
    fn their_order_does_not_matter(given in call(), list in caveats(), by in any::<prop::sample::Index>()) {
        let tool = everything();
        let mut turned = list.clone();
        turned.rotate_left(by.index(list.len().max(1)));
        prop_assert_eq!(allowed(&tool, &list, &given), allowed(&tool, &turned, &given));
        turned.reverse();
        prop_assert_eq!(allowed(&tool, &list, &given), allowed(&tool, &turned, &given));
    }

    #[test]
    fn an_empty_list_allows_nothing(given in call()) {
        let tool = everything();
        let empty = [
            Caveat::Recipients(Vec::new()),
            Caveat::Resource(ResourceBound { resource: ident("folder"), ids: Vec::new(), shown: Vec::new(), nested: false }),
            Caveat::Argument(ident("ids"), Bound::EachIn(Vec::new())),
            Caveat::Argument(ident("to"), Bound::EachIn(Vec::new())),
            Caveat::Argument(ident("line"), Bound::OneOf(Vec::new())),
            Caveat::Argument(ident("number"), Bound::OneOf(Vec::new())),
            Caveat::Argument(ident("url"), Bound::Hosts { hosts: Vec::new(), query: true }),
            Caveat::Tools(Vec::new()),
            Caveat::Paths(Vec::new()),
        ];
        for caveat in empty {
            prop_assert!(!allowed(&tool, std::slice::from_ref(&caveat), &given), "{}", caveat.to_text());
        }
    }
}

/// The random calls above are worth something: enough of them are allowed under bounds, and enough refused.
#[test]
fn random_calls_are_both_allowed_and_refused() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut yes, mut no) = (0, 0);
    for _ in 0..3_000 {
        let (given, list) = (call(), caveats()).new_tree(&mut runner).unwrap().current();
        let bounded = list.iter().any(|caveat| !matches!(caveat, Caveat::Rate(_) | Caveat::Calls(_)));
        match allowed(&everything(), &list, &given) {
            true if bounded => yes += 1,
            false if parse(&everything(), &given).is_ok() => no += 1,
            _ => {}
        }
    }
    assert!(yes >= 30 && no >= 100, "{yes} allowed under bounds, {no} refused");
}

/// A tool without an argument that names a folder must still be refused under a bound without ids.
#[test]
fn a_resource_bound_without_ids_refuses_also_where_no_argument_names_one() {
    let mut tool = everything();
    tool.steps.iter_mut().for_each(|step| step.checks.clear());
    let given = json!({ "folder_id": "a", "needed": "a" });
    let bound = |ids: &[&str]| {
        Caveat::Resource(ResourceBound {
            resource: ident("folder"),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            shown: Vec::new(),
            nested: false,
        })
    };
    assert!(allowed(&tool, &[bound(&["a"])], &given));
    assert!(!allowed(&tool, &[bound(&[])], &given));
}

#[test]
fn each_bound_decides() {
    let tool = everything();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let check = |name: &str, bound: Bound, given: serde_json::Value, expected: bool| {
        let mut whole = json!({ "folder_id": "a", "needed": "a" });
        if !given.is_null() {
            whole[name] = given.clone();
        }
        let caveat = Caveat::Argument(ident(name), bound);
        assert_eq!(caveat.enforceable(&tool), Ok(()), "{}", caveat.to_text());
        let args = parse(&tool, &whole).expect("well formed");
        assert_eq!(caveat.decide(&tool, &args, 0).is_ok(), expected, "{} on {given}", caveat.to_text());
    };
    // Missing data denies, but for `absent`.
    check("ids", Bound::EachIn(words(&["a"])), json!(null), false);
    check("ids", Bound::EachIn(words(&["a"])), json!([]), false);
    check("ids", Bound::EachIn(words(&["a"])), json!(["a"]), true);
    check("ids", Bound::EachIn(words(&["a"])), json!(["a", "b"]), false);
    check("ids", Bound::MaxLength(1), json!(null), false);
    check("ids", Bound::MaxLength(1), json!(["a", "b"]), false);
    check("ids", Bound::MinLength(1), json!([]), false);
    check("ids", Bound::MinLength(2), json!(["a", "b"]), true);
    check("ids", Bound::MinLength(2), json!(["a"]), false);
    check("ids", Bound::MaxLength(2), json!(["a", "b"]), true);
    check("to", Bound::EachIn(words(&["a@b.cd"])), json!(["a@b.cd", "x@y.zz"]), false);
    check("line", Bound::OneOf(words(&["a"])), json!(null), false);
    check("line", Bound::OneOf(words(&["a"])), json!("A"), false);
    check("line", Bound::OneOf(words(&["a"])), json!("a "), false);
    check("line", Bound::OneOf(words(&["a"])), json!("a"), true);
    check("line", Bound::MaxLength(2), json!("äö"), true);
    check("line", Bound::MaxLength(1), json!("äö"), false);
    check("line", Bound::Absent, json!("a"), false);
    check("line", Bound::Absent, json!(null), true);
    // Numbers and truth values are compared by their one spelling.
    check("number", Bound::OneOf(words(&["5"])), json!(5), true);
    check("number", Bound::OneOf(words(&["05", "+5", "5.0", "5 "])), json!(5), false);
    check("flag", Bound::OneOf(words(&["true"])), json!(true), true);
    check("flag", Bound::OneOf(words(&["true"])), json!(false), false);
    check("flag", Bound::OneOf(words(&["True", "1"])), json!(true), false);
    // A default above a bound is refused, not lowered; and a default is not the caller's doing.
    check("number", Bound::Max(5), json!(null), false);
    check("number", Bound::Max(5), json!(5), true);
    check("number", Bound::Max(5), json!(6), false);
    check("number", Bound::Absent, json!(null), true);
    check("number", Bound::Absent, json!(10), false);
    // Addresses in a list are read as addresses: the domain's case does not count, and a star is no address.
    check("to", Bound::EachIn(words(&["A@B.CD"])), json!(["A@b.cd"]), true);
    check("to", Bound::EachIn(words(&["A@B.CD"])), json!(["a@b.cd"]), false);
    check("to", Bound::EachIn(words(&["*@b.cd", "*"])), json!(["a@b.cd"]), false);
    check("to", Bound::EachIn(words(&["a@b.cd"])), json!([]), false);
}

#[test]
fn a_bound_that_says_nothing_about_the_argument_is_not_granted() {
    let tool = everything();
    for (name, bound) in [
        ("line", Bound::EachIn(Vec::new())),
        ("ids", Bound::OneOf(Vec::new())),
        ("line", Bound::Max(1)),
        ("flag", Bound::MaxLength(1)),
        ("number", Bound::MinLength(1)),
        ("day", Bound::Max(1)),
        ("page", Bound::OneOf(Vec::new())),
        ("nothing", Bound::Absent),
        // It must be given, so this would allow no call at all.
        ("needed", Bound::Absent),
    ] {
        let caveat = Caveat::Argument(ident(name), bound);
        assert!(caveat.enforceable(&tool).is_err(), "{}", caveat.to_text());
    }
    let label = ResourceBound { resource: ident("label"), ids: Vec::new(), shown: Vec::new(), nested: false };
    assert!(Caveat::Resource(label).enforceable(&tool).is_err());
    assert_eq!(Caveat::BytesADay(9).enforceable(&tool), Ok(()));
    let mut local = everything();
    local.steps.iter_mut().for_each(|step| step.local = true);
    assert!(Caveat::BytesADay(9).enforceable(&local).unwrap_err().contains("does not see the bytes"));
    // One such step is enough.
    local.steps[0].local = false;
    assert!(Caveat::BytesADay(9).enforceable(&local).is_err());
    let mut silent = everything();
    silent.steps.iter_mut().for_each(|step| step.recipients.clear());
    assert!(Caveat::Recipients(Vec::new()).enforceable(&silent).is_err());
}

#[test]
fn every_object_that_a_list_names_is_in_scope() {
    let tool = everything();
    let bound = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Caveat::Resource(ResourceBound { resource: ident("folder"), ids, shown: Vec::new(), nested: false })
    };
    let check = |ids: &[&str], boxes: serde_json::Value, expected: bool| {
        let given = json!({ "folder_id": "a", "needed": "a", "boxes": boxes });
        assert_eq!(allowed(&tool, &[bound(ids)], &given), expected, "{ids:?} {boxes}");
    };
    check(&["a", "b"], json!(["a", "b"]), true);
    check(&["a"], json!(["a", "b"]), false);
    check(&["a"], json!(["b"]), false);
    check(&["a"], json!([]), false);
    check(&["b"], json!(["b"]), false);
}

#[test]
fn sizes_are_read_in_their_largest_whole_unit() {
    for (bytes, text) in [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1_000, "1kB"),
        (1_500_000, "1500kB"),
        (2_000_000, "2MB"),
        (3_000_000_000, "3GB"),
    ] {
        assert_eq!(crate::caveat::size(bytes), text);
    }
}

#[test]
fn recipients_are_looked_at_together() {
    let tool = everything();
    let check = |patterns: &[&str], to: &[&str], cc: &[&str], expected: bool| {
        let caveat = Caveat::Recipients(patterns.iter().map(|text| text.parse().unwrap()).collect());
        let given = json!({ "folder_id": "a", "needed": "a", "to": to, "cc": cc });
        assert_eq!(allowed(&tool, &[caveat], &given), expected, "{patterns:?} {to:?} {cc:?}");
    };
    check(&["*@b.cd"], &["a@b.cd"], &["b@b.cd"], true);
    check(&["*@b.cd"], &["a@b.cd"], &["a@x.yz"], false);
    check(&["*@b.cd"], &[], &["a@x.yz"], false);
    check(&["*@b.cd"], &[], &[], false);
    check(&["*"], &[], &[], false);
    check(&["*"], &["a@x.yz"], &[], true);
    check(&[], &["a@b.cd"], &[], false);
    check(&["a@b.cd"], &["A@B.CD"], &[], true);
    check(&["a@b.cd"], &["a+x@b.cd"], &[], false);
}

#[test]
fn names_of_objects_cannot_dress_up_a_grant() {
    let bound = ResourceBound {
        resource: ident("folder"),
        ids: vec!["1".to_owned(), "2".to_owned()],
        shown: vec!["AI\u{202e}\n, only nothing".to_owned()],
        nested: false,
    };
    assert_eq!(bound.names(), ["AI\\u{202e}\\u{a}, only nothing", "2"]);
}

#[test]
fn denied_values_have_no_other_case() {
    let tool = everything();
    for never in ["TRASH", "trash", "Trash"] {
        let denial =
            parse(&tool, &json!({ "folder_id": "a", "needed": "a", "ids": ["a", never] })).unwrap_err();
        assert_eq!(denial.field.as_deref(), Some("ids"));
    }
    assert!(parse(&tool, &json!({ "folder_id": "a", "needed": "a", "ids": ["TRASH2"] })).is_ok());
}

#[test]
fn texts_hold_what_scripts_need_and_nothing_that_misleads() {
    let check = |kind: ArgKind, text: &str, expected: bool| {
        let value = claviger_canonical::Value::String(text.to_owned());
        assert_eq!(kind.parse(&value).is_ok(), expected, "{kind:?} {}", text.escape_unicode());
    };
    let line = || ArgKind::Line { max: 50 };
    let body = || ArgKind::Text { max: 50 };
    for text in ["می\u{200c}خواهم", "👩\u{200d}👧", "a\u{200e}b", "a\u{200f}b", "e\u{301}", "❤\u{fe0f}"]
    {
        check(line(), text, true);
        check(body(), text, true);
    }
    for text in
        ["a\u{2067}b\u{2069}", "a\u{202b}b\u{202c}", "a\u{61c}", "a\tb", "a\r\nb", "\u{feff}a", "a\u{ad}b"]
    {
        check(line(), text, false);
        check(body(), text, true);
    }
    for text in ["a\0", "a\u{1b}[2J", "a\u{85}b", "a\u{7f}", "a\u{202e}b", "a\u{202d}b"] {
        check(line(), text, false);
        check(body(), text, false);
    }
    for text in ["a\u{200b}b", "a\u{2028}b", "a\u{e0041}b", "a\u{2060}b", "a\u{fff9}b", ""] {
        check(line(), text, false);
    }
    for id in [
        "",
        ".",
        "..",
        "../x",
        "a//b",
        "%2e%2e",
        "a%2fb",
        "a\0b",
        "a b",
        "a?b",
        "a#b",
        "ä",
        "a\n",
        &"a".repeat(257),
    ] {
        check(ArgKind::Id, id, false);
    }
    check(ArgKind::Id, &"a".repeat(256), true);
    for mark in [
        "page_",
        "page_0123456789abcde",
        "page_0123456789ABCDEF",
        "0123456789abcdef",
        "page_0123456789abcdef ",
    ] {
        check(ArgKind::Page, mark, false);
    }
}

#[test]
fn a_value_of_another_type_is_refused_and_never_read_as_one() {
    let tool = everything();
    for (name, value) in [
        ("number", json!("5")),
        ("number", json!(1.5)),
        ("number", json!(0)),
        ("number", json!(21)),
        ("flag", json!("true")),
        ("flag", json!(1)),
        ("line", json!(5)),
        ("ids", json!("a")),
        ("ids", json!(["a", "a"])),
        ("ids", json!([["a"]])),
        ("ids", json!({ "0": "a" })),
        ("to", json!("a@b.cd")),
        ("day", json!(20260102)),
        ("pick", json!("A")),
        ("line", json!(null)),
        ("LINE", json!("a")),
        ("line ", json!("a")),
    ] {
        let mut given = json!({ "folder_id": "a", "needed": "a" });
        given[name] = value;
        let denial = parse(&tool, &given).unwrap_err();
        assert_eq!(denial.class, crate::refusal::Class::BadArguments, "{given}");
        // The field is a name of the catalog's, never text of the peer's.
        assert!(denial.field.is_none_or(|field| tool.args.contains_key(&ident(&field))), "{given}");
    }
    assert!(parse(&tool, &json!({ "needed": "a" })).unwrap_err().field.as_deref() == Some("folder_id"));
}

#[test]
fn what_is_kept_of_a_wrong_value_is_short() {
    let tool = everything();
    let long = "é".repeat(20_000);
    for given in
        [json!({ "line": long }), json!({ long.as_str(): 1 }), json!({ "folder_id": "a", "ids": [long] })]
    {
        let denial = parse(&tool, &given).unwrap_err();
        assert!(denial.value.unwrap_or_default().chars().count() <= 500);
    }
}
