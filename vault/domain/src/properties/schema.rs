//! The schema an agent sees and the decision about its call say the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{allowed, call, caveats, everything, ident};
use crate::caveat::{Bound, Caveat, ResourceBound};
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
