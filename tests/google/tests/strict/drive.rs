//! Drive's rules.

use serde_json::{Value, json};

use crate::client::{Google, demo, query};

const FILES: &str = "/drive/v3/files";

async fn owner() -> (Google, String) {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["drive"]);
    (google, token)
}

async fn names(google: &Google, token: &str, q: &str) -> Vec<String> {
    let path = format!("{FILES}?{}", query(&[("q", q), ("orderBy", "name")]));
    let answer = google.get(token, &path).await;
    assert_eq!(answer.status, 200, "{q} {answer:?}");
    let value = answer.json();
    value["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_filter_and_refuse_unknown_syntax() {
    let (google, token) = owner().await;
    let agent = google.stand_in.file_id("Agent").unwrap();
    let inside = names(&google, &token, &format!("'{agent}' in parents and trashed = false")).await;
    assert_eq!(inside, ["Notes.txt", "Plan", "Reports", "Shared list.txt"]);
    assert_eq!(names(&google, &token, "fullText contains '4711'").await, ["Passwords.txt"]);
    assert_eq!(names(&google, &token, "'root' in parents").await, ["Agent", "Private"]);
    let evil = "name contains 'x' or nonsense";
    for (name, value) in [
        ("q", evil),
        ("pageSize", "0"),
        ("pageSize", "1001"),
        ("pageToken", "x"),
        ("orderBy", "colour"),
        ("fields", "files(id,secrets)"),
        ("fields", "files("),
        ("corpora", "x"),
        ("unheard", "of"),
    ] {
        let answer = google.get(&token, &format!("{FILES}?{}", query(&[(name, value)]))).await;
        assert_eq!(answer.status, 400, "{name}={value}");
    }
}

#[tokio::test]
async fn only_the_asked_fields_come() {
    let (google, token) = owner().await;
    let id = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    assert!(id.len() == 33 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let path = format!("{FILES}/{id}");
    let plain = google.get(&token, &path).await.json();
    assert_eq!(
        plain,
        json!({ "id": id, "kind": "drive#file", "mimeType": "text/plain", "name": "Notes.txt" })
    );
    let some = google.get(&token, &format!("{path}?fields=size,shared,ownedByMe,parents")).await.json();
    let agent = google.stand_in.file_id("Agent").unwrap();
    assert_eq!(some, json!({ "size": "47", "shared": false, "ownedByMe": true, "parents": [agent] }));
    assert_eq!(google.get(&token, &format!("{path}?fields=secret")).await.status, 400);
    let list = google.get(&token, &format!("{FILES}?fields=files(id)&pageSize=1")).await.json();
    assert_eq!(list.as_object().unwrap().len(), 1);
    assert_eq!(list["files"][0].as_object().unwrap().len(), 1);
    let all = google.get(&token, &format!("{path}?fields=*")).await.json();
    assert_eq!(all["md5Checksum"].as_str().unwrap().len(), 32);
    assert_eq!(all["modifiedTime"], "2026-11-02T00:00:00.000Z");
    assert_eq!(google.get(&token, &format!("{FILES}/none")).await.status, 404);
}

#[tokio::test]
async fn pages_follow_one_another_and_belong_to_their_query() {
    let (google, token) = owner().await;
    let first = google.get(&token, &format!("{FILES}?pageSize=5")).await.json();
    let next = first["nextPageToken"].as_str().unwrap();
    let second = google.get(&token, &format!("{FILES}?pageSize=5&pageToken={next}")).await.json();
    assert_eq!(second["files"].as_array().unwrap().len(), 4);
    assert!(second.get("nextPageToken").is_none());
    let other = query(&[("q", "trashed = false"), ("pageToken", next)]);
    assert_eq!(google.get(&token, &format!("{FILES}?{other}")).await.status, 400);
}

#[tokio::test]
async fn content_is_downloaded_or_exported() {
    let (google, token) = owner().await;
    let notes = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    let answer = google.get(&token, &format!("{FILES}/{notes}?alt=media")).await;
    assert_eq!(answer.header("content-type"), "text/plain");
    assert!(answer.body.starts_with(b"Things the agent may read."));
    let plan = google.stand_in.file_id("Agent/Plan").unwrap();
    let refused = google.get(&token, &format!("{FILES}/{plan}?alt=media")).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "fileNotDownloadable"));
    let export = google.get(&token, &format!("{FILES}/{plan}/export?mimeType=text/plain")).await;
    assert!(export.body.starts_with(b"Plan for the garden"));
    assert_eq!(google.get(&token, &format!("{FILES}/{plan}/export")).await.status, 400);
    assert_eq!(google.get(&token, &format!("{FILES}/{notes}/export?mimeType=text/plain")).await.status, 403);
    assert_eq!(google.get(&token, &format!("{FILES}/{notes}?alt=zip")).await.status, 400);
}

