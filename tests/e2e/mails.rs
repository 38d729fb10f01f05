//! Mails with a large attachment that passes beside the model: what arrives is the mail that was presented with that very
//! file in it, and whatever is amiss, nothing is sent.

use claviger_tests::world::bulk::peak_mb;
use claviger_tests::world::users::Users;
use claviger_tests::world::{AGENT, Plan, World, note};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};
use stand_in_google::{Config, ReadPart, Seed, read_mail};

use crate::streams::{Upload, bytes, sha256};

/// The most memory of each process, in MB.
const MOST: f64 = 64.0;
const TOOL: &str = "gmail_send_file";

/// A world whose agent may send files to `*@example.com`, with that word on approvals.
async fn world(approve: &str) -> World {
    let google = Config { seed: Seed::demo(), ..Config::default() };
    let world = World::start(Plan { users: Users::single(), google, ..Plan::default() }).await;
    world.add_secrets().await;
    world.usual_grants().await;
    let line = [
        AGENT,
        "gmail/me",
        "--tool",
        "gmail.send_file",
        "--recipients",
        "*@example.com",
        "--approve",
        approve,
    ];
    world.grant(&line).await;
    world
}

fn letter(to: &str, file: Value) -> Value {
    json!({
        "to": [to], "subject": "Die Pläne", "body": "As you asked.\nOlga", "file": file, "mime_type": "application/pdf",
    })
}

/// The parts of the only mail that was sent: the text, and the file.
fn sent(world: &World) -> (ReadPart, ReadPart) {
    let outbox = world.google.outbox();
    assert_eq!(outbox.len(), 1);
    assert_eq!((outbox[0].subject.as_str(), outbox[0].bcc.len()), ("Die Pläne", 0));
    assert_eq!(outbox[0].to, ["mona@example.com"]);
    let mut parts = read_mail(&outbox[0].raw).unwrap();
    assert_eq!(
        parts.iter().map(|part| part.mime_type.as_str()).collect::<Vec<_>>(),
        ["multipart/mixed", "text/plain", "application/pdf"]
    );
    let (file, text) = (parts.pop().unwrap(), parts.pop().unwrap());
    (text, file)
}

/// By the command line: 5 MB arrive byte for byte, and the owner's log says that they did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_brings_a_file_of_some_megabytes() {
    let world = world("never").await;
    let content = bytes(5_000_003, 21);
    world.put("Pläne.pdf", &content);
    let (called, _) = world.transfer(TOOL, letter("mona@example.com", json!("Pläne.pdf"))).await;
    assert_eq!(called.ok()["id"], world.google.outbox()[0].id);
    let (text, file) = sent(&world);
    assert_eq!(text.content, b"As you asked.\r\nOlga");
    assert!(file.filename == "Pläne.pdf" && file.content == content);
    // Out of the owner's bounds, and what is no file of the folder: nothing goes to Google.
    let asked = world.google.log().len();
    let (called, _) = world.transfer(TOOL, letter("eve@evil.example", json!("Pläne.pdf"))).await;
    called.assert_refused("out-of-scope", "to");
    let (called, _) = world.transfer(TOOL, letter("mona@example.com", json!("../secret.txt"))).await;
    assert_eq!(called.ran.code, 2, "{:?}", called.ran);
    assert_eq!((world.google.log().len(), world.google.outbox().len()), (asked, 1));
}

/// By an MCP host: the model names the file, and sees neither its bytes nor a ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_mails_a_file() {
    let world = world("never").await;
    let content = bytes(5_000_000, 22);
    world.put("plans.pdf", &content);
    let host = world.host_with(ProtocolVersion::V_2025_11_25, Some(&world.folder())).await;
    let result = host.try_call(TOOL, letter("mona@example.com", json!("plans.pdf"))).await.unwrap();
    let shown = serde_json::to_string(&result).unwrap();
    assert!(!shown.contains("claviger/ticket") && !shown.contains("bulk.sock"), "{shown}");
    assert_eq!(result.structured_content.unwrap()["id"], world.google.outbox()[0].id);
    assert!(sent(&world).1.content == content);
    let report = host.progress().await;
    assert!(report.progress > 0.0 && report.total == Some(5_000_000.0), "{report:?}");
}

