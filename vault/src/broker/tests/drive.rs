//! Drive's tools and the files of a machine, as the built-in catalog has them: what they reach, and what they refuse.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use claviger_domain::caveat::Caveat;
use claviger_domain::grant::Approve;
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, ask, class, secret, within};
use crate::broker::view::NewValue;

type Files = Arc<Mutex<BTreeMap<String, Value>>>;
type Change = dyn Fn(&mut Value);

const FOLDER: &str = "application/vnd.google-apps.folder";

fn me() -> Value {
    json!({ "id": "1", "type": "user", "role": "owner", "emailAddress": "me@example.org" })
}

fn reader(address: &str) -> Value {
    json!({ "id": "2", "type": "user", "role": "reader", "emailAddress": address })
}

/// An object of the owner's alone.
fn private(kind: &str, parent: &str) -> Value {
    json!({
        "name": "n", "mimeType": kind, "parents": [parent], "trashed": false, "shared": false,
        "modifiedTime": "2026-01-02T03:04:05.000Z", "owners": [{ "emailAddress": "me@example.org" }],
        "permissions": [me()],
    })
}

/// A vault whose account has a folder `in`, a folder `out`, and a file in each.
async fn world() -> (World, Files) {
    let world = World::new().await;
    // By a login the vault knows the account's own address.
    world.broker.remove_secret(ADMIN, &secret("drive/me"), true).await.unwrap();
    world.google.lock().unwrap().grants = Some("https://www.googleapis.com/auth/drive".to_owned());
    super::connect::connect(&world, "drive/me", false).await.unwrap();
    let files = BTreeMap::from([
        ("in".to_owned(), private(FOLDER, "root")),
        ("out".to_owned(), private(FOLDER, "root")),
        ("f".to_owned(), private("text/plain", "in")),
        ("g".to_owned(), private("text/plain", "out")),
    ]);
    let files: Files = Arc::new(Mutex::new(files));
    let (known, google) = (Arc::clone(&files), super::google::serve(&world.google));
    world.upstream.answer_with(move |seen| {
        let path = seen.target.split('?').next().unwrap();
        let Some(rest) = path.trim_start_matches("/upload").strip_prefix("/drive/v3/files") else {
            return google(seen);
        };
        let mut parts = rest.trim_start_matches('/').split('/');
        let id = parts.next().unwrap();
        let files = known.lock().unwrap();
        match (seen.method.as_str(), files.get(id), parts.next()) {
            ("POST", None, None) => answer(200, &json!({ "id": "new", "parents": ["in"], "name": "n" })),
            (_, None, _) => answer(404, &json!({ "error": "absent" })),
            ("POST", Some(_), Some("copy")) => answer(200, &json!({ "id": "copied", "parents": ["in"] })),
            ("POST", Some(_), Some("permissions")) => answer(200, &json!({ "id": "2", "role": "reader" })),
            ("DELETE", Some(_), Some("permissions")) => answer(200, &json!({})),
            (_, Some(file), None) => {
                let mut file = file.clone();
                file["id"] = json!(id);
                answer(200, &file)
            }
            _ => answer(400, &json!({ "error": "odd" })),
        }
    });
    (world, files)
}

/// Every tool that changes something, with good arguments, and which object decides whom it reaches.
fn changes() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("drive.create_file", json!({ "folder_id": "in", "name": "n", "content": "x" }), "in"),
        ("drive.create_folder", json!({ "folder_id": "in", "name": "n" }), "in"),
        ("drive.copy_file", json!({ "file_id": "f", "folder_id": "in", "name": "n" }), "in"),
        ("drive.move_file", json!({ "file_id": "f", "from_folder_id": "in", "folder_id": "in" }), "in"),
        ("drive.move_file", json!({ "file_id": "f", "from_folder_id": "in", "folder_id": "in" }), "f"),
        ("drive.update_file", json!({ "file_id": "f", "content": "x" }), "f"),
        ("drive.rename_file", json!({ "file_id": "f", "name": "n" }), "f"),
        ("drive.untrash_file", json!({ "file_id": "f" }), "f"),
    ]
}

