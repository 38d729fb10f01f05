//! Kill it, break its files, fill its disk, talk nonsense to it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use claviger_tests::world::raw::{class, mint, send};
use claviger_tests::world::{AGENT, Plan, World, disk};
use serde_json::{Value, json};
use stand_in_google::Fault;

fn letter() -> Value {
    json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_send_it_says_unknown_and_sends_nothing_twice() {
    let mut world = World::ready().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    world.google.fault_once("/gmail/v1/users/me/messages/send", Fault::Slow(Duration::from_secs(60)));
    let session = world.session().await;
    let call = tokio::spawn(async move {
        let args = letter().as_object().unwrap().clone();
        session.call("gmail_send_message", args).await
    });
    // The mail is out, its answer is not yet in.
    world.eventually("the mail is out", async || (!world.google.outbox().is_empty()).then_some(())).await;
    world.kill_vault().await;
    let outcome = call.await.unwrap();
    assert!(
        !matches!(&outcome, Ok(claviger_agent::CallOutcome::Answered(answer)) if answer.is_error != Some(true)),
        "{outcome:?}"
    );
    world.google.clear_faults();

    world.start_unsealed().await;
    let log = world.admin(&["log", "--tool", "gmail.send_message", "--limit", "500"]).await;
    let events = log["events"].as_array().unwrap();
    let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    let (intents, outcomes) = (of("intent"), of("outcome"));
    assert_eq!((intents.len(), outcomes.len()), (1, 1), "{log}");
    assert_eq!(outcomes[0]["ending"], "unknown");
    assert_eq!(intents[0]["use"], outcomes[0]["use"]);
    assert_eq!(world.google.outbox().len(), 1, "it was sent twice");
    let _ = world.call("gmail_send_message", letter()).await.ok();
    assert_eq!(world.google.outbox().len(), 2);
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_keeps_what_it_acknowledged() {
    let mut world = World::with_secrets().await;
    let mut made = Vec::new();
    for round in 0..4 {
        let agent = format!("agent-{round}");
        world.admin(&["agent", "add", &agent]).await;
        let grant = world.grant(&[&agent, "gmail/me", "--tool", "gmail.list_labels"]).await;
        made.push(grant["id"].as_str().unwrap().to_owned());
        if round == 2 {
            world.admin(&["revoke", &made[0]]).await;
        }
        world.kill_vault().await;
        world.start_unsealed().await;
    }
    let listed = world.admin(&["grant", "ls", "--all"]).await;
    for (round, id) in made.iter().enumerate() {
        let grant = listed["grants"].as_array().unwrap().iter().find(|grant| grant["id"] == **id).unwrap();
        let expected = if round == 0 { "revoked" } else { "active" };
        assert_eq!(grant["state"], expected, "{round}");
    }
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();
}

/// The file of the store.
fn store(world: &World) -> PathBuf {
    world.home().join("store/vault.db")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_store_is_told_and_not_touched() {
    let mut world = World::ready().await;
    assert!(world.stop_vault().await.success());
    let whole = std::fs::read(store(&world)).unwrap();
    let mut flipped = whole.clone();
    for at in (4096..flipped.len()).step_by(512) {
        flipped[at] ^= 0x55;
    }
    let empty: &[u8] = &[];
    for (what, bytes) in [
        ("half of it", &whole[..whole.len() / 2]),
        ("a page and a bit", &whole[..5000]),
        ("nothing", empty),
        ("garbage", &b"garbage, and no store at all. ".repeat(400)[..]),
        ("flipped bits", &flipped[..]),
    ] {
        std::fs::write(store(&world), bytes).unwrap();
        for beside in ["vault.db-wal", "vault.db-shm"] {
            let _ = std::fs::remove_file(world.home().join("store").join(beside));
        }
        let args = world.unsealed();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = claviger_tests::world::ran::Ran::of(&mut world.vault_command(&args), "").await;
        assert_eq!(ran.code, 1, "{what}: {ran:?}");
        assert!(ran.err.contains("error: ") && ran.err.contains("hint: "), "{what}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
    }
    std::fs::remove_file(store(&world)).unwrap();
    let ran = world.offline(&["serve", "--identity", world.identity().to_str().unwrap()]).await.code(1);
    assert!(ran.err.contains("missing"), "a lost store is not replaced by an empty one: {}", ran.err);
    assert!(!store(&world).exists());
    // Restored, it goes on.
    std::fs::write(store(&world), whole).unwrap();
    world.start_unsealed().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_vault_on_the_same_home_does_not_start() {
    let world = World::ready().await;
    let ran = world.second_vault(&world.home()).await.code(1);
    assert!(
        ran.err.contains("another") || ran.err.contains("in use") || ran.err.contains("locked"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    // The first one did not notice.
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    assert_eq!(world.admin(&["status"]).await["sealed"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_log_does_not_verify() {
    let mut world = World::ready().await;
    for _ in 0..3 {
        let _ = world.call("gmail_list_labels", json!({})).await.ok();
    }
    let checkpoint = world.admin(&["audit", "checkpoint"]).await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    assert!(world.stop_vault().await.success());
    let (key, note) = (checkpoint["key"].as_str().unwrap().to_owned(), world.base().join("note"));
    std::fs::write(&note, checkpoint["note"].as_str().unwrap()).unwrap();
    let verify = async |dir: &std::path::Path| {
        let line = [
            "audit",
            "verify",
            "--dir",
            dir.to_str().unwrap(),
            "--key",
            &key,
            "--checkpoint",
            note.to_str().unwrap(),
        ];
        world.offline(&line).await
    };
    let original = world.home().join("audit");
    let _ = verify(&original).await.success();
    let mut segments: Vec<_> = std::fs::read_dir(original.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| disk::contains(&std::fs::read(path).unwrap(), AGENT.as_bytes()))
        .collect();
    assert_eq!(segments.len(), 1, "one segment has all that happened here");
    let segment = segments.remove(0);
    let name = std::path::Path::new("segments").join(segment.file_name().unwrap());
    let bytes = std::fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let copy = world.base().join("copy");
    for at in [used / 7, used / 3, used / 2, used - 40] {
        disk::copy(&original, &copy);
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(copy.join(&name), &changed).unwrap();
        let ran = verify(&copy).await.code(1);
        assert!(ran.err.contains("hint: "), "{}", ran.err);
        std::fs::remove_dir_all(&copy).unwrap();
    }
    // A cut tail shows against the checkpoint that was kept.
    disk::copy(&original, &copy);
    let mut cut = bytes.clone();
    cut[used / 4..].fill(0);
    std::fs::write(copy.join(&name), &cut).unwrap();
    let _ = verify(&copy).await.code(1);
    std::fs::remove_dir_all(&copy).unwrap();
    // An unchanged copy does verify, and so does the original still.
    disk::copy(&original, &copy);
    let _ = verify(&copy).await.success();
    let _ = verify(&original).await.success();
}

/// No record, no use: when the log may grow no more, nothing is used; who looks, revokes and freezes is served; with more
/// room, all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_refuses_uses_and_nothing_else() {
    let audit = "max-bytes = \"4 MiB\"\nsegment-bytes = \"1 MiB\"".to_owned();
    let mut world = World::start(Plan { audit, ..Plan::default() }).await;
    world.add_secrets().await;
    let grants = world.usual_grants().await;
    fill(&world).await;
    world
        .eventually("the log is full to the last record", async || {
            // What was reserved and not needed comes free once more; a few calls in a row find it all used up.
            for _ in 0..4 {
                let called = world.call("gmail_list_labels", json!({})).await;
                if called.ran.code == 0 || called.refused().class != "unavailable" {
                    return None;
                }
            }
            Some(())
        })
        .await;
    let asked = world.google.log().len();
    for _ in 0..2 {
        assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "unavailable");
        assert_eq!(world.call("gmail_send_message", letter()).await.refused().class, "unavailable");
    }
    assert_eq!(world.google.log().len(), asked, "used without a record");
    let status = world.admin(&["status"]).await;
    assert!(!status["audit_trouble"].as_str().unwrap().is_empty(), "{status}");
    assert!(world.admin(&["log", "--limit", "5"]).await["events"].is_array());
    assert_eq!(world.admin(&["grant", "ls"]).await["grants"].as_array().unwrap().len(), grants.len());
    world.admin(&["revoke", grants[1]["id"].as_str().unwrap()]).await;
    world.admin(&["freeze", AGENT]).await;
    assert!(world.stop_vault().await.success());

    let file = world.home().join("claviger.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("max-bytes = \"4 MiB\"", "max-bytes = \"16 MiB\"")).unwrap();
    world.start_unsealed().await;
    assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "frozen");
    world.admin(&["thaw", AGENT]).await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();
}

/// Calls, as an adapter does, until the vault says that nothing can be recorded any more.
async fn fill(world: &World) {
    let agent = std::sync::Arc::new(world.thief(AGENT).await);
    let full = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut workers = Vec::new();
    for _ in 0..6 {
        let adapter = world.adapter("gmail").await;
        for _ in 0..16 {
            let (mut adapter, agent, full) =
                (adapter.clone(), std::sync::Arc::clone(&agent), std::sync::Arc::clone(&full));
            workers.push(tokio::spawn(async move {
                while !full.load(std::sync::atomic::Ordering::SeqCst) {
                    let presented = agent.present("gmail.list_labels", &json!({}));
                    let used = match mint(&mut adapter, presented).await {
                        Ok(minted) => send(&mut adapter, &minted.capability, "list", &[]).await.map(drop),
                        Err(status) => Err(status),
                    };
                    match used.map_err(|status| class(&status)) {
                        Ok(()) => {}
                        Err(class) if class == "unavailable" => {
                            full.store(true, std::sync::atomic::Ordering::SeqCst);
                        }
                        // More at once than the vault keeps in mind; it forgets in time.
                        Err(class) => assert_eq!(class, "busy"),
                    }
                }
            }));
        }
    }
    for worker in workers {
        tokio::time::timeout(Duration::from_secs(240), worker).await.expect("the log never fills").unwrap();
    }
}

/// Garbage, half messages, messages that are too long, and connections without end, at each socket: whoever else is
/// connected goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_at_a_socket_disturbs_nobody() {
    let world = World::ready().await;
    let session = world.session().await;
    let mut sockets = vec![world.admin_socket(), world.agent_socket(AGENT), world.adapter_socket("drive")];
    sockets.push(world.mcp_socket("gmail"));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frame = |length: u32, kind: u8| {
        let mut bytes = preface.to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes.extend(&length.to_be_bytes()[1..]);
        bytes.extend([kind, 0, 0, 0, 0, 1]);
        bytes.extend(std::iter::repeat_n(0x41, 70_000));
        bytes
    };
    let mut deep = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"#.to_vec();
    deep.extend(std::iter::repeat_n(b'[', 200_000));
    deep.push(b'\n');
    let long_line = [vec![b'{'; 3 << 20], vec![b'\n']].concat();
    let garbage: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\0".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        [0x16, 3, 1, 0, 200].to_vec(),
        preface.to_vec(),
        frame(0x00ff_ffff, 0),
        frame(70_000, 1),
        frame(8, 99),
        (0..65_536u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}\n".to_vec(),
        deep,
        long_line,
    ];
    let mut open = Vec::new();
    for socket in &sockets {
        for bytes in &garbage {
            let mut stream = UnixStream::connect(socket).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            // Whoever listens may close at once, and is right to.
            let _ = stream.write_all(bytes);
            let _ = stream.read(&mut [0; 1024]);
            open.push(stream);
        }
        let outcome = session.call("gmail_list_labels", serde_json::Map::new()).await.unwrap();
        assert!(
            matches!(outcome, claviger_agent::CallOutcome::Answered(_)),
            "{}: {outcome:?}",
            socket.display()
        );
    }
    // Far more connections than a peer may have, and none of them says a word.
    for socket in &sockets {
        for _ in 0..80 {
            open.extend(UnixStream::connect(socket).ok());
        }
    }
    let outcome = session.call("gmail_list_labels", serde_json::Map::new()).await.unwrap();
    assert!(matches!(outcome, claviger_agent::CallOutcome::Answered(_)), "{outcome:?}");
    drop(open);
    world
        .eventually("new connections are served again", async || {
            let admin = world.claviger(&["status"]).await.code;
            let agent = world.agent(&["call", "gmail_list_labels"]).await.code;
            (admin == 0 && agent == 0).then_some(())
        })
        .await;
    assert!(!world.logs().contains("panicked"), "{}", world.logs());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_dies_comes_back() {
    let mut world = World::ready().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    let before = world.adapter_pids();
    world.kill_children_of_vault();
    world
        .eventually("the adapters run again", async || {
            let now = world.adapter_pids();
            (now.len() == 2 && !now.iter().any(|pid| before.contains(pid))).then_some(())
        })
        .await;
    world.wait_for_adapters().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    // And none outlives the vault.
    let children = world.adapter_pids();
    assert!(world.stop_vault().await.success());
    for pid in children {
        assert!(!claviger_tests::world::runs(pid), "adapter {pid} outlives the vault");
    }
    assert!(!world.admin_socket().exists() && !world.agent_socket(AGENT).exists(), "sockets are left");
}

/// A vault that was killed leaves its adapters behind for a moment at most, and the next one runs its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapters_do_not_outlive_a_killed_vault() {
    let mut world = World::ready().await;
    let orphans = world.adapter_pids();
    assert_eq!(orphans.len(), 2);
    world.kill_vault_alone().await;
    world
        .eventually("the adapters of a killed vault end", async || {
            orphans.iter().all(|pid| !claviger_tests::world::runs(*pid)).then_some(())
        })
        .await;
    world.start_unsealed().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
}
