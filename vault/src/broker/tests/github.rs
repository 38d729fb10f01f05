//! GitHub's tools against a small GitHub of our own: what a grant for one repository reaches, and what it does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::grant::Approve;
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::{Value, json};

use super::upstream::{Reply, Seen, json as answer};
use super::world::{ADMIN, World, adapter, agent, ask, class, secret, within};
use crate::broker::view::{NewValue, Sent};
use crate::port::UpstreamFault;

/// One repository.
#[derive(Clone)]
struct Repo {
    id: u64,
    name: &'static str,
    visibility: Value,
    /// Who has access; `None` where the token is not told.
    people: Option<Vec<Value>>,
}

type Repos = Arc<Mutex<BTreeMap<&'static str, Repo>>>;

fn admin() -> Value {
    json!({ "login": "me", "id": 1, "permissions": { "admin": true } })
}

/// By name in lower case, as GitHub finds them.
fn repo(id: u64, name: &'static str) -> Repo {
    Repo { id, name, visibility: json!("private"), people: Some(vec![admin()]) }
}

fn facts(repo: &Repo) -> Value {
    json!({
        "id": repo.id, "full_name": repo.name, "name": "x", "visibility": repo.visibility, "description": "d",
        "owner": { "login": "me", "url": "https://api.github.com/users/me" }, "clone_url": "x",
    })
}

/// A GitHub that answers old names by sending elsewhere, and knows one issue and one pull request.
fn serve(repos: &Repos, seen: &Seen) -> Reply {
    let repos = repos.lock().unwrap();
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    if path == "/user/repos" {
        let value = |name: &str, default: usize| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            found.map_or(default, |text| text.parse().unwrap())
        };
        let (size, page) = (value("per_page", 30), value("page", 1));
        let all: Vec<Value> = repos.values().map(facts).collect();
        return answer(200, &all.chunks(size).nth(page - 1).map_or(json!([]), |chunk| json!(chunk)));
    }
    let Some(rest) = path.strip_prefix("/repos/") else {
        return answer(404, &json!({ "message": "Not Found" }));
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let name = parts.iter().take(2).copied().collect::<Vec<_>>().join("/").to_lowercase();
    if name == "me/old-notes" {
        return Err(UpstreamFault::Redirect(301));
    }
    let Some(repo) = repos.get(name.as_str()) else { return answer(404, &json!({ "message": "Not Found" })) };
    let issue = json!({ "id": 70, "number": 7, "title": "Hello", "body": "text", "user": { "login": "eve", "url": "x" }, "updated_at": "1" });
    match (seen.method.as_str(), &parts[2..]) {
        ("GET", []) => answer(200, &facts(repo)),
        ("GET", ["collaborators"]) => match &repo.people {
            Some(people) => answer(200, &json!(people)),
            None => answer(403, &json!({ "message": "Must have push access" })),
        },
        ("GET", ["issues"]) => answer(200, &json!([issue])),
        ("GET", ["issues", "7"]) => answer(200, &issue),
        ("GET", ["issues", "8"]) => Err(UpstreamFault::Redirect(301)),
        ("GET", ["issues", "7", "comments"]) => answer(200, &json!([{ "id": 1, "body": "b", "user": null }])),
        ("GET", ["pulls", "9"]) => answer(
            200,
            &json!({ "id": 90, "number": 9, "title": "P", "head": { "sha": "abc", "label": "eve:x" },
                     "base": { "ref": "main", "repo": { "id": repo.id } } }),
        ),
        ("GET", ["contents", ..]) => {
            answer(200, &json!({ "type": "file", "sha": "s", "content": "aGk=\n", "url": "x" }))
        }
        ("POST", ["issues"]) => {
            answer(201, &json!({ "number": 8, "html_url": "u", "body": "b", "user": {} }))
        }
        ("POST", ["issues", "7", "comments"]) => answer(201, &json!({ "id": 2, "html_url": "u" })),
        ("PATCH", ["issues", "7"]) => answer(200, &json!({ "number": 7, "state": "closed" })),
        ("PUT", ["contents", ..]) => {
            answer(200, &json!({ "content": { "sha": "t" }, "commit": { "sha": "c" } }))
        }
        ("POST", ["git", "refs"]) => answer(201, &json!({ "ref": "refs/heads/x" })),
        ("PUT", ["pulls", "9", "merge"]) => answer(200, &json!({ "sha": "m", "merged": true })),
        _ => answer(400, &json!({ "message": "odd" })),
    }
}

