//! `users.messages.send` and the outbox that tests read.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Value, json};

use super::messages::unknown_field;
use crate::google_error as refuse;
use crate::mime::{Part, addresses};
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// Google takes base64url with and without padding, and no other alphabet.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A mail that was sent, byte for byte as it came.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The id Gmail gave it.
    pub id: String,
    /// The exact RFC 5322 bytes.
    pub raw: Bytes,
    /// When, in milliseconds since 1970 by the stand-in's clock.
    pub at_ms: i64,
    /// Addresses of `To`.
    pub to: Vec<String>,
    /// Addresses of `Cc`.
    pub cc: Vec<String>,
    /// Addresses of `Bcc`.
    pub bcc: Vec<String>,
    /// The decoded subject.
    pub subject: String,
}

impl Sent {
    /// The mail for `/stand-in/outbox`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id, "at": crate::clock::rfc3339(self.at_ms), "to": self.to, "cc": self.cc, "bcc": self.bcc,
            "subject": self.subject, "raw": String::from_utf8_lossy(&self.raw),
        })
    }
}

pub(super) fn send(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.messages.send")?;
    call.query.check(&[], &[])?;
    let body = call.json_object()?;
    if let Some(unknown) = body.keys().find(|key| !["raw", "threadId"].contains(&key.as_str())) {
        return Err(unknown_field(unknown));
    }
    let text = body.get("raw").and_then(Value::as_str);
    let text =
        text.ok_or_else(|| refuse::invalid_argument("'raw' RFC822 payload message string required"))?;
    let raw = ENGINE.decode(text).map_err(|_| refuse::bad_request("Invalid value at 'raw' (TYPE_BYTES)"))?;
    let mail =
        Part::parse(&raw).map_err(|_| refuse::invalid_argument("Invalid message: malformed header"))?;
    let of = |name: &str| addresses(mail.header(name));
    let (to, cc, bcc) = (of("to"), of("cc"), of("bcc"));
    if to.is_empty() {
        return Err(refuse::invalid_argument("Recipient address required"));
    }
    let thread = match body.get("threadId") {
        None => None,
        Some(Value::String(id)) if !world.mailbox.thread(id).is_empty() => Some(id.clone()),
        Some(_) => return Err(refuse::not_found("Requested entity was not found.")),
    };
    let raw = Bytes::from(raw);
    let labels = BTreeSet::from(["SENT".to_owned()]);
    let id = world
        .mailbox
        .insert(raw.clone(), call.now_ms, labels, thread.clone())
        .map_err(|_| refuse::invalid_argument("Invalid message"))?;
    let subject = mail.header("subject").to_owned();
    world.mailbox.outbox.push(Sent { id: id.clone(), raw, at_ms: call.now_ms, to, cc, bcc, subject });
    let thread = thread.unwrap_or_else(|| id.clone());
    Ok(Reply::json(200, &json!({ "id": id, "threadId": thread, "labelIds": ["SENT"] })))
}
