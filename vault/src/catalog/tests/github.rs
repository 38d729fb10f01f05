//! GitHub's tools: what goes over the wire, what each does, and what keeps it to its repositories.

use claviger_canonical::Canonical;
use claviger_domain::arg::{ArgKind, Arguments};
use claviger_domain::effect::Effect;
use claviger_domain::step::{AnswerKind, Segment};
use claviger_domain::tool::{Service, Tool};
use serde_json::{Value, json};

use super::wire::{check, ident};
use super::{built_in, service};

const TEXT: &str = include_str!("../../../services/github.toml");

fn github() -> Service {
    built_in().service(&"github".parse().unwrap()).unwrap().clone()
}

/// The arguments, and those that every tool in a repository has.
fn of(more: Value) -> Value {
    let mut all = json!({ "owner": "me", "repo": "my.notes" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

fn one(tool: &str, more: Value, step: &str, expected: &str) {
    check(&format!("github.{tool}"), of(more), &[(step, &[], None, expected)]);
}

fn parse(tool: &Tool, given: &Value) -> bool {
    Arguments::parse(&tool.args, Canonical::from_json(given).unwrap().value()).is_ok()
}

#[test]
fn reads() {
    const REPO: &str = "GET /repos/me/my.notes";
    check(
        "github.list_repositories",
        json!({ "per_page": 5, "page": "page_0123456789abcdef" }),
        &[("list", &[], Some("3"), "GET /user/repos?per_page=5&sort=full_name&visibility=all&page=3")],
    );
    one("get_repository", json!({}), "get", REPO);
    one("get_file_contents", json!({}), "get", &format!("{REPO}/contents"));
    one(
        "get_file_contents",
        json!({ "path": "docs/a b.md", "ref": "fix/x" }),
        "get",
        &format!("{REPO}/contents/docs/a%20b.md?ref=fix%2Fx"),
    );
    one(
        "list_commits",
        json!({ "sha": "main", "path": "docs/a.md", "since": "2026-01-02", "per_page": 3, "page": 2 }),
        "list",
        &format!("{REPO}/commits?page=2&path=docs%2Fa.md&per_page=3&sha=main&since=2026-01-02T00%3A00%3A00Z"),
    );
    one("get_commit", json!({ "sha": "abc123" }), "get", &format!("{REPO}/commits/abc123"));
    one("list_branches", json!({}), "list", &format!("{REPO}/branches?page=1&per_page=30"));
    one(
        "list_issues",
        json!({ "creator": "ann" }),
        "list",
        &format!("{REPO}/issues?creator=ann&direction=desc&page=1&per_page=30&sort=created&state=open"),
    );
    one("get_issue", json!({ "issue_number": 7 }), "get", &format!("{REPO}/issues/7"));
    one(
        "list_issue_comments",
        json!({ "issue_number": 7 }),
        "list",
        &format!("{REPO}/issues/7/comments?page=1&per_page=30"),
    );
    one(
        "list_pull_requests",
        json!({ "base": "main", "state": "all" }),
        "list",
        &format!("{REPO}/pulls?base=main&direction=desc&page=1&per_page=30&sort=created&state=all"),
    );
    one("get_pull_request", json!({ "pull_number": 8 }), "get", &format!("{REPO}/pulls/8"));
    for (tool, end) in [
        ("get_pull_request_files", "files"),
        ("get_pull_request_reviews", "reviews"),
        ("get_pull_request_comments", "comments"),
    ] {
        one(tool, json!({ "pull_number": 8 }), "list", &format!("{REPO}/pulls/8/{end}?page=1&per_page=30"));
    }
}

#[test]
fn acts() {
    const JSON: &str = "\napplication/json\n";
    let sent = |tool: &str, more: Value, step: &str, target: &str, body: Value| {
        let (method, rest) = target.split_once(' ').unwrap();
        one(tool, more, step, &format!("{method} /repos/me/my.notes{rest}{JSON}{body}"));
    };
    sent(
        "create_issue",
        json!({ "title": "T", "body": "B\n" }),
        "create",
        "POST /issues",
        json!({ "title": "T", "body": "B\n" }),
    );
    sent(
        "add_issue_comment",
        json!({ "issue_number": 7, "body": "B" }),
        "create",
        "POST /issues/7/comments",
        json!({ "body": "B" }),
    );
    sent(
        "update_issue",
        json!({ "issue_number": 7, "state": "closed", "state_reason": "completed" }),
        "update",
        "PATCH /issues/7",
        json!({ "state": "closed", "state_reason": "completed" }),
    );
    sent(
        "create_branch",
        json!({ "branch": "fix/x", "sha": "abc" }),
        "create",
        "POST /git/refs",
        json!({ "ref": "refs/heads/fix/x", "sha": "abc" }),
    );
    sent(
        "create_or_update_file",
        json!({ "path": "a/b?.md", "content": "hi?>", "message": "M", "branch": "main", "sha": "abc" }),
        "put",
        "PUT /contents/a/b%3F.md",
        json!({ "message": "M", "content": "aGk/Pg==", "branch": "main", "sha": "abc" }),
    );
    sent(
        "delete_file",
        json!({ "path": "a.md", "message": "M", "branch": "main", "sha": "abc" }),
        "delete",
        "DELETE /contents/a.md",
        json!({ "message": "M", "branch": "main", "sha": "abc" }),
    );
    sent(
        "create_pull_request",
        json!({ "title": "T", "head": "fix/x", "base": "main" }),
        "create",
        "POST /pulls",
        json!({ "title": "T", "head": "fix/x", "base": "main", "draft": false }),
    );
    sent(
        "create_pull_request_review",
        json!({ "pull_number": 8, "commit_id": "abc", "event": "APPROVE" }),
        "create",
        "POST /pulls/8/reviews",
        json!({ "commit_id": "abc", "event": "APPROVE" }),
    );
    sent(
        "merge_pull_request",
        json!({ "pull_number": 8, "sha": "abc" }),
        "merge",
        "PUT /pulls/8/merge",
        json!({ "sha": "abc", "merge_method": "merge" }),
    );
}

#[test]
fn each_request_says_which_form_it_wants() {
    let github = github();
    let steps = github.steps.values().chain(github.tools.values().flat_map(|tool| &tool.steps));
    for step in steps {
        let header = |name: &str| {
            let mut found = step.headers.iter().filter(|(known, _)| known == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert_eq!(found.next(), None);
            value
        };
        assert_eq!(header("x-github-api-version"), Some("2022-11-28"), "{}", step.name);
        let whole = step.path.last() == Some(&Segment::Rest(ident("path"))) && step.method.as_str() == "GET";
        let accept = if whole { "application/vnd.github.object+json" } else { "application/vnd.github+json" };
        assert_eq!(header("accept"), Some(accept), "{}", step.name);
    }
    for (from, to) in [
        ("accept = \"application/vnd.github+json\"", "authorization = \"x\""),
        ("accept = \"application/vnd.github+json\"", "Accept = \"x\""),
        ("accept = \"application/vnd.github+json\"", "content-length = \"3\""),
        ("accept = \"application/vnd.github+json\"", "proxy-x = \"3\""),
        ("accept = \"application/vnd.github+json\"", "accept = \"a\\r\\nx: y\""),
        ("accept = \"application/vnd.github+json\"", "accept = \"\""),
    ] {
        assert!(TEXT.contains(from));
        let faults = service::parse(&TEXT.replacen(from, to, 1)).expect_err(to);
        assert!(faults.iter().all(|fault| fault.contains(".headers.")), "{faults:?}");
    }
}

/// A definition changes with the headers, so that a grant does not hold for another form of the same request.
#[test]
fn a_grant_pins_the_headers() {
    let get = |text: &str| service::parse(text).unwrap().tools[&ident("get_issue")].definition;
    assert_ne!(get(TEXT), get(&TEXT.replacen("2022-11-28", "2026-03-10", 1)));
}

#[test]
fn what_others_can_see_is_a_send_unless_the_vault_sees_that_nobody_does() {
    let effects = [
        ("create_issue", Effect::Write),
        ("add_issue_comment", Effect::Write),
        ("update_issue", Effect::Write),
        ("create_branch", Effect::Send),
        ("create_or_update_file", Effect::Send),
        ("create_pull_request", Effect::Send),
        ("create_pull_request_review", Effect::Send),
        ("merge_pull_request", Effect::Send),
        ("delete_file", Effect::Delete),
    ];
    for tool in github().tools.values() {
        let name = tool.name.tool().as_str();
        let declared = effects.iter().find(|(known, _)| *known == name).map(|(_, effect)| *effect);
        assert_eq!(tool.effect, declared.unwrap_or(Effect::Read), "{name}");
        assert_eq!(tool.untrusted, declared.is_none(), "{name}");
        let private = |place: &str| {
            tool.looks
                .iter()
                .any(|look| look.private.as_ref().is_some_and(|holds| holds.at == place.parse().unwrap()))
        };
        assert_eq!(
            private("/visibility") && private("/collaborators/0/permissions/admin"),
            declared == Some(Effect::Write),
            "{name}"
        );
        // Whatever acts, pins the repository that a person was shown.
        let pinned = tool.looks.iter().any(|look| look.step == ident("repository_facts"));
        assert_eq!(pinned, declared.is_some(), "{name}");
    }
}

/// Every step of every tool is held to the repository by its number; the two names in its path are of a kind that leads to
/// no other.
#[test]
fn each_tool_is_held_to_its_repository() {
    for tool in github().tools.values() {
        for step in &tool.steps {
            let check = &step.checks[&ident("repository")];
            let probed = check.probe.as_ref().is_some_and(|probe| {
                probe.step == ident("repository_facts")
                    && probe.at == "/id".parse().unwrap()
                    && probe.again == tool.effect.is_read()
            });
            let told = check.response.is_some() || check.elements.is_some();
            assert!(probed || told, "{}", tool.name);
            if tool.name.tool().as_str() == "list_repositories" {
                // What waits for its page is judged again by what was kept of it.
                let AnswerKind::Json { fields } = &step.answer else { panic!("bytes") };
                assert!(fields.contains(&"repositories.id".to_owned()));
                continue;
            }
            let expected = [
                Segment::Literal("repos".to_owned()),
                Segment::Param(ident("owner")),
                Segment::Param(ident("repo")),
            ];
            assert_eq!(step.path[..3], expected, "{}", tool.name);
            for name in ["owner", "repo"] {
                let arg = &tool.args[&ident(name)];
                assert!(arg.required && arg.kind == ArgKind::Name, "{}", tool.name);
            }
        }
    }
}

#[test]
fn no_name_leads_out_of_its_repository() {
    let github = github();
    let tool = |name: &str| &github.tools[&ident(name)];
    for bad in
        ["", ".", "..", "a/b", "../x", "a%2fb", "%2e%2e", "a\\b", "a?b", "a#b", "a:b", "notes.git", "a\r\nb"]
    {
        for name in ["owner", "repo"] {
            let mut given = of(json!({ "issue_number": 7 }));
            given[name] = json!(bad);
            assert!(!parse(tool("get_issue"), &given), "{name} {bad:?}");
        }
    }
    for bad in ["..", "a/../../b", "/a", "a//b", "a/", "./a", "a\\..\\b", "a\nb"] {
        assert!(!parse(tool("get_file_contents"), &of(json!({ "path": bad }))), "{bad:?}");
        let file = json!({ "path": bad, "content": "x", "message": "m", "branch": "main" });
        assert!(!parse(tool("create_or_update_file"), &of(file)), "{bad:?}");
    }
    // A branch of somebody else's copy, and another kind of ref.
    for bad in ["other:main", "refs/tags/v1", "a..b", "../main", "-x", "", "a b"] {
        let pull = json!({ "title": "t", "head": bad, "base": "main" });
        assert!(!parse(tool("create_pull_request"), &of(pull)), "{bad:?}");
        assert!(!parse(tool("create_branch"), &of(json!({ "branch": bad, "sha": "abc" }))), "{bad:?}");
    }
    for bad in ["main/../x", "a/b", "", "HEAD~1"] {
        assert!(!parse(tool("get_commit"), &of(json!({ "sha": bad }))), "{bad:?}");
    }
}

#[test]
fn only_a_path_or_a_branch_is_the_end_of_a_path() {
    let refused = |from: &str, to: &str, wanted: &str| {
        assert!(TEXT.contains(from), "{from}");
        let faults = service::parse(&TEXT.replacen(from, to, 1)).expect_err(to);
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{faults:?}");
    };
    refused("/contents/{path...}\"", "/contents/{owner...}\"", "wrong type");
    refused("/contents/{path...}\"", "/contents/{path...}/x\"", "only the end");
    refused("/contents/{path...}\"", "/contents/{none...}\"", "no argument");
    refused(
        "codec = \"branch_ref\", of = \"{branch}\"",
        "codec = \"branch_ref\", of = \"{repo}\"",
        "does not fit",
    );
}
