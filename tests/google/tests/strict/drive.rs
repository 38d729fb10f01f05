//! Drive's rules.

use serde_json::{Value, json};

use stand_in_google::SeedFile;

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
    let odd = "/upload/drive/v3/files?uploadType=odd";
    assert_eq!(google.post(&token, odd, json!({})).await.status, 400);
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

#[tokio::test]
async fn sheets_and_slides_are_exported_in_their_own_ways() {
    let (google, token) = owner().await;
    for (kind, good, bad) in [
        (SeedFile::SHEET, "text/csv", "text/plain"),
        (SeedFile::SLIDES, "text/plain", "text/csv"),
        (SeedFile::DOCUMENT, "text/markdown", "text/csv"),
    ] {
        let id = google.stand_in.add_file(&SeedFile::new("Agent/x", kind, "a,b", 0)).unwrap();
        let export = |format: &str| format!("{FILES}/{id}/export?mimeType={format}");
        assert_eq!(google.get(&token, &export(good)).await.body, "a,b");
        assert_eq!(google.get(&token, &export(bad)).await.status, 400, "{kind}");
    }
}

#[tokio::test]
async fn copies_are_made_of_files_only_and_belong_to_their_folder() {
    let (google, token) = owner().await;
    let id = |path: &str| google.stand_in.file_id(path).unwrap();
    let copy = |of: String, body: Value| {
        let (google, token) = (&google, &token);
        async move { google.post(token, &format!("{FILES}/{of}/copy?fields=*"), body).await }
    };
    let made =
        copy(id("Agent/Shared list.txt"), json!({ "name": "c", "parents": [id("Private")] })).await.json();
    assert_eq!((&made["shared"], &made["parents"]), (&json!(false), &json!([id("Private")])));
    assert!(google.stand_in.file_content(made["id"].as_str().unwrap()).unwrap().starts_with(b"Bread"));
    assert_eq!(copy(id("Agent"), json!({})).await.status, 403);
    assert_eq!(copy("none".to_owned(), json!({})).await.status, 404);
    assert_eq!(copy(id("Agent/Notes.txt"), json!({ "nonsense": 1 })).await.status, 400);
    let strange = format!("{FILES}/{}/copy?visibility=PRIVATE", id("Agent/Notes.txt"));
    assert_eq!(google.post(&token, &strange, json!({})).await.status, 400);
}

