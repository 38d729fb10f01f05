//! The main job, from connecting an account to a sent mail.

use claviger_tests::world::host::Host;
use claviger_tests::world::{AGENT, World};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

/// The id of a message by its subject.
fn mail(world: &World, subject: &str) -> String {
    world.google.mail_id(subject).unwrap()
}

fn file(world: &World, path: &str) -> String {
    world.google.file_id(path).unwrap()
}

fn subjects(answer: &Value) -> Vec<&str> {
    let mut all: Vec<&str> =
        answer["messages"].as_array().unwrap().iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    all.sort_unstable();
    all
}

fn names(answer: &Value) -> Vec<&str> {
    let mut all: Vec<&str> =
        answer["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    all.sort_unstable();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_and_an_agent_works_with_it() {
    let world = World::single_user().await;

    // With a browser here, and with the address pasted as on a machine without one.
    let gmail = world.connect("gmail/me", &["--for", "read,write,send"], false).await.success().json();
    assert_eq!(gmail["secret"]["email"], "owner@example.com");
    assert_eq!(gmail["missing_scopes"], json!([]));
    let drive = world.connect("drive/me", &["--for", "read,send"], true).await.success().json();
    assert_eq!(drive["secret"]["subject"], gmail["secret"]["subject"]);
    let grants = world.usual_grants().await;
    assert!(grants[0]["sentence"].as_str().unwrap().contains("AI"), "{}", grants[0]["sentence"]);

    let found = world.call("gmail_search_messages", json!({})).await;
    let expected = [
        "Invoice 2026-118 for November",
        "Minutes of the garden meeting",
        "Re: Minutes of the garden meeting",
        "Urgent: action needed on your account",
    ];
    assert_eq!(subjects(found.ok()), expected, "what carries the label, and nothing else");
    assert_eq!(found.ok()["untrusted"], true);
    let narrowed = world.call("gmail_search_messages", json!({"from": "billing@supplies.example"})).await;
    assert_eq!(subjects(narrowed.ok()), [expected[0]]);

    let read = world.call("gmail_get_message", json!({"message_id": mail(&world, expected[0])})).await;
    assert!(read.ok()["body"].as_str().unwrap().contains("249.00 EUR"));
    let with_file = world.call("gmail_get_message", json!({"message_id": mail(&world, expected[1])})).await;
    assert_eq!(with_file.ok()["attachments"][0]["name"], "minutes.txt");

    let labels = world.call("gmail_list_labels", json!({})).await;
    let listed = labels.ok()["labels"].as_array().unwrap();
    assert!(listed.iter().any(|label| label["name"] == "AI"), "{listed:?}");
    assert!(!listed.iter().any(|label| label["name"] == "Private"), "a label out of scope is told");

    let id = mail(&world, expected[3]);
    assert!(world.google.mail_labels(&id).unwrap().contains(&"UNREAD".to_owned()));
    let read = world.call("gmail_label_message", json!({"message_id": id, "remove": ["UNREAD"]})).await;
    let _ = read.ok();
    assert!(!world.google.mail_labels(&id).unwrap().contains(&"UNREAD".to_owned()));

    let letter = json!({"to": ["mona@example.com"], "subject": "Grüße", "body": "On 3 December.\nOlga"});
    let sent = world.call("gmail_send_message", letter).await;
    assert!(!sent.ok()["id"].as_str().unwrap().is_empty());
    let outbox = world.google.outbox();
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        (&outbox[0].to[..], outbox[0].subject.as_str()),
        (&["mona@example.com".to_owned()][..], "Grüße")
    );

    let found = world.call("drive_search_files", json!({})).await;
    assert_eq!(names(found.ok()), ["Notes.txt", "Plan", "Reports", "Shared list.txt"]);
    let agent = file(&world, "Agent");
    let listed = world.call("drive_list_folder", json!({"folder_id": agent})).await;
    assert_eq!(names(listed.ok()), names(found.ok()));
    let notes = file(&world, "Agent/Notes.txt");
    let about = world.call("drive_get_file_metadata", json!({"file_id": notes})).await;
    assert_eq!(about.ok()["name"], "Notes.txt");
    let text = world.call("drive_read_file", json!({"file_id": notes})).await;
    assert!(text.ok()["text"].as_str().unwrap().contains("The fence is green."));
    let plan = world.call("drive_read_file", json!({"file_id": file(&world, "Agent/Plan")})).await;
    assert!(plan.ok()["text"].as_str().unwrap().contains("Plant in March."), "a document is read as text");
    let new = json!({"folder_id": agent, "name": "Answer.txt", "content": "It is done.\n"});
    let made = world.call("drive_create_file", new).await;
    let id = made.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(world.google.file_content(&id).unwrap(), b"It is done.\n");

    // The owner sees all of it, and the log is whole.
    let log = world.admin(&["log", "--agent", AGENT, "--limit", "500"]).await;
    let events = log["events"].as_array().unwrap();
    let sends = events.iter().filter(|event| event["tool"] == "gmail.send_message");
    assert!(
        sends.clone().any(|event| event["kind"] == "outcome" && event["ending"] == "released"),
        "{events:?}"
    );
    let checkpoint = world.admin(&["audit", "checkpoint"]).await;
    let note = world.base().join("note");
    std::fs::write(&note, checkpoint["note"].as_str().unwrap()).unwrap();
    let line = [
        "audit",
        "verify",
        "--key",
        checkpoint["key"].as_str().unwrap(),
        "--checkpoint",
        note.to_str().unwrap(),
    ];
    assert_eq!(world.admin(&line).await["whole"], true);
}

