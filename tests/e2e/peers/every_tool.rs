//! Every tool there is, called once by each of three foreign MCP clients, by one table: `tests/peers/calls.json`.
//!
//! A row is one call: `tool`, `args`, what must be in the answer (`told`: values by JSON pointer into the structured
//! part; `says`: a text anywhere in it), and what later rows need of it (`take`: a name, and the pointer). `"$name"`
//! stands for what was taken, or for an id of the stand-in's account (`$mail:SUBJECT`, `$folder:PATH`, …). A row that
//! `waits` is told that a person must agree; the owner then does, at the command line, and `/approval` can be taken.

use std::collections::{BTreeMap, BTreeSet};

use claviger_tests::world::{AGENT, Plan, World};
use claviger_vault::catalog;
use serde_json::{Value, json};
use stand_in_google::{Config, Seed};

use super::clients::{Answer, Client};
use super::folder;

/// The tools that the bridge has of its own.
const OWN: [&str; 4] = ["claviger_ask", "claviger_narrow", "claviger_release", "claviger_result"];
const WAITS: &str = "gmail.send_message";
/// Not among the stand-in's services: its tools are called in `github.rs`, by our own client.
const ELSEWHERE: &str = "github";

/// Every tool of every service that is compiled in, as `gmail.get_message`, but for those of [`ELSEWHERE`].
fn catalog_tools() -> BTreeSet<(String, String)> {
    let none = (BTreeMap::new(), BTreeMap::new());
    let catalog = catalog::load(None, &none.0, &none.1).unwrap_or_else(|faults| panic!("{faults:?}"));
    let services = catalog.services.iter().filter(|(id, _)| id.as_str() != ELSEWHERE);
    services
        .flat_map(|(id, service)| {
            service.tools.keys().map(|tool| (id.as_str().to_owned(), tool.as_str().to_owned()))
        })
        .collect()
}

/// A world with all services connected, an agent that may call every tool, and some files. Only [`WAITS`] waits.
async fn world() -> World {
    let google = Config { seed: Seed::post(), ..Config::default() };
    let world = World::start(Plan { google, ..Plan::default() }).await;
    let nas = world.base().join("nas");
    for folder in ["media/documents", "drop"] {
        std::fs::create_dir_all(nas.join(folder)).unwrap();
    }
    std::fs::write(nas.join("media/documents/plan.txt"), "The plan\n").unwrap();
    let settings = format!(
        "[roots]\nmedia = \"{0}/media\"\n[writable]\nname = \"drop\"\npath = \"{0}/drop\"\n",
        nas.display()
    );
    std::fs::create_dir_all(world.home().join("adapters")).unwrap();
    std::fs::write(world.home().join("adapters/files.toml"), settings).unwrap();
    for adapter in ["calendar", "contacts", "files"] {
        world.add_adapter(adapter).await;
    }
    world.admin(&["secret", "add", "files/nas"]).await;
    for (name, effects) in [
        ("gmail/me", "read,write,send,delete"),
        ("drive/me", "read,write,send,delete"),
        ("calendar/me", "read,write,send,delete"),
        ("contacts/me", "read"),
    ] {
        let _ = world.connect(name, &["--for", effects], true).await.success();
    }
    let all = catalog_tools();
    for secret in ["gmail/me", "drive/me", "calendar/me", "contacts/me", "files/nas"] {
        let (service, _) = secret.split_once('/').unwrap();
        let tools: Vec<String> = all
            .iter()
            .filter(|(of, tool)| of == service && format!("{of}.{tool}") != WAITS)
            .flat_map(|(of, tool)| ["--tool".to_owned(), format!("{of}.{tool}")])
            .collect();
        let mut line = vec![AGENT, secret];
        line.extend(tools.iter().map(String::as_str));
        line.extend(["--approve", "never"]);
        world.grant(&line).await;
    }
    world.grant(&[AGENT, "gmail/me", "--tool", WAITS, "--approve", "always"]).await;
    world
}

/// What `"$name"` stands for at the beginning.
fn known(world: &World) -> BTreeMap<String, Value> {
    let info = world.google.info();
    let mut known = BTreeMap::new();
    for (kind, table) in [
        ("label", "labels"),
        ("mail", "mails"),
        ("folder", "folders"),
        ("file", "files"),
        ("calendar", "calendars"),
        ("event", "events"),
    ] {
        for (name, id) in info[table].as_object().unwrap() {
            known.insert(format!("{kind}:{name}"), id.clone());
        }
    }
    // The owner's own calendar is not in that table by the name under which events were seeded into it.
    known.insert("calendar:primary".to_owned(), json!(world.google.calendar_id("primary").unwrap()));
    known
}

