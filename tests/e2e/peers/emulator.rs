//! `mcporter` as the MCP host, and an emulator of Google that nobody here wrote as the upstream.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use claviger_tests::world::ran::Ran;
use claviger_tests::world::upstream::post;
use claviger_tests::world::{AGENT, Plan, World};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::clients::Client;
use super::every_tool::rows;
use super::{MCPORTER, bare, config, folder, installed};

/// The OAuth client of the emulator's seed.
const CLIENT: (&str, &str) = ("claviger-test.apps.googleusercontent.com", "stand-in-client-secret");

/// A key and a certificate for 127.0.0.1, and the authority that vouches for it, all in PEM.
fn certificate() -> (String, String, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "emulator");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    (key.serialize_pem(), leaf.pem(), authority.as_ref().pem())
}

/// The emulator, strict by our wrapper. It ends with this value.
struct Emulator {
    _process: Child,
    origin: String,
    ca: String,
    ids: Value,
    _dir: tempfile::TempDir,
}

impl Emulator {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (key, cert, ca) = certificate();
        let place = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (key, cert) = (place("key.pem", &key), place("cert.pem", &cert));
        let mut command = bare("node");
        command.arg(folder().join("google.mjs")).arg("--key").arg(key).arg("--cert").arg(cert);
        command.args(["--port", "0", "--exit-with-stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.next_line().await.unwrap().expect("the emulator says when it is ready");
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let origin = ready["base_url"].as_str().unwrap().to_owned();
        Self { _process: process, origin, ca, ids: ready["ids"].clone(), _dir: dir }
    }

    /// A refresh token of the emulator's own client.
    async fn refresh_token(&self, scopes: &[&str]) -> String {
        let body = json!({"scopes": scopes}).to_string();
        let url = format!("{}/stand-in/token", self.origin);
        let (status, answer) = post(&self.ca, &url, "application/json", body).await;
        assert_eq!(status, 200, "{answer}");
        answer["refresh_token"].as_str().unwrap().to_owned()
    }
}

/// `mcporter`, and the world it works in.
struct Peers {
    world: World,
    google: Emulator,
    config: PathBuf,
}

impl Peers {
    async fn start() -> Self {
        let peers = Self::without_grants().await;
        peers.world.usual_grants().await;
        peers
    }

    async fn without_grants() -> Self {
        let google = Emulator::start().await;
        let upstream = Some((google.origin.clone(), google.ca.clone()));
        let world = World::start(Plan { upstream, ..Plan::default() }).await;
        let gmail = google.refresh_token(&["gmail.modify", "gmail.compose", "gmail.send"]).await;
        let drive = google.refresh_token(&["drive", "drive.readonly"]).await;
        world.add_secret_of(CLIENT, "gmail/me", &gmail).await;
        world.add_secret_of(CLIENT, "drive/me", &drive).await;
        let config = config(&world);
        Self { world, google, config }
    }

    async fn mcporter(&self, args: &[&str]) -> Ran {
        let home = self.world.base().join("mcporter-home");
        std::fs::create_dir_all(&home).unwrap();
        let mut command = bare("node");
        command.env("HOME", &home).current_dir(&home);
        command.arg(folder().join(MCPORTER)).arg("--config").arg(&self.config);
        Ran::of(command.args(args), "").await
    }

    async fn call(&self, tool: &str, args: Value) -> Ran {
        let (tool, args) = (format!("claviger.{tool}"), args.to_string());
        self.mcporter(&["call", &tool, "--args", &args, "--output", "json"]).await
    }

    /// The structured answer of a call that went well.
    async fn ok(&self, tool: &str, args: Value) -> Value {
        let ran = self.call(tool, args).await.success();
        let json = ran.json();
        // mcporter prints the structured part alone where there is one.
        if json["structuredContent"].is_object() { json["structuredContent"].clone() } else { json }
    }

