//! `authors = { … }` of a step.

use claviger_domain::authors::{Authors, Who};
use claviger_domain::tool::Service;

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

/// Every step of the built-in services whose answers count as strangers', or which carries them on, with what it says of
/// their authors. A new one must be put here, and so be thought about.
#[test]
fn each_step_that_taints_says_who_wrote_it_or_is_a_strangers() {
    let mail = "mail";
    let expected = [
        ("gmail.search_messages", "list", "nobody"),
        ("gmail.search_messages", "summary", mail),
        ("gmail.get_message", "get", mail),
        ("gmail.get_thread", "thread", mail),
        ("gmail.get_thread", "message", mail),
        ("gmail.get_attachment", "message", mail),
        ("gmail.get_attachment", "attachment", "message_author: mail"),
        ("gmail.download_attachment", "message", ""),
        ("gmail.download_attachment", "attachment", ""),
        ("gmail.list_drafts", "list", "nobody"),
        ("gmail.list_drafts", "summary", ""),
        ("gmail.get_draft", "get", ""),
        ("gmail.reply", "send", "message_author: mail"),
        ("gmail.reply_all", "send", "message_author: mail"),
        ("gmail.forward", "send", "message_author: mail"),
        ("gmail.forward_whole", "send", "message_author: mail"),
        ("gmail.send_draft", "send", ""),
        ("drive.search_files", "list", "editors people"),
        ("drive.list_folder", "list", "editors people"),
        ("drive.get_file_metadata", "get", "editors people"),
        ("drive.read_file", "metadata", "editors people"),
        ("drive.read_file", "content", "file_authors: editors people"),
        ("drive.read_file", "export_text", "file_authors: editors people"),
        ("drive.read_file", "export_markdown", "file_authors: editors people"),
        ("drive.read_file", "export_csv", "file_authors: editors people"),
        ("drive.download_file", "metadata", ""),
        ("drive.download_file", "content", ""),
        ("drive.list_permissions", "list", "sharers"),
        ("drive.update_file", "update", "file_authors: editors people"),
        ("drive.rename_file", "rename", "file_authors: editors people"),
        ("drive.copy_file", "copy", "file_authors: editors people"),
        ("drive.move_file", "move", "file_authors: editors people"),
        ("drive.unshare_file", "unshare", "file_authors: editors people"),
        ("calendar.list_calendars", "list", ""),
        ("calendar.list_events", "list", "people, calendar_sharing: writers"),
        ("calendar.search_events", "list", "people, calendar_sharing: writers"),
        ("calendar.get_event", "get", "people, calendar_sharing: writers"),
        ("contacts.search_contacts", "warm", ""),
        ("contacts.search_contacts", "search", ""),
        ("contacts.search_other_contacts", "warm", ""),
        ("contacts.search_other_contacts", "search", ""),
    ];
    let catalog = built_in();
    let word = |who: &Who| match who {
        Who::Nobody => "nobody",
        Who::Mail { provider, .. } => {
            assert_eq!(provider, "mx.google.com");
            "mail"
        }
        Who::Editors(_) => "editors",
        Who::Sharers(_) => "sharers",
        Who::Writers(_) => "writers",
        Who::People(_) => "people",
    };
    let said = |authors: &Authors| {
        let who: Vec<&str> = authors.who.iter().map(word).collect();
        let step = authors.step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
        format!("{step}{}", who.join(" "))
    };
    let mut found = Vec::new();
    // Nobody vouches for who wrote what GitHub answers.
    let github = catalog.service(&"github".parse().unwrap()).unwrap();
    assert!(github.tools.values().flat_map(|tool| &tool.steps).all(|step| step.authors.is_empty()));
    let others = |service: &&Service| !["files", "github"].contains(&service.id.as_str());
    for service in catalog.services.values().filter(others) {
        for tool in service.tools.values().filter(|tool| tool.untrusted || tool.carries) {
            for step in &tool.steps {
                let said: Vec<String> = step.authors.iter().map(said).collect();
                found.push((tool.name.to_string(), step.name.to_string(), said.join(", ")));
            }
        }
    }
    let mut expected: Vec<_> =
        expected.map(|(tool, step, said)| (tool.to_owned(), step.to_owned(), said.to_owned())).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
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
        "authors = { people = [\"/a\"], editors = \"/p\" }",
        "authors = { sharers = \"/p\" }",
        "authors = { writers = \"/items\" }",
        "authors = [{ people = [\"/a\"] }, { step = \"facts\", writers = \"/items\" }]",
        "authors = { people = [\"/a\"], must = [{ at = \"/t\", is = \"x\" }], if_given = [{ at = \"/n\" }, { at = \"/m\", is = false }] }",
        "fields = [\"id\", \"p\"]\nauthors = { editors = \"/p\", hide = [\"p\"] }",
        "authors = { elements = \"/files\", editors = \"/p\", hide = [\"p\"] }",
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
        "authors = []",
        "authors = [{ people = [\"/a\"] }, {}]",
        "authors = { nobody = true, people = [\"/a\"] }",
        "authors = { sharers = \"/*\" }",
        "authors = { writers = \"/items/*\" }",
        "authors = { people = [\"/a\"], must = [{ at = \"/t\" }] }",
        "authors = { people = [\"/a\"], must = [{ at = \"/t/*\", is = \"x\" }] }",
        "authors = { people = [\"/a\"], if_given = [{ at = \"/n\", is = 3 }] }",
        "authors = { people = [\"/a\"], calendar = \"thing\" }",
        "authors = { people = [\"/a\"], calendar = \"nothing\" }",
        "fields = [\"id\"]\nauthors = { editors = \"/p\", hide = [\"p\"] }",
        "fields = [\"p\"]\nauthors = { step = \"facts\", editors = \"/p\", hide = [\"p\"] }",
        "authors = { step = \"nothing\", editors = \"/p\" }",
        "authors = { elements = \"/*\", editors = \"/p\" }",
        "authors = { who = \"me\" }",
        "answer = \"bytes\"\nauthors = { editors = \"/p\" }",
    ] {
        assert!(with(line).is_err(), "{line}");
    }
}
