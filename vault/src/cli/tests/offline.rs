//! What works without a vault that runs: making one, starting it, checking its log.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use claviger_domain::event::{self, Actor, Detail, Event};
use claviger_domain::id::{BootId, Ref};

use super::super::key_file;
use super::*;
use crate::audit::log::{AuditLog, Options};
use crate::config::{Config, Mode};
use crate::keys::entropy::SystemEntropy;
use crate::keys::identity::identity_new;
use crate::keys::ring::{Kind, Ring};
use crate::keys::sealer::VaultSealer;
use crate::keys::wrap::{unlock_with_identity, unlock_with_passphrase};
use crate::port::{AuditSink as _, BoxFuture, Clock, Entropy};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("deep/home")
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, line: &[&str], answers: &[&str]) -> Ran {
        let home = self.home();
        let mut whole = vec!["--home", home.to_str().unwrap()];
        whole.extend(line);
        claviger(&whole, answers)
    }

    fn init_with_files(&self) {
        let (daily, recovery) = (self.path("daily"), self.path("recovery"));
        let line =
            ["init", "--daily-identity-out", &daily, "--recovery-out", &recovery, "--allow-key-on-disk"];
        self.run(&line, &[]).said(&["a new vault is in", "a stolen disk or backup opens the vault"]);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_tired_owner_gets_a_passphrase_and_a_recovery_identity() {
    let place = Place::new();
    let ran =
        place.run(&["init"], &["correct horse", "correct horse"]).said(&["shown once", "next: claviger up"]);
    assert!(!ran.out.contains("correct horse") && !ran.err.contains("correct horse"));
    let keys = place.home().join("keys");
    let ring = Ring::read(&keys).unwrap();
    let names: Vec<_> = ring.holders.iter().map(|holder| holder.name.as_str()).collect();
    assert_eq!(names, ["daily", "recovery"]);
    assert!(ring.holders[0].kind == Kind::Passphrase);
    assert!(unlock_with_passphrase(&keys, "correct horse".into()).is_ok());
    let identity = ran.out.lines().find(|line| line.trim().starts_with("AGE-SECRET-KEY-1")).unwrap();
    assert!(unlock_with_identity(&keys, &identity.into()).is_ok());
    for directory in [place.home(), place.home().join("store"), place.home().join("audit"), keys] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    assert_eq!(mode(&place.home().join("claviger.toml")), 0o600);
    assert_eq!(Config::load(&place.home()).unwrap().mode, Mode::SingleUser);
    // Nothing of it lies about in the home.
    let config = std::fs::read_to_string(place.home().join("claviger.toml")).unwrap();
    assert!(!config.contains("AGE-SECRET") && !config.contains("correct horse"));
}

#[test]
fn a_vault_is_never_made_over_another() {
    let place = Place::new();
    place.init_with_files();
    let before = std::fs::read(place.home().join("keys/ring.toml")).unwrap();
    let (_, recipient) = identity_new();
    place
        .run(&["init", "--daily", &recipient, "--recovery-out", &place.path("other")], &[])
        .failed(Exit::Failed, &["there is a vault in", "hint: "]);
    assert_eq!(std::fs::read(place.home().join("keys/ring.toml")).unwrap(), before);
    assert!(!Path::new(&place.path("other")).exists());
    let full = Place::new();
    std::fs::create_dir_all(full.home()).unwrap();
    std::fs::write(full.home().join("mine"), "x").unwrap();
    full.run(&["init", "--daily", &recipient], &[]).failed(Exit::Failed, &["is not empty"]);
}

#[test]
fn identities_in_files() {
    let place = Place::new();
    place.init_with_files();
    let keys = place.home().join("keys");
    for name in ["daily", "recovery"] {
        let path = place.path(name);
        assert_eq!(mode(Path::new(&path)), 0o600);
        let identity = key_file::read(Path::new(&path), None).ok().unwrap();
        assert!(unlock_with_identity(&keys, &identity).is_ok(), "{name}");
    }
    assert!(Config::load(&place.home()).unwrap().allow_key_on_disk);
    let daily = place.path("daily");
    place
        .run(&["serve", "--identity", &daily], &[])
        .failed(Exit::Failed, &["daemon: identity, adapters false"]);
    place.run(&["up", "--identity", &daily], &[]).failed(Exit::Failed, &["daemon: identity, adapters true"]);
}

#[test]
fn an_identity_beside_the_store_needs_the_owners_word() {
    let place = Place::new();
    let daily = place.path("daily");
    place
        .run(&["init", "--daily-identity-out", &daily], &[])
        .failed(Exit::Failed, &["the vault's own filesystem", "--allow-key-on-disk"]);
    let inside = place.home().join("recovery");
    place
        .run(&["init", "--recovery-out", inside.to_str().unwrap()], &["correct horse", "correct horse"])
        .failed(Exit::Failed, &["inside the vault"]);
    let twisted = format!("{}/../deep/home/recovery", place.0.path().join("deep").display());
    std::fs::create_dir(place.0.path().join("deep")).unwrap();
    place
        .run(&["init", "--recovery-out", &twisted], &["correct horse", "correct horse"])
        .failed(Exit::Failed, &["inside the vault"]);
    assert!(!place.home().exists());
}

#[test]
fn a_failed_init_leaves_nothing_behind() {
    let check = |line: &[&str], answers: &[&str], exit: Exit, part: &str| {
        let place = Place::new();
        let recovery = place.path("recovery");
        let mut line = line.to_vec();
        if !line.contains(&"--recovery") {
            line.extend(["--recovery-out", &recovery]);
        }
        place.run(&line, answers).failed(exit, &[part]);
        assert!(!place.home().exists() && !Path::new(&recovery).exists(), "{line:?}");
    };
    let (_, recipient) = identity_new();
    check(&["init"], &["correct horse", "another horse"], Exit::Failed, "not the same");
    check(&["init"], &["short", "short"], Exit::Failed, "shorter than 8");
    check(&["init"], &[], Exit::Failed, "--passphrase-stdin");
    check(&["init", "--daily", "age1nonsense"], &[], Exit::Failed, "not an age X25519 recipient");
    check(&["init", "--daily", "nonsense"], &[], Exit::Usage, "age recipient");
    check(&["init", "--daily", "AGE-SECRET-KEY-1ABC"], &[], Exit::Usage, "private identity");
    check(&["init", "--daily", &recipient, "--recovery", &recipient], &[], Exit::Failed, "two keys");
    check(&["init", "--multi-user", "--admin-uid", "65534"], &[], Exit::Usage, "overflow uid");
    // A file that is there is never written over, and never taken away.
    let place = Place::new();
    let mine = place.path("mine");
    std::fs::write(&mine, "precious").unwrap();
    place
        .run(&["init", "--daily", &recipient, "--recovery-out", &mine], &[])
        .failed(Exit::Failed, &["not there yet"]);
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "precious");
    assert!(!place.home().exists());
}

