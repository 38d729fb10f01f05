//! Gmail: readable mails.
//!
//! | tool | structured content |
//! |---|---|
//! | `search_messages` | `messages: [`[summary](search)`]`, `next_page` or `next_pages: [{label, page}]`, `incomplete` |
//! | `get_message` | [`read`]: headers, `body`, `body_format`, `truncated`, `attachments` |
//! | `get_thread` | [`thread`]: `id`, `messages`, each as `get_message` gives it, `incomplete` |
//! | `get_attachment` | [`attachment`]: `name`, `mime_type`, `size`, `content` (`text` or `blob`), `text` |
//! | `download_attachment` | [`attachment`]: `name`, `mime_type`, `size`; its bytes go over the bulk socket |
//! | `list_drafts`, `get_draft` | [`drafts`]: `drafts`, or a mail with `draft_id` and `bcc` |
//! | `create_draft`, `update_draft` | `draft_id`, `thread_id` |
//! | `delete_draft` | `draft_id`, `deleted` |
//! | `list_labels` | `labels: [{id, name, type}]` |
//! | `label_message`, `trash_message`, `untrash_message` | `id`, `thread_id`, `labels` |
//! | `label_messages`, `mark_read`, `mark_unread` | `ids` |
//! | `send_message`, `reply`, `reply_all`, `forward`, `forward_whole`, `send_draft` | `id`, `thread_id` |
//! | `send_file` | `id`, `thread_id`; the file's bytes come over the bulk socket |

pub mod attachment;
mod body;
pub mod drafts;
mod header;
pub mod read;
pub mod search;
pub mod thread;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::service::{Service, Shaped};
use crate::text::clean;
use crate::transfer::{Put, Transfer};

/// The module of Gmail.
pub struct Gmail;

impl Service for Gmail {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            match tool {
                "search_messages" => search::run(call).await,
                "get_message" => read::shape(&call.json("get", &[]).await?),
                "get_thread" => thread::run(call).await,
                "get_attachment" => attachment::run(call).await,
                "download_attachment" => attachment::download(call).await,
                "list_drafts" => drafts::list(call).await,
                "get_draft" => drafts::shape(&call.json("get", &[]).await?),
                "create_draft" => drafts::written(&call.json("create", &[]).await?),
                "update_draft" => drafts::written(&call.json("update", &[]).await?),
                "delete_draft" => {
                    call.send("delete", &[]).await?.success()?;
                    Ok(drafts::deleted(call))
                }
                "list_labels" => labels(&call.json("list", &[]).await?),
                "label_message" => labelled(&call.json("modify", &[]).await?),
                "trash_message" => labelled(&call.json("trash", &[]).await?),
                "untrash_message" => labelled(&call.json("untrash", &[]).await?),
                "label_messages" => changed(call, "The labels are changed").await,
                "mark_read" => changed(call, "Marked as read").await,
                "mark_unread" => changed(call, "Marked as unread").await,
                "send_message" | "reply" | "reply_all" | "forward" | "forward_whole" | "send_draft" => {
                    sent(&call.json("send", &[]).await?)
                }
                "send_file" => file(call),
                // A tool that an admin added in an overriding catalog file.
                _ => crate::generic::Generic.run(tool, call).await,
            }
        }
        .boxed()
    }
}

/// A member as one line of text; empty if there is none.
fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(|text| clean::line(text, 500)).unwrap_or_default()
}

/// The ids of the labels that a mail carries.
fn label_ids(message: &Value) -> Vec<String> {
    let ids = message.get("labelIds").and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(Value::as_str).map(|id| clean::line(id, 200)).collect()
}

/// When Gmail took the mail in, RFC 3339; `None` without it. The `Date` header is the sender's claim, this is not.
fn received(message: &Value) -> Option<String> {
    let millis: i64 = match message.get("internalDate")? {
        Value::String(text) => text.parse().ok()?,
        Value::Number(number) => number.as_i64()?,
        _ => return None,
    };
    let time = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(jiff::Timestamp::from_second(time.as_second()).ok()?.to_string())
}

