//! `files.list`.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::files::{COMMON, FILE_FIELDS};
use super::search::Search;
use super::store::File;
use crate::fields::Fields;
use crate::google_error as refuse;
use crate::scopes;
use crate::seed::SeedFile;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

const DEFAULT_FIELDS: &str = "kind,nextPageToken,incompleteSearch,files(kind,id,name,mimeType)";
const SORT_KEYS: [&str; 10] = [
    "createdTime",
    "folder",
    "modifiedByMeTime",
    "modifiedTime",
    "name",
    "name_natural",
    "quotaBytesUsed",
    "recency",
    "sharedWithMeTime",
    "viewedByMeTime",
];

pub(super) fn list(world: &mut World, call: &Call) -> Answer {
    const OWN: [&str; 7] =
        ["q", "pageSize", "pageToken", "orderBy", "corpora", "spaces", "includeItemsFromAllDrives"];
    let bearer = world.authorize(call, "drive.files.list")?;
    let known: Vec<&str> = OWN.into_iter().chain(COMMON).collect();
    call.query.check(&known, &[])?;
    choice(call, "corpora", &["user", "allDrives"])?;
    choice(call, "spaces", &["drive"])?;
    let fields = Fields::parse(call.query.get("fields").unwrap_or(DEFAULT_FIELDS))?;
    fields.check(&["kind", "nextPageToken", "incompleteSearch", "files"], Some(("files", FILE_FIELDS)))?;
    let text = call.query.get("q").unwrap_or("");
    let search = Search::parse(text, &world.owner.email, world.drive.root())?;
    if search.reads_content() && !scopes::any(&bearer.scopes, scopes::accepted("drive.files.get.media")) {
        return Err(refuse::forbidden(
            "insufficientPermissions",
            "The granted scopes do not allow a search in the content of files.",
        ));
    }
    let order = order(call.query.get("orderBy").unwrap_or("modifiedTime desc"))?;
    let size = call.query.number("pageSize", 100, 1, 1000)?;
    let drive = &world.drive;
    let yes = |name: &str| call.query.get(name) == Some("true");
    let shared_drives = yes("supportsAllDrives") && yes("includeItemsFromAllDrives");
    let seen = |file: &&File| {
        (shared_drives || file.drive_id.is_none()) && drive.sees(file, &bearer) && search.fits(file, drive)
    };
    let mut found: Vec<&File> = drive.all().filter(seen).collect();
    found.sort_by(|a, b| compare(&order, a, b));
    let query = format!("drive {text:?} {order:?} {:?}", bearer.client_id);
    let start = world.pages.start(call.query.get("pageToken"), &query)?;
    let page: Vec<Value> = found.iter().skip(start).take(size).map(|file| drive.json(file)).collect();
    let total = found.len();
    let mut answer = json!({ "kind": "drive#fileList", "incompleteSearch": false, "files": page });
    if let Some(next) = world.pages.next(&query, start + size, total) {
        answer["nextPageToken"] = json!(next);
    }
    Ok(Reply::json(200, &fields.project(&answer)))
}

fn choice(call: &Call, name: &str, allowed: &[&str]) -> Result<(), Reply> {
    match call.query.get(name) {
        Some(value) if !allowed.contains(&value) => {
            Err(refuse::error(400, "INVALID_ARGUMENT", "invalid", &format!("Invalid value for: {name}")))
        }
        _ => Ok(()),
    }
}

/// Sort keys and whether each goes down; 400 for an unknown one.
fn order(text: &str) -> Result<Vec<(String, bool)>, Reply> {
    text.split(',')
        .map(|piece| {
            let piece = piece.trim();
            let (key, down) = piece.strip_suffix(" desc").map_or((piece, false), |key| (key.trim(), true));
            if SORT_KEYS.contains(&key) {
                Ok((key.to_owned(), down))
            } else {
                Err(refuse::error(400, "INVALID_ARGUMENT", "invalid", "Invalid value for: orderBy"))
            }
        })
        .collect()
}

/// By the keys this stand-in has values for; the rest leave the order as it is. Ids decide at last.
fn compare(order: &[(String, bool)], a: &File, b: &File) -> Ordering {
    for (key, down) in order {
        let result = match key.as_str() {
            "createdTime" => a.created_ms.cmp(&b.created_ms),
            "modifiedTime" | "modifiedByMeTime" | "recency" => a.modified_ms.cmp(&b.modified_ms),
            "name" | "name_natural" => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            "folder" => (a.mime_type != SeedFile::FOLDER).cmp(&(b.mime_type != SeedFile::FOLDER)),
            "quotaBytesUsed" => a.content.len().cmp(&b.content.len()),
            _ => Ordering::Equal,
        };
        if result != Ordering::Equal {
            return if *down { result.reverse() } else { result };
        }
    }
    a.id.cmp(&b.id)
}
