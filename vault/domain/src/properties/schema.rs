//! The schema an agent sees and the decision about its call say the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{allowed, call, caveats, everything, ident};
use crate::caveat::{Bound, Caveat, DateBound, PeopleBound, ResourceBound, Role};
use crate::schema::{offered, schema, union};

/// Whether a value fits a schema, for the few keywords that ours use. A keyword it does not know fails the test.
fn fits(value: &Value, schema: &Value) -> bool {
    let count = |length: usize, key: &str, most: bool| {
        schema[key].as_u64().is_none_or(|bound| {
            let length = u64::try_from(length).unwrap();
            if most { length <= bound } else { length >= bound }
        })
    };
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "description" | "default" | "format" => true,
        "not" => !fits(value, rule),
        "enum" => rule.as_array().unwrap().contains(value),
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "boolean" => value.is_boolean(),
            other => panic!("type {other}"),
        },
        "minLength" | "maxLength" => {
            value.as_str().is_none_or(|text| count(text.chars().count(), keyword, keyword == "maxLength"))
        }
        "minItems" | "maxItems" => {
            value.as_array().is_none_or(|items| count(items.len(), keyword, keyword == "maxItems"))
        }
        "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
        "uniqueItems" => value
            .as_array()
            .is_none_or(|items| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item))),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| fits(item, rule))),
        "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "properties" => value.as_object().is_none_or(|members| {
            members.iter().all(|(name, value)| rule.get(name).is_none_or(|rule| fits(value, rule)))
        }),
        "additionalProperties" => {
            assert_eq!(rule, &json!(false));
            let known = schema["properties"].as_object().unwrap();
            value.as_object().is_none_or(|members| members.keys().all(|name| known.contains_key(name)))
        }
        other => panic!("keyword {other}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Both directions at once: what is allowed fits, so what does not fit is refused.
    #[test]
    fn what_the_schema_forbids_is_refused(given in call(), list in caveats()) {
        let tool = everything();
        let schema = schema(&tool, &list.iter().collect::<Vec<_>>());
        if allowed(&tool, &list, &given) {
            prop_assert!(fits(&given, &schema), "{given} against {schema}");
        }
    }

    /// A narrower schema takes no more than the wider one, and has no empty `enum`.
    #[test]
    fn a_schema_only_narrows(given in call(), list in caveats(), less in any::<prop::sample::Index>()) {
        let tool = everything();
        let all: Vec<&Caveat> = list.iter().collect();
        let narrow = schema(&tool, &all);
        let wide = schema(&tool, &all[..less.index(all.len() + 1)]);
        prop_assert!(!fits(&given, &narrow) || fits(&given, &wide), "{given}: {narrow} against {wide}");
        prop_assert!(!narrow.to_string().contains("\"enum\":[]"), "{narrow}");
    }

    /// A tool that several grants offer has one schema, and whatever fits one of theirs fits it.
    #[test]
    fn what_fits_one_fits_the_union(given in call(), lists in prop::collection::vec(caveats(), 1..4)) {
        let tool = everything();
        let schemas: Vec<Value> =
            lists.iter().map(|list| schema(&tool, &list.iter().collect::<Vec<_>>())).collect();
        let all = union(&schemas);
        for schema in &schemas {
            prop_assert!(!fits(&given, schema) || fits(&given, &all), "{given}: {schema} against {all}");
        }
        prop_assert_eq!(&union(&schemas[..1]), &schemas[0]);
        // And it takes no more than the tool itself.
        prop_assert!(!fits(&given, &all) || fits(&given, &schema(&tool, &[])), "{given} against {all}");
    }

    /// A default that is shown is one that the bounds take.
    #[test]
    fn leaving_out_what_may_be_left_out_is_allowed_by_argument_bounds(list in caveats()) {
        let tool = everything();
        let all: Vec<&Caveat> = list.iter().collect();
        let schema = schema(&tool, &all);
        let args = super::world::parse(&tool, &json!({ "folder_id": "a", "needed": "a" })).unwrap();
        let required = schema["required"].as_array().unwrap();
        for caveat in &list {
            if let Caveat::Argument(name, _) = caveat
                && !required.contains(&json!(name.as_str()))
                && !tool.args[name].required
                // Bounded and forbidden at once allows no call, and no schema of ours says that.
                && schema["properties"].get(name.as_str()).is_some()
            {
                prop_assert!(caveat.decide(&tool, &args, 0).is_ok(), "{} in {schema}", caveat.to_text());
            }
        }
    }
}

