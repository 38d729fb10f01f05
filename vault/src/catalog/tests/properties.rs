//! What must hold of every built-in tool, for any arguments and parameters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claviger_canonical::Canonical;
use claviger_domain::arg::{ArgKind, Arguments};
use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::name::Ident;
use claviger_domain::render::{Filling, render};
use claviger_domain::scope::{Scope, judge_probe};
use claviger_domain::step::{AnswerKind, ParamSource, Segment};
use claviger_domain::tool::{Service, Tool};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::wire::ident;
use super::{Catalog, built_in};

static CATALOG: LazyLock<Catalog> = LazyLock::new(built_in);

fn hostile() -> BoxedStrategy<String> {
    prop_oneof![
        Just("..".to_owned()),
        Just("a/../../b?x=1#y".to_owned()),
        Just("a%2f..%2fb".to_owned()),
        Just("a\r\nX: y".to_owned()),
        "[A-Za-z0-9_-]{1,12}",
        "\\PC{1,8}",
    ]
    .boxed()
}

fn value(kind: &ArgKind) -> BoxedStrategy<Value> {
    let number = |min: i64, max: i64| (min..=max).prop_map(Value::from).boxed();
    match kind {
        ArgKind::Id => prop_oneof![9 => "[A-Za-z0-9_-]{1,20}", 1 => hostile()].prop_map(Value::from).boxed(),
        ArgKind::Ids { .. } => {
            prop::collection::vec("[A-Za-z0-9_-]{1,5}", 0..4).prop_map(Value::from).boxed()
        }
        ArgKind::Line { .. } | ArgKind::Text { .. } => {
            prop_oneof![1 => "[a-z ]{1,9}[a-z]", 1 => hostile()].prop_map(Value::from).boxed()
        }
        ArgKind::Integer { min, max } => number(*min, *max),
        ArgKind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        ArgKind::Date => "20[0-2][0-9]-0[1-9]-[12][0-9]".prop_map(Value::from).boxed(),
        ArgKind::DateTime => prop_oneof![
            "20[0-2][0-9]-0[1-9]-[12][0-9]",
            "20[0-2][0-9]-0[1-9]-[12][0-9]T1[0-9]:[0-5][0-9]:00(Z|[+-]0[1-9]:30)",
        ]
        .prop_map(Value::from)
        .boxed(),
        ArgKind::Calendar => prop_oneof![9 => "[a-z][a-z0-9.#_+]{0,9}@[a-z]{1,5}", 1 => hostile()]
            .prop_map(Value::from)
            .boxed(),
        ArgKind::Calendars { .. } => {
            prop::collection::vec("[a-z]{1,5}@[a-z]{1,5}", 0..4).prop_map(Value::from).boxed()
        }
        ArgKind::Event => prop_oneof![9 => "[a-v0-9]{1,20}(_20260102T030405Z)?", 1 => hostile()]
            .prop_map(Value::from)
            .boxed(),
        ArgKind::Addresses { .. } => {
            prop::collection::vec("[a-z]{1,5}@[a-z]{1,5}\\.org", 1..2).prop_map(Value::from).boxed()
        }
        ArgKind::Choice(words) => prop::sample::select(words.clone()).prop_map(Value::from).boxed(),
        ArgKind::Attachments { .. } => prop::collection::vec(
            ("[a-z]{1,4}|\\PC{1,4}", "[A-Za-z0-9]{0,2}"),
            0..3,
        )
        .prop_map(|items| {
            let item =
                |(name, data)| json!({ "name": name, "type": "text/plain", "data": format!("{data}AAAA") });
            items.into_iter().map(item).collect::<Value>()
        })
        .boxed(),
        ArgKind::Page => "page_[0-9a-f]{16}".prop_map(Value::from).boxed(),
        ArgKind::Path => "[a-zA-Z0-9_.-]{1,12}(/[a-z]{1,8}){0,3}".prop_map(Value::from).boxed(),
        ArgKind::Name => {
            prop_oneof![9 => "[A-Za-z0-9_.-]{1,12}", 1 => hostile()].prop_map(Value::from).boxed()
        }
        ArgKind::Branch => prop_oneof![9 => "[a-zA-Z0-9_.#@-]{1,8}(/[a-z]{1,8}){0,2}", 1 => hostile()]
            .prop_map(Value::from)
            .boxed(),
        ArgKind::Upload { .. } => ("[a-z]{1,8}(\\.[a-z]{3})?|\\PC{1,4}", 0u32..5_000_000)
            .prop_map(|(name, size)| json!({ "name": name, "sha256": "0".repeat(64), "size": size }))
            .boxed(),
        ArgKind::Url => "https://[a-z]{1,8}\\.example/[a-z0-9]{0,8}".prop_map(Value::from).boxed(),
    }
}

