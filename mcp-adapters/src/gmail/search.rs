//! `search_messages`: a list of ids, then a summary of each.
//!
//! Each of `messages` has `id`, `thread_id`, `from`, `to`, `cc` (only if there is one), `subject`, `date` (RFC 3339, when
//! Gmail took it in; else the sender's claim), `snippet`, `labels`, `unread` and `size` (bytes). The newest comes first.
//!
//! A grant for several labels is searched label by label: `max_results` counts for each of them, a mail with two of the
//! labels is told once, and `next_pages` names a page for each label that goes on. `incomplete` is `true` where the
//! call's number of requests did not suffice for all.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use super::{header, label_ids, received, text};
use crate::call::Call;
use crate::failure::Failure;
use crate::service::Shaped;
use crate::service::listing::{gather, tell_pages};
use crate::text::{clean, html};

/// How many summaries are asked for at once.
const AT_ONCE: usize = 4;

pub(super) async fn run(call: &Call) -> Result<Shaped, Failure> {
    let listing = gather(call, "list", "label", "messages").await?;
    let several = call.choices("label").is_some_and(|ids| ids.len() > 1);
    let ids: Vec<String> = listing
        .items
        .iter()
        .filter_map(|item| item.get("id").and_then(Value::as_str))
        .map(str::to_owned)
        .collect();
    let room = usize::try_from(call.minted().requests.saturating_sub(listing.sent)).unwrap_or(usize::MAX);
    let incomplete = ids.len() > room;
    let mut mails: Vec<(i64, Map<String, Value>)> = stream::iter(ids.into_iter().take(room))
        .map(|id| async move {
            match call.json("summary", &[("message_id", &id)]).await {
                Ok(message) => Ok(Some((taken_in(&message), summary(&message)))),
                // Out of scope, or gone since: not part of the list, and not told.
                Err(failure) if failure.is_absence() => Ok(None),
                Err(failure) => Err(failure),
            }
        })
        .buffered(AT_ONCE)
        .try_filter_map(async |mail| Ok(mail))
        .try_collect()
        .await?;
    // Stable: mails of one instant stay in Gmail's order.
    mails.sort_by_key(|(time, _)| std::cmp::Reverse(*time));

    let mut text = match mails.len() {
        0 => "No mails.".to_owned(),
        1 => "1 mail".to_owned(),
        count => format!("{count} mails"),
    };
    for (_, mail) in &mails {
        text.push_str(&paragraph(mail));
    }
    let mails: Vec<Value> = mails.into_iter().map(|(_, mail)| Value::Object(mail)).collect();
    let mut structured = Map::from_iter([("messages".to_owned(), Value::Array(mails))]);
    if incomplete {
        structured.insert("incomplete".to_owned(), true.into());
        text.push_str("\n\nThere were more than one call may look at: ask more narrowly.");
    }
    let more = tell_pages(listing.pages, several, "label", &mut structured);
    text.push_str(&more);
    Ok(Shaped::new(structured, text))
}

fn taken_in(message: &Value) -> i64 {
    let millis = message.get("internalDate").and_then(Value::as_str).and_then(|text| text.parse().ok());
    millis.unwrap_or(i64::MIN)
}

fn summary(message: &Value) -> Map<String, Value> {
    let payload = message.get("payload").unwrap_or(&Value::Null);
    let labels = label_ids(message);
    let snippet = message.get("snippet").and_then(Value::as_str).unwrap_or_default();
    let date = received(message).unwrap_or_else(|| header::get(payload, "Date"));
    let mut told = Map::from_iter([
        ("id".to_owned(), text(message, "id").into()),
        ("thread_id".to_owned(), text(message, "threadId").into()),
        ("from".to_owned(), header::get(payload, "From").into()),
        ("to".to_owned(), header::get(payload, "To").into()),
        ("subject".to_owned(), header::get(payload, "Subject").into()),
        ("date".to_owned(), date.into()),
        ("snippet".to_owned(), clean::line(&html::unescape(snippet), 500).into()),
        ("unread".to_owned(), labels.iter().any(|id| id == "UNREAD").into()),
        ("labels".to_owned(), labels.into()),
        ("size".to_owned(), message.get("sizeEstimate").and_then(Value::as_u64).into()),
    ]);
    let cc = header::get(payload, "Cc");
    if !cc.is_empty() {
        told.insert("cc".to_owned(), cc.into());
    }
    told
}

fn paragraph(mail: &Map<String, Value>) -> String {
    let line = |name: &str| mail.get(name).and_then(Value::as_str).unwrap_or_default();
    let unread = if mail.get("unread") == Some(&Value::Bool(true)) { " (unread)" } else { "" };
    format!(
        "\n\nid {}{unread}\nFrom: {}\nTo: {}\nSubject: {}\nDate: {}\n{}",
        line("id"),
        line("from"),
        line("to"),
        line("subject"),
        line("date"),
        line("snippet")
    )
}