/// What was done upstream: requests that are no looks.
fn done(world: &World) -> usize {
    world
        .upstream
        .calls()
        .iter()
        .filter(|seen| seen.method != "GET" && seen.target.contains("/drive/"))
        .count()
}

async fn allow(world: &World, approve: Approve, caveats: Vec<Caveat>) {
    let mut tools: Vec<&str> = changes().into_iter().map(|(tool, _, _)| tool).collect();
    tools.extend(["drive.share_file", "drive.unshare_file", "drive.trash_file"]);
    tools.retain(|tool| {
        let tool = world.catalog.tool(&tool.parse().unwrap()).unwrap();
        caveats.iter().all(|caveat| caveat.enforceable(tool).is_ok())
    });
    let mut ask = ask("ann", &tools, caveats);
    ask.approve = approve;
    world.broker.add_grant(ADMIN, ask).await.unwrap();
}

#[tokio::test]
async fn what_others_see_is_a_send() {
    let (world, files) = world().await;
    // Nobody is asked for a write; a send is asked for.
    allow(&world, Approve::Default, vec![]).await;
    let set = |id: &str, change: &Change| {
        let mut files = files.lock().unwrap();
        let kind = if id == "in" { FOLDER } else { "text/plain" };
        let mut file = private(kind, if id == "in" { "root" } else { "in" });
        change(&mut file);
        files.insert(id.to_owned(), file);
    };
    for (tool, args, decides) in changes() {
        set(decides, &|_| {});
        world.call(tool, args.clone()).await.unwrap_or_else(|refusal| panic!("{tool}: {refusal:?}"));
        let before = done(&world);
        let shared: [(&str, &Change); 7] = [
            ("shared", &|file| file["shared"] = json!(true)),
            ("with somebody", &|file| file["permissions"] = json!([me(), reader("theo@example.com")])),
            ("with everybody", &|file| {
                file["permissions"] =
                    json!([me(), { "id": "anyoneWithLink", "type": "anyone", "role": "reader" }]);
            }),
            // Of a shared drive neither is told; to a reader the permissions are not.
            ("in a shared drive", &|file| {
                file["driveId"] = json!("0A");
                file.as_object_mut().unwrap().remove("shared");
            }),
            ("untold", &|file| {
                file.as_object_mut().unwrap().retain(|name, _| name != "permissions" && name != "shared");
            }),
            ("oddly told", &|file| file["shared"] = json!("false")),
            ("oddly permitted", &|file| file["permissions"] = json!([me(), { "emailAddress": 7 }])),
        ];
        for (word, change) in shared {
            set(decides, change);
            let refused = world.call(tool, args.clone()).await.map(|_| ());
            // As many wait as may: that is asking, too.
            let full = |refusal: &Refusal| {
                refusal.class == Class::Busy && refusal.field.as_deref() == Some("approvals")
            };
            let asked =
                refused.as_ref().is_err_and(|refusal| refusal.class == Class::Pending || full(refusal));
            assert!(asked, "{tool}, {word}: {refused:?}");
        }
        set(decides, &|_| {});
        assert_eq!(done(&world), before, "{tool}");
    }
    world.all_announced();
}

