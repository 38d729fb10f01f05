//! The disk under the vault: full, read-only, failing to sync, shared by two, put back from a backup.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use claviger_tests::world::ran::Ran;
use claviger_tests::world::{AGENT, Plan, World, disk, note};
use serde_json::{Map, Value, json};

/// A mount of this test's, taken away at its end.
struct Mount(PathBuf);

impl Mount {
    /// `None`, with a line that says so, where this machine lets the test mount nothing.
    fn make(args: &[&str], at: &Path) -> Option<Self> {
        let made = rustix::process::geteuid().is_root()
            && Command::new("mount").args(args).arg(at).status().is_ok_and(|status| status.success());
        if !made {
            note("skipped: only root, where it may mount, can give a vault a disk of its own");
        }
        made.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn serve(world: &World) -> Ran {
    let args = world.unsealed();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Ran::of(&mut world.vault_command(&args), "").await
}

/// Refused to start, in words for an owner.
fn refuses(ran: Ran, word: &str) {
    let ran = ran.code(1);
    assert!(
        ran.err.contains(word) && ran.err.contains("error: ") && ran.err.contains("hint: "),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

/// Store and log share a disk that fills: what is refused is said, what was acknowledged stays, and with room again all
/// goes on without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let audit = "max-bytes = \"16 MiB\"\nsegment-bytes = \"1 MiB\"".to_owned();
    let mut world = World::start(Plan { audit, ..Plan::default() }).await;
    world.add_secrets().await;
    let grants = world.usual_grants().await;
    assert!(world.stop_vault().await.success());
    let at = world.base().join("disk");
    std::fs::create_dir(&at).unwrap();
    let Some(_mount) = Mount::make(&["-t", "tmpfs", "-o", "size=8m,mode=0700", "claviger-test"], &at) else {
        return;
    };
    for name in ["store", "audit"] {
        let from = world.home().join(name);
        disk::copy(&from, &at.join(name));
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(at.join(name), own).unwrap();
        std::fs::remove_dir_all(&from).unwrap();
        std::os::unix::fs::symlink(at.join(name), from).unwrap();
    }
    // So little that the log takes a small piece of it, which is used up by some hundred calls.
    let filler = at.join("filler");
    fill(&filler);
    let file = std::fs::OpenOptions::new().write(true).open(&filler).unwrap();
    file.set_len(file.metadata().unwrap().len() - 700 * 1024).unwrap();
    world.start_unsealed().await;
    let session = world.session().await;
    let class = async |tool: &str| match session.call(tool, Map::new()).await.unwrap() {
        claviger_agent::CallOutcome::Refused(refusal) => refusal.class().to_owned(),
        claviger_agent::CallOutcome::Answered(_) => "answered".to_owned(),
    };
    assert_eq!(class("gmail_list_labels").await, "answered");

    fill(&at.join("more"));
    // The store takes nothing more; nobody is told that it did.
    let mut made = Vec::new();
    let refused = loop {
        let name = format!("agent-{}", made.len());
        let ran = world.claviger(&["agent", "add", &name]).await;
        if ran.code != 0 {
            break ran;
        }
        made.push(name);
        assert!(made.len() < 200, "the store never fills");
    };
    assert!(refused.err.contains("room") && refused.err.contains("hint: "), "{}", refused.err);
    let status = world.admin(&["status"]).await;
    let told = |status: &Value| status["warnings"].to_string().contains("the store takes no changes");
    assert!(told(&status), "{status}");
    // The log has what it has reserved, and then nothing.
    let mut calls = 0;
    while class("gmail_list_labels").await != "unavailable" {
        calls += 1;
        assert!(calls < 2000, "the log never fills");
    }
    let asked = world.google.log().len();
    for tool in ["gmail_list_labels", "drive_search_files"] {
        assert_eq!(class(tool).await, "unavailable");
    }
    assert_eq!(world.google.log().len(), asked, "used without a record");
    let status = world.admin(&["status"]).await;
    assert!(!status["audit_trouble"].as_str().unwrap().is_empty(), "{status}");
    assert!(world.admin(&["log", "--limit", "5"]).await["events"].is_array());
    // Taking away bites at once; that it is not durable is said.
    let ran = world.claviger(&["revoke", grants[2]["id"].as_str().unwrap()]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("restart"), "{}", ran.err);

    for name in ["filler", "more"] {
        std::fs::remove_file(at.join(name)).unwrap();
    }
    world
        .eventually("calls are made again", async || {
            (class("gmail_list_labels").await == "answered").then_some(())
        })
        .await;
    world.admin(&["agent", "add", "late"]).await;
    let status = world.admin(&["status"]).await;
    assert!(!told(&status) && status["audit_trouble"] == "", "{status}");
    world.admin(&["revoke", grants[2]["id"].as_str().unwrap()]).await;
    world.kill_vault().await;
    world.start_unsealed().await;
    let listed = world.admin(&["agent", "ls"]).await;
    let names: Vec<&str> =
        listed["agents"].as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert!(made.iter().map(String::as_str).chain(["late"]).all(|name| names.contains(&name)), "{names:?}");
    assert!(!names.contains(&format!("agent-{}", made.len()).as_str()), "what was refused is there");
    let listed = world.admin(&["grant", "ls", "--all"]).await;
    let state = |id: &Value| {
        listed["grants"].as_array().unwrap().iter().find(|grant| grant["id"] == *id).unwrap()["state"].clone()
    };
    assert_eq!(state(&grants[2]["id"]), "revoked");
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();
}

/// Writes until there is no room.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [65_536, 4096, 512, 1] {
        let bytes = vec![1; size];
        while file.write_all(&bytes).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_read_only_mount_it_does_not_start_and_says_why() {
    let mut world = World::ready().await;
    assert!(world.stop_vault().await.success());
    for name in ["store", "audit"] {
        let at = world.home().join(name);
        let here = at.display().to_string();
        let Some(mount) = Mount::make(&["--bind", &here], &at) else { return };
        let again = ["mount", "-o", "remount,bind,ro", here.as_str()];
        assert!(Command::new(again[0]).args(&again[1..]).status().unwrap().success());
        let ran = serve(&world).await;
        assert!(ran.err.contains(&here), "{}", ran.err);
        refuses(ran, "ead-only file");
        drop(mount);
    }
    world.start_unsealed().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
}

/// One store, two ways to it, and another vault's configuration that names it by the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_vault_finds_the_store_taken_by_whatever_path_it_comes() {
    let world = World::ready().await;
    let other = world.base().join("other");
    std::fs::create_dir(&other).unwrap();
    disk::copy(&world.home().join("keys"), &other.join("keys"));
    for dir in [other.clone(), other.join("keys")] {
        std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    let linked = world.base().join("linked");
    std::os::unix::fs::symlink(world.home().join("store"), &linked).unwrap();
    let bound = world.base().join("bound");
    std::fs::create_dir(&bound).unwrap();
    let mount = Mount::make(&["--bind", world.home().join("store").to_str().unwrap()], &bound);
    let text = std::fs::read_to_string(world.home().join("claviger.toml")).unwrap();
    let mut ways = vec![linked];
    ways.extend(mount.is_some().then_some(bound));
    for way in ways {
        let store = way.join("vault.db");
        // The key stands before the first table.
        let text = format!("store-path = \"{}\"\n{text}", store.display());
        std::fs::write(other.join("claviger.toml"), text).unwrap();
        std::fs::set_permissions(
            other.join("claviger.toml"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        let ran = world.second_vault(&other).await;
        assert!(ran.err.contains(store.to_str().unwrap()), "{}", ran.err);
        refuses(ran, "another process has the store open");
    }
    // With a log of its own gone, the shared log says the same.
    let ran = world.second_vault(&world.home()).await;
    refuses(ran, "another process");
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    world.admin(&["agent", "add", "still-alone"]).await;
}

/// A store from before a revocation: it is seen, told, and no agent does anything until an admin has looked. Store and log
/// together from before: only what was kept elsewhere tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_put_back_is_seen() {
    let mut world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    assert!(world.stop_vault().await.success());
    let (older, copy) = (world.base().join("older"), |name: &str| world.home().join(name));
    for name in ["store", "audit"] {
        disk::copy(&copy(name), &older.join(name));
    }
    world.start_unsealed().await;
    world.admin(&["revoke", grants[0]["id"].as_str().unwrap()]).await;
    let checkpoint = world.admin(&["audit", "checkpoint"]).await;
    assert!(world.stop_vault().await.success());

    put_back(&world, &older, "store");
    world.start_unsealed().await;
    assert!(world.logs().contains("the store is older than the audit log"), "{}", world.logs());
    let status = world.admin(&["status"]).await;
    assert!(status["warnings"].to_string().contains("restored from a backup"), "{status}");
    let listed = world.admin(&["grant", "ls", "--all"]).await;
    let state = |listed: &Value| {
        let grants_now = listed["grants"].as_array().unwrap().clone();
        grants_now.into_iter().find(|grant| grant["id"] == grants[0]["id"]).unwrap()["state"].clone()
    };
    assert_eq!(state(&listed), "active", "the revocation is in the log alone");
    // Its grant is back; its agent is not.
    for tool in ["gmail_list_labels", "drive_search_files"] {
        assert_eq!(world.call(tool, json!({})).await.refused().class, "frozen");
    }
    // A restart changes nothing of that.
    world.kill_vault().await;
    world.start_unsealed().await;
    assert_eq!(world.call("drive_search_files", json!({})).await.refused().class, "frozen");
    world.admin(&["revoke", grants[0]["id"].as_str().unwrap()]).await;
    world.admin(&["thaw", AGENT]).await;
    let _ = world.call("drive_search_files", json!({})).await.ok();
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();

    for name in ["store", "audit"] {
        put_back(&world, &older, name);
    }
    let note = world.base().join("note");
    std::fs::write(&note, checkpoint["note"].as_str().unwrap()).unwrap();
    let line = ["audit", "verify", "--key", checkpoint["key"].as_str().unwrap()];
    let _ = world.offline(&line).await.success();
    let line = [&line[..], &["--checkpoint", note.to_str().unwrap()]].concat();
    let ran = world.offline(&line).await.code(1);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
}

fn put_back(world: &World, from: &Path, name: &str) {
    let to = world.home().join(name);
    std::fs::remove_dir_all(&to).unwrap();
    disk::copy(&from.join(name), &to);
    std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

/// Every sync of the vault fails for a while, as on a disk that dies: nothing is acknowledged, it is said, and what is
/// acknowledged afterwards is what a copy of the files as they are then holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_syncs_fail_nothing_is_acknowledged() {
    let mut world = World::ready().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    let Some(tracer) = fail_syncs(&world).await else { return };
    let asked = world.google.log().len();
    let ran = world.claviger(&["agent", "add", "lost"]).await;
    assert_ne!(ran.code, 0, "acknowledged without a sync: {ran:?}");
    let refused =
        world.call("gmail_send_message", json!({"to": ["mona@example.com"], "subject": "S", "body": "B"}));
    let class = refused.await.refused().class;
    assert_eq!(class, "unavailable");
    assert_eq!(world.google.log().len(), asked, "used without a record");
    let status = world.admin(&["status"]).await;
    let told = |status: &Value| status["warnings"].to_string().contains("the store takes no changes");
    assert!(!status["audit_trouble"].as_str().unwrap().is_empty(), "{status}");
    // Freezing bites at once; that it is not durable is said.
    let ran = world.claviger(&["freeze", AGENT]).await;
    assert!(ran.code != 0 && ran.err.contains("restart"), "{ran:?}");
    assert!(told(&world.admin(&["status"]).await));
    assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "frozen");

    drop(tracer);
    world
        .eventually("changes are taken again", async || {
            (world.claviger(&["agent", "add", "found"]).await.code == 0).then_some(())
        })
        .await;
    world.admin(&["freeze", AGENT]).await;
    assert!(!told(&world.admin(&["status"]).await));
    world.kill_vault().await;
    world.start_unsealed().await;
    assert_eq!(world.call("gmail_list_labels", json!({})).await.refused().class, "frozen");
    let listed = world.admin(&["agent", "ls"]).await.to_string();
    assert!(listed.contains("\"found\""), "{listed}");
    world.admin(&["thaw", AGENT]).await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();
}

/// A tracer that answers each sync of the vault with an error, for as long as it lives.
struct Tracer(std::process::Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        // It lets go of the vault when it is asked to end.
        let pid = rustix::process::Pid::from_raw(self.0.id().cast_signed()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

/// `None`, with a line that says so, where there is no `strace` or it may not look on.
async fn fail_syncs(world: &World) -> Option<Tracer> {
    let said = world.base().join("logs/syncs.log");
    let started = Command::new("strace")
        .args(["--quiet=all", "-f", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"])
        .args(["-p", &world.vault_pid().to_string(), "-o"])
        .arg(&said)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut tracer = match started {
        Ok(child) => Tracer(child),
        Err(_) => {
            note("skipped: there is no strace to make syncs fail");
            return None;
        }
    };
    // Attached to every thread, it is written down as the tracer of each.
    let traced = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", world.vault_pid())).unwrap();
        tasks.flatten().all(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        })
    };
    for _ in 0..500 {
        if tracer.0.try_wait().unwrap().is_some() {
            note("skipped: strace may not look on here");
            return None;
        }
        if traced() {
            return Some(tracer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("strace neither looks on nor ends");
}
