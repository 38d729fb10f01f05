//! Resumable uploads of files: a session is begun by POST, [filled](crate::filling) by PUT, and ended by DELETE.

use std::collections::BTreeMap;

use http::Method;

use super::content::Content;
use super::files::{file_fields, shown};
use super::store::File;
use super::write::{CREATE, new_file};
use crate::fields::Fields;
use crate::filling::{Brings, Filling};
use crate::google_error as refuse;
use crate::random;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// How many bytes a file has at most here.
const LARGEST: usize = 4 << 30;

/// All sessions, by their id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    begun: u64,
    all: BTreeMap<String, Session>,
}

/// One upload.
#[derive(Debug)]
struct Session {
    file: File,
    fields: Fields,
    filling: Filling,
    /// The file that it became.
    made: Option<String>,
}

/// Begins a session: the answer says where its bytes go. Nothing is made.
pub(super) fn begin(world: &mut World, call: &Call) -> Answer {
    let bearer = world.authorize(call, "drive.files.create")?;
    let known: Vec<&str> = CREATE.into_iter().chain(["uploadType"]).collect();
    call.query.check(&known, &[])?;
    let fields = file_fields(call)?;
    let metadata = if call.body.is_empty() { serde_json::Map::new() } else { call.json_object()? };
    let mut file = new_file(world, call, &bearer, &metadata)?;
    if let Some(kind) = call.header("x-upload-content-type").filter(|_| !metadata.contains_key("mimeType")) {
        kind.clone_into(&mut file.mime_type);
    }
    let filling = Filling::new(call, LARGEST)?;
    let uploads = &mut world.drive.uploads;
    uploads.begun += 1;
    let id = random::sha256_base64url(format!("upload {} {}", uploads.begun, file.id).as_bytes());
    uploads.all.insert(id.clone(), Session { file, fields, filling, made: None });
    let location = format!("{}/upload/drive/v3/files?uploadType=resumable&upload_id={id}", call.origin);
    Ok(Reply::new(200, "").with("location", &location).with("x-guploader-uploadid", &id))
}

/// Ends a session whose bytes have not all come. Google answers 499.
pub(super) fn end(world: &mut World, call: &Call) -> Answer {
    world.live(call)?;
    let id = call.query.get("upload_id").unwrap_or_default();
    match world.drive.uploads.all.remove(id) {
        Some(session) if session.made.is_none() => Ok(Reply::new(499, "")),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Whether a request fills a session: its body may be long.
pub(crate) fn is_put(method: &Method, path: &str) -> bool {
    *method == Method::PUT && path == "/upload/drive/v3/files"
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
    let session = world.drive.uploads.all.get_mut(&id).ok_or_else(|| refuse::not_found("Not Found"))?;
    if let Some(made) = session.made.clone() {
        let fields = session.fields.clone();
        let file = world.drive.find(&made).ok_or_else(|| refuse::not_found("Not Found"))?;
        return Err(Reply::json(200, &shown(&world.drive, file, &fields)));
    }
    let brings = session.filling.put(call)?;
    Ok(Put { id, brings })
}

/// Takes bytes as they come.
pub(crate) fn take(world: &mut World, put: &Put, bytes: &[u8]) {
    if let Some(session) = world.drive.uploads.all.get_mut(&put.id) {
        session.filling.take(bytes);
    }
}

/// Makes the file, if all came.
pub(crate) fn finish_put(world: &mut World, put: &Put) -> Answer {
    let uploads = &mut world.drive.uploads;
    let session = uploads.all.get_mut(&put.id).ok_or_else(|| refuse::not_found("Not Found"))?;
    let came = session.filling.finish(&put.brings)?;
    let mut file = session.file.clone();
    file.content = Content::new(came);
    session.made = Some(file.id.clone());
    let fields = session.fields.clone();
    let answer = shown(&world.drive, &file, &fields);
    world.drive.put(file);
    Ok(Reply::json(200, &answer))
}