/// A value with every `"$name"` filled in.
fn filled(value: &Value, known: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) => known.get(name).unwrap_or_else(|| panic!("nothing is called {name}")).clone(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, known)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), filled(value, known))).collect()
        }
        other => other.clone(),
    }
}

/// The approval that a refusal names; the owner agrees to it.
async fn agree(world: &World, answer: &mut Answer) {
    assert!(answer.failed && answer.all.contains("A person must agree"), "it does not wait: {answer:?}");
    assert!(world.google.outbox().is_empty(), "it was sent before anybody agreed");
    let digits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let id = answer.all.split(|c| !digits(c)).find(|word| word.starts_with("ap_")).unwrap().to_owned();
    let shown = world.claviger(&["approvals", &id]).await.success();
    assert!(shown.out.contains("mona@example.com"), "{shown:?}");
    let _ = world.claviger(&["approve", &id, "--yes"]).await.success();
    answer.structured = json!({"approval": id});
}

/// Makes the calls of a table's rows; returns the tools that were called.
pub(super) async fn rows(
    client: &mut Client,
    table: &str,
    known: &mut BTreeMap<String, Value>,
    world: &World,
) -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    let text = std::fs::read_to_string(folder().join(table)).unwrap();
    for row in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
        let tool = row["tool"].as_str().unwrap();
        let args = filled(&row["args"], known);
        let mut answer = client.call(tool, &args).await;
        if row["waits"] == true {
            agree(world, &mut answer).await;
        } else {
            assert!(!answer.failed, "{tool} {args}: {answer:?}");
        }
        for (pointer, value) in row["told"].as_object().into_iter().flatten() {
            let (found, value) = (answer.structured.pointer(pointer), filled(value, known));
            assert_eq!(found, Some(&value), "{tool} {args}: {pointer} of {answer:?}");
        }
        if let Some(text) = row["says"].as_str() {
            assert!(answer.all.contains(text), "{tool} {args}: {text:?} is not in {answer:?}");
        }
        assert!(!answer.all.contains("claviger/presentation"), "{tool}: a proof is shown");
        for (name, pointer) in row["take"].as_object().into_iter().flatten() {
            let found = answer.structured.pointer(pointer.as_str().unwrap());
            let found = found.unwrap_or_else(|| panic!("{tool}: no {pointer} in {answer:?}"));
            known.insert(name.clone(), found.clone());
        }
        called.insert(tool.to_owned());
    }
    called
}

/// Plays the table with that client, in a world of its own.
async fn play(which: &str, client: fn(&World) -> Client) {
    if !Client::installed(which) {
        return;
    }
    let world = world().await;
    let mut client = client(&world);
    let mut expected: BTreeSet<String> =
        catalog_tools().into_iter().map(|(service, tool)| format!("{service}_{tool}")).collect();
    expected.extend(OWN.map(str::to_owned));
    let listed: BTreeSet<String> = client.names().await.into_iter().collect();
    assert_eq!(listed, expected, "{which} is told of other tools than there are");

    let mut known = known(&world);
    let called = rows(&mut client, "calls.json", &mut known, &world).await;
    assert_eq!(called, expected, "the table calls other tools than there are");

    // What came out at the other end.
    let outbox = world.google.outbox();
    let subjects: Vec<&str> = outbox.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "Grüße",
            "The papers",
            "Re: Plan for the fence",
            "Re: Plan for the fence",
            "Fwd: Two papers",
            "Fwd: Two papers",
            "Sunday?"
        ]
    );
    assert_eq!(world.google.invitations().len(), 1);
    let log = world.admin(&["log", "--limit", "500"]).await;
    let refused = |event: &&Value| event["kind"] == "refused" && event["class"] != "pending";
    let refused: Vec<&Value> = log["events"].as_array().unwrap().iter().filter(refused).collect();
    assert!(refused.is_empty(), "{which}: something was refused: {refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mcporter_calls_every_tool() {
    play("mcporter", Client::mcporter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inspector_calls_every_tool() {
    play("inspector", Client::inspector).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_calls_every_tool() {
    play("python", Client::python).await;
}
