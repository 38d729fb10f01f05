//! Gmail's drafts, threads and batches.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use stand_in_google::{Config, Seed};

use crate::client::{Google, start};

const DRAFTS: &str = "/gmail/v1/users/me/drafts";
const MESSAGES: &str = "/gmail/v1/users/me/messages";
const THREADS: &str = "/gmail/v1/users/me/threads";

async fn post() -> (Google, String) {
    let google = start(Config { seed: Seed::post(), ..Config::default() }).await;
    let token = google.stand_in.direct_token(&["gmail.modify"]);
    (google, token)
}

fn message(raw: &str) -> Value {
    json!({ "message": { "raw": URL_SAFE_NO_PAD.encode(raw) } })
}

#[tokio::test]
async fn a_draft_is_made_changed_sent_and_gone() {
    let (google, token) = post().await;
    let made = google.post(&token, DRAFTS, message("To: a@example.com\r\nSubject: one\r\n\r\nHi\r\n")).await;
    assert_eq!(made.status, 200);
    let made = made.json();
    let (id, first) = (made["id"].as_str().unwrap().to_owned(), made["message"]["id"].clone());
    assert_eq!(made["message"]["labelIds"], json!(["DRAFT"]));
    let path = format!("{DRAFTS}/{id}");
    let changed =
        google.call(&token, "PUT", &path, Some(message("To: b@example.com\r\n\r\nHo\r\n"))).await.json();
    assert_eq!(changed["id"], id.as_str());
    assert_ne!(changed["message"]["id"], first);
    let raw = google.get(&token, &format!("{path}?format=raw")).await.json();
    let raw = URL_SAFE.decode(raw["message"]["raw"].as_str().unwrap()).unwrap();
    assert_eq!(raw, b"To: b@example.com\r\n\r\nHo\r\n");
    let full = google.get(&token, &path).await.json();
    assert_eq!(full["message"]["payload"]["headers"][0]["value"], "b@example.com");
    let listed = google.get(&token, &format!("{DRAFTS}?maxResults=2")).await.json();
    assert_eq!(listed["drafts"].as_array().unwrap().len(), 2);
    assert!(listed["nextPageToken"].is_string());
    let sent = google.post(&token, &format!("{DRAFTS}/send"), json!({ "id": id })).await.json();
    assert_eq!(sent["labelIds"], json!(["SENT"]));
    assert_eq!(google.stand_in.outbox()[0].to, ["b@example.com"]);
    assert_eq!(google.get(&token, &path).await.status, 404);
    assert_eq!(google.post(&token, &format!("{DRAFTS}/send"), json!({ "id": id })).await.status, 404);
}

#[tokio::test]
async fn what_comes_along_is_sent_in_place_of_the_draft() {
    let (google, token) = post().await;
    let (id, _) = google.stand_in.drafts().remove(0);
    let mut body = message("To: c@example.com\r\n\r\nOther\r\n");
    body["id"] = json!(id);
    assert_eq!(google.post(&token, &format!("{DRAFTS}/send"), body).await.status, 200);
    assert_eq!(google.stand_in.outbox()[0].to, ["c@example.com"]);
    assert_eq!(google.stand_in.drafts().len(), 1);
}

#[tokio::test]
async fn drafts_are_strict() {
    let (google, token) = post().await;
    let (id, raw) = google.stand_in.drafts().remove(0);
    let path = format!("{DRAFTS}/{id}");
    for (method, at, body) in [
        ("POST", DRAFTS.to_owned(), json!({})),
        ("POST", DRAFTS.to_owned(), json!({ "message": { "raw": "%%%" } })),
        ("POST", DRAFTS.to_owned(), json!({ "message": { "raw": "", "labelIds": ["SENT"] } })),
        ("POST", DRAFTS.to_owned(), json!({ "id": "x", "message": { "raw": "" } })),
        ("PUT", path.clone(), json!({ "id": "other", "message": { "raw": "" } })),
        ("POST", format!("{DRAFTS}?uploadType=media"), message("x: y\r\n\r\n")),
        ("POST", format!("{DRAFTS}/send"), json!({})),
    ] {
        assert_eq!(
            google.call(&token, method, &at, Some(body.clone())).await.status,
            400,
            "{method} {at} {body}"
        );
    }
    assert_eq!(google.get(&token, &format!("{path}?metadataHeaders=To")).await.status, 400);
    assert_eq!(google.get(&token, &format!("{DRAFTS}?labelIds=DRAFT")).await.status, 400);
    for (scope, read, write) in [
        ("gmail.readonly", 200, 403),
        ("gmail.send", 403, 403),
        ("gmail.metadata", 403, 403),
        ("gmail.compose", 200, 204),
    ] {
        let token = google.stand_in.direct_token(&[scope]);
        assert_eq!(google.get(&token, &path).await.status, read, "{scope}");
        let (id, _) = google.stand_in.drafts().remove(1);
        assert_eq!(
            google.call(&token, "DELETE", &format!("{DRAFTS}/{id}"), None).await.status,
            write,
            "{scope}"
        );
    }
    assert!(
        google.stand_in.rewrite_draft(&id, b"To: x@example.com\r\n\r\n")
            && !google.stand_in.rewrite_draft("no", &raw)
    );
}

