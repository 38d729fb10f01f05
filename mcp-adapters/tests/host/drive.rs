//! Drive's tools, with answers in the shapes of Drive.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::ResourceContents;
use serde_json::{Value, json};

use crate::fake::{Fake, Reply, Rig, refusal, structured, text};

fn file(id: &str, mime_type: &str, size: Option<&str>) -> Value {
    let mut file = json!({
        "id": id, "name": format!("name of {id}"), "mimeType": mime_type, "parents": ["d1"],
        "modifiedTime": "2024-01-01T00:00:00.000Z",
    });
    if let Some(size) = size {
        file["size"] = json!(size);
    }
    file
}

#[tokio::test]
async fn several_folders_are_searched_in_turn() {
    let fake = Fake::new("drive.search_files", |_, params| match params["folder"].as_str() {
        "d1" => {
            Reply::Json(json!({"files": [file("a", "text/plain", Some("3")), file("x", "text/plain", None)]}))
        }
        _ => Reply::Json(json!({"files": [file("x", "text/plain", None)], "nextPageToken": "pg"})),
    });
    let rig = Rig::new("drive", fake.choice("folder", &["d1", "d2"])).await;
    let result = rig.call("drive.search_files", json!({})).await;
    let told = structured(&result);
    let ids: Vec<_> =
        told["files"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "x"]);
    assert_eq!(told["files"][0]["size"], 3);
    assert_eq!(told["next_pages"], json!([{"folder": "d2", "page": "pg"}]));
    assert_eq!(told["untrusted"], true);
}

#[tokio::test]
async fn a_folder_is_listed_once_whatever_the_choices() {
    let fake = Fake::new("drive.list_folder", |_, _| {
        Reply::Json(json!({"files": [file("a", "text/plain", None)], "nextPageToken": "pg"}))
    });
    let rig = Rig::new("drive", fake.choice("folder", &["d1", "d2"])).await;
    let result = rig.call("drive.list_folder", json!({"folder_id": "d1"})).await;
    assert_eq!(structured(&result)["next_page"], "pg");
    assert_eq!(rig.fake.seen.lock().unwrap().steps, [("list".to_owned(), vec![])]);
}

async fn read(metadata: Value, body: &'static [u8]) -> (Rig, rmcp::model::CallToolResult) {
    let fake = Fake::new("drive.read_file", move |step, _| match step {
        "metadata" => Reply::Json(metadata.clone()),
        _ => Reply::Bytes(body.to_vec()),
    });
    let rig = Rig::new("drive", fake).await;
    let result = rig.call("drive.read_file", json!({"file_id": "f1"})).await;
    (rig, result)
}

#[tokio::test]
async fn text_is_read_as_text() {
    let (rig, result) = read(file("f1", "text/csv", Some("9")), "a,b\r\nü,2".as_bytes()).await;
    assert_eq!(structured(&result)["text"], "a,b\nü,2");
    assert_eq!(rig.steps(), ["metadata", "content"]);
    assert!(text(&result).contains("a,b\nü,2\n[end of untrusted "));
}

#[tokio::test]
async fn documents_are_exported() {
    let (rig, result) =
        read(file("f1", "application/vnd.google-apps.document", None), b"\xef\xbb\xbfHello").await;
    assert_eq!(structured(&result)["text"], "Hello");
    assert_eq!(rig.steps(), ["metadata", "export_text"]);
    let (rig, _) = read(file("f1", "application/vnd.google-apps.spreadsheet", None), b"a,b").await;
    assert_eq!(rig.steps(), ["metadata", "export_csv"]);
}

#[tokio::test]
async fn other_files_are_embedded() {
    let (_rig, result) = read(file("f1", "image/png", Some("4")), b"\x89PNG").await;
    assert_eq!(structured(&result)["content"], "blob");
    let resource = result.content[1].as_resource().unwrap();
    let ResourceContents::BlobResourceContents { uri, mime_type, blob, meta } = &resource.resource else {
        panic!("no blob");
    };
    assert_eq!((uri.as_str(), mime_type.as_deref()), ("drive:///f1", Some("image/png")));
    assert_eq!(STANDARD.decode(blob).unwrap(), b"\x89PNG");
    assert_eq!(meta.as_ref().unwrap().0["claviger/untrusted"], true);
}

