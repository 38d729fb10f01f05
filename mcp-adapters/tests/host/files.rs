//! The directories of a machine, behind a vault that says yes or no.

use std::fs;

use claviger_mcp::files::Files;
use claviger_mcp::files::settings::FilesSettings;
use serde_json::{Value, json};

use crate::fake::{Fake, Reply, Rig, refusal, structured, text};

struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("disk").tempdir_in("/tmp").unwrap();
        fs::create_dir_all(dir.path().join("nas/docs/.ssh")).unwrap();
        fs::create_dir(dir.path().join("drop")).unwrap();
        fs::write(dir.path().join("nas/docs/plan.txt"), "the plan\u{202e}").unwrap();
        fs::write(dir.path().join("nas/docs/photo.jpg"), b"\xff\xd8\0").unwrap();
        fs::write(dir.path().join("nas/docs/.ssh/id_rsa"), "CANARY").unwrap();
        fs::write(dir.path().join("nas/docs/x.pem"), "CANARY").unwrap();
        Self(dir)
    }

    fn files(&self) -> Files {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let text = format!(
            "[roots]\nnas = {:?}\n[writable]\nname = \"drop\"\npath = {:?}\nmax-file-bytes = 50\n",
            path("nas"),
            path("drop")
        );
        Files::new(&FilesSettings::parse(&text).unwrap()).unwrap()
    }

    async fn rig(&self, fake: Fake) -> Rig {
        Rig::serving("files", fake, self.files()).await
    }

    async fn call(&self, tool: &str, effect: &str, arguments: Value) -> rmcp::model::CallToolResult {
        let name = format!("files.{tool}");
        let fake = Fake::new(&name, |_, _| Reply::Json(json!({})));
        let fake = if effect == "read" { fake } else { fake.trusted(effect) };
        let rig = self.rig(fake).await;
        let result = rig.call(&name, arguments).await;
        assert!(!rig.steps().is_empty(), "the vault was asked");
        result
    }
}