/// A thread, an attachment, and whatever changes where a mail stands and how it looks.
async fn sorts_mail_over_mcp(world: &World, host: &Host) {
    let id = mail(world, "Minutes of the garden meeting");
    let read = host.ok("gmail_get_message", json!({"message_id": id})).await;
    let thread = host.ok("gmail_get_thread", json!({"thread_id": read["thread_id"]})).await;
    assert_eq!(thread["messages"].as_array().unwrap().len(), 2);
    let part = &read["attachments"][0]["part"];
    let minutes = host.ok("gmail_get_attachment", json!({"message_id": id, "part": part})).await;
    assert!(minutes.to_string().contains("New fence"), "{minutes}");
    let has = |label: &str| world.google.mail_labels(&id).unwrap().contains(&label.to_owned());
    let _ = host.ok("gmail_label_messages", json!({"message_ids": [id], "add": ["IMPORTANT"]})).await;
    assert!(has("IMPORTANT"));
    let _ = host.ok("gmail_mark_unread", json!({"message_ids": [id]})).await;
    assert!(has("UNREAD"));
    let _ = host.ok("gmail_mark_read", json!({"message_ids": [id]})).await;
    assert!(!has("UNREAD"));
    let _ = host.ok("gmail_untrash_message", json!({"message_id": id})).await;
    assert!(!has("TRASH"));
}

async fn works_over_mcp(version: ProtocolVersion) {
    let world = World::ready().await;
    let host = world.host(version.clone()).await;
    assert_eq!(host.version(), version);
    let expected = [
        "drive_create_file",
        "drive_download_file",
        "drive_get_file_metadata",
        "drive_list_folder",
        "drive_list_permissions",
        "drive_read_file",
        "drive_search_files",
        "gmail_download_attachment",
        "gmail_get_attachment",
        "gmail_get_message",
        "gmail_get_thread",
        "gmail_label_message",
        "gmail_label_messages",
        "gmail_list_labels",
        "gmail_mark_read",
        "gmail_mark_unread",
        "gmail_search_messages",
        "gmail_send_message",
        "gmail_untrash_message",
    ];
    assert_eq!(host.names().await, expected);
    let said = host.tools().await.to_string();
    assert!(!said.contains("hdl_") && !said.contains("claviger1."), "a host is shown a handle: {said}");
    assert!(!said.contains("x-claviger"), "a host is shown what is the client's: {said}");

    let found = host.ok("gmail_search_messages", json!({"subject": "invoice"})).await;
    let id = found["messages"][0]["id"].clone();
    let read = host.ok("gmail_get_message", json!({"message_id": id})).await;
    assert!(read["body"].as_str().unwrap().contains("249.00 EUR"));
    let _ = host.ok("gmail_list_labels", json!({})).await;
    let _ = host.ok("gmail_label_message", json!({"message_id": id, "add": ["STARRED"]})).await;
    assert!(world.google.mail_labels(id.as_str().unwrap()).unwrap().contains(&"STARRED".to_owned()));
    sorts_mail_over_mcp(&world, &host).await;
    let letter = json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."});
    let _ = host.ok("gmail_send_message", letter).await;
    assert_eq!(world.google.outbox().len(), 1);
    let agent = file(&world, "Agent");
    let _ = host.ok("drive_search_files", json!({"name": "Notes"})).await;
    let _ = host.ok("drive_list_folder", json!({"folder_id": agent})).await;
    let notes = file(&world, "Agent/Notes.txt");
    let _ = host.ok("drive_get_file_metadata", json!({"file_id": notes})).await;
    let _ = host.ok("drive_list_permissions", json!({"file_id": notes})).await;
    let text = host.ok("drive_read_file", json!({"file_id": notes})).await;
    assert!(text["text"].as_str().unwrap().contains("The fence is green."));
    let made =
        host.ok("drive_create_file", json!({"folder_id": agent, "name": "a.txt", "content": "x"})).await;
    assert_eq!(world.google.file_content(made["id"].as_str().unwrap()).unwrap(), b"x");
    let told = host
        .refused("gmail_send_message", json!({"to": ["a@evil.example"], "subject": "x", "body": "x"}))
        .await;
    assert!(told.contains("out of scope") && told.contains("claviger why ref_"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_of_2025_11_25_works_with_all_tools() {
    works_over_mcp(ProtocolVersion::V_2025_11_25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_of_2026_07_28_works_with_all_tools() {
    works_over_mcp(ProtocolVersion::V_2026_07_28).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_are_told_when_a_grant_comes_and_goes() {
    let world = World::with_secrets().await;
    let old = world.host(ProtocolVersion::V_2025_11_25).await;
    let new = world.host(ProtocolVersion::V_2026_07_28).await;
    let mut subscription = new.listen().await;
    assert!(old.names().await.is_empty() && new.names().await.is_empty());

    let grant = world.grant(&[AGENT, "gmail/me", "--tool", "gmail.list_labels"]).await;
    old.told_of_change().await;
    assert_eq!(old.names().await, ["gmail_list_labels"]);
    subscription.next().await.unwrap().unwrap();
    assert_eq!(new.names().await, ["gmail_list_labels"]);
    let _ = new.ok("gmail_list_labels", json!({})).await;

    world.admin(&["revoke", grant["id"].as_str().unwrap()]).await;
    old.told_of_change().await;
    assert!(old.names().await.is_empty());
    subscription.next().await.unwrap().unwrap();
    assert!(new.names().await.is_empty());
    assert!(new.try_call("gmail_list_labels", json!({})).await.is_err(), "a tool of the past can be called");
}
