//! Steps with pages: which of them the vault turns, and what such a step must be.

use claviger_domain::step::{AnswerKind, Step};

use super::wire::ident;
use super::{built_in, service};

const BASE: &str = r#"
id = "s"
title = "S"
origin = "https://s.example"
auth = { kind = "bearer" }
[resource.box]
summary = "boxes"
resolve = { step = "facts", list = "/boxes", match = "/name", take = "/id" }
[step.facts]
method = "GET"
path = "/facts"
[step.one]
method = "GET"
path = "/things/{part}"
[tool.list]
summary = "L"
effect = "read"
args.count = { type = "integer", min = 1, max = 9, default = 3, summary = "" }
args.word = { type = "line", summary = "" }
args.page = { type = "page", summary = "" }
[[tool.list.look]]
name = "thing"
step = "facts"
[[tool.list.step]]
name = "l"
method = "GET"
path = "/things"
query = { n = "{count}" }
fields = ["things", "next"]
page = { take = "/next", query = "page", size = "count" }
refuse = [{ elements = "/things", at = "/kind", is = "shortcut" }]
check.box = { elements = "/things", at = "/box" }
check.sender = { elements = "/things", take = "/id", probe = "one", as = "part", at = "/from" }
"#;

fn refused(from: &str, to: &str, wanted: &str) {
    assert!(BASE.contains(from), "{from}");
    let faults = service::parse(&BASE.replacen(from, to, 1)).expect_err(to);
    assert!(faults.iter().any(|fault| fault.contains(wanted)), "{to}: {faults:?}");
}

#[test]
fn the_list_and_the_number_are_known() {
    let service = service::parse(BASE).unwrap();
    let paging = service.tools[&ident("list")].steps[0].page.clone().unwrap();
    assert_eq!(paging.list, Some("/things".parse().unwrap()));
    assert_eq!(paging.size, Some(ident("count")));
    // Where nothing is dropped element by element, the upstream's pages stay as they are.
    let plain = BASE.replace("check.box = { elements = \"/things\", at = \"/box\" }", "");
    let plain = plain.lines().filter(|line| !line.starts_with("check.")).collect::<Vec<_>>().join("\n");
    let service = service::parse(&plain).unwrap();
    assert_eq!(service.tools[&ident("list")].steps[0].page.as_ref().unwrap().list, None);
}

#[test]
fn what_the_vault_cannot_turn_is_no_step_with_pages() {
    let is_get = "is a GET that no look fills";
    refused("method = \"GET\"\npath = \"/things\"", "method = \"POST\"\npath = \"/things\"", is_get);
    refused("fields = [", "if_match = \"thing\"\nfields = [", "etag");
    refused(
        "fields = [",
        "param.raw = { from = \"look\", look = \"thing\", at = \"/raw\" }\nfields = [",
        is_get,
    );
    refused("fields = [", "body = { codec = \"json\", fields = { w = \"{word}\" } }\nfields = [", is_get);
    refused("at = \"/box\" }", "at = \"/box\", nonempty = true }", "nonempty does not go with it");
    let one = "has one list whose elements are judged";
    refused("elements = \"/things\", at = \"/box\"", "elements = \"/boxes\", at = \"/box\"", one);
    refused("elements = \"/things\", at = \"/kind\"", "elements = \"/boxes\", at = \"/kind\"", one);
    refused("elements = \"/things\", take", "elements = \"/boxes\", take", one);
    refused("take = \"/next\"", "take = \"/things\"", one);
    refused("take = \"/next\"", "take = \"/things/*/next\"", "one place");
    refused("size = \"count\"", "size = \"word\"", "wrong type");
    refused("size = \"count\"", "size = \"none\"", "no argument none");
    refused(", size = \"count\"", ", numbered = true", "pages that are counted have a size");
    let numbered = BASE.replace("size = \"count\"", "size = \"count\", numbered = true");
    assert!(service::parse(&numbered).is_ok());
    let judged = |line: &&str| !line.starts_with("check.") && !line.starts_with("refuse");
    let plain = numbered.lines().filter(judged).collect::<Vec<_>>().join("\n");
    let faults = service::parse(&plain).unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains("go with a list")), "{faults:?}");
}

/// Whatever the built-in services list in pages, the caller says how many, and nothing but the list and where it goes on
/// is released: a number of all there are would count what is out of scope.
#[test]
fn no_built_in_list_tells_how_many_there_are() {
    let catalog = built_in();
    let mut seen = 0;
    for service in catalog.services.values() {
        for tool in service.tools.values() {
            for step in &tool.steps {
                let Some(paging) = &step.page else { continue };
                seen += 1;
                assert!(paging.size.is_some() && paging.list.is_some(), "{} {}", tool.name, step.name);
                let AnswerKind::Json { fields } = &step.answer else { panic!("bytes") };
                let known = [paging.list.as_ref().unwrap().top(), paging.take.top()];
                let other = fields.iter().find(|field| !known.contains(&field.split('.').next()));
                assert_eq!(other, None, "{} {}", tool.name, step.name);
            }
        }
    }
    assert_eq!(seen, 7);
    // And no list at all, with pages or without, whose elements a bound may drop.
    let totals = ["total", "estimate", "count", "size", "etag", "incomplete", "more", "next", "token"];
    let lists =
        |step: &&Step| step.page.is_none() && step.checks.values().any(|check| check.elements.is_some());
    let tools = || catalog.services.values().flat_map(|service| service.tools.values());
    for step in tools().flat_map(|tool| &tool.steps).filter(lists) {
        let AnswerKind::Json { fields } = &step.answer else { panic!("bytes") };
        let telling = |field: &&String| totals.iter().any(|word| field.to_lowercase().contains(word));
        assert_eq!(fields.iter().find(telling), None, "{}", step.name);
    }
}
