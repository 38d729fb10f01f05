#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn entry() -> Ordered {
    Ordered::Object(vec![
        ("command", Ordered::Text("c".into())),
        ("args", Ordered::Texts(vec!["mcp".into()])),
        ("env", Ordered::Object(vec![("S", Ordered::Text("/s".into()))])),
    ])
}

fn servers(text: &str) -> Result<String, Unfit> {
    put(text, &["mcpServers"], "claviger", &entry())
}

#[test]
fn an_entry_comes_last_in_the_layout_of_its_neighbours() {
    let file = "{\n\t\"b\" : 1,\n\t\"mcpServers\": {\n\t\t\"z\": { \"command\": \"x\" } ,\n\t\t\"a\":{}\n\t},\n\t\"a\": [ 1,2 ]\n}\n";
    let expected = "{\n\t\"b\" : 1,\n\t\"mcpServers\": {\n\t\t\"z\": { \"command\": \"x\" } ,\n\t\t\"a\":{},\n\t\t\"claviger\": {\n\t\t\t\"command\": \"c\",\n\t\t\t\"args\": [\"mcp\"],\n\t\t\t\"env\": {\n\t\t\t\t\"S\": \"/s\"\n\t\t\t}\n\t\t}\n\t},\n\t\"a\": [ 1,2 ]\n}\n";
    assert_eq!(servers(file).unwrap(), expected);
    // Again: the same.
    assert_eq!(servers(expected).unwrap(), expected);
}

#[test]
fn what_is_missing_is_made() {
    let expected = "{\n  \"mcpServers\": {\n    \"claviger\": {\n      \"command\": \"c\",\n      \"args\": [\"mcp\"],\n      \"env\": {\n        \"S\": \"/s\"\n      }\n    }\n  }\n}";
    assert_eq!(servers("{}").unwrap(), expected);
    assert_eq!(servers("{ \n }").unwrap(), expected);
    assert_eq!(servers("{\n  \"mcpServers\": {}\n}").unwrap(), expected);
    let deep = put("{\"a\":1}", &["mcp", "servers"], "claviger", &entry()).unwrap();
    assert_eq!(
        deep,
        "{\"a\":1, \"mcp\": { \"servers\": { \"claviger\": { \"command\": \"c\", \"args\": [\"mcp\"], \"env\": { \"S\": \"/s\" } } } }}"
    );
    let crlf = servers("{\r\n    \"a\": 1\r\n}\r\n").unwrap();
    assert!(crlf.contains("1,\r\n    \"mcpServers\": {\r\n        \"claviger\""), "{crlf}");
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
}

#[test]
fn what_is_not_understood_whole_is_left_alone() {
    let check = |text: &str, why| assert_eq!(servers(text), Err(why), "{text}");
    check("", Unfit::NotStrict);
    check("// mine\n{}", Unfit::NotStrict);
    check("{\"a\": 1,}", Unfit::NotStrict);
    check("{a: 1}", Unfit::NotStrict);
    check("{} {}", Unfit::NotStrict);
    check("\u{feff}{}", Unfit::NotStrict);
    check("{\"a\": \"\n\"}", Unfit::NotStrict);
    check("[]", Unfit::Shape);
    check("\"mcpServers\"", Unfit::Shape);
    check("{\"mcpServers\": []}", Unfit::Shape);
    check("{\"mcpServers\": null}", Unfit::Shape);
    check("{\"a\": 1, \"\\u0061\": 2}", Unfit::Twice);
    check("{\"x\": [{\"a\": 1, \"a\": 1}]}", Unfit::Twice);
    check(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), Unfit::Deep);
    check(&"{\"a\":".repeat(100_000), Unfit::Deep);
    check("{\"a\": \"\\", Unfit::NotStrict);
}

#[test]
fn a_name_in_a_text_or_in_another_place_is_none_of_ours() {
    let text = r#"{"note": "\"mcpServers\": {\"claviger\": 1}", "x": {"mcpServers": {"claviger": 2}}, "mcpServers": {"claviger": 3, "b": {"claviger": 4}}}"#;
    let after: Value = serde_json::from_str(&servers(text).unwrap()).unwrap();
    assert_eq!(after["mcpServers"]["claviger"], entry().value());
    assert_eq!(after["x"]["mcpServers"]["claviger"], 2);
    assert_eq!(after["mcpServers"]["b"]["claviger"], 4);
}

#[test]
fn members_go_with_one_comma() {
    let file = "{\n  \"s\": {\n    \"a\": 1,\n    \"b\": {\"x\": 2},\n    \"c\": 3\n  }\n}\n";
    let check = |names: &[&str], expected: &str| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(take(file, &["s"], &names).unwrap(), expected);
    };
    check(&[], file);
    check(&["none"], file);
    check(&["a"], "{\n  \"s\": {\n    \"b\": {\"x\": 2},\n    \"c\": 3\n  }\n}\n");
    check(&["b"], "{\n  \"s\": {\n    \"a\": 1,\n    \"c\": 3\n  }\n}\n");
    check(&["c", "b"], "{\n  \"s\": {\n    \"a\": 1\n  }\n}\n");
    check(&["a", "c", "b"], "{\n  \"s\": {}\n}\n");
    assert_eq!(take("{}", &["s"], &["a".into()]).unwrap(), "{}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\{},:\u{1f600}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"{]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_else_changes_and_putting_and_taking_is_nothing(rest in json_value(), pretty: bool, inside in json_value()) {
        let file = json!({ "a": rest, "mcpServers": { "x": inside }, "z\"{": 1 });
        let text = if pretty { format!("{file:#}") } else { file.to_string() };
        let with = servers(&text).unwrap();
        let mut read: Value = serde_json::from_str(&with).unwrap();
        prop_assert_eq!(&read["mcpServers"]["claviger"], &entry().value());
        read["mcpServers"].as_object_mut().unwrap().remove("claviger");
        prop_assert_eq!(&read, &file);
        prop_assert_eq!(take(&with, &["mcpServers"], &["claviger".into()]).unwrap(), text);
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}\",:a\\\\0-9 \n/]{0,40}") {
        let _ = servers(&text);
        let _ = take(&text, &[], &["a".into()]);
    }
}
