//! Files of a machine: ways out of the root, what is denied by name, and changes beyond what was granted.

use std::path::PathBuf;

use claviger_tests::world::raw::{mint, send};
use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};

use super::adapter::{abuse, strange};
use super::{
    Attempt, FORM, FORM_OR_SCOPE, Must, Puppet, UNFIT, attempt, control, harm, hold, pollution, with,
};

/// Stands in every file that nobody may read.
const KEEP: &str = "keep-4711";
/// What must not be there, must not be told, and must not be told apart from what is not there.
const AWAY: Must = FORM_OR_SCOPE;
const HIDDEN: Must = Must::NotTell(&[KEEP, "id_rsa", "PassWord", "notes.key"]);

struct Nas {
    world: World,
    base: PathBuf,
}

impl Nas {
    async fn new() -> Self {
        let world = World::single_user().await;
        let base = world.base().join("nas");
        let all = [
            ("media/documents/open.txt", "open"),
            ("media/documents/.ssh/id_rsa", KEEP),
            ("media/documents/PassWords.txt", KEEP),
            ("media/documents/notes.key", KEEP),
            ("media/documents/.env", KEEP),
            ("media/documents/deep/secret plan.txt", KEEP),
            ("media/private/diary.txt", KEEP),
            ("media/documents2/other.txt", KEEP),
            ("outside/kept.txt", KEEP),
            ("drop/agent/own.txt", "own"),
            ("drop/agent/old.txt", "old"),
            ("drop/owner.txt", KEEP),
        ];
        for (path, content) in all {
            let path = base.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, base.join(at)).unwrap();
        let outside = base.join("outside").display().to_string();
        link(&format!("{outside}/kept.txt"), "media/documents/link.txt");
        link(&outside, "media/documents/door");
        link("../private", "media/documents/near");
        link("/etc", "media/documents/etc");
        link("/proc/self/root", "media/documents/proc");
        link(&outside, "drop/agent/door");
        link(&format!("{outside}/kept.txt"), "drop/agent/link.txt");
        link(&format!("{outside}/new.txt"), "drop/agent/dangling.txt");
        rustix::fs::mkfifoat(rustix::fs::CWD, base.join("media/documents/pipe"), 0o666.into()).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, base.join("drop/agent/pipe"), 0o666.into()).unwrap();
        std::fs::hard_link(base.join("outside/kept.txt"), base.join("drop/agent/hard.txt")).unwrap();
        let settings = format!(
            "[roots]\nmedia = \"{0}/media\"\n[writable]\nname = \"drop\"\npath = \"{0}/drop\"\nmax-files = 50\n\
             max-file-bytes = 1000\n",
            base.display()
        );
        std::fs::create_dir_all(world.home().join("adapters")).unwrap();
        std::fs::write(world.home().join("adapters/files.toml"), settings).unwrap();
        world.add_adapter("files").await;
        world.admin(&["secret", "add", "files/nas"]).await;
        world.grant(&[AGENT, "files/nas", "--read", "--path", "media/documents"]).await;
        let write =
            ["--tool", "files.write_file", "--path", "drop/agent", "--bound", "mode.one-of=create,append"];
        world.grant(&[&[AGENT, "files/nas"][..], &write].concat()).await;
        let change =
            ["--tool", "files.move_file", "--tool", "files.make_directory", "--tool", "files.delete_file"];
        world
            .grant(
                &[&[AGENT, "files/nas"][..], &change, &["--path", "drop/agent", "--approve", "never"]]
                    .concat(),
            )
            .await;
        world.grant(&["other", "files/nas", "--tool", "files.write_file", "--path", "drop/agent"]).await;
        Self { world, base }
    }

    /// Every file with its bytes, links as where they lead to; pipes only by name.
    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut found, mut left) = (Vec::new(), vec![self.base.clone()]);
        while let Some(path) = left.pop() {
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if kind.is_symlink() {
                found.push((
                    path.clone(),
                    std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                ));
            } else {
                found.push((
                    path.clone(),
                    if kind.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() },
                ));
            }
        }
        found.sort();
        found
    }
}

