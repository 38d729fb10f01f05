//! `list_drafts`, `get_draft` and what is answered when a draft was written or deleted.
//!
//! Each of `drafts` has `draft_id`, `to`, `cc`, `bcc`, `reply_to`, `subject`, `snippet`, `thread_id` and `changed`
//! (RFC 3339). `get_draft` gives a mail as `get_message` does, with `draft_id` and `bcc`.

use serde_json::{Map, Value};

use super::{header, read, received, text};
use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::service::Shaped;
use crate::service::listing::tell_pages;
use crate::text::{clean, html};

pub(super) async fn list(call: &Call) -> Result<Shaped, Failure> {
    let answer = call.json("list", &[]).await?;
    let all = answer.get("drafts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let room = usize::try_from(call.minted().requests.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut drafts = Vec::new();
    for draft in all.iter().take(room) {
        match call.json("summary", &[("draft_id", &text(draft, "id"))]).await {
            Ok(draft) => drafts.push(summary(&draft)),
            Err(failure) if failure.is_absence() => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut lines = match drafts.len() {
        0 => "No drafts.".to_owned(),
        1 => "1 draft".to_owned(),
        count => format!("{count} drafts"),
    };
    drafts.iter().for_each(|draft| lines.push_str(&paragraph(draft)));
    let drafts: Vec<Value> = drafts.into_iter().map(Value::Object).collect();
    let mut structured = Map::from_iter([("drafts".to_owned(), Value::Array(drafts))]);
    let page = answer.get("nextPageToken").and_then(Value::as_str).map(|page| (None, page.to_owned()));
    let more = tell_pages(page.into_iter().collect(), false, "draft", &mut structured);
    lines.push_str(&more);
    Ok(Shaped::new(structured, lines))
}

const PEOPLE: [(&str, &str, &str); 4] =
    [("To", "to", "To"), ("Cc", "cc", "Cc"), ("Bcc", "bcc", "Bcc"), ("Reply-To", "reply_to", "Answers to")];

fn summary(draft: &Value) -> Map<String, Value> {
    let message = draft.get("message").unwrap_or(&Value::Null);
    let payload = message.get("payload").unwrap_or(&Value::Null);
    let snippet = message.get("snippet").and_then(Value::as_str).unwrap_or_default();
    let mut told = Map::from_iter([
        ("draft_id".to_owned(), text(draft, "id").into()),
        ("thread_id".to_owned(), text(message, "threadId").into()),
        ("subject".to_owned(), header::get(payload, "Subject").into()),
        ("snippet".to_owned(), clean::line(&html::unescape(snippet), 500).into()),
        ("changed".to_owned(), received(message).into()),
    ]);
    for (name, key, _) in PEOPLE {
        told.insert(key.to_owned(), header::get(payload, name).into());
    }
    told
}

fn paragraph(draft: &Map<String, Value>) -> String {
    let line = |name: &str| draft.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("\n\ndraft_id {}", line("draft_id"));
    for (_, key, word) in PEOPLE {
        if !line(key).is_empty() {
            text.push_str(&format!("\n{word}: {}", line(key)));
        }
    }
    text.push_str(&format!("\nSubject: {}\n{}", line("subject"), line("snippet")));
    text
}

pub(super) fn shape(draft: &Value) -> Result<Shaped, Failure> {
    let message = draft.get("message").ok_or_else(Failure::unexpected)?;
    let mut shaped = read::shape(message)?;
    let id = text(draft, "id");
    let bcc = message.get("payload").map(|payload| header::get(payload, "Bcc")).unwrap_or_default();
    let bcc_line = if bcc.is_empty() { String::new() } else { format!("Bcc: {bcc}\n") };
    shaped.text = format!("Draft {id}, not sent\n{bcc_line}{}", shaped.text);
    shaped.structured.insert("draft_id".to_owned(), id.into());
    shaped.structured.insert("bcc".to_owned(), bcc.into());
    Ok(shaped)
}

pub(super) fn written(answer: &Value) -> Result<Shaped, Failure> {
    let id = text(answer, "id");
    if id.is_empty() {
        // Gmail took it, or it did not: without an id nobody here can say.
        return Err(Failure::Refused(Refused::here(Refused::UNKNOWN)));
    }
    let thread = answer.get("message").map(|message| text(message, "threadId")).unwrap_or_default();
    let line = format!("Draft {id} is written. It is not sent.");
    let told = Map::from_iter([("draft_id".to_owned(), id.into()), ("thread_id".to_owned(), thread.into())]);
    Ok(Shaped::new(told, line))
}

pub(super) fn deleted(call: &Call) -> Shaped {
    let id =
        call.argument("draft_id").and_then(Value::as_str).map(|id| clean::line(id, 200)).unwrap_or_default();
    let line = format!("Draft {id} is deleted.");
    Shaped::new(
        Map::from_iter([("draft_id".to_owned(), id.into()), ("deleted".to_owned(), true.into())]),
        line,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_draft_shows_whom_it_would_reach() {
        let draft = json!({"id": "r1", "message": {
            "id": "m1", "threadId": "t1", "labelIds": ["DRAFT"], "snippet": "Hi &amp; ho", "internalDate": "1700000000000",
            "payload": {"mimeType": "text/plain", "headers": [
                {"name": "To", "value": "a@example.com"}, {"name": "Bcc", "value": "x\u{202e}@evil.example"},
                {"name": "Subject", "value": "s"},
            ], "body": {"size": 0}},
        }});
        let told = summary(&draft);
        assert_eq!(
            Value::Object(told.clone()),
            json!({
                "draft_id": "r1", "thread_id": "t1", "to": "a@example.com", "cc": "", "bcc": "x<U+202E>@evil.example",
                "reply_to": "", "subject": "s", "snippet": "Hi & ho", "changed": "2023-11-14T22:13:20Z",
            })
        );
        assert!(paragraph(&told).contains("\nBcc: x<U+202E>@evil.example\n"));
        let shaped = shape(&draft).unwrap();
        assert_eq!(
            (&shaped.structured["draft_id"], &shaped.structured["bcc"]),
            (&json!("r1"), &json!("x<U+202E>@evil.example"))
        );
        assert!(
            shaped.text.starts_with("Draft r1, not sent\nBcc: x<U+202E>@evil.example\nTo: a@example.com"),
            "{}",
            shaped.text
        );
        assert!(written(&json!({})).is_err() && shape(&json!({})).is_err());
        let shaped = written(&draft).unwrap();
        assert_eq!(Value::Object(shaped.structured), json!({"draft_id": "r1", "thread_id": "t1"}));
    }
}
