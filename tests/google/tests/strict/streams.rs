//! Ranges and resumable uploads, as Google documents them.

use serde_json::json;
use stand_in_google::SeedFile;

use crate::client::{Answer, Google, demo};

const BEGIN: &str = "/upload/drive/v3/files?uploadType=resumable&fields=id,name,size,sha256Checksum";
const KEPT: usize = 256 * 1024;

async fn owner() -> (Google, String) {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["drive"]);
    (google, token)
}

async fn send(google: &Google, token: &str, method: &str, url: &str, range: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    if !range.is_empty() {
        headers.push(("content-range", range));
    }
    google.try_send(method, url, &headers, body.to_vec()).await.unwrap()
}

async fn begin(google: &Google, token: &str, size: usize) -> String {
    let bearer = format!("Bearer {token}");
    let size = size.to_string();
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("x-upload-content-length", size.as_str()),
    ];
    let folder = google.stand_in.file_id("Agent").unwrap();
    let metadata = json!({ "name": "Up.bin", "parents": [folder] }).to_string();
    let answer = google.try_send("POST", BEGIN, &headers, metadata).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    answer.header("location").to_owned()
}

#[tokio::test]
async fn a_part_of_a_file_is_what_was_asked_for() {
    let (google, token) = owner().await;
    let file = SeedFile::new("Agent/Ten.txt", "text/plain", "0123456789", 0);
    let id = google.stand_in.add_file(&file).unwrap();
    let path = format!("/drive/v3/files/{id}?alt=media");
    let bearer = format!("Bearer {token}");
    for (range, status, body, told) in [
        ("", 200, "0123456789", ""),
        ("bytes=0-", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=4-", 206, "456789", "bytes 4-9/10"),
        ("bytes=9-", 206, "9", "bytes 9-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        if !range.is_empty() {
            headers.push(("range", range));
        }
        let answer = google.try_send("GET", &path, &headers, "").await.unwrap();
        assert_eq!((answer.status, answer.header("content-range")), (status, told), "{range}");
        assert_eq!(answer.body, body, "{range}");
    }
}

#[tokio::test]
async fn a_session_makes_nothing_before_its_last_byte() {
    let (google, token) = owner().await;
    let all: Vec<u8> = (0..KEPT * 2 + 10).map(|at| (at % 251) as u8).collect();
    let size = all.len();
    let url = begin(&google, &token, size).await;
    assert!(url.starts_with(google.stand_in.origin()));
    let asked = send(&google, &token, "PUT", &url, &format!("bytes */{size}"), b"").await;
    assert_eq!((asked.status, asked.header("range")), (308, ""));
    // A part of it: what is no multiple of 256 KiB is not kept.
    let part = &all[..KEPT + 5];
    let range = format!("bytes 0-{}/{size}", part.len() - 1);
    let answer = send(&google, &token, "PUT", &url, &range, part).await;
    let kept = format!("bytes=0-{}", KEPT - 1);
    assert_eq!((answer.status, answer.header("range")), (308, kept.as_str()));
    assert_eq!(google.stand_in.file_id("Agent/Up.bin"), None);
    // Elsewhere than where it stopped: nothing is taken.
    let range = format!("bytes {}-{}/{size}", KEPT + 5, size - 1);
    let answer = send(&google, &token, "PUT", &url, &range, &all[KEPT + 5..]).await;
    assert_eq!((answer.status, answer.header("range")), (308, kept.as_str()));
    let range = format!("bytes {KEPT}-{}/{size}", size - 1);
    let answer = send(&google, &token, "PUT", &url, &range, &all[KEPT..]).await;
    assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some("Up.bin")));
    let id = google.stand_in.file_id("Agent/Up.bin").unwrap();
    assert_eq!(google.stand_in.file_content(&id).unwrap(), all);
    // Asked again, it says the same, and makes no second one.
    let again = send(&google, &token, "PUT", &url, &format!("bytes */{size}"), b"").await;
    assert_eq!((again.status, again.json()), (200, answer.json()));
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let (google, token) = owner().await;
    let url = begin(&google, &token, 10).await;
    assert_eq!(send(&google, &token, "PUT", &url, "", b"123").await.status, 400, "another length");
    for range in ["bytes 0-9", "bytes 5-3/10", "0-9/10", "bytes 0-9/5", "bytes 0-3/10"] {
        assert_eq!(send(&google, &token, "PUT", &url, range, b"0123456789").await.status, 400, "{range}");
    }
    assert_eq!(send(&google, "nobody", "PUT", &url, "", b"0123456789").await.status, 401);
    let elsewhere = url.replace("upload_id=", "upload_id=x");
    assert_eq!(send(&google, &token, "PUT", &elsewhere, "", b"0123456789").await.status, 404);
    // Ended: there is nothing to go on with.
    assert_eq!(send(&google, &token, "DELETE", &url, "", b"").await.status, 499);
    assert_eq!(send(&google, &token, "PUT", &url, "bytes */10", b"").await.status, 404);
    assert_eq!(google.stand_in.file_id("Agent/Up.bin"), None);
    let url = begin(&google, &token, 10).await;
    assert_eq!(send(&google, &token, "PUT", &url, "", b"0123456789").await.status, 200);
    assert_eq!(send(&google, &token, "DELETE", &url, "", b"").await.status, 404);
    // A scope that only reads begins nothing.
    let reader = google.stand_in.direct_token(&["drive.readonly"]);
    assert_eq!(send(&google, &reader, "POST", BEGIN, "", b"").await.status, 403);
}