#[tokio::test]
async fn whom_a_folder_reaches_counts_as_recipients() {
    let (world, files) = world().await;
    let theo = Caveat::Recipients(vec!["theo@example.com".parse().unwrap()]);
    allow(&world, Approve::Never, vec![theo]).await;
    let create = json!({ "folder_id": "in", "name": "n", "content": "x" });
    let share = |whom: &[Value]| {
        let mut all = vec![me()];
        all.extend_from_slice(whom);
        let mut files = files.lock().unwrap();
        let folder = files.get_mut("in").unwrap();
        folder["permissions"] = json!(all);
        folder["shared"] = json!(true);
    };
    share(&[reader("theo@example.com")]);
    world.call("drive.create_file", create.clone()).await.unwrap();
    for whom in [
        vec![reader("eve@example.com")],
        vec![reader("theo@example.com"), reader("eve@example.com")],
        vec![json!({ "id": "anyoneWithLink", "type": "anyone", "role": "reader" })],
        vec![json!({ "id": "3", "type": "domain", "role": "reader", "domain": "example.com" })],
    ] {
        share(&whom);
        assert_eq!(
            class(world.call("drive.create_file", create.clone()).await),
            Class::OutOfScope,
            "{whom:?}"
        );
    }
    // To whom it is told to nobody here: not knowing is no recipient that the bound allows.
    files.lock().unwrap().get_mut("in").unwrap().as_object_mut().unwrap().remove("permissions");
    assert_eq!(class(world.call("drive.create_file", create.clone()).await), Class::OutOfScope);
    let give = |to: &str| json!({ "file_id": "f", "email": [to] });
    world.call("drive.share_file", give("theo@example.com")).await.unwrap();
    for to in ["eve@example.com", "theo@example.com.evil.example", "theo+x@example.com"] {
        assert_eq!(class(world.call("drive.share_file", give(to)).await), Class::OutOfScope, "{to}");
    }
    assert_eq!(done(&world), 2);
}

#[tokio::test]
async fn shortcuts_folders_and_conversions_are_refused() {
    let (world, files) = world().await;
    allow(&world, Approve::Never, vec![]).await;
    let all = changes().into_iter().map(|(tool, args, _)| (tool, args)).chain([
        ("drive.share_file", json!({ "file_id": "f", "email": ["a@b.cd"] })),
        ("drive.unshare_file", json!({ "file_id": "f", "permission_id": "2" })),
        ("drive.trash_file", json!({ "file_id": "f" })),
    ]);
    for (tool, args) in all.filter(|(_, args)| args.get("file_id").is_some()) {
        world.call(tool, args.clone()).await.unwrap_or_else(|refusal| panic!("{tool}: {refusal:?}"));
        let before = done(&world);
        let mut refused = vec!["shortcut"];
        if tool != "drive.rename_file" {
            refused.push("folder");
        }
        if tool == "drive.update_file" {
            refused.extend(["document", "spreadsheet", "presentation", "form", "script"]);
        }
        for kind in refused {
            let kind = format!("application/vnd.google-apps.{kind}");
            files.lock().unwrap().insert("f".to_owned(), private(&kind, "in"));
            assert_eq!(class(world.call(tool, args.clone()).await), Class::OutOfScope, "{tool} {kind}");
        }
        assert_eq!(done(&world), before, "{tool}");
        files.lock().unwrap().insert("f".to_owned(), private("text/plain", "in"));
    }
}

#[tokio::test]
async fn source_and_target_must_both_be_in_scope() {
    let (world, files) = world().await;
    allow(&world, Approve::Never, vec![within("folder", &["in"])]).await;
    for (tool, args) in [
        ("drive.copy_file", json!({ "file_id": "g", "folder_id": "in", "name": "n" })),
        ("drive.copy_file", json!({ "file_id": "f", "folder_id": "out", "name": "n" })),
        ("drive.move_file", json!({ "file_id": "g", "from_folder_id": "out", "folder_id": "in" })),
        ("drive.move_file", json!({ "file_id": "f", "from_folder_id": "in", "folder_id": "out" })),
        ("drive.create_file", json!({ "folder_id": "out", "name": "n", "content": "x" })),
        ("drive.create_folder", json!({ "folder_id": "out", "name": "n" })),
        ("drive.update_file", json!({ "file_id": "g", "content": "x" })),
        ("drive.rename_file", json!({ "file_id": "g", "name": "n" })),
        ("drive.trash_file", json!({ "file_id": "g" })),
        ("drive.untrash_file", json!({ "file_id": "g" })),
        ("drive.share_file", json!({ "file_id": "g", "email": ["a@b.cd"] })),
        ("drive.unshare_file", json!({ "file_id": "g", "permission_id": "2" })),
        ("drive.update_file", json!({ "file_id": "absent", "content": "x" })),
    ] {
        assert_eq!(class(world.call(tool, args.clone()).await), Class::OutOfScope, "{tool} {args}");
    }
    assert_eq!(done(&world), 0);
    // Without a folder nothing is said of where it lies, and that is not in scope.
    files.lock().unwrap().get_mut("f").unwrap().as_object_mut().unwrap().remove("parents");
    assert_eq!(class(world.call("drive.trash_file", json!({ "file_id": "f" })).await), Class::OutOfScope);
    assert_eq!(done(&world), 0);
}

