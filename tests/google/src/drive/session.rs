//! Resumable uploads, as Google documents them: a session is begun by POST, filled by PUT, asked about by a PUT without bytes,
//! and ended by DELETE. What came of an upload that was cut is kept in multiples of 256 KiB.

use std::collections::BTreeMap;

use http::Method;

use super::content::Content;
use super::files::{file_fields, shown};
use super::store::File;
use super::write::{CREATE, new_file};
use crate::fields::Fields;
use crate::google_error as refuse;
use crate::random;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// What is kept of an upload that was cut is a multiple of this.
const KEPT: usize = 256 * 1024;
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
    /// How many bytes were announced, if any were.
    announced: Option<usize>,
    came: Vec<u8>,
    /// The file that it became.
    made: Option<String>,
}

impl Session {
    fn kept(&self) -> usize {
        self.came.len() / KEPT * KEPT
    }

    /// 308: go on from there.
    fn incomplete(&self) -> Reply {
        match self.kept() {
            0 => Reply::new(308, ""),
            kept => Reply::new(308, "").with("range", &format!("bytes=0-{}", kept - 1)),
        }
    }
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
    let announced = match call.header("x-upload-content-length").map(str::parse::<usize>) {
        None => None,
        Some(Ok(length)) if length <= LARGEST => Some(length),
        Some(_) => return Err(refuse::bad_request("Invalid X-Upload-Content-Length.")),
    };
    let uploads = &mut world.drive.uploads;
    uploads.begun += 1;
    let id = random::sha256_base64url(format!("upload {} {}", uploads.begun, file.id).as_bytes());
    uploads.all.insert(id.clone(), Session { file, fields, announced, came: Vec::new(), made: None });
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
    /// How long the whole is, where the request says so.
    total: Option<usize>,
    /// How many bytes this request brings, where it says so.
    brings: Option<usize>,
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
    let wrong = || refuse::bad_request("Failed to parse Content-Range header.");
    let brings = call.header("content-length").and_then(|length| length.parse().ok());
    let Some(range) = call.header("content-range") else {
        session.came.clear();
        return Ok(Put { id, total: brings, brings });
    };
    let (part, total) =
        range.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let total: Option<usize> = match total {
        "*" => None,
        total => Some(total.parse().map_err(|_| wrong())?),
    };
    if part == "*" {
        return Err(session.incomplete());
    }
    let (first, last) = part.split_once('-').ok_or_else(wrong)?;
    let (first, last): (usize, usize) =
        (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if last < first || total.is_some_and(|total| last >= total) || brings != Some(last - first + 1) {
        return Err(wrong());
    }
    let kept = session.kept();
    session.came.truncate(kept);
    if first != kept {
        return Err(session.incomplete());
    }
    Ok(Put { id, total, brings })
}

/// Takes bytes as they come.
pub(crate) fn take(world: &mut World, put: &Put, bytes: &[u8]) {
    if let Some(session) = world.drive.uploads.all.get_mut(&put.id)
        && session.came.len() + bytes.len() <= LARGEST
    {
        session.came.extend_from_slice(bytes);
    }
}

/// Makes the file, if all came.
pub(crate) fn finish_put(world: &mut World, put: &Put) -> Answer {
    let uploads = &mut world.drive.uploads;
    let session = uploads.all.get_mut(&put.id).ok_or_else(|| refuse::not_found("Not Found"))?;
    let whole = put.total.or(session.announced).filter(|_| put.brings.is_some());
    let whole = whole.unwrap_or(session.came.len());
    if session.announced.is_some_and(|announced| announced != whole) || session.came.len() > whole {
        return Err(refuse::bad_request("Invalid upload: the length is not the one that was announced."));
    }
    if session.came.len() < whole {
        return Err(session.incomplete());
    }
    let mut file = session.file.clone();
    file.content = Content::new(std::mem::take(&mut session.came));
    session.made = Some(file.id.clone());
    let fields = session.fields.clone();
    let answer = shown(&world.drive, &file, &fields);
    world.drive.put(file);
    Ok(Reply::json(200, &answer))
}