#[tokio::test]
async fn access_is_given_and_taken() {
    let (google, token) = owner().await;
    let id = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    let path = format!("{FILES}/{id}/permissions");
    let give = |query: &'static str, body: Value| {
        let (google, token, path) = (&google, &token, &path);
        async move { google.post(token, &format!("{path}?{query}"), body).await }
    };
    let theo = json!({ "type": "user", "role": "writer", "emailAddress": "theo@example.com" });
    let given = give("sendNotificationEmail=false&fields=id,role,emailAddress", theo.clone()).await.json();
    assert_eq!((&given["role"], &given["emailAddress"]), (&theo["role"], &theo["emailAddress"]));
    assert!(google.stand_in.share_notices().is_empty());
    assert_eq!(google.stand_in.file(&id).unwrap()["shared"], true);
    assert_eq!(give("", theo.clone()).await.status, 200);
    assert_eq!(google.stand_in.share_notices(), [(id.clone(), "theo@example.com".to_owned())]);
    for bad in [
        json!({ "type": "user", "role": "writer" }),
        json!({ "type": "user", "role": "owner", "emailAddress": "a@b.cd" }),
        json!({ "type": "user", "role": "reader", "emailAddress": ["a@b.cd"] }),
        json!({ "role": "reader", "emailAddress": "a@b.cd" }),
        json!({ "type": "user", "role": "reader", "emailAddress": "a@b.cd", "more": 1 }),
    ] {
        assert_eq!(give("", bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(give("unheard=of", theo).await.status, 400);
    let permission = given["id"].as_str().unwrap();
    let take = |permission: String| {
        let (google, token, path) = (&google, &token, &path);
        async move { google.call(token, "DELETE", &format!("{path}/{permission}"), None).await.status }
    };
    assert_eq!(take(permission.to_owned()).await, 204);
    assert_eq!(take(permission.to_owned()).await, 404);
    let owner = google.stand_in.file(&id).unwrap()["permissions"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(take(owner).await, 403);
    let agent = google.stand_in.file_id("Agent").unwrap();
    assert!(google.stand_in.share_file_as(&agent, None, "reader"));
    assert_eq!(google.stand_in.file(&id).unwrap()["permissions"][1]["type"], "anyone");
    assert_eq!(take("anyoneWithLink".to_owned()).await, 403);
}

#[tokio::test]
async fn a_strangers_file_tells_its_permissions_to_writers_only() {
    let (google, token) = owner().await;
    let mut seed = SeedFile::new("Agent/Theirs.txt", "text/plain", "x", 0);
    seed.owned = false;
    let read_only = google.stand_in.add_file(&seed).unwrap();
    seed.path = "Agent/Ours.txt".to_owned();
    seed.editable = true;
    let editable = google.stand_in.add_file(&seed).unwrap();
    for (id, writer) in [(&read_only, false), (&editable, true)] {
        let file =
            google.get(&token, &format!("{FILES}/{id}?fields=shared,permissions,ownedByMe")).await.json();
        assert_eq!((&file["shared"], &file["ownedByMe"]), (&json!(true), &json!(false)));
        assert_eq!(file.get("permissions").is_some(), writer);
        let name = json!({ "name": "y" });
        let status = google.call(&token, "PATCH", &format!("{FILES}/{id}"), Some(name)).await.status;
        assert_eq!(status, if writer { 200 } else { 403 });
        let listed = google.get(&token, &format!("{FILES}/{id}/permissions")).await.status;
        assert_eq!(listed, if writer { 200 } else { 403 });
        let bin = json!({ "trashed": true });
        assert_eq!(google.call(&token, "PATCH", &format!("{FILES}/{id}"), Some(bin)).await.status, 403);
    }
}

#[tokio::test]
async fn shared_drives_are_there_for_those_who_ask_for_them() {
    let (google, token) = owner().await;
    let mut seed = SeedFile::new("Agent/Team.txt", "text/plain", "x", 0);
    seed.drive_id = Some("0ATeam".to_owned());
    let id = google.stand_in.add_file(&seed).unwrap();
    assert_eq!(google.get(&token, &format!("{FILES}/{id}")).await.status, 404);
    let file = google.get(&token, &format!("{FILES}/{id}?supportsAllDrives=true&fields=*")).await.json();
    assert_eq!(file["driveId"], "0ATeam");
    for hidden in ["shared", "owners", "permissions", "ownedByMe"] {
        assert!(file.get(hidden).is_none(), "{hidden}");
    }
    assert!(names(&google, &token, "name = 'Team.txt'").await.is_empty());
    let all = query(&[
        ("q", "name = 'Team.txt'"),
        ("supportsAllDrives", "true"),
        ("includeItemsFromAllDrives", "true"),
    ]);
    let found = google.get(&token, &format!("{FILES}?{all}")).await.json();
    assert_eq!(found["files"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn shortcuts_and_the_bin() {
    let (google, token) = owner().await;
    let id = google.stand_in.add_file(&SeedFile::shortcut("Agent/Link", "Private/Diary.txt", 0)).unwrap();
    let target = google.stand_in.file_id("Private/Diary.txt").unwrap();
    let file = google.stand_in.file(&id).unwrap();
    assert_eq!(file["shortcutDetails"], json!({ "targetId": target, "targetMimeType": "text/plain" }));
    assert_eq!(google.get(&token, &format!("{FILES}/{id}?alt=media")).await.status, 403);
    let agent = google.stand_in.file_id("Agent").unwrap();
    let trashed = json!({ "trashed": true });
    let bin = |id: String, body: Value| {
        let (google, token) = (&google, &token);
        async move { google.call(token, "PATCH", &format!("{FILES}/{id}?fields=trashed"), Some(body)).await }
    };
    assert_eq!(bin(agent.clone(), json!({ "trashed": "true" })).await.status, 400);
    assert_eq!(bin(agent.clone(), trashed.clone()).await.json(), trashed);
    assert!(names(&google, &token, "trashed = false and name = 'Notes.txt'").await.is_empty());
    let notes = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    assert_eq!(google.stand_in.file(&notes).unwrap()["explicitlyTrashed"], false);
    bin(agent, json!({ "trashed": false })).await;
    assert_eq!(names(&google, &token, "trashed = false and name = 'Notes.txt'").await, ["Notes.txt"]);
}

#[tokio::test]
async fn the_account_says_whose_it_is() {
    let (google, token) = owner().await;
    let about = google.get(&token, "/drive/v3/about?fields=user(emailAddress)").await.json();
    assert_eq!(about, json!({ "user": { "emailAddress": "owner@example.com" } }));
    assert_eq!(google.get(&token, "/drive/v3/about").await.status, 400);
    assert_eq!(google.get(&token, "/drive/v3/about?fields=secrets").await.status, 400);
}