fn labels(answer: &Value) -> Result<Shaped, Failure> {
    // An answer without the member is an empty list.
    let all = answer.get("labels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines = vec!["Labels (id: name)".to_owned()];
    let mut told = Vec::with_capacity(all.len());
    for label in all {
        let (id, name) = (text(label, "id"), text(label, "name"));
        lines.push(format!("{id}: {name}"));
        told.push(json!({"id": id, "name": name, "type": text(label, "type")}));
    }
    Ok(Shaped::new(Map::from_iter([("labels".to_owned(), told.into())]), lines.join("\n")))
}

fn labelled(answer: &Value) -> Result<Shaped, Failure> {
    let (id, labels) = (text(answer, "id"), label_ids(answer));
    let line = format!("Mail {id} now carries: {}", labels.join(", "));
    let mut told = Map::from_iter([("id".to_owned(), id.into()), ("labels".to_owned(), labels.into())]);
    told.insert("thread_id".to_owned(), text(answer, "threadId").into());
    Ok(Shaped::new(told, line))
}

/// Many mails at once: Gmail answers nothing, so the mails asked for are told.
async fn changed(call: &Call, done: &str) -> Result<Shaped, Failure> {
    call.send("modify", &[]).await?.success()?;
    let ids = call.argument("message_ids").and_then(Value::as_array);
    let ids: Vec<String> =
        ids.into_iter().flatten().filter_map(Value::as_str).map(|id| clean::line(id, 200)).collect();
    let line = format!("{done}: {}", ids.join(", "));
    Ok(Shaped::new(Map::from_iter([("ids".to_owned(), ids.into())]), line))
}

/// The bytes of the file that the mail brings. All else of the mail the vault writes.
fn file(call: &Call) -> Result<Shaped, Failure> {
    let put = Put::of(call, "file", "send", |_, answer| sent(&answer.json()?))?;
    Ok(Shaped::new(Map::new(), "The bytes are awaited.").with_transfer(Transfer::Put(put)))
}

fn sent(answer: &Value) -> Result<Shaped, Failure> {
    let id = text(answer, "id");
    if id.is_empty() {
        // Gmail took it, or it did not: without an id nobody here can say.
        return Err(Failure::Refused(Refused::here(Refused::UNKNOWN)));
    }
    let line = format!("Sent as mail {id}.");
    let told = Map::from_iter([
        ("id".to_owned(), id.into()),
        ("thread_id".to_owned(), text(answer, "threadId").into()),
    ]);
    Ok(Shaped::new(told, line))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn small_answers() {
        let shaped =
            labels(&json!({"labels": [{"id": "L1", "name": "A\u{202e}I", "type": "user", "x": 1}]})).unwrap();
        assert_eq!(
            Value::Object(shaped.structured),
            json!({"labels": [{"id": "L1", "name": "A<U+202E>I", "type": "user"}]})
        );
        assert_eq!(shaped.text, "Labels (id: name)\nL1: A<U+202E>I");
        let shaped = labelled(&json!({"id": "m1", "threadId": "t1", "labelIds": ["L1", "UNREAD"]})).unwrap();
        assert_eq!(
            Value::Object(shaped.structured),
            json!({"id": "m1", "thread_id": "t1", "labels": ["L1", "UNREAD"]})
        );
        let shaped = sent(&json!({"id": "m1", "threadId": "t1", "labelIds": ["SENT"]})).unwrap();
        assert_eq!(Value::Object(shaped.structured), json!({"id": "m1", "thread_id": "t1"}));
        assert!(sent(&json!({})).is_err());
    }

    #[test]
    fn times() {
        for (input, expected) in [
            (json!("1700000000123"), Some("2023-11-14T22:13:20Z")),
            (json!(1_700_000_000_000_i64), Some("2023-11-14T22:13:20Z")),
            (json!("soon"), None),
            (json!("99999999999999999999"), None),
            (json!(i64::MAX), None),
        ] {
            assert_eq!(received(&json!({"internalDate": input})).as_deref(), expected);
        }
        assert_eq!(received(&json!({})), None);
    }
}