#[tokio::test]
async fn metadata_scopes_do_not_search_content() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["drive.metadata.readonly"]);
    let search = query(&[("q", "not (name = 'a' or fullText contains '4711')")]);
    assert_eq!(google.get(&token, &format!("{FILES}?{search}")).await.status, 403);
    assert_eq!(names(&google, &token, "name = 'Plan'").await, ["Plan"]);
}

#[tokio::test]
async fn drive_file_sees_what_its_client_made() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["drive.file"]);
    assert!(names(&google, &token, "").await.is_empty());
    let notes = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    let agent = google.stand_in.file_id("Agent").unwrap();
    for path in [
        format!("{FILES}/{notes}"),
        format!("{FILES}/{notes}?alt=media"),
        format!("{FILES}/{notes}/permissions"),
    ] {
        assert_eq!(google.get(&token, &path).await.status, 404, "{path}");
    }
    assert_eq!(
        google.call(&token, "PATCH", &format!("{FILES}/{notes}"), Some(json!({ "name": "x" }))).await.status,
        404
    );
    assert_eq!(google.call(&token, "DELETE", &format!("{FILES}/{notes}"), None).await.status, 404);
    assert_eq!(google.post(&token, FILES, json!({ "name": "x", "parents": [agent] })).await.status, 404);
    assert_eq!(google.post(&token, FILES, json!({ "name": "Mine" })).await.status, 200);
    assert_eq!(names(&google, &token, "").await, ["Mine"]);
}