/// A vault whose token sees three repositories: two of `me`'s own, and a public one of a company.
async fn world() -> (World, Repos) {
    let world = World::empty().await;
    // It reads nothing but what comes by the vault, so that it shows what taints it.
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("github"), Some(3003), None).await.unwrap();
    let token = NewValue::Bearer(SecretBytes::from_text("CANARY-github-pat".to_owned()));
    world.broker.add_secret(ADMIN, secret("github/me"), token).await.unwrap();
    let public = Repo { visibility: json!("public"), ..repo(30, "corp/site") };
    let repos = BTreeMap::from([
        ("corp/site", public),
        ("me/notes", repo(10, "me/notes")),
        ("me/secret", repo(20, "me/secret")),
    ]);
    let repos: Repos = Arc::new(Mutex::new(repos));
    let known = Arc::clone(&repos);
    world.upstream.answer_with(move |seen| serve(&known, seen));
    (world, repos)
}

const READS: [&str; 6] = [
    "github.list_repositories",
    "github.get_repository",
    "github.get_file_contents",
    "github.list_issues",
    "github.get_issue",
    "github.get_pull_request",
];
const WRITES: [&str; 3] = ["github.create_issue", "github.add_issue_comment", "github.update_issue"];
const SENDS: [&str; 3] =
    ["github.create_or_update_file", "github.create_branch", "github.merge_pull_request"];

async fn allow(world: &World, tools: &[&str], caveats: Vec<Caveat>, approve: Approve) {
    let mut ask = ask("ann", tools, caveats);
    ask.approve = approve;
    world.broker.add_grant(ADMIN, ask).await.unwrap();
}

fn at(owner: &str, repo: &str, more: Value) -> Value {
    let mut all = json!({ "owner": owner, "repo": repo });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Every tool in a repository that these tests use, with what it needs besides.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("github.get_repository", json!({})),
        ("github.get_file_contents", json!({ "path": "a/b.md" })),
        ("github.list_issues", json!({})),
        ("github.get_issue", json!({ "issue_number": 7 })),
        ("github.get_pull_request", json!({ "pull_number": 9 })),
        ("github.create_issue", json!({ "title": "T" })),
        ("github.add_issue_comment", json!({ "issue_number": 7, "body": "B" })),
        ("github.update_issue", json!({ "issue_number": 7, "state": "closed" })),
        (
            "github.create_or_update_file",
            json!({ "path": "a.md", "content": "x", "message": "m", "branch": "main" }),
        ),
        ("github.create_branch", json!({ "branch": "x", "sha": "abc" })),
        ("github.merge_pull_request", json!({ "pull_number": 9, "sha": "abc" })),
    ]
}

fn body(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).unwrap()
}

/// Requests that change something.
fn done(world: &World) -> usize {
    world.upstream.calls().iter().filter(|seen| seen.method != "GET").count()
}

fn all_tools() -> Vec<&'static str> {
    [READS.as_slice(), &WRITES, &SENDS].concat()
}