/// What was decided on is what is done: a file that is shared, moved or changed meanwhile is not touched.
#[tokio::test]
async fn a_file_that_changes_after_the_decision_is_not_touched() {
    let (world, files) = world().await;
    allow(&world, Approve::Never, vec![]).await;
    let changes: [fn(&mut Value); 4] = [
        |file| file["shared"] = json!(true),
        |file| file["permissions"] = json!([me(), reader("eve@example.com")]),
        |file| file["parents"] = json!(["out"]),
        |file| file["modifiedTime"] = json!("2026-01-03T00:00:00.000Z"),
    ];
    for (tool, args, step) in [
        ("drive.update_file", json!({ "file_id": "f", "content": "x" }), "update"),
        ("drive.share_file", json!({ "file_id": "f", "email": ["a@b.cd"] }), "share"),
    ] {
        for change in changes {
            files.lock().unwrap().insert("f".to_owned(), private("text/plain", "in"));
            let minted = world.mint(tool, args.clone()).await.unwrap();
            change(files.lock().unwrap().get_mut("f").unwrap());
            assert_eq!(class(world.send(&minted, step, &[]).await), Class::OutOfScope, "{tool}");
        }
    }
    assert_eq!(done(&world), 0);
}

/// The files of a machine: the vault says yes or no, and reaches nobody.
#[tokio::test]
async fn local_files_are_bounded_by_their_paths() {
    let world = World::new().await;
    world.broker.add_adapter(ADMIN, adapter("files"), Some(3003), None).await.unwrap();
    world.broker.add_secret(ADMIN, secret("files/me"), NewValue::None).await.unwrap();
    let paths = Caveat::Paths(vec!["nas/docs".parse().unwrap(), "drop".parse().unwrap()]);
    let tools = [
        "files.list_directory",
        "files.search_files",
        "files.file_info",
        "files.read_file",
        "files.write_file",
        "files.make_directory",
        "files.move_file",
        "files.delete_file",
    ];
    world.grant(&tools, vec![paths]).await;
    let sent = world.call("files.read_file", json!({ "path": "nas/docs/a.txt" })).await.unwrap();
    assert_eq!((sent.status, &sent.body[..], sent.untrusted), (200, &b"{}"[..], true));
    for path in
        ["", "nas", "nas/doc", "nas/docs2", "nas/tax/x", "NAS/docs", "drop2", "nas/docs/../tax", "/nas/docs"]
    {
        for tool in tools {
            let args = match tool {
                "files.search_files" => json!({ "path": path, "name": "a" }),
                "files.write_file" => json!({ "path": path, "content": "x" }),
                "files.move_file" => json!({ "path": path, "to": "drop/x" }),
                _ => json!({ "path": path }),
            };
            let refused = class(world.call(tool, args).await);
            assert!(matches!(refused, Class::OutOfScope | Class::BadArguments), "{tool} {path}: {refused:?}");
        }
        let to = json!({ "path": "drop/x", "to": path });
        let refused = class(world.mint("files.move_file", to).await);
        assert!(matches!(refused, Class::OutOfScope | Class::BadArguments), "{path}: {refused:?}");
    }
    let minted = world.mint("files.move_file", json!({ "path": "drop/x", "to": "drop/y" })).await.unwrap();
    for step in ["from", "move"] {
        world.send(&minted, step, &[]).await.unwrap();
    }
    assert!(world.upstream.calls().is_empty());
}
