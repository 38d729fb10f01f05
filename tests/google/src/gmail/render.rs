//! Mails as Gmail's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::mailbox::Mail;
use crate::google_error as refuse;
use crate::mime::Part;
use crate::random;
use crate::wire::{Call, Reply};

/// How much of a mail is asked for.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Minimal,
    /// Only headers; if names are given, only those.
    Metadata(Vec<String>),
    Full,
    Raw,
}

impl Format {
    /// Reads `format` and `metadataHeaders`; 400 for another word.
    pub(super) fn from_query(call: &Call, raw_allowed: bool) -> Result<Self, Reply> {
        match call.query.get("format") {
            None | Some("full") => Ok(Self::Full),
            Some("minimal") => Ok(Self::Minimal),
            Some("metadata") => {
                Ok(Self::Metadata(call.query.all("metadataHeaders").map(str::to_lowercase).collect()))
            }
            Some("raw") if raw_allowed => Ok(Self::Raw),
            Some(_) => Err(refuse::bad_request("Invalid value at 'format'")),
        }
    }

    /// Whether the format shows more than `gmail.metadata` allows.
    pub(super) fn shows_content(&self) -> bool {
        matches!(self, Self::Full | Self::Raw)
    }
}

/// A mail in a format.
pub(super) fn message(mail: &Mail, format: &Format) -> Value {
    let mut value = json!({
        "id": mail.id,
        "threadId": mail.thread_id,
        "labelIds": mail.labels,
        "snippet": snippet(&mail.parsed),
        "sizeEstimate": mail.raw.len(),
        "historyId": mail.history.to_string(),
        "internalDate": mail.at_ms.to_string(),
    });
    match format {
        Format::Minimal => {}
        Format::Raw => value["raw"] = json!(URL_SAFE.encode(&mail.raw)),
        Format::Full => value["payload"] = part(&mail.id, &mail.parsed),
        Format::Metadata(names) => {
            let wanted = |name: &str| names.is_empty() || names.contains(&name.to_lowercase());
            let headers = mail.parsed.headers.iter().filter(|(name, _)| wanted(name));
            value["payload"] = json!({
                "mimeType": mail.parsed.mime_type,
                "headers": headers.map(header).collect::<Vec<_>>(),
            });
        }
    }
    value
}

/// An attachment's id: stable, long, and without meaning to a client.
pub(super) fn attachment_id(mail_id: &str, part: &Part) -> String {
    let digest = random::sha256_base64url(format!("attachment {mail_id} {}", part.id).as_bytes());
    format!("ANGjdJ{digest}{}", random::sha256_base64url(digest.as_bytes()))
}

fn part(mail_id: &str, from: &Part) -> Value {
    let mut body = json!({ "size": from.content.len() });
    if from.is_attachment() {
        body["attachmentId"] = json!(attachment_id(mail_id, from));
    } else if !from.content.is_empty() {
        body["data"] = json!(URL_SAFE.encode(&from.content));
    }
    let mut value = json!({
        "partId": from.id,
        "mimeType": from.mime_type,
        "filename": from.filename,
        "headers": from.headers.iter().map(header).collect::<Vec<_>>(),
        "body": body,
    });
    if !from.parts.is_empty() {
        value["parts"] = from.parts.iter().map(|inner| part(mail_id, inner)).collect();
    }
    value
}

fn header((name, value): &(String, String)) -> Value {
    json!({ "name": name, "value": value })
}

/// The first words, HTML-escaped as Gmail gives them.
fn snippet(mail: &Part) -> String {
    let text = mail.text().split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(200).collect();
    short
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