#[tokio::test]
async fn what_is_in_the_repository_works_and_all_else_is_not_there() {
    let (world, _) = world().await;
    allow(&world, &all_tools(), vec![within("repository", &["10"])], Approve::Never).await;
    for (tool, more) in calls() {
        let sent = world.call(tool, at("Me", "NOTES", more.clone())).await;
        sent.unwrap_or_else(|refusal| panic!("{tool}: {refusal:?}"));
        let before = done(&world);
        let mut told = Vec::new();
        // Another one of the owner's, a public one, one that is not there, and one that was renamed.
        for (owner, repo) in [("me", "secret"), ("corp", "site"), ("me", "nothing"), ("me", "old-notes")] {
            let refused = world.call(tool, at(owner, repo, more.clone())).await.map(|_| ()).unwrap_err();
            assert_eq!(refused.class, Class::OutOfScope, "{tool} {owner}/{repo}");
            told.push((refused.class, refused.field));
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{tool}: {told:?}");
        assert_eq!(done(&world), before, "{tool}");
    }
    world.all_announced();
}

#[tokio::test]
async fn a_name_that_leads_to_another_repository_leads_nowhere() {
    let (world, repos) = world().await;
    allow(&world, &all_tools(), vec![within("repository", &["10"])], Approve::Never).await;
    // It was moved, and its name given to another one.
    {
        let mut repos = repos.lock().unwrap();
        let mut old = repos.remove("me/notes").unwrap();
        repos.insert("me/notes", Repo { id: 11, ..old.clone() });
        old.name = "corp/notes";
        repos.insert("corp/notes", old);
    }
    for (tool, more) in calls() {
        let refused = class(world.call(tool, at("me", "notes", more.clone())).await);
        assert_eq!(refused, Class::OutOfScope, "{tool}");
        // The repository itself is the one that was granted, wherever it is.
        let sent = world.call(tool, at("corp", "notes", more)).await;
        sent.unwrap_or_else(|refusal| panic!("{tool}: {refusal:?}"));
    }
    // An answer that does not say which it is, and one that says it oddly.
    for odd in [
        json!({}),
        json!({ "id": null }),
        json!({ "id": "ten" }),
        json!({ "id": 10.5 }),
        json!([]),
        json!([{ "id": 10 }]),
    ] {
        let told = odd.clone();
        world.upstream.answer_with(move |_| answer(200, &told));
        for (tool, more) in calls() {
            let refused = class(world.call(tool, at("me", "notes", more)).await);
            assert_eq!(refused, Class::OutOfScope, "{tool} {odd}");
        }
    }
}

/// What was moved away while it was read is not released.
#[tokio::test]
async fn a_repository_is_looked_at_again_after_it_was_read() {
    let (world, repos) = world().await;
    allow(&world, &READS, vec![within("repository", &["10"])], Approve::Never).await;
    for (tool, more) in calls().into_iter().filter(|(tool, _)| READS.contains(tool)) {
        let known = Arc::clone(&repos);
        let target = Mutex::new(0);
        world.upstream.answer_with(move |seen| {
            // The second look at the repository finds another one.
            let mut looks = target.lock().unwrap();
            if seen.target == "/repos/me/notes" {
                *looks += 1;
                if *looks == 2 {
                    return answer(200, &json!({ "id": 11, "full_name": "me/notes" }));
                }
            }
            serve(&known, seen)
        });
        assert_eq!(class(world.call(tool, at("me", "notes", more)).await), Class::OutOfScope, "{tool}");
    }
}

#[tokio::test]
async fn a_list_has_the_repositories_in_scope_and_no_trace_of_others() {
    let (world, repos) = world().await;
    allow(&world, &["github.list_repositories"], vec![within("repository", &["10", "500"])], Approve::Never)
        .await;
    let listed = world.call("github.list_repositories", json!({})).await.unwrap();
    let small = body(&listed);
    assert_eq!(small["repositories"].as_array().unwrap().len(), 1);
    // Of each, the named members and no others.
    assert_eq!(
        small["repositories"][0],
        json!({ "id": 10, "full_name": "me/notes", "description": "d", "visibility": "private" })
    );
    assert_eq!(small.as_object().unwrap().len(), 1, "{small}");
    // Many others, before and after, change nothing of it.
    for at in 0..120_u64 {
        let name: &'static str = Box::leak(format!("aa/{at:03}").into_boxed_str());
        repos.lock().unwrap().insert(name, repo(1000 + at, name));
    }
    let many = world.call("github.list_repositories", json!({})).await.unwrap();
    assert_eq!((body(&many), many.status), (small, listed.status));
    // One further back is found, on a page of its own.
    repos.lock().unwrap().insert("zz/last", repo(500, "zz/last"));
    let first = body(&world.call("github.list_repositories", json!({ "per_page": 1 })).await.unwrap());
    let page = first["next_page"].as_str().unwrap();
    let second =
        world.call("github.list_repositories", json!({ "per_page": 1, "page": page })).await.unwrap();
    let second = body(&second);
    assert_eq!(second["repositories"][0]["id"], 500);
    assert_eq!(second.get("next_page"), None);
}

#[tokio::test]
async fn pages_are_counted_to_the_end() {
    let (world, repos) = world().await;
    for at in 0..130_u64 {
        let name: &'static str = Box::leak(format!("aa/{at:03}").into_boxed_str());
        repos.lock().unwrap().insert(name, repo(1000 + at, name));
    }
    allow(&world, &["github.list_repositories"], vec![], Approve::Never).await;
    let wanted: Vec<Value> = repos.lock().unwrap().values().map(|repo| json!(repo.id)).collect();
    for per_page in [1, 7, 20, 50] {
        let (mut found, mut page, mut turns) = (Vec::new(), None, 0);
        loop {
            let mut given = json!({ "per_page": per_page });
            if let Some(page) = &page {
                given["page"] = json!(page);
            }
            let answer = body(&world.call("github.list_repositories", given).await.unwrap());
            let items = answer["repositories"].as_array().unwrap();
            found.extend(items.iter().map(|one| one["id"].clone()));
            turns += 1;
            match answer.get("next_page") {
                Some(mark) => page = Some(mark.as_str().unwrap().to_owned()),
                None => break,
            }
            assert!(turns < 200);
        }
        assert_eq!(found, wanted, "{per_page}");
    }
    // A page that is too long to be taken is asked for in halves, which begin where they must.
    let known = Arc::clone(&repos);
    world.upstream.answer_with(move |seen| {
        let size = seen.target.split("per_page=").nth(1).unwrap().split('&').next().unwrap();
        match size.parse::<usize>().unwrap() > 13 {
            true => Err(UpstreamFault::Answer("too long")),
            false => serve(&known, seen),
        }
    });
    let first = body(&world.call("github.list_repositories", json!({ "per_page": 20 })).await.unwrap());
    let second = json!({ "per_page": 20, "page": first["next_page"] });
    let second = body(&world.call("github.list_repositories", second).await.unwrap());
    let ids = |answer: &Value| -> Vec<Value> {
        answer["repositories"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect()
    };
    assert_eq!([ids(&first), ids(&second)].concat(), wanted[..40]);
}

#[tokio::test]
async fn what_others_can_see_waits_for_a_person() {
    let (world, repos) = world().await;
    allow(&world, &[WRITES.as_slice(), &SENDS].concat(), vec![], Approve::Default).await;
    let writes = || calls().into_iter().filter(|(tool, _)| WRITES.contains(tool));
    for (tool, more) in writes() {
        let call = || world.call(tool, at("me", "notes", more.clone()));
        let set = |change: &dyn Fn(&mut Repo)| {
            let mut changed = repo(10, "me/notes");
            change(&mut changed);
            repos.lock().unwrap().insert("me/notes", changed);
        };
        set(&|_| {});
        call().await.unwrap_or_else(|refusal| panic!("{tool}: {refusal:?}"));
        let before = done(&world);
        type Change = dyn Fn(&mut Repo);
        let seen_by_others: [(&str, &Change); 9] = [
            ("public", &|repo| repo.visibility = json!("public")),
            ("of a whole company", &|repo| repo.visibility = json!("internal")),
            ("unsaid", &|repo| repo.visibility = json!(null)),
            ("odd", &|repo| repo.visibility = json!(["private"])),
            ("of two", &|repo| repo.people = Some(vec![admin(), writer()])),
            ("of somebody else alone", &|repo| repo.people = Some(vec![writer()])),
            ("of nobody", &|repo| repo.people = Some(vec![])),
            ("of whom is not told", &|repo| repo.people = None),
            ("of somebody odd", &|repo| repo.people = Some(vec![json!({ "id": 1 })])),
        ];
        for (word, change) in seen_by_others {
            set(change);
            asked(call().await.map(|_| ()), &format!("{tool}, {word}"));
        }
        set(&|_| {});
        assert_eq!(done(&world), before, "{tool}");
    }
    // What changes the code is a send in any repository.
    for (tool, more) in calls().into_iter().filter(|(tool, _)| SENDS.contains(tool)) {
        asked(world.call(tool, at("me", "notes", more)).await.map(|_| ()), tool);
    }
    world.all_announced();
}

fn writer() -> Value {
    json!({ "login": "ann", "id": 2, "permissions": { "admin": false } })
}

/// As many wait as may: that is asking, too.
fn asked(result: Result<(), Refusal>, word: &str) {
    let refusal = result.expect_err(word);
    let full = refusal.class == Class::Busy && refusal.field.as_deref() == Some("approvals");
    assert!(refusal.class == Class::Pending || full, "{word}: {refusal:?}");
}

/// A repository that is made public, or given to others, between the decision and the request is not written to.
#[tokio::test]
async fn what_was_decided_for_a_private_repository_is_not_done_in_a_public_one() {
    let (world, repos) = world().await;
    allow(&world, &["github.create_issue"], vec![within("repository", &["10"])], Approve::Default).await;
    type Change = fn(&mut Repo);
    let changes: [Change; 3] = [
        |repo| repo.visibility = json!("public"),
        |repo| repo.people = Some(vec![admin(), json!({ "id": 2, "permissions": { "admin": false } })]),
        |repo| repo.id = 11,
    ];
    for change in changes {
        repos.lock().unwrap().insert("me/notes", repo(10, "me/notes"));
        let minted =
            world.mint("github.create_issue", at("me", "notes", json!({ "title": "T" }))).await.unwrap();
        change(repos.lock().unwrap().get_mut("me/notes").unwrap());
        assert_eq!(class(world.send(&minted, "create", &[]).await), Class::OutOfScope);
    }
    assert_eq!(done(&world), 0);
}

#[tokio::test]
async fn an_issue_that_changed_is_not_changed() {
    let (world, repos) = world().await;
    allow(&world, &["github.update_issue"], vec![], Approve::Never).await;
    let given = at("me", "notes", json!({ "issue_number": 7, "title": "T" }));
    let minted = world.mint("github.update_issue", given).await.unwrap();
    let known = Arc::clone(&repos);
    world.upstream.answer_with(move |seen| match seen.target.as_str() {
        "/repos/me/notes/issues/7" if seen.method == "GET" => {
            answer(200, &json!({ "id": 70, "title": "Hello", "updated_at": "2" }))
        }
        _ => serve(&known, seen),
    });
    assert_eq!(class(world.send(&minted, "update", &[]).await), Class::OutOfScope);
    assert_eq!(done(&world), 0);
}

#[tokio::test]
async fn a_repository_is_granted_by_its_name_and_pinned_by_its_number() {
    let (world, _) = world().await;
    let named = |name: &str| {
        Caveat::Resource(ResourceBound {
            resource: "repository".parse().unwrap(),
            ids: vec![name.to_owned()],
            shown: Vec::new(),
            nested: false,
        })
    };
    let view = world.grant(&["github.get_issue"], vec![named("me/notes")]).await;
    let Some(Caveat::Resource(bound)) =
        view.grant.caveats.iter().find(|caveat| matches!(caveat, Caveat::Resource(_)))
    else {
        panic!("no bound: {:?}", view.grant.caveats)
    };
    assert_eq!(
        (bound.ids.as_slice(), bound.shown.as_slice()),
        (["10".to_owned()].as_slice(), ["me/notes".to_owned()].as_slice())
    );
    assert!(view.sentence.contains("only repository me/notes"), "{}", view.sentence);
    let seen = world.upstream.calls().pop().unwrap();
    assert_eq!((seen.target.as_str(), seen.credential.as_str()), ("/repos/me/notes", "CANARY-github-pat"));
    assert_eq!(seen.header("accept"), Some("application/vnd.github+json"));
    assert_eq!(seen.header("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(seen.headers.iter().filter(|(name, _)| name == "accept").count(), 1);
    let why = |name: &str| {
        let bound = named(name);
        let world = &world;
        async move { world.try_grant("ann", &["github.get_issue"], vec![bound]).await.unwrap_err().to_string() }
    };
    for gone in ["me/nothing", "Me/Notes", "me/notes/issues", "notes", "me/notes/issues/7"] {
        assert!(why(gone).await.contains(&format!("no repository called {gone}")), "{}", why(gone).await);
    }
    for odd in ["../user", "me/../corp/site", "me//notes", "", "/me/notes", "me/old-notes"] {
        why(odd).await;
    }
    let before = world.upstream.calls().len();
    why("me/..").await;
    assert_eq!(world.upstream.calls().len(), before, "a path was sent that leaves its place");
}

#[tokio::test]
async fn a_deny_holds_by_the_number_too() {
    let (world, repos) = world().await;
    allow(&world, &all_tools(), vec![], Approve::Never).await;
    let mut never = ask("ann", &all_tools(), vec![within("repository", &["20"])]);
    never.deny = true;
    never.approve = Approve::Default;
    world.broker.add_grant(ADMIN, never).await.unwrap();
    for (tool, more) in calls() {
        world
            .call(tool, at("me", "notes", more.clone()))
            .await
            .unwrap_or_else(|refusal| panic!("{tool}: {refusal:?}"));
        assert_eq!(class(world.call(tool, at("me", "SECRET", more)).await), Class::OutOfScope, "{tool}");
    }
    let listed = body(&world.call("github.list_repositories", json!({})).await.unwrap());
    let ids: Vec<&Value> = listed["repositories"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(30), &json!(10)]);
    // Another name does not help.
    let moved = Repo { name: "me/other", ..repos.lock().unwrap().remove("me/secret").unwrap() };
    repos.lock().unwrap().insert("me/other", moved);
    let refused =
        class(world.call("github.get_issue", at("me", "other", json!({ "issue_number": 7 }))).await);
    assert_eq!(refused, Class::OutOfScope);
}

#[tokio::test]
async fn what_strangers_wrote_taints_and_the_token_stays_here() {
    let (world, _) = world().await;
    allow(&world, &READS, vec![within("repository", &["10"])], Approve::Never).await;
    assert!(!world.broker.is_tainted(&agent("ann")));
    let read = world.call("github.get_issue", at("me", "notes", json!({ "issue_number": 7 }))).await.unwrap();
    assert!(read.untrusted);
    assert_eq!(
        body(&read),
        json!({ "number": 7, "title": "Hello", "body": "text", "user": { "login": "eve" }, "updated_at": "1" })
    );
    let file =
        world.call("github.get_file_contents", at("me", "notes", json!({ "path": "a" }))).await.unwrap();
    assert_eq!(body(&file), json!({ "type": "file", "sha": "s", "content": "aGk=\n" }));
    let moved = world.call("github.get_issue", at("me", "notes", json!({ "issue_number": 8 }))).await;
    assert_eq!(class(moved), Class::Upstream);
    assert!(world.broker.is_tainted(&agent("ann")));
    world.upstream.answer_with(|_| Err(UpstreamFault::Echo));
    let echoed = world.call("github.get_repository", at("me", "notes", json!({}))).await;
    assert_eq!(class(echoed), Class::Withheld);
}

#[tokio::test]
async fn no_trick_of_an_argument_reaches_github() {
    let (world, _) = world().await;
    allow(&world, &all_tools(), vec![within("repository", &["10"])], Approve::Never).await;
    let tricks = [
        "..",
        "notes/../../me/secret",
        "notes%2f..%2fsecret",
        "notes.git",
        "notes?x=1",
        "notes#",
        "",
        "notes\r\nx: y",
    ];
    for trick in tricks {
        for (tool, more) in calls() {
            for given in [at("me", trick, more.clone()), at(trick, "notes", more.clone())] {
                assert_eq!(class(world.call(tool, given).await), Class::BadArguments, "{tool} {trick:?}");
            }
        }
        if trick.contains("..") {
            let file = at("me", "notes", json!({ "path": format!("a/../{trick}/..") }));
            assert_eq!(class(world.call("github.get_file_contents", file).await), Class::BadArguments);
        }
    }
    assert!(world.upstream.calls().is_empty());
}
