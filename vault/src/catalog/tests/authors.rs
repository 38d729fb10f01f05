//! `authors = { … }` of a step.

use claviger_domain::authors::Who;

use super::built_in;
use crate::catalog::service;

const BASE: &str = r#"
id = "x"
title = "X"
origin = "https://x.example"
auth = { kind = "bearer" }
[step.facts]
method = "GET"
path = "/facts/{thing}"
[tool.get]
summary = "Get"
effect = "read"
args.thing = { type = "id", required = true, summary = "which" }
[[tool.get.step]]
name = "get"
method = "GET"
path = "/get/{thing}"
"#;

fn with(line: &str) -> Result<claviger_domain::tool::Service, Vec<String>> {
    service::parse(&format!("{BASE}{line}\n"))
}

#[test]
fn mails_say_who_wrote_them_and_lists_of_ids_say_nobody() {
    let catalog = built_in();
    let step = |tool: &str, step: &str| {
        catalog.tool(&tool.parse().unwrap()).unwrap().step(step).unwrap().authors.clone()
    };
    for (tool, name) in [("gmail.get_message", "get"), ("gmail.search_messages", "summary")] {
        let who = step(tool, name).unwrap().who;
        assert!(matches!(who, Who::Mail { provider, .. } if provider == "mx.google.com"), "{tool}");
    }
    assert_eq!(step("gmail.search_messages", "list").unwrap().who, Who::Nobody);
    assert_eq!(step("drive.read_file", "content"), None);
}

#[test]
fn each_form_is_taken() {
    for line in [
        "authors = { nobody = true }",
        "authors = { mail = \"/payload/headers\", provider = \"mx.google.com\" }",
        "authors = { elements = \"/messages\", mail = \"/headers\", provider = \"mx.google.com\" }",
        "authors = { editors = \"/permissions\" }",
        "authors = { step = \"facts\", editors = \"/permissions\" }",
        "answer = \"bytes\"\nauthors = { step = \"facts\", editors = \"/permissions\" }",
        "authors = { people = [\"/organizer/email\", \"/attendees/*/email\"] }",
    ] {
        assert!(with(line).is_ok(), "{line}: {:?}", with(line).err());
    }
}

#[test]
fn what_could_not_be_checked_is_refused_at_load() {
    for line in [
        "authors = {}",
        "authors = { nobody = false }",
        "authors = { nobody = true, editors = \"/p\" }",
        "authors = { nobody = true, step = \"facts\" }",
        "authors = { mail = \"/h\" }",
        "authors = { mail = \"/h\", provider = \"\" }",
        "authors = { mail = \"/h\", provider = \"google\" }",
        "authors = { mail = \"/h\", provider = \"*.google.com\" }",
        "authors = { mail = \"/*/h\", provider = \"mx.google.com\" }",
        "authors = { provider = \"mx.google.com\" }",
        "authors = { editors = \"/files/*/permissions\" }",
        "authors = { editors = \"permissions\" }",
        "authors = { people = [] }",
        "authors = { people = [\"/a\"], editors = \"/p\" }",
        "authors = { step = \"nothing\", editors = \"/p\" }",
        "authors = { elements = \"/*\", editors = \"/p\" }",
        "authors = { who = \"me\" }",
        "answer = \"bytes\"\nauthors = { editors = \"/p\" }",
    ] {
        assert!(with(line).is_err(), "{line}");
    }
}