#[test]
fn a_multi_user_vault_in_json() {
    let place = Place::new();
    let (_, recipient) = identity_new();
    let line =
        ["--json", "init", "--multi-user", "--admin-uid", "1000", "--admin-uid", "0", "--daily", &recipient];
    let json = place.run(&line, &[]).said(&[]).json();
    let identity = json["recovery_identity"].as_str().unwrap().to_owned();
    assert!(unlock_with_identity(&place.home().join("keys"), &identity.into()).is_ok());
    let config = Config::load(&place.home()).unwrap();
    assert_eq!(config.mode, Mode::MultiUser { admin_uids: vec![0, 1000] });
    place.run(&["up"], &[]).failed(Exit::Failed, &["multi-user", "claviger serve"]);
    place.run(&["serve"], &[]).failed(Exit::Failed, &["daemon: sealed, adapters false"]);
}

#[test]
fn starting() {
    let place = Place::new();
    place.run(&["serve"], &[]).failed(Exit::Failed, &["there is no vault", "claviger init"]);
    let line = ["init", "--passphrase-stdin", "--recovery-out", &place.path("recovery")];
    place.run(&line, &["correct horse"]).said(&[]);
    let check = |line: &[&str], answers: &[&str], part: &str| {
        place.run(line, answers).failed(Exit::Failed, &[part]);
    };
    check(&["serve"], &["unasked"], "daemon: sealed, adapters false");
    check(&["serve", "--passphrase-stdin"], &["correct horse"], "daemon: passphrase, adapters false");
    check(&["serve", "--passphrase-stdin"], &[], "no passphrase on stdin");
    check(&["up"], &["correct horse"], "daemon: passphrase, adapters true");
    check(&["up"], &[""], "daemon: sealed, adapters true");
    check(&["up", "--sealed"], &["correct horse"], "daemon: sealed, adapters true");
    check(&["up"], &[], "daemon: sealed, adapters true");
    check(&["serve", "--identity", &place.path("recovery")], &[], "the store's own filesystem");
    check(&["serve", "--identity", &place.path("nowhere")], &[], "cannot be read");
}