    async fn refused(&self, tool: &str, args: Value) -> Ran {
        let ran = self.call(tool, args).await.code(1);
        let json = ran.json();
        assert_eq!(json["isError"], true, "{json}");
        assert!(json["content"][0]["text"].as_str().unwrap().starts_with("refused: "), "{json}");
        ran
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mcporter_works_from_end_to_end_without_a_line_of_ours() {
    if !installed(MCPORTER) {
        return;
    }
    let peers = Peers::start().await;
    let listed = peers.mcporter(&["list", "claviger", "--json"]).await.success().out;
    for tool in [
        "gmail_search_messages",
        "gmail_get_message",
        "gmail_list_labels",
        "gmail_label_message",
        "gmail_send_message",
        "drive_search_files",
        "drive_list_folder",
        "drive_get_file_metadata",
        "drive_read_file",
        "drive_create_file",
    ] {
        assert!(listed.contains(tool), "{tool} is not listed: {listed}");
    }
    assert!(!listed.contains("hdl_"), "a handle is shown");

    let found = peers.ok("gmail_search_messages", json!({})).await;
    let mut subjects: Vec<&str> =
        found["messages"].as_array().unwrap().iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["Invoice 1042", "Meeting on Thursday", "Quick favour"]);
    let narrowed =
        peers.ok("gmail_search_messages", json!({"from": "colin@example.com", "unread": true})).await;
    assert_eq!(narrowed["messages"].as_array().unwrap().len(), 1);
    let mail = peers.ok("gmail_get_message", json!({"message_id": "msg_ai_invoice"})).await;
    assert_eq!(mail["attachments"][0]["name"], "invoice.csv");
    assert!(mail["body"].as_str().unwrap().contains("The invoice is attached."));
    let labels = peers.ok("gmail_list_labels", json!({})).await;
    assert!(labels["labels"].as_array().unwrap().iter().any(|label| label["id"] == "Label_AI"));
    let marked = json!({"message_id": "msg_ai_meeting", "remove": ["UNREAD"]});
    let marked = peers.ok("gmail_label_message", marked).await;
    assert!(!marked["labels"].as_array().unwrap().contains(&json!("UNREAD")), "{marked}");
    let letter = json!({"to": ["colin@example.com"], "subject": "Yes", "body": "Ten is fine."});
    let sent = peers.ok("gmail_send_message", letter).await;
    assert!(!sent["id"].as_str().unwrap().is_empty());

    let found = peers.ok("drive_search_files", json!({"name": "notes"})).await;
    assert_eq!(found["files"][0]["id"], "fil_notes");
    let listed = peers.ok("drive_list_folder", json!({"folder_id": "fld_agent"})).await;
    assert_eq!(listed["files"].as_array().unwrap().len(), 3, "{listed}");
    let about = peers.ok("drive_get_file_metadata", json!({"file_id": "fil_todo"})).await;
    assert_eq!(about["name"], "todo.txt");
    let text = peers.ok("drive_read_file", json!({"file_id": "fil_notes"})).await;
    assert_eq!(text["text"], "Notes for the agent.\n");
    let new = json!({"folder_id": "fld_agent", "name": "answer.txt", "content": "It is done.\n"});
    let made = peers.ok("drive_create_file", new).await;
    let id = made["id"].as_str().unwrap();
    let read = peers.ok("drive_read_file", json!({"file_id": id})).await;
    assert_eq!(read["text"], "It is done.\n");
    assert!(peers.google.ids.is_object());
}

/// What the emulator has endpoints for, beside the tools of the test above: `tests/peers/emulator.json`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_emulator_takes_what_every_other_tool_sends() {
    if !installed(MCPORTER) {
        return;
    }
    let peers = Peers::without_grants().await;
    let all = ["--read", "--write", "--send", "--delete", "--approve", "never"];
    for secret in ["gmail/me", "drive/me"] {
        let line: Vec<&str> = [AGENT, secret].into_iter().chain(all).collect();
        peers.world.grant(&line).await;
    }
    let mut client = Client::mcporter(&peers.world);
    let called = rows(&mut client, "emulator.json", &mut BTreeMap::new(), &peers.world).await;
    assert!(called.len() > 20, "{called:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_mcporter_asks_beyond_the_grants_is_refused() {
    if !installed(MCPORTER) {
        return;
    }
    let peers = Peers::start().await;
    for (tool, args, canary) in [
        ("gmail_get_message", json!({"message_id": "msg_private_bank"}), "CANARY-PRIVATE-MAIL"),
        ("gmail_get_message", json!({"message_id": "msg_plain_news"}), "CANARY-UNLABELLED-MAIL"),
        ("gmail_get_message", json!({"message_id": "msg_plain_reply"}), "salary"),
        ("drive_read_file", json!({"file_id": "fil_diary"}), "CANARY-PRIVATE-FILE"),
        ("drive_read_file", json!({"file_id": "fil_team"}), "Everybody reads this"),
        ("gmail_send_message", json!({"to": ["collect@evil.example"], "subject": "x", "body": "x"}), "evil"),
        ("gmail_label_message", json!({"message_id": "msg_private_bank", "add": ["Label_AI"]}), "CANARY"),
        ("drive_create_file", json!({"folder_id": "fld_private", "name": "x", "content": "x"}), "CANARY"),
    ] {
        let ran = peers.refused(tool, args).await;
        assert!(!ran.all().contains(canary), "{canary} is told: {}", ran.all());
    }
    // What each refusal was about, the owner can look up.
    let log = peers.world.admin(&["log", "--refused"]).await;
    let events = log["events"].as_array().unwrap();
    assert_eq!(events.iter().filter(|event| event["agent"] == AGENT).count(), 8, "{log}");
    // mcporter corrects a name that is nearly right; the tool that is then called is one that was granted.
    let ran = peers.call("gmail_delete_message", json!({"message_id": "msg_ai_meeting"})).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    // After a revocation the tool is gone.
    let grants = peers.world.admin(&["grant", "ls"]).await;
    for grant in grants["grants"].as_array().unwrap() {
        peers.world.admin(&["revoke", grant["id"].as_str().unwrap()]).await;
    }
    let ran = peers.call("gmail_list_labels", json!({})).await;
    assert_ne!(ran.code, 0, "{ran:?}");
}