#[tokio::test]
async fn many_mails_are_changed_at_once_or_none() {
    let (google, token) = post().await;
    let ids: Vec<String> = ["Plan for the fence", "Two papers"]
        .iter()
        .map(|subject| google.stand_in.mail_id(subject).unwrap())
        .collect();
    let path = format!("{MESSAGES}/batchModify");
    let body = json!({ "ids": ids, "addLabelIds": ["STARRED"], "removeLabelIds": ["INBOX"] });
    assert_eq!(google.post(&token, &path, body).await.status, 204);
    for id in &ids {
        assert_eq!(google.stand_in.mail_labels(id).unwrap(), ["Label_1", "STARRED"]);
    }
    for (body, status) in [
        (json!({ "ids": [ids[0], "ffff"], "removeLabelIds": ["STARRED"] }), 404),
        (json!({ "ids": [], "removeLabelIds": ["STARRED"] }), 400),
        (json!({ "ids": ids }), 400),
        (json!({ "ids": ids, "addLabelIds": ["SENT"] }), 400),
        (json!({ "removeLabelIds": ["STARRED"] }), 400),
    ] {
        assert_eq!(google.post(&token, &path, body.clone()).await.status, status, "{body}");
    }
    assert_eq!(google.stand_in.mail_labels(&ids[0]).unwrap(), ["Label_1", "STARRED"]);
    let all = json!({ "ids": ids });
    assert_eq!(google.post(&token, &format!("{MESSAGES}/batchDelete"), all).await.status, 403);
}

#[tokio::test]
async fn a_thread_has_mails_of_several_labels() {
    let (google, token) = post().await;
    let thread = google.stand_in.thread_id("Plan for the fence").unwrap();
    let path = format!(
        "{THREADS}/{thread}?format=metadata&metadataHeaders=From&fields=id,messages(id,labelIds,payload/headers)"
    );
    let answer = google.get(&token, &path).await.json();
    let labels: Vec<&Value> =
        answer["messages"].as_array().unwrap().iter().map(|mail| &mail["labelIds"]).collect();
    assert_eq!(labels, [&json!(["INBOX", "Label_1"]), &json!(["INBOX"]), &json!(["INBOX", "Label_1"])]);
    assert_eq!(answer["messages"][1]["payload"]["headers"][0]["value"], "Theo <theo@example.com>");
    let answer = json!({ "raw": URL_SAFE.encode("To: a@example.com\r\n\r\nx"), "threadId": thread });
    let sent = google.post(&token, &format!("{MESSAGES}/send"), answer).await.json();
    assert_eq!(
        (&sent["threadId"], google.stand_in.outbox()[0].thread_id.as_str()),
        (&json!(thread), thread.as_str())
    );
}

#[tokio::test]
async fn what_google_found_stands_on_top() {
    let (google, token) = post().await;
    for (subject, verdict) in [("Plan for the fence", "dmarc=pass"), ("Please answer quickly", "dmarc=fail")]
    {
        let id = google.stand_in.mail_id(subject).unwrap();
        let path = format!("{MESSAGES}/{id}?format=metadata&metadataHeaders=Authentication-Results");
        let headers = google.get(&token, &path).await.json()["payload"]["headers"].clone();
        assert!(
            headers[0]["value"].as_str().unwrap().contains(&format!("mx.google.com;       {verdict}")),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn the_ways_around_are_there_to_be_seen() {
    let (google, token) = post().await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "message/rfc822")];
    let upload = "/upload/gmail/v1/users/me/messages/send?uploadType=media";
    let sent = google.try_send("POST", upload, &headers, "To: a@example.com\r\n\r\nx").await.unwrap();
    assert_eq!((sent.status, google.stand_in.outbox().len()), (200, 1));
    let batch = google.try_send("POST", "/batch/gmail/v1", &headers, "x").await.unwrap();
    assert_eq!(batch.status, 200);
    assert_eq!(google.try_send("POST", "/batch/gmail/v1", &[], "x").await.unwrap().status, 401);
    let paths: Vec<String> = google.stand_in.log().into_iter().map(|request| request.path).collect();
    assert!(
        paths.iter().any(|path| path.starts_with("/upload/"))
            && paths.iter().any(|path| path.starts_with("/batch/"))
    );
}
