//! Templates that lose nothing on the way.

use std::collections::BTreeMap;

use serde_json::json;

use super::world::{arg, ident, parse, step, tool};
use crate::arg::ArgKind;
use crate::refusal::{Class, Denial};
use crate::render::{Filling, render};
use crate::step::{Codec, Segment, Template};

fn query(template: Template, given: serde_json::Value) -> Result<String, Denial> {
    let mut step = step("get");
    step.query = vec![("q".to_owned(), template)];
    let args = [
        ("number", arg(ArgKind::Integer { min: 0, max: 9 })),
        ("flag", arg(ArgKind::Boolean)),
        ("ids", arg(ArgKind::Ids { max: 3 })),
        ("line", arg(ArgKind::Line { max: 20 })),
        ("to", arg(ArgKind::Addresses { max: 3 })),
    ];
    let tool = tool(args, vec![step]);
    let args = parse(&tool, &given).unwrap();
    let filling = Filling { args: &args, params: &BTreeMap::new(), page_token: None };
    render(&tool.steps[0], filling).map(|request| request.path_and_query)
}

#[test]
fn every_part_of_a_query_is_sent_or_the_request_is_not() {
    let param = |name: &str| Template::Param(ident(name));
    let list = |items: &[&str]| Template::List(items.iter().map(|name| param(name)).collect());
    let check = |template: Template, given: serde_json::Value, expected: &str| {
        assert_eq!(query(template, given).unwrap(), expected);
    };
    check(param("number"), json!({ "number": 3 }), "/x?q=3");
    check(param("flag"), json!({ "flag": true }), "/x?q=true");
    check(param("ids"), json!({ "ids": ["a", "b"] }), "/x?q=a&q=b");
    check(param("to"), json!({ "to": ["a@b.cd"] }), "/x?q=a%40b.cd");
    check(param("line"), json!({ "line": "a&q=b #?" }), "/x?q=a%26q%3Db%20%23%3F");
    check(param("line"), json!({}), "/x");
    check(
        list(&["number", "flag", "line"]),
        json!({ "number": 3, "flag": false, "line": "x" }),
        "/x?q=3&q=false&q=x",
    );
    // A list in a list has no place in a query; passed over, a filter would be lost.
    for template in [
        list(&["ids"]),
        list(&["line", "to"]),
        Template::Object(BTreeMap::from([("a".to_owned(), param("line"))])),
    ] {
        let given = json!({ "ids": ["a"], "to": ["a@b.cd"], "line": "x" });
        assert_eq!(query(template, given).unwrap_err().class, Class::BadStep);
    }
    let mail = Template::Codec(Codec::Rfc5322, BTreeMap::from([("to".to_owned(), param("to"))]));
    assert_eq!(query(mail, json!({ "to": ["a@b.cd"] })).unwrap_err().class, Class::BadStep);
}

#[test]
fn a_path_needs_each_of_its_parts_and_an_argument_beats_a_parameter() {
    let mut get = step("get");
    get.path.push(Segment::Param(ident("line")));
    let tool =
        tool([("line", arg(ArgKind::Line { max: 20 })), ("ids", arg(ArgKind::Ids { max: 3 }))], vec![get]);
    let params = BTreeMap::from([(ident("line"), "param".to_owned())]);
    let none = BTreeMap::new();
    let check = |given, params: &BTreeMap<_, _>, expected: Result<&str, Class>| {
        let args = parse(&tool, &given).unwrap();
        let found = render(&tool.steps[0], Filling { args: &args, params, page_token: None });
        let found = found.map(|request| request.path_and_query).map_err(|denial| denial.class);
        assert_eq!(found.as_deref().map_err(|class| *class), expected, "{given}");
    };
    check(json!({ "line": "a" }), &none, Ok("/x/a"));
    check(json!({ "line": "a" }), &params, Ok("/x/a"));
    check(json!({}), &params, Ok("/x/param"));
    check(json!({}), &none, Err(Class::BadStep));
    check(json!({ "line": "a/b?c#d" }), &none, Ok("/x/a%2Fb%3Fc%23d"));
    for bad in ["..", ".", "a/..", "..\\a"] {
        check(json!({ "line": bad }), &none, Err(Class::BadArguments));
    }
    let get = &tool.steps[0];
    let mut rest = get.clone();
    rest.path = vec![Segment::Literal("x".to_owned()), Segment::Rest(ident("line"))];
    rest.headers = vec![("accept".to_owned(), "text/x".to_owned())];
    for (given, expected) in [
        (json!({ "line": "a/b c/%2e%2e" }), Ok("/x/a/b%20c/%252e%252e")),
        (json!({ "line": "a" }), Ok("/x/a")),
        (json!({}), Ok("/x")),
        (json!({ "line": "/a" }), Err(Class::BadArguments)),
        (json!({ "line": "a//b" }), Err(Class::BadArguments)),
        (json!({ "line": "a/" }), Err(Class::BadArguments)),
        (json!({ "line": "a/../b" }), Err(Class::BadArguments)),
        (json!({ "line": "a/./b" }), Err(Class::BadArguments)),
        (json!({ "line": "a\\..\\b" }), Err(Class::BadArguments)),
        (json!({ "line": "a?b#c/d" }), Ok("/x/a%3Fb%23c/d")),
    ] {
        let args = parse(&tool, &given).unwrap();
        let found = render(&rest, Filling { args: &args, params: &none, page_token: None });
        if let Ok(request) = &found {
            assert_eq!(request.headers, [("accept".into(), "text/x".to_owned())]);
        }
        let found = found.map(|request| request.path_and_query).map_err(|denial| denial.class);
        assert_eq!(found.as_deref().map_err(|class| *class), expected, "{given}");
    }
    let mut lists = get.clone();
    lists.path = vec![Segment::Param(ident("ids"))];
    let args = parse(&tool, &json!({ "ids": ["a"] })).unwrap();
    let filling = Filling { args: &args, params: &params, page_token: None };
    assert_eq!(render(&lists, filling).unwrap_err().class, Class::BadStep);
}
