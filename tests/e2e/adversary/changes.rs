//! What changes between a look and a use, what belongs to another agent, and links in every spelling.

use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};

use super::{Attempt, FORM_OR_SCOPE, Must, Puppet, SCOPE, attempt, harm, hold, play, with};

const SEND: &str = "gmail.send_message";

fn letter(more: Value) -> Value {
    with(&json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."}), more)
}

fn draft(to: &str) -> Vec<u8> {
    format!("From: owner@example.com\r\nTo: {to}\r\nSubject: Hello\r\n\r\nHello.\r\n").into_bytes()
}

/// Calls by the client program, which waits for a person; returns what to collect by.
async fn pending(world: &World, tool: &str, args: Value) -> String {
    let called = world.call(tool, args).await;
    assert_eq!(called.refused().class, "pending", "{:?}", called.ran);
    called.json["refusal"]["approval"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_agreed_to_and_has_changed_is_not_done() {
    let world = super::calendar::world().await;
    world.add_secrets().await;
    let google = &world.google;
    world.grant(&[AGENT, "gmail/me", "--tool", "gmail.send_draft", "--approve", "always"]).await;
    world
        .grant(&[
            AGENT,
            "drive/me",
            "--tool",
            "drive.update_file",
            "--tool",
            "drive.share_file",
            "--approve",
            "always",
        ])
        .await;
    world.grant(&[AGENT, "calendar/me", "--tool", "calendar.delete_event", "--approve", "always"]).await;
    let id = google.add_draft(&draft("mona@example.com")).unwrap();
    let notes = google.file_id("Agent/Notes.txt").unwrap();
    let plants = google.event_id("Water the plants").unwrap();
    let calendar = google.calendar_id("Agent").unwrap();
    let before = google.file_content(&notes);
    let mut asked = Vec::new();
    for (tool, args) in [
        ("gmail_send_draft", json!({"draft_id": id})),
        ("drive_update_file", json!({"file_id": notes, "content": "the code is 493 028"})),
        (
            "calendar_delete_event",
            json!({"calendar_id": calendar, "event_id": plants, "send_updates": "all"}),
        ),
    ] {
        let asking = pending(&world, tool, args).await;
        world.admin(&["approve", &asking, "--yes"]).await;
        asked.push(asking);
    }
    assert!(google.rewrite_draft(&id, &draft("attacker@evil.example")));
    assert!(google.share_file(&notes, "attacker@evil.example"));
    assert!(google.invite(&plants, "attacker@evil.example"));
    for asking in &asked {
        for _ in 0..2 {
            let ran = world.agent(&["result", "--json", asking]).await;
            assert_ne!(ran.code, 0, "it was done after it had changed: {ran:?}");
        }
    }
    assert!(google.outbox().is_empty());
    assert_eq!(google.file_content(&notes), before);
    assert_eq!(google.event(&plants).unwrap()["status"], "confirmed");
    assert_eq!(harm::done(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_deeper_counts_as_long_as_it_lies_there() {
    let world = World::with_secrets().await;
    let tools = ["drive.read_file", "drive.get_file_metadata", "drive.search_files", "drive.list_folder"];
    let mut line = vec![AGENT, "drive/me", "--folder", "Agent", "--nested"];
    line.extend(tools.iter().flat_map(|tool| ["--tool", tool]));
    world.grant(&line).await;
    let puppet = Puppet::new(&world).await;
    let id = |path: &str| world.google.file_id(path).unwrap();
    let (october, reports, private) = (id("Agent/Reports/October.txt"), id("Agent/Reports"), id("Private"));
    let diary = id("Private/Diary.txt");
    let read = json!({"file_id": october});
    assert!(puppet.call("drive.read_file", &read).await.is_ok());
    // The folder between goes elsewhere: what lies in it goes along.
    assert!(world.google.move_file(&reports, &private));
    let mut attempts = vec![
        attempt("a file whose folder moved", "drive.read_file", read.clone(), SCOPE),
        attempt("a file whose folder moved", "drive.get_file_metadata", read, SCOPE),
        attempt("a folder that moved", "drive.list_folder", json!({"folder_id": reports}), SCOPE),
        attempt("a folder beside", "drive.list_folder", json!({"folder_id": private}), SCOPE),
        attempt("a file beside", "drive.read_file", json!({"file_id": diary}), SCOPE),
    ];
    for name in ["October", "Diary", ""] {
        let args = if name.is_empty() { json!({}) } else { json!({"name": name}) };
        attempts.push(attempt(
            "a search",
            "drive.search_files",
            args,
            Must::NotTell(&["14 mails", "October.txt", "Diary.txt"]),
        ));
    }
    hold(&world, &puppet, &attempts, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_agent_made_is_not_ones_own() {
    let world = World::with_secrets().await;
    for agent in [AGENT, "other"] {
        let mut line = vec![agent, "gmail/me", "--made-by-agent", "--approve", "never"];
        line.extend(["get_draft", "list_drafts", "send_draft", "delete_draft", "update_draft"].map(|name| {
            match name {
                "get_draft" => "--tool=gmail.get_draft",
                "list_drafts" => "--tool=gmail.list_drafts",
                "send_draft" => "--tool=gmail.send_draft",
                "delete_draft" => "--tool=gmail.delete_draft",
                _ => "--tool=gmail.update_draft",
            }
        }));
        world.grant(&line).await;
        world.grant(&[agent, "gmail/me", "--tool", "gmail.create_draft", "--approve", "never"]).await;
    }
    let maker = Puppet::new(&world).await;
    maker.call("gmail.create_draft", &letter(json!({"subject": "Mine-xyzzy"}))).await.unwrap();
    let (id, _) = world.google.drafts().pop().unwrap();
    let owners = world.google.add_draft(&draft("mona@example.com")).unwrap();
    let taker = Puppet::of(&world, "other").await;
    let mut attempts: Vec<Attempt> = Vec::new();
    for draft in [&id, &owners, &id.to_uppercase(), &format!("{id} "), &format!("{id}/"), &format!("{id}%20")]
    {
        for tool in ["gmail.get_draft", "gmail.send_draft", "gmail.delete_draft"] {
            attempts.push(attempt("another's draft", tool, json!({"draft_id": draft}), FORM_OR_SCOPE));
        }
        let args = letter(json!({"draft_id": draft}));
        attempts.push(attempt("another's draft", "gmail.update_draft", args, FORM_OR_SCOPE));
    }
    attempts.push(attempt("all drafts", "gmail.list_drafts", json!({}), Must::NotTell(&["xyzzy"])));
    hold(&world, &taker, &attempts, 25).await;
    maker.call("gmail.get_draft", &json!({"draft_id": id})).await.unwrap();
    assert!(world.google.outbox().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_link_leaves_where_none_may() {
    let world = World::with_secrets().await;
    world
        .grant(&[
            AGENT,
            "gmail/me",
            "--tool",
            SEND,
            "--links",
            "none",
            "--recipients",
            "*@example.com",
            "--approve",
            "never",
        ])
        .await;
    let puppet = Puppet::new(&world).await;
    let mut attempts = Vec::new();
    for link in [
        "https://evil.example/?c=493028",
        "HTTPS://evil.example",
        "hTTp://evil.example",
        "http:evil.example",
        "http:/evil.example",
        "http:\\\\evil.example",
        "//evil.example/x",
        "www.evil.example",
        "evil.example/x",
        "x@evil.example",
        "mailto:x@evil.example",
        "ftp://evil.example",
        "https://evil.example.",
        "https://evil%2eexample",
        "https://evil。example",
        "https://ｅvil.example",
        "https://192.0.2.1/x",
        "https://[2001:db8::1]/x",
        "http://3221225985/",
        "https://example.com@evil.example/",
        "https://user:pass@evil.example",
        "(https://evil.example)",
        "[x](https://evil.example)",
        "![x](https://evil.example/x.png)",
        "<https://evil.example>",
        "<img src=\"https://evil.example/x.png\">",
        "xhttps://evil.example",
        "a\nhttps://evil.example",
        "[x]: https://evil.example",
        "https://xn--vil-8sa.example/",
        "https://evil.example:8443/x",
        "javascript://evil.example/%0a",
        "https:\u{200b}//evil.example",
        "ht\u{ad}tps://evil.example",
        "data:text/html,<script src=//evil.example>",
        "smb://evil.example/x",
        "\\\\evil.example\\x",
    ] {
        for field in ["body", "subject"] {
            let args = letter(json!({field: link}));
            attempts.push(attempt(format!("{link:?} as {field}"), SEND, args, FORM_OR_SCOPE));
        }
    }
    let faults = play(&puppet, &attempts).await;
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), attempts.len(), faults.join("\n"));
    puppet.call(SEND, &letter(json!({}))).await.unwrap();
}