/// The largest there is, in the memory that any file passes in; one byte more is refused before anything is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_passes_in_little_memory() {
    const LARGEST: usize = 25 * 1024 * 1024;
    let world = world("never").await;
    let content = bytes(LARGEST + 1, 23);
    world.put("large.bin", &content[..LARGEST]);
    world.put("larger.bin", &content);
    let (called, client) = world.transfer(TOOL, letter("mona@example.com", json!("large.bin"))).await;
    let _ = called.ok();
    assert!(sent(&world).1.content == content[..LARGEST]);
    let mut peaks = vec![("client".to_owned(), client)];
    peaks.push(("vault".to_owned(), peak_mb(world.vault_pid()).unwrap()));
    for pid in world.adapter_pids() {
        peaks.push((format!("adapter {pid}"), peak_mb(pid).unwrap()));
    }
    for (who, peak) in &peaks {
        note(&format!("{who}: at most {peak:.1} MB of memory"));
    }
    assert!(peaks.iter().all(|(_, peak)| (0.1..MOST).contains(peak)), "{peaks:?}");
    let (called, _) = world.transfer(TOOL, letter("mona@example.com", json!("larger.bin"))).await;
    called.assert_refused("bad-arguments", "file");
    assert_eq!(world.google.outbox().len(), 1);
}

/// A person is shown the mail and the file, and what they agreed to is what is sent, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_agrees_to_a_mail_with_its_file() {
    let world = world("always").await;
    let content = bytes(300_000, 24);
    world.put("plans.pdf", &content);
    let (called, _) = world.transfer(TOOL, letter("mona@example.com", json!("plans.pdf"))).await;
    assert_eq!((called.ran.code, called.refused().class.as_str()), (4, "pending"), "{:?}", called.ran);
    let id = called.json["refusal"]["approval"].as_str().unwrap().to_owned();
    let shown = world.claviger(&["approvals", &id]).await.success().out;
    for part in [
        "mona@example.com",
        "Die Pläne",
        "As you asked.",
        "plans.pdf",
        "300000",
        "application/pdf",
        &sha256(&content),
    ] {
        assert!(shown.contains(part), "{part:?} is missing in:\n{shown}");
    }
    assert!(world.google.outbox().is_empty(), "it was sent before anybody agreed");
    world.admin(&["approve", &id, "--yes"]).await;
    let folder = world.folder().display().to_string();
    // The file has changed since: what was agreed to is not there any more.
    let mut other = content.clone();
    other[1] ^= 1;
    world.put("plans.pdf", &other);
    let ran = world.agent(&["result", "--json", "--folder", &folder, &id]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(world.google.outbox().is_empty(), "another file was sent");
    world.put("plans.pdf", &content);
    let ran = world.agent(&["result", "--json", "--folder", &folder, &id]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(sent(&world).1.content == content);
    let ran = world.agent(&["result", "--json", "--folder", &folder, &id]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(world.google.outbox().len(), 1, "it was sent twice");
}

/// A client that lies about the file, and an owner who says no while it flows: nothing is sent, and the session is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_amiss_sends_nothing() {
    let world = world("never").await;
    let content = bytes(6 * 1024 * 1024, 25);
    let (length, hash) = (content.len(), sha256(&content));
    let mut other = content.clone();
    *other.last_mut().unwrap() ^= 1;
    let thief = world.thief(AGENT).await;
    let file = json!({"name": "plans.pdf", "size": length, "sha256": hash});
    let args = letter("mona@example.com", file);
    for sent in [&other[..], &content[..length - 1], &content[..0]] {
        let upload = Upload::of(&world, &thief, "gmail.send_file", &args).await;
        assert_eq!(upload.offset, 0);
        upload.send(sent).await;
        let result = upload.end().await;
        assert_eq!(result["_meta"]["claviger/refusal"]["class"], "bad-arguments", "{result}");
        // The adapter may know it before the vault does.
        let ended = async || world.google.log().into_iter().find(|asked| asked.method == "DELETE");
        let ended = world.eventually("the session is ended", ended).await;
        assert!(ended.path.starts_with("/upload/gmail/") && ended.status == 499);
        world.google.clear_log();
    }
    let upload = Upload::of(&world, &thief, "gmail.send_file", &args).await;
    upload.send(&content[..length / 2]).await;
    world.admin(&["freeze", AGENT]).await;
    upload.send(&content[length / 2..]).await;
    let result = upload.end().await;
    assert_eq!(result["_meta"]["claviger/refusal"]["class"], "frozen", "{result}");
    assert!(world.google.outbox().is_empty());
    // And then it begins anew, from its first byte.
    world.admin(&["thaw", AGENT]).await;
    let upload = Upload::of(&world, &thief, "gmail.send_file", &args).await;
    assert_eq!(upload.offset, 0);
    upload.send(&content).await;
    let result = upload.end().await;
    assert_eq!(result["isError"], false, "{result}");
    assert!(sent(&world).1.content == content);
}