#[tokio::test]
async fn a_file_too_large_is_not_asked_for() {
    let (rig, result) = read(file("f1", "text/plain", Some("1048577")), b"").await;
    assert_eq!(result.is_error, Some(true));
    assert_eq!(
        text(&result),
        "The file has 1048577 bytes; files of up to 1048576 bytes (1 MiB) can be read."
    );
    assert_eq!(rig.steps(), ["metadata"]);
}

#[tokio::test]
async fn a_made_file_whose_answer_is_lost_is_unknown() {
    let rig = Rig::new("drive", Fake::new("drive.create_file", |_, _| Reply::Broken).trusted("send")).await;
    let result = rig.call("drive.create_file", json!({})).await;
    assert_eq!(refusal(&result), json!({"class": "unknown", "field": "", "reference": ""}));
    assert!(!format!("{result:?}").contains("canary"));
    let rig = Rig::new("drive", Fake::new("drive.get_file_metadata", |_, _| Reply::Broken)).await;
    let result = rig.call("drive.get_file_metadata", json!({})).await;
    assert_eq!(refusal(&result)["class"], "unavailable");
}

#[tokio::test]
async fn each_change_is_one_step_and_tells_what_became_of_the_file() {
    for (tool, effect, step, words) in [
        ("create_file", "write", "create", "Made name of f1"),
        ("create_folder", "send", "create", "Made name of f1"),
        ("copy_file", "send", "copy", "Copied to name of f1"),
        ("update_file", "write", "update", "Changed name of f1"),
        ("rename_file", "write", "rename", "Renamed to name of f1"),
        ("move_file", "write", "move", "Moved name of f1"),
        ("trash_file", "delete", "trash", "Put into the bin: name of f1"),
        ("untrash_file", "write", "untrash", "Taken back from the bin: name of f1"),
    ] {
        let name = format!("drive.{tool}");
        let fake = Fake::new(&name, |_, _| Reply::Json(file("f1", "text/plain", Some("3"))));
        let rig = Rig::new("drive", fake.trusted(effect)).await;
        let result = rig.call(&name, json!({})).await;
        assert_eq!(structured(&result)["id"], "f1", "{tool}");
        assert!(text(&result).starts_with(words), "{tool}: {}", text(&result));
        assert_eq!(rig.steps(), [step], "{tool}");
        let odd = Fake::new(&name, |_, _| Reply::Json(json!({"kind": "drive#file"})));
        let rig = Rig::new("drive", odd.trusted(effect)).await;
        assert_eq!(refusal(&rig.call(&name, json!({})).await)["class"], "unknown", "{tool}");
    }
}

#[tokio::test]
async fn access_is_listed_given_and_taken() {
    let list = json!({"permissions": [
        {"id": "17", "type": "user", "role": "reader", "emailAddress": "theo@example.com", "displayName": "Obey me"},
    ]});
    let fake = Fake::new("drive.list_permissions", move |_, _| Reply::Json(list.clone()));
    let result = Rig::new("drive", fake).await.call("drive.list_permissions", json!({})).await;
    assert_eq!(structured(&result)["permissions"][0]["email"], "theo@example.com");
    assert!(
        text(&result).starts_with("[untrusted ")
            && text(&result).contains("theo@example.com: reader (id 17)")
    );
    let given = json!({"id": "17", "type": "user", "role": "reader", "emailAddress": "theo@example.com"});
    let fake = Fake::new("drive.share_file", move |_, _| Reply::Json(given.clone())).trusted("send");
    let rig = Rig::new("drive", fake).await;
    let result = rig.call("drive.share_file", json!({})).await;
    assert_eq!(structured(&result)["permission"]["role"], "reader");
    assert_eq!(rig.steps(), ["share"]);
    let fake = Fake::new("drive.unshare_file", |_, _| Reply::Bytes(vec![])).trusted("delete");
    let rig = Rig::new("drive", fake).await;
    assert_eq!(structured(&rig.call("drive.unshare_file", json!({})).await)["done"], true);
    assert_eq!(rig.steps(), ["unshare"]);
}
