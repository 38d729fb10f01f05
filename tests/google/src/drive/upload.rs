//! Uploads: `uploadType=multipart` (RFC 2387) and `uploadType=media`.

use serde_json::{Map, Value};

use super::content::Content;
use super::files::{COMMON, file_fields, shown};
use super::store::File;
use super::write::{CREATE, changed_file, new_file};
use crate::google_error as refuse;
use crate::mime::split_multipart;
use crate::wire::{Answer, Call, Reply, parse_object};
use crate::world::World;

pub(super) fn create(world: &mut World, call: &Call) -> Answer {
    let bearer = world.authorize(call, "drive.files.create")?;
    let known: Vec<&str> = CREATE.into_iter().chain(["uploadType"]).collect();
    call.query.check(&known, &[])?;
    let fields = file_fields(call)?;
    let upload = Upload::read(call)?;
    let file = new_file(world, call, &bearer, &upload.metadata)?;
    let file = upload.fill(file);
    let answer = shown(&world.drive, &file, &fields);
    world.drive.put(file);
    Ok(Reply::json(200, &answer))
}

pub(super) fn update(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.files.update.media")?;
    call.query
        .check(&["addParents", "removeParents", "keepRevisionForever", "uploadType", COMMON[0]], &[])?;
    let fields = file_fields(call)?;
    let upload = Upload::read(call)?;
    let file = changed_file(world, call, &bearer, id, &upload.metadata)?;
    if file.is_google_type() {
        return Err(refuse::bad_request("Files of Google's own types have no content to replace."));
    }
    let file = upload.fill(file);
    world.drive.put(file.clone());
    Ok(Reply::json(200, &shown(&world.drive, &file, &fields)))
}

/// What an upload brings.
struct Upload {
    metadata: Map<String, Value>,
    mime_type: String,
    content: Vec<u8>,
}

impl Upload {
    fn read(call: &Call) -> Result<Self, Reply> {
        let kind = call.header("content-type").unwrap_or("");
        match call.query.get("uploadType") {
            Some("media") => {
                let content = call.body.to_vec();
                Ok(Self { metadata: Map::new(), mime_type: bare(kind), content })
            }
            Some("multipart") => Self::multipart(kind, &call.body),
            _ => Err(refuse::bad_request("This upload type is not supported.")),
        }
    }

    /// Exactly two parts: JSON metadata, then the bytes.
    fn multipart(kind: &str, body: &[u8]) -> Result<Self, Reply> {
        let wrong = || refuse::bad_request("Malformed multipart body.");
        if bare(kind) != "multipart/related" {
            return Err(wrong());
        }
        let boundary = kind
            .split(';')
            .filter_map(|piece| piece.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim_matches('"'))
            .filter(|boundary| !boundary.is_empty() && boundary.len() <= 70)
            .ok_or_else(wrong)?;
        let parts = split_multipart(body, boundary);
        let [first, second] = parts.as_slice() else { return Err(wrong()) };
        let (first_type, json) = headers_and_rest(first).ok_or_else(wrong)?;
        let (mime_type, content) = headers_and_rest(second).ok_or_else(wrong)?;
        if first_type != "application/json" {
            return Err(wrong());
        }
        Ok(Self { metadata: parse_object(json)?, mime_type, content: content.to_vec() })
    }

    /// Puts the bytes into a file; their type counts unless the metadata names one.
    fn fill(self, mut file: File) -> File {
        if !self.metadata.contains_key("mimeType") && !self.mime_type.is_empty() {
            file.mime_type = self.mime_type;
        }
        file.content = Content::new(self.content);
        file
    }
}

/// A part's content type without parameters, and its bytes.
fn headers_and_rest(part: &[u8]) -> Option<(String, &[u8])> {
    let mut kind = String::new();
    let mut rest = part;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')? + 1;
        let (line, after) = rest.split_at_checked(end)?;
        rest = after;
        let line = std::str::from_utf8(line).ok()?.trim();
        if line.is_empty() {
            return Some((kind, rest));
        }
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-type") {
            kind = bare(value);
        }
    }
}

fn bare(kind: &str) -> String {
    kind.split(';').next().unwrap_or("").trim().to_lowercase()
}
