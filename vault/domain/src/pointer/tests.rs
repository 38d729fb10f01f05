#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn check(value: &Value, pointer: &str, expected: &Value) {
    let found: Vec<Value> = pointer.parse::<Pointer>().unwrap().select(value).into_iter().cloned().collect();
    assert_eq!(&Value::Array(found), expected, "{pointer:?}");
}

#[test]
fn the_examples_of_rfc_6901() {
    let value = json!({
        "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
    });
    check(&value, "", &json!([value]));
    check(&value, "/foo", &json!([["bar", "baz"]]));
    check(&value, "/foo/0", &json!(["bar"]));
    for (pointer, number) in [
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ("/k\"l", 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ] {
        check(&value, pointer, &json!([number]));
    }
}

#[test]
fn a_star_is_each_element_and_nothing_else() {
    let value = json!({ "m": [{ "id": "a", "l": ["x", "y"] }, { "l": ["z"] }, 3, { "id": null }], "o": { "k": 1 }, "*": 9 });
    check(&value, "/m/*/id", &json!(["a", null]));
    check(&value, "/m/*/l/*", &json!(["x", "y", "z"]));
    check(&value, "/m/*/l/0", &json!(["x", "z"]));
    check(&value, "/o/*", &json!([]));
    check(&value, "/*", &json!([]));
    check(&json!([1, 2]), "/*", &json!([1, 2]));
    check(&json!({ "m": [] }), "/m/*", &json!([]));
    assert!("/m/*".parse::<Pointer>().unwrap().is_many());
    assert!(!"/m/**".parse::<Pointer>().unwrap().is_many());
}

#[test]
fn elements_are_selected_by_their_name() {
    let value = json!({ "h": [
        { "name": "From", "value": "a" }, { "name": "Subject", "value": "s" }, { "name": "FROM", "value": "b" },
    ] });
    check(&value, "/h/*[name=From]/value", &json!(["a", "b"]));
    check(&value, "/h/*[name=from]/value", &json!(["a", "b"]));
    check(&value, "/h/*[name=Fro]/value", &json!([]));
    check(&json!({ "h": { "name": "From" } }), "/h/*[name=From]", &json!([]));
    check(&json!({ "h": [{ "name": "a/b~]" }] }), "/h/*[name=a~1b~0]]/name", &json!(["a/b~]"]));
    assert!("/h/*[name=From]".parse::<Pointer>().unwrap().is_many());
    for bad in ["/*[", "/*[name]", "/*[name=]", "/*[id=x]", "/*[name=x", "/*[name=~]"] {
        assert!(bad.parse::<Pointer>().is_err(), "{bad}");
    }
    assert_eq!("/h/*[name=a~1b]/v".parse::<Pointer>().unwrap().to_string(), "/h/*[name=a~1b]/v");
}

#[test]
fn some_elements_are_left_aside_and_none_by_mistake() {
    let rules = json!({ "r": [
        { "role": "owner", "v": 1 }, { "role": "Reader", "v": 2 }, { "v": 3 }, { "role": null, "v": 4 },
        { "role": ["owner"], "v": 5 }, { "role": "owners", "v": 6 },
    ] });
    check(&rules, "/r/*[role!=owner]/v", &json!([2, 3, 4, 5, 6]));
    check(&rules, "/r/*[role!=owner,reader]/v", &json!([3, 4, 5, 6]));
    let guests = json!({ "g": [{ "self": true, "e": "me" }, { "self": false, "e": "a" }, { "e": "b" }] });
    check(&guests, "/g/*[self!=true]/e", &json!(["a", "b"]));
    let every = |value: &Value| {
        "/g/*[self!=true]/e".parse::<Pointer>().unwrap().every(value).map(|found| json!(found))
    };
    assert_eq!(every(&guests), Some(json!(["a", "b"])));
    // Somebody without an address is not passed over, but for whoever is left aside.
    assert_eq!(every(&json!({ "g": [{ "e": "a" }, {}] })), None);
    assert_eq!(every(&json!({ "g": [{ "e": "a" }, { "self": true }] })), Some(json!(["a"])));
    for odd in [
        json!({}),
        json!({ "g": null }),
        json!({ "g": {} }),
        json!({ "g": "a" }),
        json!({ "g": [3] }),
        json!([]),
        json!(3),
    ] {
        assert_eq!(every(&odd), None, "{odd}");
    }
    let pointer = "/g/*[role!=owner,reader]/v".parse::<Pointer>().unwrap();
    assert!(pointer.is_many());
    assert_eq!(pointer.to_string(), "/g/*[role!=owner,reader]/v");
    for bad in ["/*[]", "/*[a!=]", "/*[!=b]", "/*[a!=b", "/*[a!=b,]", "/*[a=b]", "/*[a!=b~1]", "/*[a!=b]c"] {
        assert_eq!(bad.parse::<Pointer>(), Err(BadPointer::Selector), "{bad}");
    }
}

#[test]
fn every_passes_over_nothing() {
    let every = |value: &Value, pointer: &str| {
        pointer.parse::<Pointer>().unwrap().every(value).map(|found| json!(found))
    };
    let value = json!({ "m": [{ "e": "a" }, { "e": "b" }], "n": [{ "e": "a" }, {}], "o": [{ "e": "a" }, 3], "p": [] });
    assert_eq!(every(&value, "/m/*/e"), Some(json!(["a", "b"])));
    assert_eq!(every(&value, "/n/*/e"), None);
    assert_eq!(every(&value, "/o/*/e"), None);
    assert_eq!(every(&value, "/p/*/e"), Some(json!([])));
    assert_eq!(every(&value, "/q/*/e"), None);
    assert_eq!(every(&value, "/m/e"), None);
    // An element without a name could be the header that is looked for.
    let headers = |more: Value| json!({ "h": [{ "name": "From", "value": "a" }, more] });
    assert_eq!(every(&headers(json!({ "name": "To" })), "/h/*[name=From]/value"), Some(json!(["a"])));
    for odd in [json!({ "value": "b" }), json!({ "name": 1 }), json!("From"), json!(null)] {
        assert_eq!(every(&headers(odd), "/h/*[name=From]/value"), None);
    }
    assert_eq!(every(&headers(json!({ "name": "from" })), "/h/*[name=From]/value"), None);
    // Only a list that is left out is an empty one.
    let given = |value: &Value, pointer: &str| {
        pointer.parse::<Pointer>().unwrap().every_given(value).map(|found| json!(found))
    };
    assert_eq!(given(&json!({}), "/m/*/e"), Some(json!([])));
    assert_eq!(given(&json!({ "m": null }), "/m/*/e"), None);
    assert_eq!(given(&json!({ "m": {} }), "/m/*/e"), None);
    assert_eq!(given(&json!({ "m": [{}] }), "/m/*/e"), None);
    assert_eq!(given(&json!([]), "/m/*/e"), None);
    assert_eq!(given(&json!({}), "/o/m/*/e"), None);
    assert_eq!(given(&json!({}), "/m"), None);
    assert_eq!(given(&json!({}), "/h/*[name=From]/value"), None);
}

#[test]
fn strictly_nothing_that_a_star_stands_for_lacks_the_rest() {
    let strictly = |value: &Value, pointer: &str| {
        pointer.parse::<Pointer>().unwrap().select_strictly(value).map(|found| json!(found))
    };
    let value = json!({ "g": [{ "self": true, "e": "me" }, { "e": "a", "name": "x" }], "o": { "k": 1 }, "n": [{ "name": "x" }, {}] });
    assert_eq!(strictly(&value, "/g/*/e"), Some(json!(["me", "a"])));
    assert_eq!(strictly(&value, "/g/*[self!=true]/e"), Some(json!(["a"])));
    assert_eq!(strictly(&value, "/g/*[self!=true]/q"), None);
    assert_eq!(strictly(&value, "/g/*/self"), None);
    assert_eq!(strictly(&value, "/n/*[name=x]"), None);
    assert_eq!(strictly(&value, "/o/*"), None);
    // Without a star, what is not there is not there.
    assert_eq!(strictly(&value, "/o/k"), Some(json!([1])));
    assert_eq!(strictly(&value, "/o/q"), Some(json!([])));
    assert_eq!(strictly(&value, "/q/*/e"), Some(json!([])));
}

#[test]
fn every_one_of_several_tests_holds() {
    let value = json!([
        { "role": "none", "scope": { "type": "group" }, "v": 1 }, { "role": "reader", "scope": { "type": "user" }, "v": 2 },
        { "role": "reader", "scope": { "type": "group" }, "v": 3 }, { "v": 4 },
    ]);
    check(&value, "/*[role!=none&scope.type!=user]/v", &json!([3, 4]));
    let flags = json!([{ "self": false, "v": 1 }, { "self": true, "v": 2 }, { "v": 3 }]);
    check(&flags, "/*[self!=false]/v", &json!([2, 3]));
    check(&flags, "/*[self!=true,false]/v", &json!([3]));
}

#[test]
fn a_pointer_tells_what_it_is() {
    for (text, whole, top, many) in [
        ("", true, None, false),
        ("/a", false, Some("a"), false),
        ("/a/b", false, None, false),
        ("/*", false, None, true),
        ("/a/*", false, None, true),
        ("/*[name=x]", false, None, true),
        ("/*[a!=b]", false, None, true),
    ] {
        let pointer: Pointer = text.parse().unwrap();
        assert_eq!((pointer.is_whole(), pointer.top(), pointer.is_many()), (whole, top, many), "{text}");
    }
}

#[test]
fn an_index_has_one_spelling() {
    let value = json!(["a", "b"]);
    for pointer in
        ["/01", "/00", "/+1", "/-", "/-1", "/1 ", "/2", "/", "/1.0", "/99999999999999999999999999", "/١"]
    {
        check(&value, pointer, &json!([]));
    }
    check(&value, "/1", &json!(["b"]));
    check(&json!("text"), "/0", &json!([]));
}

#[test]
fn what_is_no_pointer_is_refused() {
    for (text, error) in [
        ("a", BadPointer::NoSlash),
        ("#/a", BadPointer::NoSlash),
        ("*", BadPointer::NoSlash),
        (" /a", BadPointer::NoSlash),
        ("/~", BadPointer::Escape),
        ("/~2", BadPointer::Escape),
        ("/a~/b", BadPointer::Escape),
        (&"/a".repeat(33), BadPointer::TooDeep),
    ] {
        assert_eq!(text.parse::<Pointer>(), Err(error), "{text:?}");
    }
    assert!("/a".repeat(32).parse::<Pointer>().is_ok());
}

#[test]
fn replacing_makes_nothing_new() {
    let before = json!({ "a": [{ "b": 1 }], "c": "x" });
    for (pointer, old, after) in [
        ("/c", Some(json!("x")), json!({ "a": [{ "b": 1 }], "c": 0 })),
        ("/a/0/b", Some(json!(1)), json!({ "a": [{ "b": 0 }], "c": "x" })),
        ("", Some(before.clone()), json!(0)),
        ("/d", None, before.clone()),
        ("/a/1", None, before.clone()),
        ("/a/-", None, before.clone()),
        ("/a/*", None, before.clone()),
        ("/a/*/b", None, before.clone()),
        ("/c/0", None, before.clone()),
    ] {
        let mut value = before.clone();
        assert_eq!(pointer.parse::<Pointer>().unwrap().replace_one(&mut value, json!(0)), old, "{pointer:?}");
        assert_eq!(value, after, "{pointer:?}");
    }
}

proptest! {
    #[test]
    fn text_and_pointer_are_one(text in "(/([a-z0-9*]|~0|~1|\\PC){0,4}){0,5}") {
        if let Ok(pointer) = text.parse::<Pointer>() {
            prop_assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn without_a_star_it_is_what_serde_json_means(text in "(/[ab012~*-]{0,2}){0,3}") {
        let value = json!({ "a": [{ "b": 1 }, ["x"], { "": { "a": 2 } }], "b": { "0": { "a": [1] } }, "": 3, "~": 4 });
        if let Ok(pointer) = text.parse::<Pointer>()
            && !pointer.is_many()
        {
            prop_assert_eq!(pointer.select(&value), value.pointer(&text).into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,20}") {
        let _ = text.parse::<Pointer>();
    }
}

#[test]
fn what_is_put_makes_its_way() {
    let put = |at: &str, mut value: Value| {
        let done = at.parse::<Pointer>().unwrap().put(&mut value, json!(1));
        (done, value)
    };
    assert_eq!(put("/a", Value::Null), (true, json!({ "a": 1 })));
    assert_eq!(put("/a/b", json!({ "c": 2 })), (true, json!({ "a": { "b": 1 }, "c": 2 })));
    assert_eq!(put("/a", json!({ "a": "x" })), (true, json!({ "a": 1 })));
    assert_eq!(put("/a/b", json!({ "a": "x" })), (false, json!({ "a": "x" })));
    assert_eq!(put("/0", json!([7])), (false, json!([7])));
    assert!(!put("/a/*/b", json!({ "a": [{ "b": 2 }] })).0);
}
