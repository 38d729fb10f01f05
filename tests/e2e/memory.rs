//! What lies in the memory of the programs, and what does not. Only root may look, so only root runs these.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_tests::world::host::Host;
use claviger_tests::world::memory::{Look, Needles, expand, identity_bytes, line_of, look};
use claviger_tests::world::ran::Ran;
use claviger_tests::world::raw::{mint, send};
use claviger_tests::world::users::{Users, Who};
use claviger_tests::world::{AGENT, Plan, World, disk, note};
use rmcp::model::ProtocolVersion;
use serde_json::json;
use stand_in_google::{Config, EchoForm, Fault, Seed};
use tokio::task::JoinSet;

/// How many tool calls make the day: 400, or as many as `CLAVIGER_TEST_DAY_CALLS` says.
fn day() -> usize {
    std::env::var("CLAVIGER_TEST_DAY_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// A service whose credential is stored as it is; the stand-in takes it.
pub(crate) const KEYED: &str = r#"
id     = "keyed"
title  = "Labels by a key"
origin = "https://keyed.invalid"
auth   = { kind = "bearer" }

[tool.list_labels]
summary = "List the labels."
effect  = "read"
answers = "trusted"

[[tool.list_labels.step]]
name   = "list"
method = "GET"
path   = "/gmail/v1/users/me/labels"
fields = ["labels"]
"#;
/// What an admin typed, and what is wrong.
const MISTYPED: &str = "CANARY-mistyped-passphrase-0123456789";

/// The root key of a world's vault, by its recovery identity and the stock way to open it, and the keys that come from
/// it, each with its name.
fn keys(world: &World) -> Vec<(String, [u8; 32])> {
    let text = identity_text(&world.recovery());
    let identity: age::x25519::Identity = text.parse().unwrap();
    let wrapped = std::fs::read(world.home().join("keys/recovery.age")).unwrap();
    let decryptor = age::Decryptor::new_buffered(&wrapped[..]).unwrap();
    let mut plain = Vec::new();
    let identity: &dyn age::Identity = &identity;
    decryptor.decrypt(std::iter::once(identity)).unwrap().read_to_end(&mut plain).unwrap();
    // `CLVROOT1 | vault id, 16 bytes | generation, 4 bytes | root key, 32 bytes`
    let root: [u8; 32] = plain[28..].try_into().unwrap();
    let mut keys = vec![("root key".to_owned(), root)];
    for purpose in ["record", "sidecar", "handle", "registry", "digest", "checkpoint"] {
        let mut info = Vec::new();
        for field in [&b"claviger/v1/root"[..], &plain[8..24], &plain[24..28], purpose.as_bytes()] {
            info.extend_from_slice(&(field.len() as u64).to_be_bytes());
            info.extend_from_slice(field);
        }
        keys.push((format!("key of purpose {purpose}"), expand(&root, &info)));
    }
    keys
}

fn identity_text(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned()
}

/// What unlocks the vault: the root key, what comes from it, what opens it.
fn unlocking(world: &World) -> Needles {
    let mut needles = Needles::default();
    for (name, key) in keys(world) {
        needles.key(&name, &key);
    }
    for (name, path) in [("daily identity", world.identity()), ("recovery identity", world.recovery())] {
        let text = identity_text(&path);
        needles.text(name, &text, "AGE-SECRET-KEY-1".len());
        needles.key(name, &identity_bytes(&text));
    }
    needles.text("mistyped passphrase", MISTYPED, 0);
    needles
}

/// What an upstream would take, or would have taken: all that the stand-in has ever given out.
fn accepted(world: &World) -> Needles {
    let mut needles = Needles::default();
    needles.text("client secret", world.google.client_secret(), "GOCSPX-".len());
    for token in world.google.issued() {
        let (name, from) = if token.starts_with("1//0") { ("refresh token", 4) } else { ("access token", 7) };
        needles.text(name, &token, from);
    }
    needles
}

/// The keys by which handles' holders prove themselves, as the agent was given them.
async fn proofs(world: &World) -> Needles {
    let mut needles = Needles::default();
    for handle in world.thief(AGENT).await.opened.handles {
        needles.key("proof key", handle.proof_key.as_slice().try_into().unwrap());
    }
    needles
}

async fn start() -> Option<World> {
    if !rustix::process::geteuid().is_root() {
        note("skipped: only root can look into the memory of a process that cannot be dumped");
        return None;
    }
    let google = Config { seed: Seed::demo(), rotate_refresh: true, ..Config::default() };
    let services = vec![("keyed", KEYED)];
    let world = World::start(Plan { users: Users::many(), google, services, ..Plan::default() }).await;
    world.add_secrets().await;
    let key = world.google.direct_token(&["gmail.modify"]);
    let line = ["secret", "add", "keyed/me", "--kind", "bearer", "--stdin"];
    let _ = world.claviger_with(&line, &format!("{key}\n")).await.success();
    let uid = world.users.uid(Who::Stranger).to_string();
    world.admin(&["adapter", "add", "keyed", "--uid", &uid, "--endpoint", "/run/nowhere.sock"]).await;
    let _ = world.connect("drive/other", &["--for", "read"], false).await.success();
    world.usual_grants().await;
    for line in [
        &[AGENT, "keyed/me", "--tool", "keyed.list_labels"][..],
        &[AGENT, "drive/other", "--read", "--folder", "Agent"],
        &[AGENT, "drive/me", "--tool", "drive.upload_file", "--folder", "Agent", "--approve", "never"],
        &[AGENT, "gmail/me", "--tool", "gmail.create_draft", "--approve", "always"],
    ] {
        world.grant(line).await;
    }
    Some(world)
}

/// One of the calls of a day; whether it was answered.
async fn call(host: &Host, number: usize, ids: &[String; 3]) -> bool {
    let [mail, notes, folder] = ids;
    let letter = |to: &str| json!({"to": [to], "subject": "Hello", "body": format!("Number {number}.")});
    let (tool, args) = match number % 10 {
        0 => ("gmail_list_labels", json!({})),
        1 => ("gmail_search_messages", json!({})),
        2 => ("gmail_get_message", json!({"message_id": mail})),
        3 => ("gmail_send_message", letter("mona@example.com")),
        4 => ("gmail_send_message", letter("stranger@evil.example")),
        5 => ("drive_search_files", json!({})),
        6 => ("drive_read_file", json!({"file_id": notes})),
        7 => (
            "drive_create_file",
            json!({"folder_id": folder, "name": format!("{number}.txt"), "content": "x"}),
        ),
        8 => ("gmail_label_message", json!({"message_id": mail, "add": ["STARRED"]})),
        _ => ("drive_other_read_file", json!({"file_id": notes})),
    };
    host.try_call(tool, args).await.is_ok_and(|result| result.is_error != Some(true))
}

/// Something that happens in between, once in a while.
async fn event(world: &World, number: usize) {
    match number % 9 {
        // Access tokens end: by the upstream's clock all at once, which the vault learns by refusals.
        0 | 4 => world.google.advance(Duration::from_secs(4 * 3600)),
        1 => drop(world.admin(&["secret", "rotate", "gmail/me"]).await),
        2 => {
            let form = [EchoForm::Raw, EchoForm::Json, EchoForm::Url][number / 9 % 3];
            world.google.fault_once("/gmail/v1/users/me/labels", Fault::EchoAuthorization(form));
            let _ = world.call("gmail_list_labels", json!({})).await;
            let _ = world.claviger(&["thaw", AGENT]).await;
        }
        3 => {
            let notes = world.google.file_id("Agent/Notes.txt").unwrap();
            let _ = world.transfer("drive_download_file", json!({"file_id": notes})).await;
            let folder = world.google.file_id("Agent").unwrap();
            world.put("up.bin", &vec![7; 700_000]);
            let _ = world.transfer("drive_upload_file", json!({"folder_id": folder, "file": "up.bin"})).await;
        }
        5 => {
            // They live two seconds: each is renewed after one.
            world.google.set_token_lifetime(Duration::from_secs(2));
            world.google.advance(Duration::from_secs(4 * 3600));
        }
        // A credential that is stored as it is, by an adapter that is written here.
        6 => {
            let key = world.google.direct_token(&["gmail.modify"]);
            let line = ["secret", "rotate", "keyed/me", "--enter", "--stdin"];
            let _ = world.claviger_with(&line, &format!("{key}\n")).await.success();
            let thief = world.thief(AGENT).await;
            let mut adapter = world.adapter_client("keyed", Who::Stranger).await.unwrap();
            let minted = mint(&mut adapter, thief.present("keyed.list_labels", &json!({}))).await.unwrap();
            assert_eq!(send(&mut adapter, &minted.capability, "list", &[]).await.unwrap().status, 200);
        }
        7 => {
            let thief = world.thief(AGENT).await;
            let handle = thief.handle("gmail.search_messages").id.clone();
            let _ = world.agent(&["narrow", &handle, "--calls", "2", "--expires", "1h"]).await.success();
        }
        _ => {
            let draft = json!({"to": ["mona@example.com"], "subject": "Draft", "body": number.to_string()});
            let called = world.call("gmail_create_draft", draft).await;
            if let Some(id) = called.json["refusal"]["approval"].as_str() {
                let _ = world.claviger(&["approve", id, "--yes"]).await;
                let _ = world.agent(&["result", "--json", id]).await;
            }
        }
    }
}

/// A day's worth of calls of all kinds; how many, and how many of them were answered.
async fn work(world: &World, host: &Arc<Host>) -> (usize, usize) {
    let ids = [
        world.google.mail_id("Invoice 2026-118 for November").unwrap(),
        world.google.file_id("Agent/Notes.txt").unwrap(),
        world.google.file_id("Agent").unwrap(),
    ];
    let (mut made, mut answered, mut events) = (0, 0, 0);
    while made < day() {
        let mut calls = JoinSet::new();
        for number in made..made + 25 {
            let (host, ids) = (Arc::clone(host), ids.clone());
            calls.spawn(async move { call(&host, number, &ids).await });
        }
        event(world, events).await;
        events += 1;
        made += 25;
        while let Some(went_well) = calls.join_next().await {
            answered += usize::from(went_well.unwrap());
        }
    }
    world.google.clear_faults();
    (made, answered)
}

/// Looks through a process, and tells what was seen.
fn seen(who: &str, pid: u32, needles: &Needles) -> Look {
    let look = look(pid, needles).unwrap();
    let megabytes = look.read as f64 / 1e6;
    note(&format!("{who}: {megabytes:.1} MB, not readable: {:?}, found: {:?}", look.unreadable, look.found));
    look
}

/// Nothing of all that is in that process.
fn assert_clean(who: &str, pid: u32, all: &[&Needles]) {
    for needles in all {
        let look = seen(who, pid, needles);
        assert!(look.read > 1_000_000 && look.found.is_empty(), "{who}: {look:?}");
    }
}

/// What unlocks is not in the unsealed vault but for the keys of the purposes on their page, which nobody reads where the
/// kernel has `memfd_secret(2)`.
async fn assert_guarded(world: &World, unlocking: &Needles) {
    let kind = world.admin(&["status"]).await["key_memory"].clone();
    let look = seen("vault, unsealed", world.vault_pid(), unlocking);
    if kind == "memfd-secret" {
        assert!(look.unreadable.iter().any(|mapping| mapping.contains("secretmem")), "{:?}", look.unreadable);
        assert!(look.found.is_empty(), "{:?}", look.found);
        return;
    }
    // Root reads every other page. Each of these keys, both halves of it, is there once.
    assert_eq!(kind, "locked");
    assert!(line_of(world.vault_pid(), "status", "VmLck:").is_some_and(|size| size != "0 kB"));
    for (name, places) in &look.found {
        let count: usize = places.values().sum();
        assert!(name.starts_with("key of purpose") && name.ends_with(", as it is") && count == 2, "{name}");
    }
}

/// Nobody but root looks into that process, and it leaves no core.
async fn assert_closed(world: &World, pid: u32) {
    let limit = line_of(pid, "limits", "Max core file size").unwrap();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
    for file in ["mem", "environ", "maps"] {
        let mut command = world.users.command(Who::Vault, std::path::Path::new("/bin/cat"), world.base());
        let ran = Ran::of(command.arg(format!("/proc/{pid}/{file}")), "").await.code(1);
        assert!(ran.err.contains("ermission denied"), "{file}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_keys_lie_in_their_page_and_after_sealing_nowhere() {
    let Some(world) = start().await else { return };
    let host = Arc::new(world.host(ProtocolVersion::V_2025_11_25).await);
    let began = Instant::now();
    let (made, answered) = work(&world, &host).await;
    note(&format!("{made} calls, {answered} answered, in {:.1} s", began.elapsed().as_secs_f64()));
    assert!(answered * 2 > made, "{answered} of {made}");
    let pid = world.vault_pid();
    let (unlocking, accepted, proofs) = (unlocking(&world), accepted(&world), proofs(&world).await);
    note(&format!("looked for: {} pieces of what the upstream gave out", accepted.len()));
    // What is surely there: in this test the keys, in the vault a socket's path and a token it uses.
    let here = seen("this test", std::process::id(), &unlocking);
    assert!(here.has("root key, as it is") && here.has("daily identity") && here.has("mistyped passphrase"));
    let mut known = Needles::default();
    known.whole("socket", world.admin_socket().to_str().unwrap().as_bytes());
    let surely = async |sealed: bool| {
        // Whoever asks after a seal is answered by the program that came after.
        assert_eq!(world.admin(&["status"]).await["sealed"], sealed);
        assert!(seen("vault", pid, &known).has("socket"));
    };

    surely(false).await;
    // Access tokens are used on; what they are got with is gone as soon as it was sent, but for what a search spilled of it
    // on a stack.
    let used = world
        .eventually("nothing of a token request is left on the heap", async || {
            let used = seen("vault, unsealed", pid, &accepted);
            let left = ["refresh token", "client secret"].iter().any(|name| used.has_off_stacks(name));
            (!left).then_some(used)
        })
        .await;
    assert!(used.has_off_stacks("access token"), "{:?}", used.found);
    assert_guarded(&world, &unlocking).await;
    assert_closed(&world, pid).await;
    for adapter in world.adapter_pids() {
        assert_clean("adapter", adapter, &[&unlocking, &accepted, &proofs]);
    }
    assert_clean("client", host.pid(), &[&unlocking, &accepted]);
    assert!(seen("client", host.pid(), &proofs).has("proof key, as it is"), "the client holds these");

    world.admin(&["seal"]).await;
    assert_eq!(world.vault_pid(), pid);
    surely(true).await;
    assert_clean("vault, sealed", pid, &[&unlocking, &accepted, &proofs]);
    assert_closed(&world, pid).await;
    let _ = world.claviger_with(&["unseal", "--passphrase-stdin"], &format!("{MISTYPED}\n")).await.code(1);
    assert_clean("vault, after a wrong passphrase", pid, &[&unlocking]);

    // The identity comes over the socket this time. Failed attempts are spaced.
    let identity = world.base().join("identity.txt");
    std::fs::copy(world.identity(), &identity).unwrap();
    world.users.give(Who::Admin, &identity);
    let line = ["unseal", "--identity", identity.to_str().unwrap()];
    world.eventually("it is unsealed", async || (world.claviger(&line).await.code == 0).then_some(())).await;
    surely(false).await;
    assert_guarded(&world, &unlocking).await;

    let mut needles = ["ya29.a0", "1//0", "GOCSPX-", "AGE-SECRET-KEY-"].map(str::to_owned).to_vec();
    needles.push(MISTYPED.to_owned());
    for folder in [world.home(), world.base().join("logs"), world.folder()] {
        assert_eq!(disk::find(&folder, &needles), []);
    }
}