/// Ways out of what may be read: each is refused as what is not there.
fn ways_out() -> Vec<String> {
    let mut all: Vec<String> = [
        "..",
        "/",
        "/etc/passwd",
        "media",
        "media/private/diary.txt",
        "media/documents2/other.txt",
        "drop/owner.txt",
        "media/documents/..",
        "media/documents/../private/diary.txt",
        "media/documents/./open.txt",
        "media/documents//open.txt",
        "media/documents/",
        "media/documents/open.txt/",
        "/media/documents/open.txt",
        "media\\documents\\..\\private\\diary.txt",
        "media/documents/..\\..\\private",
        "media/documents/%2e%2e/private",
        "media/documents/..%2fprivate/diary.txt",
        "media/documents/..%c0%afprivate",
        "media/documents/․․/private",
        "media/documents/\u{ff0e}\u{ff0e}/private",
        "media/documents/open.txt\u{0}",
        "media/documents/open.txt\u{0}.png",
        "media/documents\u{2215}..\u{2215}private",
        "media/documents/\u{202e}txt",
        "media/documents/\u{200b}",
        "MEDIA/documents/open.txt",
        "Media/Documents/open.txt",
        "media/DOCUMENTS/open.txt",
        "media/documents /open.txt",
        "media/documents./open.txt",
        "~",
        "~root",
        "$HOME",
        "file:///etc/passwd",
        "C:\\",
        "media:documents",
        "outside/kept.txt",
        "nas/media",
        "media/documents/link.txt",
        "media/documents/door",
        "media/documents/door/kept.txt",
        "media/documents/near/diary.txt",
        "media/documents/etc/passwd",
        "media/documents/proc/etc/passwd",
        "media/documents/pipe",
        "media/documents/door/../open.txt",
    ]
    .map(str::to_owned)
    .into();
    // What is denied by name, in every spelling that some file system takes for the same.
    for name in [
        ".ssh/id_rsa",
        ".ssh",
        ".SSH/id_rsa",
        ".ssh./id_rsa",
        ".ssh /id_rsa",
        ".ｓｓｈ/id_rsa",
        "PassWords.txt",
        "PASSWORDS.TXT",
        "passwords.txt",
        "PassWords.txt.",
        "PassWords.txt ",
        "PassWords.txt::$DATA",
        "PässWords.txt",
        "notes.key",
        "NOTES.KEY",
        "notes.key.",
        "notes.key:x",
        "notes.ｋey",
        "notes.\u{212a}ey",
        ".env",
        ".ENV",
        ".env.local",
        "deep/secret plan.txt",
        "deep/SECRET plan.txt",
        ".claviger-x",
    ] {
        all.push(format!("media/documents/{name}"));
    }
    all
}

fn reads() -> Vec<Attempt> {
    let mut all = Vec::new();
    for path in ways_out() {
        for tool in ["files.read_file", "files.file_info", "files.list_directory"] {
            all.push(attempt(format!("{path:?}"), tool, json!({"path": path}), AWAY));
        }
    }
    for path in ["media/documents", "media/documents/deep", "", "media", "drop", "media/private"] {
        all.push(attempt(
            format!("a list of {path:?}"),
            "files.list_directory",
            json!({"path": path}),
            HIDDEN,
        ));
        for name in ["a", "key", "secret", "kept", "diary", "id_rsa", "*", ".."] {
            let args = json!({"path": path, "name": name});
            // What was searched for stands in no answer; the names that are hidden do not either.
            all.push(attempt(format!("a search of {path:?}"), "files.search_files", args, HIDDEN));
        }
    }
    let open = json!({"path": "media/documents/open.txt"});
    for more in [
        json!({"offset": -1}),
        json!({"length": 0}),
        json!({"length": 1 << 30}),
        json!({"offset": "0"}),
        json!({"offset": 0.5}),
        json!({"follow": true}),
        json!({"root": "/"}),
        json!({"path": ["media/documents/open.txt"]}),
        json!({"path": null}),
        json!({"Path": "media"}),
    ] {
        all.push(attempt(format!("a read with {more}"), "files.read_file", with(&open, more.clone()), FORM));
    }
    for (what, more) in pollution() {
        all.push(attempt(what, "files.read_file", with(&open, more), FORM));
    }
    all
}