fn call() -> impl Strategy<Value = (Tool, Value)> {
    let tools: Vec<Tool> =
        CATALOG.services.values().flat_map(|service| service.tools.values()).cloned().collect();
    prop::sample::select(tools).prop_flat_map(|tool| {
        let fields: Vec<_> = tool
            .args
            .iter()
            .map(|(name, arg)| {
                let name = name.to_string();
                prop::option::weighted(if arg.required { 0.999 } else { 0.4 }, value(&arg.kind))
                    .prop_map(move |value| value.map(|value| (name.clone(), value)))
            })
            .collect();
        (Just(tool), fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect())))
    })
}

/// The resource of a service that holds its objects, as a label or a folder does; none where there is none.
fn container(service: &Service) -> Option<&Ident> {
    service.resources.keys().find(|name| name.as_str() != "file")
}

/// Parameters for whatever a step names, and for what it does not.
fn params() -> impl Strategy<Value = BTreeMap<Ident, String>> {
    let names =
        vec!["message_id", "label", "folder", "file_id", "folder_id", "to", "subject", "body", "name"];
    prop::collection::btree_map(prop::sample::select(names).prop_map(ident), hostile(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Method, path and query names are the catalog's, whatever fills the template; and the same again the next time.
    #[test]
    fn a_request_never_leaves_its_template((tool, given) in call(), params in params(), page in prop::option::of(hostile())) {
        let Ok(args) = Arguments::parse(&tool.args, Canonical::from_json(&given).unwrap().value()) else {
            return Ok(());
        };
        for step in tool.steps.iter().filter(|step| !step.local) {
            let filling = Filling { args: &args, params: &params, page_token: page.as_deref() };
            let Ok(request) = render(step, filling) else { continue };
            prop_assert_eq!(render(step, filling).unwrap(), request.clone());
            prop_assert_eq!(request.method, step.method);
            let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b));
            let segments: Vec<&str> = path.strip_prefix('/').unwrap().split('/').collect();
            // The end of a path may be a path itself, and nothing else may be longer or shorter than its template.
            let rest = matches!(step.path.last(), Some(Segment::Rest(_)));
            let fixed = step.path.len() - usize::from(rest);
            prop_assert!(segments.len() == fixed || (rest && segments.len() > fixed), "{path}");
            for (at, segment) in segments.iter().enumerate() {
                match step.path.get(at) {
                    Some(Segment::Literal(text)) => prop_assert_eq!(segment, text),
                    Some(Segment::Param(_) | Segment::Rest(_)) | None => {
                        prop_assert!(plain(segment) && !["", ".", ".."].contains(segment), "{segment}");
                    }
                }
            }
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap();
                let turns = step.page.as_ref().is_some_and(|paging| paging.query == name);
                prop_assert!(turns || step.query.iter().any(|(known, _)| known == name), "{name}");
                prop_assert!(plain(value), "{value}");
            }
            prop_assert_eq!(request.body.is_empty(), step.body.is_none());
        }
    }

    /// What was presented is what is sent: nothing that an adapter or an answer says changes a request with an effect.
    #[test]
    fn a_tool_that_acts_is_made_of_its_arguments_alone((tool, given) in call(), params in params(), page in prop::option::of(hostile())) {
        if tool.effect.is_read() {
            return Ok(());
        }
        let Ok(args) = Arguments::parse(&tool.args, Canonical::from_json(&given).unwrap().value()) else {
            return Ok(());
        };
        // What an argument is called, no parameter is: the catalog and the capability see to that.
        let params: BTreeMap<Ident, String> =
            params.into_iter().filter(|(name, _)| !tool.args.contains_key(name)).collect();
        for step in &tool.steps {
            // What the vault saw when the call was decided comes along by itself; nobody else gives a parameter.
            let seen = step.params.values().all(|source| matches!(source, ParamSource::Look { .. }));
            prop_assert!(seen);
            if !step.params.is_empty() {
                continue;
            }
            let alone = render(step, Filling { args: &args, params: &BTreeMap::new(), page_token: None });
            let with = render(step, Filling { args: &args, params: &params, page_token: page.as_deref() });
            prop_assert_eq!(alone, with);
        }
    }

    /// A released answer has the step's fields only, and under a bound only what lies within.
    #[test]
    fn an_answer_shows_no_more_than_its_step_says(
        own in prop::collection::vec(prop::sample::select(vec!["in", "out", "OUT"]), 0..3),
        items in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["in", "out"]), 0..2), 0..4),
        bounded in any::<bool>(),
    ) {
        for service in CATALOG.services.values() {
            let Some(resource) = container(service) else { continue };
            let bound = ResourceBound { resource: resource.clone(), ids: vec!["in".to_owned()], shown: Vec::new(), nested: false };
            let caveats = [Caveat::Resource(bound)];
            let scope = Scope::of(caveats.iter().take(usize::from(bounded)));
            let files: Vec<Value> = items
                .iter()
                .map(|has| json!({ "parents": has, "id": has.first().copied().unwrap_or("none"), "name": "n" }))
                .collect();
            let answer = json!({
                "id": "x", "labelIds": own, "parents": own, "files": files, "labels": files, "secretField": 1,
                "resultSizeEstimate": 7, "nextPageToken": "t", "messages": [], "historyId": "1",
            });
            for step in service.tools.values().filter(|tool| !bounded || tool.bounds(resource).is_ok()).flat_map(|tool| &tool.steps) {
                let AnswerKind::Json { fields } = &step.answer else { continue };
                let Ok(shown) = scope.judge(step, answer.clone()) else {
                    prop_assert!(bounded);
                    continue;
                };
                let named = |name: &String| fields.iter().any(|field| field.split('.').next() == Some(name));
                let only_named = shown.as_object().unwrap().keys().all(named);
                prop_assert!(only_named);
                if bounded && let Some(check) = step.checks.get(resource) {
                    prop_assert!(check.response.is_none() || own.contains(&"in"));
                    if check.elements.is_some() {
                        prop_assert!(!shown.to_string().contains("\"out\"") || shown.to_string().contains("\"in\""));
                        for list in ["files", "labels"] {
                            for item in shown.get(list).and_then(Value::as_array).into_iter().flatten() {
                                prop_assert!(item.to_string().contains("\"in\""), "{item}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_mail_cannot_be_labelled_out_of_its_scope_nor_into_the_bin() {
    let catalog = built_in();
    let tool = catalog.tool(&"gmail.label_message".parse().unwrap()).unwrap();
    let probe = tool.steps[0].checks[&ident("label")].probe.clone().unwrap();
    let bound = ResourceBound {
        resource: ident("label"),
        ids: vec!["Label_7".to_owned()],
        shown: Vec::new(),
        nested: false,
    };
    let parse = |change: Value| {
        let mut given: Map<String, Value> = Map::new();
        given.insert("message_id".to_owned(), json!("m"));
        given.extend(change.as_object().unwrap().clone());
        Arguments::parse(&tool.args, Canonical::from_json(&Value::Object(given)).unwrap().value())
    };
    for word in ["TRASH", "Trash", "trash", "SPAM", "spam"] {
        assert!(parse(json!({ "add": [word] })).is_err(), "{word}");
        assert!(parse(json!({ "remove": [word] })).is_err(), "{word}");
    }
    let has = json!({ "id": "m", "labelIds": ["Label_7", "INBOX"] });
    let bound = claviger_domain::scope::Limit::Resource(bound);
    let judged = |change: Value| judge_probe(&bound, &probe, &parse(change).unwrap(), &has).is_ok();
    assert!(judged(json!({ "remove": ["INBOX", "UNREAD"], "add": ["STARRED"] })));
    assert!(!judged(json!({ "remove": ["Label_7"] })));
    assert!(!judged(json!({ "remove": ["label_7"] })));
    assert!(!judged(json!({ "remove": ["Label_7"], "add": ["Label_7"] })));
}

/// Each tool either is held to its service's resource in every step, or says that it cannot be bounded by it.
#[test]
fn what_can_be_bounded() {
    let catalog = built_in();
    let bounded: Vec<String> = catalog
        .services
        .values()
        .flat_map(|service| {
            let held =
                |tool: &&Tool| container(service).is_some_and(|resource| tool.bounds(resource).is_ok());
            service.tools.values().filter(held).map(|tool| tool.name.to_string())
        })
        .collect();
    assert_eq!(
        bounded,
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
            "gmail.download_attachment",
            "gmail.forward",
            "gmail.forward_whole",
            "gmail.get_attachment",
            "gmail.get_message",
            "gmail.get_thread",
            "gmail.label_message",
            "gmail.label_messages",
            "gmail.list_labels",
            "gmail.mark_read",
            "gmail.mark_unread",
            "gmail.reply",
            "gmail.reply_all",
            "gmail.search_messages",
            "gmail.trash_message",
            "gmail.untrash_message",
        ]
    );
}

/// What can be held to each bound that every service knows.
#[test]
fn each_drive_tool_knows_its_people_days_and_objects() {
    let catalog = built_in();
    let tools = |bound: &str| -> Vec<String> {
        let drive = catalog.service(&"drive".parse().unwrap()).unwrap();
        let not = |tool: &&Tool| tool.checks(bound).is_err();
        drive.tools.values().filter(not).map(|tool| tool.name.tool().to_string()).collect()
    };
    // A file that is yet to be made has neither owner nor day.
    assert_eq!(tools("owner"), ["create_file", "create_folder", "upload_file"]);
    assert_eq!(tools("date"), ["create_file", "create_folder", "upload_file"]);
    for bound in ["file", "made"] {
        assert_eq!(tools(bound), Vec::<String>::new(), "{bound}");
    }
    let files = catalog.service(&"files".parse().unwrap()).unwrap();
    assert!(files.tools.values().all(|tool| tool.checks("path").is_ok()));
    // A move names two paths, and both are checked. A search takes in what lies below.
    let path = ident("path");
    let below = |tool: &&Tool| tool.steps.iter().any(|step| step.checks.values().any(|check| check.below));
    let named: Vec<String> =
        files.tools.values().filter(below).map(|tool| tool.name.tool().to_string()).collect();
    assert_eq!(named, ["search_files"]);
    let moves = &files.tools[&ident("move_file")];
    assert_eq!(moves.resource_args(&path), [&ident("path"), &ident("to")]);
}

/// What is told after the bin is deleted for good is a delete from the beginning.
#[test]
fn the_bin_is_a_delete() {
    use claviger_domain::effect::Effect;
    for (name, effect) in [
        ("gmail.trash_message", Effect::Delete),
        ("gmail.untrash_message", Effect::Write),
        ("drive.trash_file", Effect::Delete),
        ("drive.untrash_file", Effect::Write),
    ] {
        assert_eq!(built_in().tool(&name.parse().unwrap()).unwrap().effect, effect, "{name}");
    }
}

/// An answer that is trusted holds nothing that others may have written: no title, no name, no place, no type.
#[test]
fn changes_tell_nothing_that_others_wrote() {
    for name in [
        "calendar.update_event",
        "calendar.respond_to_event",
        "drive.update_file",
        "drive.move_file",
        "drive.trash_file",
        "drive.untrash_file",
    ] {
        let tool = built_in().tool(&name.parse().unwrap()).unwrap().clone();
        let claviger_domain::step::AnswerKind::Json { fields } = &tool.steps[0].answer else {
            panic!("{name}")
        };
        for told in fields {
            let plain = ["id", "status", "start", "end", "size", "modifiedTime", "parents", "shared"];
            // The type of an updated file is an argument, its link is Drive's.
            let own = name == "drive.update_file" && ["mimeType", "webViewLink"].contains(&told.as_str());
            assert!(plain.contains(&told.as_str()) || own, "{name} tells {told}");
        }
    }
}

/// Whatever may change an object of Drive's that others could see looks at it first, and a shortcut is never opened.
#[test]
fn each_drive_tool_that_acts_looks_before() {
    let catalog = built_in();
    let drive = catalog.service(&"drive".parse().unwrap()).unwrap();
    for tool in drive.tools.values() {
        if tool.effect.is_read() {
            assert!(tool.looks.is_empty(), "{}", tool.name);
            continue;
        }
        let told = tool.effect != claviger_domain::effect::Effect::Write
            || tool.looks.iter().any(|look| look.private.is_some() && !look.people.is_empty());
        assert!(told && !tool.looks.is_empty(), "{}", tool.name);
    }
    let shortcut = json!("application/vnd.google-apps.shortcut");
    for step in drive.steps.values().filter(|step| step.name.as_str().ends_with("_facts")) {
        assert!(step.refuse.iter().any(|rule| rule.is == shortcut), "{}", step.name);
    }
    for step in drive.tools.values().flat_map(|tool| &tool.steps).filter(|step| step.method.as_str() == "GET")
    {
        let judged = step.refuse.iter().any(|rule| rule.is == shortcut);
        let probed = step.checks.values().any(|check| check.probe.is_some());
        assert!(judged || probed, "{}", step.name);
    }
    // What is done to a folder is done to all in it.
    let folder = json!("application/vnd.google-apps.folder");
    for tool in
        ["copy_file", "move_file", "share_file", "unshare_file", "trash_file", "untrash_file", "update_file"]
    {
        let tool = &drive.tools[&ident(tool)];
        let looks = tool.looks.iter().map(|look| &drive.steps[&look.step]);
        let mut rules = looks.flat_map(|step| &step.refuse);
        assert!(rules.any(|rule| rule.is == folder), "{}", tool.name);
    }
}

#[test]
fn a_bad_value_is_refused_under_its_arguments_name() {
    let catalog = built_in();
    for (tool, given, field) in [
        ("drive.search_files", json!({ "text": "a\"b" }), "text"),
        ("gmail.search_messages", json!({ "words": "a\"b" }), "words"),
        ("calendar.search_events", json!({ "calendar_id": "a@b", "words": "who:ann" }), "words"),
        ("gmail.search_messages", json!({ "from": " " }), "from"),
        ("gmail.send_message", json!({ "to": [], "subject": "x", "body": "" }), "to"),
    ] {
        let tool = catalog.tool(&tool.parse().unwrap()).unwrap();
        let args = Arguments::parse(&tool.args, Canonical::from_json(&given).unwrap().value()).unwrap();
        let filling = Filling { args: &args, params: &BTreeMap::new(), page_token: None };
        let denial = render(&tool.steps[0], filling).unwrap_err();
        assert_eq!(denial.field.as_deref(), Some(field));
    }
}