#[test]
fn what_systemd_hands_over() {
    let place = Place::new();
    place.init_with_files();
    // Where nothing was handed over it does not start, and least of all sealed without a word.
    place.run(&["serve", "--credential"], &[]).failed(
        Exit::Failed,
        &["CREDENTIALS_DIRECTORY is not set", "LoadCredentialEncrypted=claviger.identity"],
    );
    place
        .run(&["serve", "--credential", "mine"], &[])
        .failed(Exit::Failed, &["LoadCredentialEncrypted=mine"]);
    for name in ["../daily", "a/b", "..", ""] {
        place.run(&["serve", &format!("--credential={name}")], &[]).failed(Exit::Usage, &["without slashes"]);
    }
    let daily = place.path("daily");
    place
        .run(&["serve", "--credential", "mine", "--identity", &daily], &[])
        .failed(Exit::Usage, &["cannot be used with"]);
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn wall_ms(&self) -> u64 {
        1_800_000_000_000
    }

    fn mono_us(&self) -> u64 {
        0
    }

    fn sleep_ms(&self, _: u64) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Writes a log of that many records as the daemon would, and returns a checkpoint over all of them.
async fn write_log(place: &Place, records: u8) -> String {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let identity = key_file::read(Path::new(&place.path("daily")), None).ok().unwrap();
    let root = unlock_with_identity(&place.home().join("keys"), &identity).unwrap();
    let vault = root.vault();
    let sealer = VaultSealer::sealed(Arc::clone(&entropy));
    sealer.unseal(root).unwrap();
    let config = Config::load(&place.home()).unwrap();
    let options = Options {
        dir: config.audit.dir,
        max_bytes: config.audit.max_bytes,
        segment_bytes: 1 << 20,
        retention_ms: 86_400_000,
        queue: 16,
    };
    let log = AuditLog::open(options, Arc::new(sealer), Arc::new(Still), entropy).unwrap();
    log.unsealed(vault).await.unwrap();
    for number in 0..records {
        let event = Event::new(
            event::Kind::Unsealed,
            Ref::from_bytes([number; 8]),
            1_800_000_000_000,
            BootId::from_bytes([1; 16]),
            Actor::Vault,
        );
        log.record(event, Detail::default()).await.unwrap();
    }
    let note = log.checkpoint(None).await.unwrap();
    log.close().await;
    note
}

#[test]
fn checking_a_log() {
    let place = Place::new();
    place.init_with_files();
    let verify = ["audit", "verify"];
    place.run(&verify, &[]).failed(Exit::Failed, &["audit.pub", "never unsealed"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let note = runtime.block_on(write_log(&place, 5));
    place.run(&verify, &[]).said(&["the log is whole: 5 records, 5 of them signed", "--key", "--checkpoint"]);
    let key = place.run(&["audit", "key"], &[]).said(&[]).out.trim().to_owned();
    let kept = place.path("kept");
    std::fs::write(&kept, note).unwrap();
    let copy = place.path("copy");
    copy_dir(&place.home().join("audit"), Path::new(&copy));
    let full = ["audit", "verify", "--dir", &copy, "--key", &key, "--checkpoint", &kept];
    let json = claviger(&[&["--json"][..], &full].concat(), &[]).said(&[]).json();
    assert_eq!((json["whole"].as_bool(), json["records"].as_u64()), (Some(true), Some(5)));
    assert_eq!(json["key_from_beside_the_log"], false);
    let said = claviger(&full, &[]).said(&["the log is whole"]);
    assert!(!said.out.contains("note:"), "{}", said.out);
    // One byte of a record.
    let segment =
        std::fs::read_dir(Path::new(&copy).join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last - 40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    claviger(&full, &[]).failed(Exit::Failed, &["keep a copy of the folder"]);
    place.run(&["audit", "export", "--dir", &copy], &[]).failed(Exit::Failed, &["keep a copy of the folder"]);
    // Another vault's key.
    let other = Place::new();
    other.init_with_files();
    runtime.block_on(write_log(&other, 1));
    let other_key = other.run(&["audit", "key"], &[]).said(&[]).out.trim().to_owned();
    place.run(&["audit", "verify", "--key", &other_key], &[]).failed(Exit::Failed, &["error: "]);
    place.run(&["audit", "verify", "--key", "a+b+c"], &[]).failed(Exit::Failed, &["claviger audit key"]);
}

#[test]
fn exporting_a_log() {
    let place = Place::new();
    place.init_with_files();
    place.run(&["audit", "export"], &[]).failed(Exit::Failed, &["audit.pub", "never unsealed"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(write_log(&place, 3));
    let ran = place.run(&["audit", "export"], &[]).said(&[]);
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let indices: Vec<_> = lines.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 2]);
    let second = &lines[1];
    assert_eq!((second["kind"].as_str(), second["actor"].as_str()), (Some("unsealed"), Some("vault")));
    assert_eq!(second["reference"], Ref::from_bytes([1; 8]).to_string());
    // What a record does not have is not there, and details are not said to be empty.
    assert!(second.get("detail").is_none() && second.get("agent").is_none());
    // The records are of another time and of nobody.
    assert_eq!(place.run(&["audit", "export", "--agent", "openclaw"], &[]).said(&[]).out, "");
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