#[test]
fn each_bound_narrows() {
    let tool = everything();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let check = |name: &str, bounds: Vec<Bound>, pointer: &str, expected: Value| {
        let caveats: Vec<Caveat> =
            bounds.into_iter().map(|bound| Caveat::Argument(ident(name), bound)).collect();
        let schema = schema(&tool, &caveats.iter().collect::<Vec<_>>());
        let found = schema["properties"][name].pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(found, expected, "{name}{pointer} in {schema}");
    };
    check("number", vec![Bound::Max(5)], "/maximum", json!(5));
    check("number", vec![Bound::Max(5)], "/default", json!(null));
    check("number", vec![Bound::Max(5), Bound::Max(15)], "/maximum", json!(5));
    check("number", vec![Bound::Max(500)], "/maximum", json!(20));
    check("number", vec![Bound::Max(500)], "/default", json!(10));
    check("number", vec![Bound::OneOf(words(&["05", "x", "5"]))], "/enum", json!([5]));
    check("number", vec![Bound::OneOf(words(&["5"]))], "/default", json!(null));
    check("number", vec![Bound::OneOf(words(&["10"]))], "/default", json!(10));
    check("number", vec![Bound::OneOf(Vec::new())], "/not", json!({}));
    check("pick", vec![Bound::OneOf(words(&["c", "z"]))], "/enum", json!(["c"]));
    check("pick", vec![Bound::OneOf(words(&["c"])), Bound::OneOf(words(&["b"]))], "/not", json!({}));
    check("line", vec![Bound::MaxLength(900)], "/maxLength", json!(4));
    check("line", vec![Bound::MinLength(0)], "/minLength", json!(1));
    check("ids", vec![Bound::MinLength(2), Bound::EachIn(words(&["a"]))], "/minItems", json!(2));
    check("to", vec![Bound::EachIn(words(&["A@B.CD", "*"]))], "/items/enum", json!(["A@b.cd"]));
    check("line", vec![Bound::Absent], "", json!(null));
    // Bounded so that no default will do, and forbidden too: no call fits, with the argument or without it.
    for both in [[Bound::OneOf(Vec::new()), Bound::Absent], [Bound::Absent, Bound::OneOf(Vec::new())]] {
        let caveats = both.map(|bound| Caveat::Argument(ident("number"), bound));
        let schema = schema(&tool, &caveats.iter().collect::<Vec<_>>());
        assert_eq!(schema["properties"]["number"]["not"], json!({}), "{schema}");
        assert!(schema["required"].as_array().unwrap().contains(&json!("number")), "{schema}");
    }
    check("cc", vec![], "/default", json!(["a@b.cd"]));

    let bound = |ids: &[&str]| {
        Caveat::Resource(ResourceBound {
            resource: ident("folder"),
            ids: words(ids),
            shown: words(&["One"]),
            nested: false,
        })
    };
    let both = schema(&tool, &[&bound(&["a", "b"]), &bound(&["b", "c"])]);
    assert_eq!(both["properties"]["folder_id"]["enum"], json!(["b"]));
    assert_eq!(both["properties"]["boxes"]["items"]["enum"], json!(["b"]));
    assert_eq!(
        both["properties"]["folder_id"]["description"],
        json!("An argument. a is One, b is b. b is One, c is c")
    );
}