#[tokio::test]
async fn files_are_made_and_refused() {
    let (google, token) = owner().await;
    let agent = google.stand_in.file_id("Agent").unwrap();
    let notes = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    let made = google
        .post(&token, FILES, json!({ "name": "n", "mimeType": "text/plain", "parents": [agent] }))
        .await;
    assert_eq!(made.status, 200);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(google.stand_in.file(&id).unwrap()["parents"], json!([agent]));
    for (body, status) in [
        (json!({ "name": 1 }), 400),
        (json!({ "nonsense": "x" }), 400),
        (json!({ "size": "1" }), 403),
        (json!({ "parents": [notes] }), 403),
        (json!({ "parents": [agent, "root"] }), 403),
        (json!({ "parents": ["none"] }), 404),
        (json!([]), 400),
    ] {
        assert_eq!(google.post(&token, FILES, body.clone()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn what_lies_in_a_shared_folder_is_shared() {
    let (google, token) = owner().await;
    let agent = google.stand_in.file_id("Agent").unwrap();
    assert!(google.stand_in.share_file(&agent, "theo@example.com"));
    let path = format!("{FILES}?fields=shared,permissions(role)");
    let made = google.post(&token, &path, json!({ "name": "n", "parents": [agent] })).await.json();
    assert_eq!(made, json!({ "shared": true, "permissions": [{ "role": "owner" }, { "role": "reader" }] }));
}

#[tokio::test]
async fn multipart_uploads_carry_metadata_and_bytes() {
    let (google, token) = owner().await;
    let bearer = format!("Bearer {token}");
    let upload = |kind: &'static str, body: &'static str| {
        let headers = [("authorization", bearer.clone()), ("content-type", kind.to_owned())];
        let google = &google;
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            google
                .try_send("POST", "/upload/drive/v3/files?uploadType=multipart", &headers, body)
                .await
                .unwrap()
        }
    };
    let kind = "multipart/related; boundary=\"b\"";
    let body = "--b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\"name\":\"up.txt\"}\r\n--b\r\n\
        Content-Type: text/csv\r\n\r\na,b\r\n--c\r\n\r\n--b--\r\n";
    let made = upload(kind, body).await.json();
    assert_eq!((made["name"].clone(), made["mimeType"].clone()), (json!("up.txt"), json!("text/csv")));
    let content = google.stand_in.file_content(made["id"].as_str().unwrap()).unwrap();
    assert_eq!(content, b"a,b\r\n--c\r\n");
    let one_part = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n";
    let no_json = "--b\r\nContent-Type: text/plain\r\n\r\n{}\r\n--b\r\n\r\nx\r\n--b--\r\n";
    assert_eq!(upload(kind, one_part).await.status, 400);
    assert_eq!(upload(kind, no_json).await.status, 400);
    assert_eq!(upload("multipart/related", body).await.status, 400);
    assert_eq!(upload("application/json", "{}").await.status, 400);
    let resumable = "/upload/drive/v3/files?uploadType=resumable";
    assert_eq!(google.post(&token, resumable, json!({})).await.status, 400);
}

#[tokio::test]
async fn files_are_renamed_moved_and_deleted() {
    let (google, token) = owner().await;
    let id = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    let agent = google.stand_in.file_id("Agent").unwrap();
    let private = google.stand_in.file_id("Private").unwrap();
    let patch = |query: String, body: Value| {
        let (google, token, id) = (&google, &token, &id);
        async move { google.call(token, "PATCH", &format!("{FILES}/{id}?{query}"), Some(body)).await }
    };
    assert_eq!(patch(String::new(), json!({ "name": "Renamed" })).await.json()["name"], "Renamed");
    assert_eq!(patch(format!("addParents={private}"), json!({})).await.status, 403);
    assert_eq!(patch(format!("removeParents={agent}"), json!({})).await.status, 403);
    assert_eq!(patch(format!("addParents={private}&removeParents=none"), json!({})).await.status, 404);
    assert_eq!(patch(String::new(), json!({ "parents": [private] })).await.status, 403);
    let moved = patch(format!("addParents={private}&removeParents={agent}&fields=parents"), json!({})).await;
    assert_eq!(moved.json(), json!({ "parents": [private] }));
    let into_itself = format!(
        "{FILES}/{agent}?addParents={}&removeParents=root",
        google.stand_in.file_id("Agent/Reports").unwrap()
    );
    assert_eq!(google.call(&token, "PATCH", &into_itself, Some(json!({}))).await.status, 403);
    assert_eq!(google.call(&token, "DELETE", &format!("{FILES}/{private}"), None).await.status, 204);
    assert!(google.stand_in.file(&id).is_none());
    assert_eq!(google.call(&token, "DELETE", &format!("{FILES}/root"), None).await.status, 403);
}

#[tokio::test]
async fn permissions_name_the_readers() {
    let (google, token) = owner().await;
    let id = google.stand_in.file_id("Agent/Shared list.txt").unwrap();
    let path = format!("{FILES}/{id}/permissions");
    let plain = google.get(&token, &path).await.json();
    assert_eq!(plain["permissions"].as_array().unwrap().len(), 2);
    assert!(plain["permissions"][1].get("emailAddress").is_none());
    let more = google.get(&token, &format!("{path}?fields=permissions(emailAddress,role)")).await.json();
    assert_eq!(more["permissions"][1], json!({ "emailAddress": "theo@example.com", "role": "reader" }));
    assert_eq!(google.get(&token, &format!("{path}?fields=permissions(secret)")).await.status, 400);
}