fn writes() -> Vec<Attempt> {
    let mut all = Vec::new();
    for path in ways_out().into_iter().chain(
        [
            "drop/agent/door/new.txt",
            "drop/agent/link.txt",
            "drop/agent/dangling.txt",
            "drop/agent/pipe",
            "drop/agent",
            "drop",
            "drop/new.txt",
            "drop/agent2/new.txt",
            "drop/agent/../new.txt",
            "drop/agent/.ssh/authorized_keys",
            "drop/agent/x.key",
            "drop/agent/.env",
            "drop/agent/.claviger-1",
            "drop/agent/password.txt",
            "drop/AGENT/new.txt",
            "drop/agent/none/new.txt",
            "drop/agent/own.txt/new.txt",
            "media/documents/new.txt",
            "drop/agent/new\r\n.txt",
        ]
        .map(str::to_owned),
    ) {
        let refused = Must::BeRefused(&["bad-arguments", "out-of-scope", UNFIT]);
        for (tool, args) in [
            ("files.write_file", json!({"path": path, "content": "evil"})),
            ("files.write_file", json!({"path": path, "content": "evil", "mode": "append"})),
            ("files.make_directory", json!({"path": path})),
            ("files.delete_file", json!({"path": path})),
            ("files.move_file", json!({"path": path, "to": "drop/agent/new.txt"})),
            ("files.move_file", json!({"path": "drop/agent/own.txt", "to": path})),
        ] {
            // Removing or renaming a link or a pipe of its own folder changes nothing that it leads to.
            all.push(attempt(format!("{path:?}"), tool, args, refused));
        }
    }
    for mode in ["overwrite", "OVERWRITE", "Create", "", "truncate", "create,overwrite"] {
        let args = json!({"path": "drop/agent/own.txt", "content": "evil", "mode": mode});
        all.push(attempt(format!("the mode {mode:?}"), "files.write_file", args, FORM_OR_SCOPE));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_agent_stays_below_its_paths() {
    let nas = Nas::new().await;
    let puppet = Puppet::new(&nas.world).await;
    let before = nas.all();
    hold(&nas.world, &puppet, &reads(), 200).await;
    assert_eq!(nas.all(), before);
    let mut attempts = writes();
    for (tool, args) in [
        ("files.write_file", json!({"path": "drop/agent/own.txt", "content": "evil"})),
        ("files.move_file", json!({"path": "drop/agent/own.txt", "to": "drop/agent/old.txt"})),
        ("files.make_directory", json!({"path": "drop/agent/own.txt"})),
        ("files.write_file", json!({"path": "drop/agent/big.txt", "content": "x".repeat(1001)})),
    ] {
        attempts.push(attempt(
            "in the place of what is there",
            tool,
            args,
            Must::BeRefused(&["out-of-scope", "bad-arguments", UNFIT]),
        ));
    }
    hold(&nas.world, &puppet, &attempts, 300).await;
    assert_eq!(nas.all(), before);
    // A hard link leads to no other path; what is written there must not reach the other name of the file.
    let other = Puppet::of(&nas.world, "other").await;
    for mode in ["create", "overwrite", "append"] {
        let _ = other
            .call(
                "files.write_file",
                &json!({"path": "drop/agent/hard.txt", "content": "evil", "mode": mode}),
            )
            .await;
        assert_eq!(
            std::fs::read_to_string(nas.base.join("outside/kept.txt")).unwrap(),
            KEEP,
            "{mode} went through"
        );
    }
    // The good calls still pass.
    assert!(
        puppet
            .call("files.read_file", &json!({"path": "media/documents/open.txt"}))
            .await
            .unwrap()
            .contains("open")
    );
    puppet.call("files.write_file", &json!({"path": "drop/agent/new.txt", "content": "good"})).await.unwrap();
    // The vault's bound is one wall, and the adapter's own root and its list of names are another: little is left.
    attempts.extend(reads());
    control(&nas.world, &attempts, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_files_adapter_gets_a_yes_for_what_was_called_and_once() {
    let nas = Nas::new().await;
    let agent = nas.world.thief(AGENT).await;
    let mut files = nas.world.adapter("files").await;
    let steps = ["from", "delete", "make", "list", "read", "Write", "*"];
    let params = ["path", "to", "root", "mode", "content"];
    let (mut tried, mut faults) = (0, Vec::new());
    let calls: [(&str, &str, Value); 4] = [
        ("files.write_file", "write", json!({"path": "drop/agent/x.txt", "content": "x"})),
        ("files.file_info", "info", json!({"path": "media/documents/open.txt"})),
        ("files.make_directory", "make", json!({"path": "drop/agent/x"})),
        ("files.delete_file", "delete", json!({"path": "drop/agent/own.txt"})),
    ];
    for (tool, step, args) in &calls {
        let steps: Vec<&'static str> = steps.iter().copied().filter(|other| other != step).collect();
        let misuses = strange(
            if *step == "write" {
                "write"
            } else if *step == "info" {
                "info"
            } else if *step == "make" {
                "make"
            } else {
                "delete"
            },
            &steps,
            &params,
        );
        tried += misuses.len();
        faults.extend(abuse(&mut files, &agent, (tool, args), &misuses).await);
        // One yes for one call.
        let minted = mint(&mut files, agent.present(tool, args)).await.unwrap();
        assert!(send(&mut files, &minted.capability, step, &[]).await.is_ok());
        tried += 1;
        if send(&mut files, &minted.capability, step, &[]).await.is_ok() {
            faults.push(format!("{tool}: a second yes"));
        }
    }
    assert!(tried >= 50, "{tried} attempts");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(harm::done(&nas.world), Vec::<String>::new());
}