#[test]
fn a_union_keeps_what_all_say() {
    let tool = everything();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let of = |name: &str, bound: Bound| schema(&tool, &[&Caveat::Argument(ident(name), bound)]);
    let check = |name: &str, one: Bound, two: Bound, expected: Value| {
        let all = union(&[of(name, one), of(name, two)]);
        assert_eq!(all["properties"][name], expected, "{all}");
    };
    let line = |more: Value| {
        let mut whole =
            json!({ "type": "string", "minLength": 1, "maxLength": 4, "description": "An argument" });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    check(
        "line",
        Bound::OneOf(words(&["a"])),
        Bound::OneOf(words(&["b", "a"])),
        line(json!({ "enum": ["a", "b"] })),
    );
    check("line", Bound::OneOf(words(&["a"])), Bound::MaxLength(2), line(json!({})));
    check("line", Bound::MaxLength(3), Bound::MaxLength(2), line(json!({ "maxLength": 3 })));
    check("line", Bound::OneOf(words(&[])), Bound::MaxLength(2), line(json!({ "maxLength": 2 })));
    check("line", Bound::Absent, Bound::MaxLength(2), line(json!({ "maxLength": 2 })));
    let both = union(&[of("line", Bound::MaxLength(2)), of("line", Bound::MinLength(2))]);
    assert!(both["required"].as_array().unwrap().contains(&json!("line")));
    let one = union(&[of("line", Bound::MaxLength(2)), schema(&tool, &[])]);
    assert!(!one["required"].as_array().unwrap().contains(&json!("line")));
    assert!(!fits(&json!({}), &union(&[])));
}

#[test]
fn a_tool_is_offered_where_no_bound_leaves_it_out() {
    let tool = everything();
    let tools = |names: &[&str]| Caveat::Tools(names.iter().map(|name| name.parse().unwrap()).collect());
    assert!(offered(&tool, &[&tools(&["drive.act"]), &Caveat::Calls(1)]));
    assert!(!offered(&tool, &[&tools(&["drive.act"]), &tools(&["drive.other"])]));
    assert!(!offered(&tool, &[&tools(&[])]));
    let other = Caveat::Argument(ident("nothing"), Bound::Absent);
    assert!(!offered(&tool, &[&other]));
}

/// Each bound is told to the model in its own words, and to no argument that it does not concern.
#[test]
fn every_bound_tells_the_model_what_it_allows() {
    let tool = everything();
    let narrowed = |caveat: Caveat, name: &str| {
        let all = schema(&tool, &[&caveat]);
        (all["properties"][name].clone(), all["required"].as_array().unwrap().contains(&json!(name)))
    };
    let said =
        |caveat: Caveat, name: &str| narrowed(caveat, name).0["description"].as_str().unwrap().to_owned();
    let plain = "An argument";
    let to = |texts: &[&str]| Caveat::Recipients(texts.iter().map(|text| text.parse().unwrap()).collect());
    let guests = |texts: &[&str]| {
        let patterns = texts.iter().map(|text| text.parse().unwrap()).collect();
        Caveat::People(PeopleBound { role: Role::Attendee, patterns })
    };
    for bound in [to, guests] {
        assert_eq!(said(bound(&["a@b.cd", "*@x.yz"]), "to"), "An argument. Allowed: a@b.cd, *@x.yz");
        assert_eq!(
            narrowed(bound(&["a@b.cd", "b@b.cd"]), "to").0["items"]["enum"],
            json!(["a@b.cd", "b@b.cd"])
        );
        assert_eq!(narrowed(bound(&["a@b.cd"]), "to").0["description"], plain);
        assert_eq!(said(bound(&["*@x.yz"]), "line"), plain);
    }
    let owners = Caveat::People(PeopleBound { role: Role::Owner, patterns: vec!["*@x.yz".parse().unwrap()] });
    assert_eq!(said(owners, "to"), plain);
    let paths = |texts: &[&str]| Caveat::Paths(texts.iter().map(|text| text.parse().unwrap()).collect());
    assert_eq!(said(paths(&["n", "m/o"]), "path"), "An argument. Only n, m/o, or below");
    assert_eq!(said(paths(&["n", ""]), "path"), plain);
    assert_eq!(narrowed(paths(&[]), "path").0["not"], json!({}));
    assert_eq!(said(paths(&["n"]), "line"), plain);
    // Its default is one where any of the paths has it within; without one it must be given.
    assert_eq!(narrowed(paths(&["n", "a"]), "path"), (narrowed(paths(&["n", "a"]), "path").0, false));
    assert_eq!(narrowed(paths(&["n", "a"]), "path").0["default"], "a");
    let (property, needed) = narrowed(paths(&["n"]), "path");
    assert!(needed && property.get("default").is_none());
    let within = |after: Option<&str>, before: Option<&str>| {
        let day = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        Caveat::Within(DateBound { after: day(after), before: day(before) })
    };
    let dated = |text: &str| format!("An argument. Only what is dated {text} is found");
    let both = within(Some("2026-01-01"), Some("2026-02-01"));
    assert_eq!(said(both.clone(), "day"), dated("from 2026-01-01 on and before 2026-02-01"));
    assert_eq!(said(within(None, Some("2026-02-01")), "day"), dated("before 2026-02-01"));
    assert_eq!(said(both, "line"), plain);
    let links = |texts: &[&str]| Caveat::Links(texts.iter().map(|text| text.parse().unwrap()).collect());
    for name in ["body", "url"] {
        assert_eq!(said(links(&[]), name), "An argument. No links and no names of hosts");
        assert_eq!(said(links(&["b.cd", "*.x.yz"]), name), "An argument. Links only to b.cd, *.x.yz");
    }
    assert_eq!(said(links(&[]), "number"), plain);
    let hosts =
        |query| Caveat::Argument(ident("url"), Bound::Hosts { hosts: vec!["b.cd".parse().unwrap()], query });
    assert_eq!(said(hosts(true), "url"), "An argument. Only at b.cd");
    assert_eq!(said(hosts(false), "url"), "An argument. Only at b.cd, without a query string or fragment");
    assert!(narrowed(hosts(true), "url").1 && !narrowed(links(&[]), "url").1);
    // A list of objects in scope has one at least.
    let folder = ResourceBound {
        resource: ident("folder"),
        ids: vec!["b".to_owned()],
        shown: Vec::new(),
        nested: false,
    };
    let (boxes, needed) = narrowed(Caveat::Resource(folder), "boxes");
    assert_eq!((&boxes["minItems"], &boxes["items"]["enum"], needed), (&json!(1), &json!(["b"]), false));
    // Words are values of the argument's own type.
    let words = |name: &str, words: &[&str]| {
        let bound = Bound::OneOf(words.iter().map(|word| (*word).to_owned()).collect());
        narrowed(Caveat::Argument(ident(name), bound), name).0["enum"].clone()
    };
    assert_eq!(words("flag", &["true", "yes"]), json!([true]));
    assert_eq!(words("number", &["5", "+5", "05", "x"]), json!([5]));
    assert_eq!(words("line", &["5", "true"]), json!(["5", "true"]));
    let each = Bound::EachIn(vec!["a".to_owned(), "A@B.cd".to_owned()]);
    assert_eq!(
        narrowed(Caveat::Argument(ident("ids"), each.clone()), "ids").0["items"]["enum"],
        json!(["a", "A@B.cd"])
    );
    assert_eq!(narrowed(Caveat::Argument(ident("to"), each), "to").0["items"]["enum"], json!(["A@b.cd"]));
}

#[test]
fn a_union_is_as_wide_as_the_widest() {
    let of = |property: Value| json!({ "type": "object", "properties": { "x": property }, "required": [], "additionalProperties": false });
    let check = |one: Value, two: Value, expected: Value| {
        assert_eq!(union(&[of(one.clone()), of(two.clone())])["properties"]["x"], expected, "{one} {two}");
        assert_eq!(union(&[of(two), of(one)])["properties"]["x"], expected);
    };
    for key in ["minimum", "minLength", "minItems"] {
        check(json!({ key: 2 }), json!({ key: 5 }), json!({ key: 2 }));
        check(json!({ key: 3 }), json!({ key: 3 }), json!({ key: 3 }));
    }
    for key in ["maximum", "maxLength", "maxItems"] {
        check(json!({ key: 2 }), json!({ key: 5 }), json!({ key: 5 }));
        check(json!({ key: 3 }), json!({ key: 3 }), json!({ key: 3 }));
    }
    check(
        json!({ "items": { "maxLength": 2 } }),
        json!({ "items": { "maxLength": 5 } }),
        json!({ "items": { "maxLength": 5 } }),
    );
    check(
        json!({ "description": "A. Only b" }),
        json!({ "description": "A. Only c" }),
        json!({ "description": "A" }),
    );
    check(json!({ "description": "A" }), json!({ "description": "B" }), json!({}));
    check(
        json!({ "type": "string", "default": 1 }),
        json!({ "type": "string", "default": 2 }),
        json!({ "type": "string" }),
    );
    check(json!({ "maximum": 2 }), json!({}), json!({}));
    check(json!({ "not": {} }), json!({ "maximum": 2 }), json!({ "maximum": 2 }));
}
