//! Reading a mail of the owner's mailbox, so that an answer to it, or the sending of it, can be decided and written.
//!
//! Two forms come in: a message of Gmail's JSON with its `payload`, and a whole mail (RFC 5322) in base64url. Both
//! become the same facts. What two programs could read differently is not read at all: there is no letter then, and who
//! needs one refuses. That matters for drafts, whose headers decide who gets them.
//!
//! | member | what it is |
//! |---|---|
//! | `from`, `to`, `cc`, `bcc`, `reply_to` | lists of header values, as they stand |
//! | `subject`, `date` | one line each |
//! | `text` | what a reader sees; of a whole mail, every text part with its type |
//! | `attachments` | a line about each part that is no text |
//! | `message_id`, `references` | message ids (RFC 5322 section 3.6.4), and those of an answer; empty where there are none |
//! | `in_reply_to`, `answers` | what it answers, and the thread before it, in the same form |
//! | `answer_to` | whom an answer goes to: Reply-To, else From; of a mail the owner sent, To |
//! | `answer_cc` | who else an answer to all goes to, without the owner and without whom it goes to already |
//! | `reply_subject`, `forward_subject`, `quote`, `forward_text` | what an answer or a forwarded mail is made of |

mod mime;
mod words;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rfc5322::is_message_id;
use crate::address::Address;
use crate::people::addresses;

/// How much of a text is shown or quoted, in characters.
const TEXT_MAX: usize = 30_000;
/// How many message ids of a thread are kept: the last ones.
const REFERENCES_MAX: usize = 20;
/// Longest subject of an answer, in characters.
const SUBJECT_MAX: usize = 500;

/// A mail, read.
struct Letter {
    headers: Vec<(String, String)>,
    text: String,
    attachments: Vec<String>,
    /// Whether the owner wrote it.
    own: bool,
}

/// The facts of a message in Gmail's JSON, format `full`; `None` where it has no payload, or more senders than one.
#[must_use]
pub fn of_message(message: &Value) -> Option<Value> {
    let payload = message.get("payload")?;
    let headers = payload.get("headers")?.as_array()?.iter().map(|header| {
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("name")?, text("value")?))
    });
    let mut attachments = Vec::new();
    let text = mime::readable(payload, &mut attachments);
    let labels = message.get("labelIds").and_then(Value::as_array);
    let own = labels.into_iter().flatten().any(|label| label == "SENT");
    Letter { headers: headers.collect::<Option<_>>()?, text, attachments, own }.facts()
}

/// The facts of a whole mail in base64url, as Gmail's format `raw` has it; `None` where it could be read in two ways.
#[must_use]
pub fn of_raw(raw: &str) -> Option<Value> {
    let bytes = mime::base64url(raw)?;
    let whole = mime::whole(&bytes)?;
    Letter { headers: whole.headers, text: whole.text, attachments: whole.attachments, own: true }.facts()
}