#[tokio::test]
async fn what_is_read_is_fenced_and_marked() {
    let disk = Disk::new();
    let result = disk.call("list_directory", "read", json!({"path": ""})).await;
    let roots = structured(&result)["files"].as_array().unwrap().clone();
    let roots: Vec<_> =
        roots.iter().map(|root| (root["path"].as_str().unwrap(), root["writable"] == true)).collect();
    assert_eq!(roots, [("nas", false), ("drop", true)]);
    let result = disk.call("list_directory", "read", json!({"path": "nas/docs", "max_results": 1})).await;
    assert_eq!(structured(&result)["files"][0]["path"], "nas/docs/photo.jpg");
    assert_eq!(structured(&result)["next_after"], "photo.jpg");
    assert_eq!(structured(&result)["untrusted"], true);
    let result = disk.call("list_directory", "read", json!({"path": "nas/docs", "after": "photo.jpg"})).await;
    assert_eq!(structured(&result)["files"][0]["name"], "plan.txt");
    assert_eq!(structured(&result).get("next_after"), None);
    let result = disk.call("read_file", "read", json!({"path": "nas/docs/plan.txt"})).await;
    assert_eq!(structured(&result)["text"], "the plan<U+202E>");
    assert!(text(&result).starts_with("[untrusted ") && text(&result).contains("the plan<U+202E>\n[end of"));
    let result =
        disk.call("read_file", "read", json!({"path": "nas/docs/plan.txt", "offset": 4, "length": 2})).await;
    assert_eq!(
        (&structured(&result)["text"], &structured(&result)["next_offset"]),
        (&json!("pl"), &json!(6))
    );
    let result = disk.call("read_file", "read", json!({"path": "nas/docs/photo.jpg"})).await;
    assert_eq!(structured(&result)["content"], "blob");
    assert!(result.content[1].as_resource().is_some());
    let result = disk.call("search_files", "read", json!({"path": "nas", "name": "plan"})).await;
    assert_eq!(structured(&result)["files"][0]["path"], "nas/docs/plan.txt");
    assert_eq!(structured(&result)["cut"], false);
    let result = disk.call("file_info", "read", json!({"path": "nas/docs"})).await;
    assert_eq!((&structured(&result)["size"], &structured(&result)["folder"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn what_is_denied_is_told_like_what_is_not_there() {
    let disk = Disk::new();
    let mut told = Vec::new();
    for path in ["nas/docs/nothing", "nas/docs/.ssh/id_rsa", "nas/docs/x.pem", "nas/docs/X.PEM", "other/x"] {
        for tool in ["read_file", "file_info", "list_directory"] {
            let result = disk.call(tool, "read", json!({"path": path})).await;
            told.push((refusal(&result), text(&result)));
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0["class"], "out-of-scope");
    assert!(told[0].0["reference"].as_str().unwrap().starts_with("ref_"));
}

/// Without the vault's yes nothing is touched.
#[tokio::test]
async fn nothing_happens_before_the_vault_says_yes() {
    let disk = Disk::new();
    fs::write(disk.0.path().join("drop/old"), "old").unwrap();
    for (tool, arguments) in [
        ("write_file", json!({"path": "drop/new", "content": "x"})),
        ("write_file", json!({"path": "drop/old", "content": "x", "mode": "overwrite"})),
        ("make_directory", json!({"path": "drop/new"})),
        ("move_file", json!({"path": "drop/old", "to": "drop/new"})),
        ("delete_file", json!({"path": "drop/old"})),
        ("read_file", json!({"path": "drop/old"})),
    ] {
        let name = format!("files.{tool}");
        for reply in [Reply::Refuse("out-of-scope", "path", ""), Reply::Status(500, json!({})), Reply::Broken]
        {
            let rig = disk.rig(Fake::new(&name, move |_, _| reply.clone()).trusted("write")).await;
            assert_eq!(rig.call(&name, arguments.clone()).await.is_error, Some(true), "{tool}");
        }
        // A move asks for both paths, and for nothing more after the first no.
        let fake = Fake::new(&name, |step, _| match step {
            "move" => Reply::Refuse("out-of-scope", "to", ""),
            _ => Reply::Json(json!({})),
        });
        if tool == "move_file" {
            let rig = disk.rig(fake.trusted("write")).await;
            assert_eq!(rig.call(&name, arguments).await.is_error, Some(true));
            assert_eq!(rig.steps(), ["from", "move"]);
        }
    }
    assert_eq!(fs::read(disk.0.path().join("drop/old")).unwrap(), b"old");
    assert_eq!(fs::read_dir(disk.0.path().join("drop")).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_written_stands_there() {
    let disk = Disk::new();
    let write = |arguments: Value| disk.call("write_file", "write", arguments);
    let result = write(json!({"path": "drop/a.txt", "content": "one"})).await;
    assert_eq!(
        (&structured(&result)["path"], &structured(&result)["size"]),
        (&json!("drop/a.txt"), &json!(3))
    );
    assert!(text(&result).starts_with("Wrote drop/a.txt (3 bytes"));
    let again = write(json!({"path": "drop/a.txt", "content": "two"})).await;
    assert_eq!(text(&again), "There is something of that name already.");
    write(json!({"path": "drop/a.txt", "content": "+", "mode": "append"})).await;
    // What the vault would never pass on is not acted upon either.
    let name = "files.write_file";
    let rig = disk.rig(Fake::new(name, |_, _| Reply::Json(json!({}))).trusted("write")).await;
    for bad in [
        json!({"path": "drop/../nas/x", "content": "x"}),
        json!({"path": "/etc/x", "content": "x"}),
        json!({"path": "drop/a.txt", "content": "x", "mode": "prepend"}),
        json!({"path": "drop/a.txt"}),
    ] {
        assert_eq!(refusal(&rig.call(name, bad).await)["class"], "bad-arguments");
    }
    assert_eq!(rig.steps(), Vec::<String>::new());
    let large = write(json!({"path": "drop/b", "content": "x".repeat(51)})).await;
    assert_eq!(text(&large), "The file would have 51 bytes; at most 50 are allowed.");
    let other = write(json!({"path": "nas/docs/plan.txt", "content": "x", "mode": "overwrite"})).await;
    assert_eq!(text(&other), "nas can only be read.");
    disk.call("make_directory", "write", json!({"path": "drop/sub"})).await;
    let moved = disk.call("move_file", "write", json!({"path": "drop/a.txt", "to": "drop/sub/b.txt"})).await;
    assert_eq!(structured(&moved)["path"], "drop/sub/b.txt");
    assert_eq!(fs::read(disk.0.path().join("drop/sub/b.txt")).unwrap(), b"one+");
    let gone = disk.call("delete_file", "delete", json!({"path": "drop/sub/b.txt"})).await;
    assert!(text(&gone).starts_with("Deleted drop/sub/b.txt"));
    assert!(!disk.0.path().join("drop/sub/b.txt").exists());
}