const MAIL: &str = "/upload/gmail/v1/users/me/messages/send?uploadType=resumable";

async fn begin_mail(google: &Google, token: &str, kind: &str, size: usize, body: &str) -> Answer {
    let (bearer, size) = (format!("Bearer {token}"), size.to_string());
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-upload-content-type", kind),
        ("x-upload-content-length", size.as_str()),
    ];
    google.try_send("POST", MAIL, &headers, body.to_owned()).await.unwrap()
}

#[tokio::test]
async fn a_mail_is_sent_by_its_last_byte_and_once() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.send"]);
    let mail = format!("To: a@example.com\r\nSubject: s\r\n\r\n{}\r\n", "x".repeat(KEPT));
    let mail = mail.into_bytes();
    let size = mail.len();
    let begun = begin_mail(&google, &token, "message/rfc822", size, "").await;
    assert_eq!((begun.status, begun.body.len()), (200, 0));
    let url = begun.header("location").to_owned();
    let range = format!("bytes 0-{}/{size}", size - 2);
    let answer = send(&google, &token, "PUT", &url, &range, &mail[..size - 1]).await;
    assert_eq!((answer.status, answer.header("range")), (308, format!("bytes=0-{}", KEPT - 1).as_str()));
    assert!(google.stand_in.outbox().is_empty());
    let answer = send(&google, &token, "PUT", &url, "", &mail).await;
    let outbox = google.stand_in.outbox();
    assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some(outbox[0].id.as_str())));
    assert!(outbox[0].raw == mail && outbox[0].to == ["a@example.com"]);
    // Asked again, it says the same; sent again, it is not.
    for (range, body) in [(format!("bytes */{size}"), &b""[..]), (String::new(), &mail)] {
        let again = send(&google, &token, "PUT", &url, &range, body).await;
        assert_eq!((again.status, again.json()), (200, answer.json()));
    }
    assert_eq!(send(&google, &token, "DELETE", &url, "", b"").await.status, 404);
    assert_eq!(google.stand_in.outbox().len(), 1);
}

#[tokio::test]
async fn what_is_no_mail_is_not_sent() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.send"]);
    for (kind, size, body) in [
        ("text/plain", 10, ""),
        ("message/rfc822", 36_700_161, ""),
        ("message/rfc822", 10, "{\"threadId\": \"x\"}"),
    ] {
        assert_eq!(begin_mail(&google, &token, kind, size, body).await.status, 400, "{kind} {size}");
    }
    let reader = google.stand_in.direct_token(&["gmail.readonly"]);
    assert_eq!(begin_mail(&google, &reader, "message/rfc822", 10, "").await.status, 403);
    // As strictly as a mail inside JSON.
    for mail in [
        "To: a@example.com\r\nTo: b@example.com\r\n\r\nx",
        "To: a@example.com\rBcc: b@example.com\r\n\r\nx",
        "no header\r\n\r\nx",
        "Subject: to nobody\r\n\r\nx",
    ] {
        let begun = begin_mail(&google, &token, "message/rfc822", mail.len(), "").await;
        let url = begun.header("location").to_owned();
        assert_eq!(send(&google, &token, "PUT", &url, "", mail.as_bytes()).await.status, 400, "{mail:?}");
        assert_eq!(send(&google, "nobody", "PUT", &url, "", mail.as_bytes()).await.status, 401);
        // Ended: there is nothing to go on with.
        assert_eq!(send(&google, &token, "DELETE", &url, "", b"").await.status, 499);
        assert_eq!(send(&google, &token, "PUT", &url, "", mail.as_bytes()).await.status, 404);
    }
    assert!(google.stand_in.outbox().is_empty());
}
