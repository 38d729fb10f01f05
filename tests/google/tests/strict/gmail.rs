//! Gmail's rules.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use stand_in_google::{Letter, SeedMail};

use crate::client::{Google, demo, query};

const MESSAGES: &str = "/gmail/v1/users/me/messages";
const MINUTES: &str = "Minutes of the garden meeting";

async fn reader() -> (Google, String) {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    (google, token)
}

async fn ids(google: &Google, token: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let answer = google.get(token, &format!("{MESSAGES}?{}", query(pairs))).await;
    assert_eq!(answer.status, 200, "{pairs:?} {answer:?}");
    let value = answer.json();
    let list = value["messages"].as_array().cloned().unwrap_or_default();
    list.iter().map(|mail| mail["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_filter_by_every_label_and_by_search() {
    let (google, token) = reader().await;
    let label = google.stand_in.label_id("AI").unwrap();
    assert_eq!(label, "Label_1");
    assert_eq!(ids(&google, &token, &[]).await.len(), 7);
    assert_eq!(ids(&google, &token, &[("labelIds", &label)]).await.len(), 4);
    assert_eq!(ids(&google, &token, &[("labelIds", &label), ("labelIds", "UNREAD")]).await.len(), 2);
    let minutes = google.stand_in.mail_id(MINUTES).unwrap();
    let found = ids(&google, &token, &[("labelIds", &label), ("q", "from:mona has:attachment")]).await;
    assert_eq!(found, [minutes]);
    assert!(ids(&google, &token, &[("labelIds", &label), ("q", "subject:password")]).await.is_empty());
    assert_eq!(ids(&google, &token, &[("q", "label:private")]).await.len(), 1);
}

#[tokio::test]
async fn lists_refuse_what_they_do_not_know() {
    let (google, token) = reader().await;
    for bad in [
        "labelIds=Label_99",
        "labelIds=AI",
        "maxResults=0",
        "maxResults=501",
        "maxResults=x",
        "pageToken=1",
        "unknown=1",
        "q=a&q=b",
        "includeSpamTrash=yes",
        "fields=(",
    ] {
        assert_eq!(google.get(&token, &format!("{MESSAGES}?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_and_belong_to_their_query() {
    let (google, token) = reader().await;
    let mut seen = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut pairs = vec![("maxResults", "3")];
        pairs.extend(next.as_deref().map(|next| ("pageToken", next)));
        let page = google.get(&token, &format!("{MESSAGES}?{}", query(&pairs))).await.json();
        assert_eq!(page["resultSizeEstimate"], 7);
        seen.extend(page["messages"].as_array().unwrap().clone());
        let Some(token) = page["nextPageToken"].as_str() else { break };
        next = Some(token.to_owned());
    }
    assert_eq!(seen.len(), 7);
    let other = query(&[("labelIds", "Label_1"), ("pageToken", next.as_deref().unwrap())]);
    assert_eq!(google.get(&token, &format!("{MESSAGES}?{other}")).await.status, 400);
}

#[tokio::test]
async fn a_mail_comes_in_four_formats() {
    let (google, token) = reader().await;
    let id = google.stand_in.mail_id("Invoice 2026-118 for November").unwrap();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let full = google.get(&token, &format!("{MESSAGES}/{id}")).await.json();
    assert_eq!(full["labelIds"], json!(["INBOX", "Label_1"]));
    assert_eq!(full["payload"]["mimeType"], "multipart/alternative");
    let plain = full["payload"]["parts"][0]["body"]["data"].as_str().unwrap();
    assert!(String::from_utf8(URL_SAFE.decode(plain).unwrap()).unwrap().contains("249.00 EUR"));
    assert_eq!(full["payload"]["parts"][1]["mimeType"], "text/html");
    assert!(full["snippet"].as_str().unwrap().starts_with("Hello Olga, invoice"));
    let minimal = google.get(&token, &format!("{MESSAGES}/{id}?format=minimal")).await.json();
    assert!(minimal.get("payload").is_none() && minimal.get("raw").is_none());
    let some = format!("{MESSAGES}/{id}?format=metadata&metadataHeaders=subject&metadataHeaders=From");
    let headers = google.get(&token, &some).await.json()["payload"]["headers"].as_array().unwrap().len();
    assert_eq!(headers, 2);
    let raw = google.get(&token, &format!("{MESSAGES}/{id}?format=raw")).await.json();
    let raw = URL_SAFE.decode(raw["raw"].as_str().unwrap()).unwrap();
    assert!(raw.starts_with(b"From: Billing"));
    assert_eq!(google.get(&token, &format!("{MESSAGES}/{id}?format=pdf")).await.status, 400);
    assert_eq!(google.get(&token, &format!("{MESSAGES}/ffffffffffffffff")).await.status, 404);
    let narrow = google.get(&token, &format!("{MESSAGES}/{id}?fields=id,payload/mimeType")).await.json();
    assert_eq!(narrow, json!({ "id": id, "payload": { "mimeType": "multipart/alternative" } }));
}

#[tokio::test]
async fn attachments_belong_to_their_mail() {
    let (google, token) = reader().await;
    let id = google.stand_in.mail_id(MINUTES).unwrap();
    let mail = google.get(&token, &format!("{MESSAGES}/{id}")).await.json();
    let part = &mail["payload"]["parts"][1];
    assert_eq!(part["filename"], "minutes.txt");
    assert!(part["body"].get("data").is_none());
    let attachment = part["body"]["attachmentId"].as_str().unwrap();
    let got = google.get(&token, &format!("{MESSAGES}/{id}/attachments/{attachment}")).await.json();
    let bytes = URL_SAFE.decode(got["data"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(b"Garden meeting"));
    let other = google.stand_in.mail_id("Your password reset code").unwrap();
    assert_eq!(google.get(&token, &format!("{MESSAGES}/{other}/attachments/{attachment}")).await.status, 400);
}

#[tokio::test]
async fn the_metadata_scope_shows_no_content() {
    let google = demo().await;
    let id = google.stand_in.mail_id(MINUTES).unwrap();
    for scopes in [&["gmail.metadata"][..], &["gmail.metadata", "gmail.readonly"][..]] {
        let token = google.stand_in.direct_token(scopes);
        assert_eq!(google.get(&token, MESSAGES).await.status, 200);
        assert_eq!(google.get(&token, &format!("{MESSAGES}?q=x")).await.status, 403);
        assert_eq!(google.get(&token, &format!("{MESSAGES}/{id}?format=metadata")).await.status, 200);
        for path in ["", "?format=full", "?format=raw"] {
            assert_eq!(google.get(&token, &format!("{MESSAGES}/{id}{path}")).await.status, 403, "{path}");
        }
        assert_eq!(google.get(&token, &format!("/gmail/v1/users/me/threads/{id}")).await.status, 403);
    }
}

#[tokio::test]
async fn labels_are_put_on_and_taken_off() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.modify"]);
    let id = google.stand_in.mail_id(MINUTES).unwrap();
    let path = format!("{MESSAGES}/{id}/modify");
    let body = json!({ "addLabelIds": ["STARRED"], "removeLabelIds": ["INBOX"] });
    let answer = google.post(&token, &path, body).await;
    assert_eq!(answer.json(), json!({ "id": id, "threadId": id, "labelIds": ["Label_1", "STARRED"] }));
    for bad in [
        json!({ "addLabelIds": ["Label_99"] }),
        json!({ "addLabelIds": ["SENT"] }),
        json!({ "addLabelIds": "STARRED" }),
        json!({ "addLabelIds": ["UNREAD"], "removeLabelIds": ["UNREAD"] }),
        json!({ "labels": ["STARRED"] }),
        json!({}),
    ] {
        assert_eq!(google.post(&token, &path, bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(google.stand_in.mail_labels(&id).unwrap(), ["Label_1", "STARRED"]);
    let gone = google.post(&token, &format!("{MESSAGES}/0000000000000000/modify"), json!({})).await;
    assert_eq!(gone.status, 404);
    assert_eq!(google.call(&token, "POST", &format!("{MESSAGES}/{id}/trash"), None).await.status, 200);
    assert_eq!(google.stand_in.mail_labels(&id).unwrap(), ["Label_1", "STARRED", "TRASH"]);
    assert!(!ids(&google, &token, &[]).await.contains(&id));
    assert!(ids(&google, &token, &[("includeSpamTrash", "true")]).await.contains(&id));
    let all = google.stand_in.direct_token(&["https://mail.google.com/"]);
    assert_eq!(google.call(&all, "DELETE", &format!("{MESSAGES}/{id}"), None).await.status, 204);
    assert!(google.stand_in.mail_labels(&id).is_none());
}

#[tokio::test]
async fn a_sent_mail_is_kept_byte_for_byte() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.send"]);
    let raw = "To: Ann <ann@example.com>, b@example.com\r\nBcc: c@example.com\r\nSubject: =?utf-8?B?w6k=?=\r\n\r\nHi\u{e9}\r\n";
    let path = format!("{MESSAGES}/send");
    let answer = google.post(&token, &path, json!({ "raw": URL_SAFE_NO_PAD.encode(raw) })).await.json();
    assert_eq!(answer["labelIds"], json!(["SENT"]));
    let outbox = google.stand_in.outbox();
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].raw, raw.as_bytes());
    assert_eq!(outbox[0].to, ["ann@example.com", "b@example.com"]);
    assert_eq!(
        (outbox[0].bcc.as_slice(), outbox[0].subject.as_str()),
        (&["c@example.com".to_owned()][..], "\u{e9}")
    );
    let reader = google.stand_in.direct_token(&["gmail.readonly"]);
    assert_eq!(ids(&google, &reader, &[("labelIds", "SENT")]).await, [answer["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn a_mail_that_is_none_is_not_sent() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.send"]);
    let good = "To: a@example.com\r\n\r\n???>>>";
    for body in [
        json!({}),
        json!({ "raw": "" }),
        json!({ "raw": STANDARD.encode(good) }),
        json!({ "raw": URL_SAFE.encode("Subject: no recipient\r\n\r\nx") }),
        json!({ "raw": URL_SAFE.encode("To: a@example.com\rBcc: b@example.com\r\n\r\nx") }),
        json!({ "raw": URL_SAFE.encode("To: a@example.com\r\nTo: b@example.com\r\n\r\nx") }),
        json!({ "raw": URL_SAFE.encode(good), "extra": 1 }),
        json!([1]),
    ] {
        assert_eq!(
            google.post(&token, &format!("{MESSAGES}/send"), body.clone()).await.status,
            400,
            "{body}"
        );
    }
    let lost = json!({ "raw": URL_SAFE.encode(good), "threadId": "0000000000000000" });
    assert_eq!(google.post(&token, &format!("{MESSAGES}/send"), lost).await.status, 404);
    let mine = json!({ "raw": URL_SAFE.encode(good) });
    assert_eq!(google.post(&token, "/gmail/v1/users/x@example.com/messages/send", mine).await.status, 403);
    assert!(google.stand_in.outbox().is_empty());
}

#[tokio::test]
async fn labels_are_listed_and_made() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.labels"]);
    let path = "/gmail/v1/users/me/labels";
    let all = google.get(&token, path).await.json();
    let named = |name: &str| -> Value {
        all["labels"].as_array().unwrap().iter().find(|label| label["name"] == name).cloned().unwrap()
    };
    assert_eq!(
        (named("AI")["id"].clone(), named("INBOX")["type"].clone()),
        (json!("Label_1"), json!("system"))
    );
    let one = google.get(&token, &format!("{path}/Label_1")).await.json();
    assert_eq!((one["messagesTotal"].clone(), one["threadsTotal"].clone()), (json!(4), json!(3)));
    let made = google.post(&token, path, json!({ "name": "New" })).await.json();
    assert_eq!(made["id"], "Label_3");
    for (body, status) in
        [(json!({ "name": "ai" }), 409), (json!({ "name": " " }), 400), (json!({ "x": 1 }), 400)]
    {
        assert_eq!(google.post(&token, path, body.clone()).await.status, status, "{body}");
    }
    assert_eq!(google.get(&token, &format!("{path}/Label_99")).await.status, 404);
}

#[tokio::test]
async fn threads_hold_their_mails() {
    let (google, token) = reader().await;
    let id = google.stand_in.mail_id(MINUTES).unwrap();
    let thread = google.get(&token, &format!("/gmail/v1/users/me/threads/{id}")).await.json();
    assert_eq!(thread["messages"].as_array().unwrap().len(), 2);
    let all = google.get(&token, "/gmail/v1/users/me/threads?labelIds=Label_1").await.json();
    assert_eq!(all["threads"].as_array().unwrap().len(), 3);
    assert_eq!(google.get(&token, "/gmail/v1/users/me/threads/0000000000000000").await.status, 404);
    let profile = google.get(&token, "/gmail/v1/users/owner@example.com/profile").await.json();
    assert_eq!((profile["messagesTotal"].clone(), profile["threadsTotal"].clone()), (json!(7), json!(6)));
}

#[tokio::test]
async fn mails_can_arrive_and_be_relabelled_from_outside() {
    let (google, token) = reader().await;
    let letter = Letter::new("a@b.example", "owner@example.com", "New one").text("Gr\u{fc}\u{df}e");
    let mail = SeedMail::new(&["INBOX", "Fresh"], google.stand_in.now_ms(), letter);
    let id = google.stand_in.add_mail(&mail).unwrap();
    assert_eq!(
        ids(&google, &token, &[("q", "label:fresh gr\u{fc}\u{df}e")]).await,
        std::slice::from_ref(&id)
    );
    assert!(google.stand_in.set_mail_labels(&id, &["AI"]));
    assert_eq!(google.stand_in.mail_labels(&id).unwrap(), ["Label_1"]);
    assert!(!google.stand_in.set_mail_labels("none", &[]));
}
