//! `get_message`: one mail.
//!
//! `id`, `thread_id`, `from`, `to`, `cc`, `reply_to`, `subject`, `date` (the sender's), `received` (Gmail's, RFC 3339),
//! `message_id`, `labels`, `unread`, `size` (bytes of the whole mail), `body`, `body_format` (`plain`, `html` for text
//! made of HTML, `none`), `truncated`, `attachments: [{name, mime_type, size, part}]`, `problems` (only if
//! there were some).

use serde_json::{Map, Value, json};

use super::body::{self, Found};
use super::{header, label_ids, received, text};
use crate::failure::Failure;
use crate::service::Shaped;
use crate::text::clean;

/// How many bytes of a body are told.
pub(super) const LONGEST_BODY: usize = 200 * 1024;

/// Shapes the answer of `messages.get` in format `full`.
pub(super) fn shape(message: &Value) -> Result<Shaped, Failure> {
    shape_to(message, LONGEST_BODY)
}

/// The same with at most so many bytes of the body.
pub(super) fn shape_to(message: &Value, longest: usize) -> Result<Shaped, Failure> {
    let payload = message.get("payload").ok_or_else(Failure::unexpected)?;
    let mut found = Found::default();
    let read = body::read(payload, &mut found);
    let format = match &read {
        None => "none",
        Some(text) if text.from_html => "html",
        Some(_) => "plain",
    };
    let mut body = read.map(|read| read.text).unwrap_or_default();
    let truncated = clean::cut(&mut body, longest);

    let labels = label_ids(message);
    let mut told = Map::new();
    let mut lines = Vec::new();
    told.insert("id".to_owned(), text(message, "id").into());
    told.insert("thread_id".to_owned(), text(message, "threadId").into());
    for (name, key) in [
        ("From", "from"),
        ("To", "to"),
        ("Cc", "cc"),
        ("Reply-To", "reply_to"),
        ("Subject", "subject"),
        ("Date", "date"),
        ("Message-ID", "message_id"),
    ] {
        let value = header::get(payload, name);
        if !value.is_empty() && name != "Message-ID" {
            lines.push(format!("{name}: {value}"));
        }
        told.insert(key.to_owned(), value.into());
    }
    if let Some(received) = received(message) {
        told.insert("received".to_owned(), received.into());
    }
    lines.push(format!("Labels: {}", labels.join(", ")));
    told.insert("unread".to_owned(), labels.iter().any(|id| id == "UNREAD").into());
    told.insert("labels".to_owned(), labels.into());
    told.insert("size".to_owned(), message.get("sizeEstimate").and_then(Value::as_u64).into());
    for file in &found.attachments {
        lines.push(format!(
            "Attachment {}: {} ({}, {} bytes)",
            text(file, "part"),
            text(file, "name"),
            text(file, "mime_type"),
            file.get("size").and_then(Value::as_u64).unwrap_or(0)
        ));
    }
    lines.extend(found.problems.iter().map(|problem| format!("Problem: {problem}")));
    lines.push(String::new());
    lines.push(if body.is_empty() { "(no text)".to_owned() } else { body.clone() });
    if truncated {
        lines.push(format!("(cut: only the first {} KiB are shown)", longest / 1024));
    }
    told.insert("body".to_owned(), body.into());
    told.insert("body_format".to_owned(), format.into());
    told.insert("truncated".to_owned(), truncated.into());
    told.insert("attachments".to_owned(), found.attachments.into());
    if !found.problems.is_empty() {
        told.insert("problems".to_owned(), json!(found.problems));
    }
    Ok(Shaped::new(told, lines.join("\n")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn message(text: &str) -> Value {
        json!({
            "id": "m1", "threadId": "t1", "labelIds": ["INBOX", "UNREAD"], "snippet": "x",
            "internalDate": "1700000000000", "sizeEstimate": 1234,
            "payload": {
                "mimeType": "text/plain", "filename": "",
                "headers": [
                    {"name": "From", "value": "Ann <ann@example.com>"},
                    {"name": "To", "value": "me@example.com"},
                    {"name": "Subject", "value": "Hello"},
                    {"name": "Date", "value": "Tue, 14 Nov 2023 22:13:20 +0000"},
                    {"name": "Message-Id", "value": "<1@example.com>"},
                ],
                "body": {"size": text.len(), "data": URL_SAFE_NO_PAD.encode(text)},
            },
        })
    }

    #[test]
    fn a_mail() {
        let shaped = shape(&message("Hi\r\nthere")).unwrap();
        assert_eq!(
            Value::Object(shaped.structured),
            json!({
                "id": "m1", "thread_id": "t1", "from": "Ann <ann@example.com>", "to": "me@example.com", "cc": "",
                "reply_to": "", "subject": "Hello", "date": "Tue, 14 Nov 2023 22:13:20 +0000",
                "received": "2023-11-14T22:13:20Z", "message_id": "<1@example.com>",
                "labels": ["INBOX", "UNREAD"], "unread": true, "size": 1234, "body": "Hi\nthere",
                "body_format": "plain", "truncated": false, "attachments": [],
            })
        );
        assert_eq!(
            shaped.text,
            "From: Ann <ann@example.com>\nTo: me@example.com\nSubject: Hello\n\
             Date: Tue, 14 Nov 2023 22:13:20 +0000\nLabels: INBOX, UNREAD\n\nHi\nthere"
        );
    }

    #[test]
    fn a_huge_mail_is_cut_and_says_so() {
        let shaped = shape(&message(&"é".repeat(150_000))).unwrap();
        assert_eq!(shaped.structured["truncated"], true);
        assert_eq!(shaped.structured["body"].as_str().unwrap().len(), LONGEST_BODY);
        assert!(shaped.text.ends_with("(cut: only the first 200 KiB are shown)"));
    }

    #[test]
    fn an_answer_without_a_mail_is_refused() {
        assert!(matches!(shape(&json!({"id": "m1"})), Err(Failure::Refused(_))));
    }
}