impl Letter {
    fn facts(self) -> Option<Value> {
        let all = |name: &str| -> Vec<&str> {
            let found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).collect()
        };
        let [from, to, cc, bcc, reply_to] = ["From", "To", "Cc", "Bcc", "Reply-To"].map(all);
        // Two senders, or two places for the answer: which one a reader takes is the reader's choice.
        if from.len() > 1 || reply_to.len() > 1 {
            return None;
        }
        let one = |name: &str| all(name).first().map(|value| line(&words::decode(value))).unwrap_or_default();
        let (subject, date) = (one("Subject"), one("Date"));
        let message_id =
            all("Message-ID").first().copied().filter(|id| is_message_id(id)).unwrap_or_default();
        let known: Vec<&str> = all("References").iter().flat_map(|value| value.split_whitespace()).collect();
        let mut references: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        for id in known.into_iter().chain([message_id]) {
            if is_message_id(id) && seen.insert(id) {
                references.push(id);
            }
        }
        let before = references.iter().filter(|id| **id != message_id).copied().collect::<Vec<_>>();
        let answers = before[before.len().saturating_sub(REFERENCES_MAX)..].join(" ");
        let references = references[references.len().saturating_sub(REFERENCES_MAX)..].join(" ");
        let answer_to = match (self.own, reply_to.is_empty()) {
            (true, _) => to.clone(),
            (false, false) => reply_to.clone(),
            (false, true) => from.clone(),
        };
        // Gmail writes the account's address on top of what it takes in.
        let owner = all("Delivered-To").first().copied().unwrap_or_default();
        let others: Vec<&str> = if self.own { cc.clone() } else { to.iter().chain(&cc).copied().collect() };
        let answer_cc = others_of(&others, &answer_to, owner);
        let text = shown(&self.text);
        let shown_from = from.iter().map(|value| line(&words::decode(value))).collect::<Vec<_>>().join(", ");
        let shown_to = to.iter().map(|value| line(&words::decode(value))).collect::<Vec<_>>().join(", ");
        let quoted: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
        let mut forward = vec![
            "---------- Forwarded message ----------".to_owned(),
            format!("From: {shown_from}"),
            format!("Date: {date}"),
            format!("Subject: {subject}"),
            format!("To: {shown_to}"),
        ];
        forward.extend(self.attachments.iter().map(|attachment| format!("Not attached: {attachment}")));
        Some(json!({
            "from": from, "to": to, "cc": cc, "bcc": bcc, "reply_to": reply_to,
            "subject": subject, "date": date,
            "text": text, "attachments": self.attachments,
            "message_id": message_id, "references": references,
            "in_reply_to": all("In-Reply-To").first().copied().filter(|id| is_message_id(id)).unwrap_or_default(),
            "answers": answers,
            "answer_to": answer_to, "answer_cc": answer_cc,
            "reply_subject": prefixed("Re: ", &["re:", "aw:", "sv:", "antw:"], &subject),
            "forward_subject": prefixed("Fwd: ", &["fwd:", "fw:", "wg:"], &subject),
            "quote": format!("On {date}, {shown_from} wrote:\n{}", quoted.join("\n")),
            "forward_text": format!("{}\n\n{text}", forward.join("\n")),
        }))
    }
}

/// The values of headers without the addresses that get the answer already, and without the owner's. A value that is
/// not understood stays as it is: whoever reads it next refuses it.
fn others_of(values: &[&str], answered: &[&str], owner: &str) -> Vec<String> {
    let already = answered.iter().chain([&owner]).flat_map(|value| addresses(value).ok()).flatten();
    let mut already: BTreeSet<String> = already.map(|address| folded(&address)).collect();
    let mut kept: Vec<String> = Vec::new();
    for value in values {
        match addresses(value) {
            Ok(addresses) => {
                let new = addresses.iter().filter(|address| already.insert(folded(address)));
                kept.extend(new.map(ToString::to_string));
            }
            Err(_) => kept.push((*value).to_owned()),
        }
    }
    kept
}

/// An address as it is compared with others: ASCII case does not count.
fn folded(address: &Address) -> String {
    address.as_str().to_ascii_lowercase()
}

/// A subject with a prefix, unless it has one of these already.
fn prefixed(prefix: &str, known: &[&str], subject: &str) -> String {
    let lower = subject.to_lowercase();
    let subject: String = subject.chars().take(SUBJECT_MAX).collect();
    if known.iter().any(|known| lower.starts_with(known)) { subject } else { format!("{prefix}{subject}") }
}

/// One line, without what hides or reorders text.
fn line(text: &str) -> String {
    let text: String = text.chars().map(|c| if super::is_invisible(c) { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of bearable length, without what hides or reorders text.
fn shown(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut out: String = text
        .chars()
        .take(TEXT_MAX)
        .map(|c| if super::is_invisible(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        out.push_str("\n[…]");
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests;
