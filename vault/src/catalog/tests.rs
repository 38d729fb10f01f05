#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
use super::*;

mod authors;
mod calendar;
mod github;
mod guard;
mod objects;
mod pages;
mod properties;
mod schemas;
mod scopes;
mod streams;
mod wire;

fn built_in() -> Catalog {
    load(None, &BTreeMap::new(), &BTreeMap::new()).expect("the built-in files are sound")
}

#[test]
fn the_built_in_files_are_sound() {
    let catalog = built_in();
    let names: Vec<String> = catalog
        .services
        .values()
        .flat_map(|service| service.tools.values().map(|tool| tool.name.to_string()))
        .collect();
    assert_eq!(
        names,
        [
            "calendar.create_event",
            "calendar.delete_event",
            "calendar.free_busy",
            "calendar.get_event",
            "calendar.list_calendars",
            "calendar.list_events",
            "calendar.respond_to_event",
            "calendar.search_events",
            "calendar.update_event",
            "contacts.search_contacts",
            "contacts.search_other_contacts",
            "drive.copy_file",
            "drive.create_file",
            "drive.create_folder",
            "drive.download_file",
            "drive.get_file_metadata",
            "drive.list_folder",
            "drive.list_permissions",
            "drive.move_file",
            "drive.read_file",
            "drive.rename_file",
            "drive.search_files",
            "drive.share_file",
            "drive.trash_file",
            "drive.unshare_file",
            "drive.untrash_file",
            "drive.update_file",
            "drive.upload_file",
            "files.delete_file",
            "files.file_info",
            "files.list_directory",
            "files.make_directory",
            "files.move_file",
            "files.read_file",
            "files.search_files",
            "files.write_file",
            "github.add_issue_comment",
            "github.create_branch",
            "github.create_issue",
            "github.create_or_update_file",
            "github.create_pull_request",
            "github.create_pull_request_review",
            "github.delete_file",
            "github.get_commit",
            "github.get_file_contents",
            "github.get_issue",
            "github.get_pull_request",
            "github.get_pull_request_comments",
            "github.get_pull_request_files",
            "github.get_pull_request_reviews",
            "github.get_repository",
            "github.list_branches",
            "github.list_commits",
            "github.list_issue_comments",
            "github.list_issues",
            "github.list_pull_requests",
            "github.list_repositories",
            "github.merge_pull_request",
            "github.update_issue",
            "gmail.create_draft",
            "gmail.delete_draft",
            "gmail.download_attachment",
            "gmail.forward",
            "gmail.forward_whole",
            "gmail.get_attachment",
            "gmail.get_draft",
            "gmail.get_message",
            "gmail.get_thread",
            "gmail.label_message",
            "gmail.label_messages",
            "gmail.list_drafts",
            "gmail.list_labels",
            "gmail.mark_read",
            "gmail.mark_unread",
            "gmail.reply",
            "gmail.reply_all",
            "gmail.search_messages",
            "gmail.send_draft",
            "gmail.send_file",
            "gmail.send_message",
            "gmail.trash_message",
            "gmail.untrash_message",
            "gmail.update_draft",
        ]
    );
}

#[test]
fn a_definition_changes_with_the_tool_and_with_what_it_is_checked_by() {
    let text = BUILT_IN[0].1;
    let get = |text: &str| service::parse(text).unwrap().tools[&"get_message".parse().unwrap()].definition;
    assert_eq!(get(text), get(text));
    assert_eq!(get(text), get(&format!("# a comment\n{text}")));
    assert_ne!(get(text), get(&text.replace("Read one mail", "Read one")));
    assert_ne!(get(text), get(&text.replace("id,labelIds", "id")));
    assert_eq!(get(text), get(&text.replace("Send a mail", "Send mail")));
}

