//! `users.messages.send` and the outbox that tests read.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Value, json};

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
    /// The thread it went into.
    pub thread_id: String,
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
    let written = read_message(world, &call.json_object()?)?;
    deliver(world, call, written)
}

/// The upload form: the mail itself is the body.
pub(super) fn send_upload(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.messages.send")?;
    call.query.check(&["uploadType"], &[])?;
    if call.query.get("uploadType") != Some("media") || call.header("content-type") != Some("message/rfc822")
    {
        return Err(refuse::bad_request("Only simple uploads of message/rfc822 are taken"));
    }
    let written = parsed(call.body.clone(), None)?;
    deliver(world, call, written)
}

/// A mail as a client wrote it.
pub(super) struct Written {
    pub(super) raw: Bytes,
    pub(super) parsed: Part,
    pub(super) thread: Option<String>,
}

/// Reads a message resource: `raw`, and `threadId` of a thread that exists.
pub(super) fn read_message(world: &World, body: &Map<String, Value>) -> Result<Written, Reply> {
    if let Some(unknown) = body.keys().find(|key| !["raw", "threadId"].contains(&key.as_str())) {
        return Err(unknown_field(unknown));
    }
    let text = body.get("raw").and_then(Value::as_str);
    let text =
        text.ok_or_else(|| refuse::invalid_argument("'raw' RFC822 payload message string required"))?;
    let raw = ENGINE.decode(text).map_err(|_| refuse::bad_request("Invalid value at 'raw' (TYPE_BYTES)"))?;
    let thread = match body.get("threadId") {
        None => None,
        Some(Value::String(id)) if !world.mailbox.thread(id).is_empty() => Some(id.clone()),
        Some(_) => return Err(refuse::not_found("Requested entity was not found.")),
    };
    parsed(raw.into(), thread)
}

pub(super) fn parsed(raw: Bytes, thread: Option<String>) -> Result<Written, Reply> {
    let parsed =
        Part::parse(&raw).map_err(|_| refuse::invalid_argument("Invalid message: malformed header"))?;
    Ok(Written { raw, parsed, thread })
}

/// Puts a mail into the outbox and among the sent ones.
pub(super) fn deliver(world: &mut World, call: &Call, written: Written) -> Answer {
    let Written { raw, parsed: mail, thread } = written;
    let of = |name: &str| addresses(mail.header(name));
    let (to, cc, bcc) = (of("to"), of("cc"), of("bcc"));
    if to.is_empty() && cc.is_empty() && bcc.is_empty() {
        return Err(refuse::invalid_argument("Recipient address required"));
    }
    let labels = BTreeSet::from(["SENT".to_owned()]);
    let id = world
        .mailbox
        .insert(raw.clone(), call.now_ms, labels, thread.clone())
        .map_err(|_| refuse::invalid_argument("Invalid message"))?;
    let subject = mail.header("subject").to_owned();
    let thread = thread.unwrap_or_else(|| id.clone());
    world.mailbox.outbox.push(Sent {
        id: id.clone(),
        thread_id: thread.clone(),
        raw,
        at_ms: call.now_ms,
        to,
        cc,
        bcc,
        subject,
    });
    Ok(Reply::json(200, &json!({ "id": id, "threadId": thread, "labelIds": ["SENT"] })))
}
