//! Mails that come as they are, in a resumable upload: begun by POST, [filled](crate::filling) by PUT, ended by DELETE. Nothing
//! is sent before the last byte.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use super::send;
use crate::filling::{Brings, Filling};
use crate::google_error as refuse;
use crate::random;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// How many bytes a mail has at most (the method's `maxSize` in Gmail's discovery document).
pub(super) const LARGEST: usize = 36_700_160;
const PATH: &str = "/upload/gmail/v1/users/me/messages/send";

/// All sessions, by their id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    begun: u64,
    all: BTreeMap<String, Session>,
}

/// One mail on its way.
#[derive(Debug)]
struct Session {
    filling: Filling,
    /// What was answered when it was sent.
    sent: Option<Value>,
}

/// Begins a session: the answer says where its bytes go. Nothing is sent.
pub(super) fn begin(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.messages.send")?;
    call.query.check(&["uploadType"], &[])?;
    if !call.body.is_empty() {
        return Err(refuse::bad_request("Only mails without metadata are taken"));
    }
    if call.header("x-upload-content-type") != Some("message/rfc822") {
        return Err(refuse::bad_request("Media type is not supported. Valid media types: [message/*]"));
    }
    let filling = Filling::new(call, LARGEST)?;
    let uploads = &mut world.mailbox.uploads;
    uploads.begun += 1;
    let id = random::sha256_base64url(format!("mail {}", uploads.begun).as_bytes());
    uploads.all.insert(id.clone(), Session { filling, sent: None });
    let location = format!("{}{PATH}?uploadType=resumable&upload_id={id}", call.origin);
    Ok(Reply::new(200, "").with("location", &location).with("x-guploader-uploadid", &id))
}

/// Ends a session whose bytes have not all come. Google answers 499.
pub(super) fn end(world: &mut World, call: &Call) -> Answer {
    let id = call.query.get("upload_id").unwrap_or_default();
    match world.mailbox.uploads.all.remove(id) {
        Some(session) if session.sent.is_none() => Ok(Reply::new(499, "")),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Whether a request fills a session: its body may be long.
pub(crate) fn is_put(method: &Method, path: &str) -> bool {
    *method == Method::PUT && path == PATH
}

/// A session that is being filled.
#[derive(Debug)]
pub(crate) struct Put {
    id: String,
    brings: Brings,
}

/// Judges the head of a PUT. The error is the answer to one that brings nothing.
pub(crate) fn put(world: &mut World, call: &Call) -> Result<Put, Reply> {
    world.live(call)?;
    let id = call.query.get("upload_id").unwrap_or_default().to_owned();
    let session = world.mailbox.uploads.all.get_mut(&id).ok_or_else(|| refuse::not_found("Not Found"))?;
    if let Some(sent) = &session.sent {
        return Err(Reply::json(200, sent));
    }
    let brings = session.filling.put(call)?;
    Ok(Put { id, brings })
}

/// Takes bytes as they come.
pub(crate) fn take(world: &mut World, put: &Put, bytes: &[u8]) {
    if let Some(session) = world.mailbox.uploads.all.get_mut(&put.id) {
        session.filling.take(bytes);
    }
}

/// Sends the mail, if all came: read as one that comes inside JSON.
pub(crate) fn finish_put(world: &mut World, put: &Put, call: &Call) -> Answer {
    let uploads = &mut world.mailbox.uploads;
    let session = uploads.all.get_mut(&put.id).ok_or_else(|| refuse::not_found("Not Found"))?;
    let came = session.filling.finish(&put.brings)?;
    let answer = send::deliver(world, call, send::parsed(came.into(), None)?)?;
    if let Some(session) = world.mailbox.uploads.all.get_mut(&put.id) {
        session.sent = serde_json::from_slice(&answer.body).ok();
    }
    Ok(answer)
}