#[test]
fn faults_are_found_at_load_and_all_at_once() {
    let base = r#"
id = "x"
title = "X"
origin = "https://x.example"
auth = { kind = "bearer" }
[step.look]
method = "GET"
path = "/look/{thing}"
[resource.box]
summary = "boxes"
resolve = { step = "look", list = "/a", match = "/n", take = "/i" }
[tool.t]
summary = "T"
effect = "read"
args.thing = { type = "id", summary = "" }
[[tool.t.step]]
name = "s"
method = "GET"
path = "/a/{thing}"
check.box = { response = "/box" }
"#;
    assert!(service::parse(base).is_ok(), "{:?}", service::parse(base));
    let refused = |from: &str, to: &str, wanted: &str| {
        assert!(base.contains(from), "{from}");
        let faults = service::parse(&base.replace(from, to)).expect_err(to);
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{to}: {faults:?}");
    };
    refused("https://x.example", "http://x.example", "https");
    refused("\"read\"", "\"reads\"", "effect");
    refused("/a/{thing}", "/a/{other}", "no argument");
    refused("/a/{thing}", "/a/../b", "segment");
    refused("/a/{thing}", "/a/x?y=1", "segment");
    refused("check.box", "check.crate", "no resource");
    refused("{ response = \"/box\" }", "{ again = true }", "nothing");
    refused("{ response = \"/box\" }", "{ probe = \"none\", at = \"/x\" }", "no step");
    refused("{ response = \"/box\" }", "{ arg = \"nothing\" }", "no argument");
    refused("{ response = \"/box\" }", "{ response = \"/items/*/box\" }", "without a star");
    refused("{ response = \"/box\" }", "{ elements = \"/a/b\", at = \"/box\" }", "top of the answer");
    refused("{ response = \"/box\" }", "{ probe = \"look\", at = \"/items/*/box\" }", "without a star");
    refused(
        "check.box = { response = \"/box\" }",
        "answer = \"bytes\"\ncheck.box = { elements = \"/files\", at = \"/box\" }",
        "answer of bytes has no elements",
    );
    refused("type = \"id\"", "type = \"id\", default = \"Ab\", deny = [\"aB\"]", "it is denied");
    refused("resolve = { step = \"look\"", "resolve = { step = \"lok\"", "no step");
    refused("title = \"X\"", "title = \"X\"\ncolour = 1", "unknown field");
    refused("type = \"id\"", "type = \"regex\"", "type is");
    refused("kind = \"bearer\"", "kind = \"oauth2\"", "kind is");
    let faults = service::parse(&base.replace("\"read\"", "\"reads\"").replace("/a/{thing}", "/a/{other}"))
        .unwrap_err();
    assert!(faults.len() >= 2, "{faults:?}");
}

#[test]
fn a_tool_that_acts_takes_nothing_from_answers() {
    let text = BUILT_IN[0].1.replace(
        "param.message_id = { from = \"answer\" }",
        "param.message_id = { from = \"answer\" } # same",
    );
    let text = text.replacen(
        "effect   = \"read\"\nanswers  = \"untrusted\"\nscope    = [\"gmail.readonly\"",
        "effect   = \"write\"\nanswers  = \"untrusted\"\nscope    = [\"gmail.readonly\"",
        1,
    );
    let faults = service::parse(&text).unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains("arguments alone")), "{faults:?}");
}

#[test]
fn overrides_move_a_service_and_name_unknown_ones() {
    let origin: Origin = "https://127.0.0.1:8443".parse().unwrap();
    let change = ServiceOverride { origin: Some(origin.clone()), private: true, roots_pem: None };
    let services = BTreeMap::from([("gmail".to_owned(), change.clone()), ("gmial".to_owned(), change)]);
    let faults = load(None, &services, &BTreeMap::new()).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().contains("gmial"));
    let services = BTreeMap::from([services.into_iter().next().unwrap()]);
    let catalog = load(None, &services, &BTreeMap::new()).unwrap();
    let gmail = catalog.service(&"gmail".parse().unwrap()).unwrap();
    assert_eq!(gmail.pin.origins, [origin]);
    assert!(gmail.pin.private);
}
