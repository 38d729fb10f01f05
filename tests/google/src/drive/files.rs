//! `files.get`, `files.export` and `about.get`.

use serde_json::{Value, json};

use super::store::{Drive, File};
use crate::fields::Fields;
use crate::google_error as refuse;
use crate::seed::SeedFile;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// What `files.get` gives without `fields`.
const DEFAULT_FIELDS: &str = "kind,id,name,mimeType";

/// The fields of a file that can be asked for; some of them are never there in this stand-in.
pub(super) const FILE_FIELDS: &[&str] = &[
    "appProperties",
    "capabilities",
    "contentHints",
    "contentRestrictions",
    "copyRequiresWriterPermission",
    "createdTime",
    "description",
    "driveId",
    "explicitlyTrashed",
    "exportLinks",
    "fileExtension",
    "folderColorRgb",
    "fullFileExtension",
    "hasAugmentedPermissions",
    "hasThumbnail",
    "headRevisionId",
    "iconLink",
    "id",
    "imageMediaMetadata",
    "isAppAuthorized",
    "kind",
    "labelInfo",
    "lastModifyingUser",
    "linkShareMetadata",
    "md5Checksum",
    "mimeType",
    "modifiedByMe",
    "modifiedByMeTime",
    "modifiedTime",
    "name",
    "originalFilename",
    "ownedByMe",
    "owners",
    "parents",
    "permissionIds",
    "permissions",
    "properties",
    "quotaBytesUsed",
    "resourceKey",
    "sha1Checksum",
    "sha256Checksum",
    "shared",
    "sharedWithMeTime",
    "sharingUser",
    "shortcutDetails",
    "size",
    "spaces",
    "starred",
    "thumbnailLink",
    "thumbnailVersion",
    "trashed",
    "trashedTime",
    "trashingUser",
    "version",
    "videoMediaMetadata",
    "viewedByMe",
    "viewedByMeTime",
    "webContentLink",
    "webViewLink",
    "writersCanShare",
];

/// What each method takes without a meaning here.
pub(super) const COMMON: [&str; 3] = ["supportsAllDrives", "supportsTeamDrives", "acknowledgeAbuse"];

pub(super) fn get(world: &mut World, call: &Call, id: &str) -> Answer {
    let media = match call.query.get("alt") {
        None | Some("json") => false,
        Some("media") => true,
        Some(_) => return Err(refuse::bad_request("Invalid value at 'alt'")),
    };
    let bearer = world.authorize(call, if media { "drive.files.get.media" } else { "drive.files.get" })?;
    call.query.check(&COMMON, &[])?;
    let file = world.drive.visible(id, &bearer)?;
    if !media {
        return Ok(Reply::json(200, &shown(&world.drive, file, &file_fields(call)?)));
    }
    if file.is_google_type() {
        return Err(refuse::forbidden(
            "fileNotDownloadable",
            "Only files with binary content can be downloaded. Use Export with Docs Editors files.",
        ));
    }
    content(call, file)
}

/// The bytes, or those from one on (RFC 9110 section 14.2). Other ranges are passed over, as Google may.
fn content(call: &Call, file: &File) -> Answer {
    let bytes = file.content.bytes();
    let from = call.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let reply = match from.and_then(|from| from.parse::<usize>().ok()) {
        None => Reply::new(200, bytes),
        Some(from) if from < bytes.len() => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::new(206, bytes.slice(from..)).with("content-range", &range)
        }
        Some(_) => Reply::new(416, "").with("content-range", &format!("bytes */{}", bytes.len())),
    };
    Ok(reply.with("content-type", &file.mime_type).with("accept-ranges", "bytes"))
}

pub(super) fn export(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.files.export")?;
    call.query.check(&["mimeType"], &[])?;
    let file = world.drive.visible(id, &bearer)?;
    let formats: &[&str] = match file.mime_type.as_str() {
        SeedFile::DOCUMENT => &["text/plain", "text/markdown"],
        SeedFile::SHEET => &["text/csv", "text/tab-separated-values"],
        SeedFile::SLIDES => &["text/plain"],
        _ => return Err(refuse::forbidden("fileNotExportable", "Export only supports Docs Editors files.")),
    };
    match call.query.get("mimeType") {
        Some(kind) if formats.contains(&kind) => {
            Ok(Reply::new(200, file.content.bytes()).with("content-type", kind))
        }
        _ => Err(refuse::bad_request("The requested conversion is not supported.")),
    }
}

/// `about.get`: who the account belongs to. It wants to be told which fields.
pub(super) fn about(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "drive.about.get")?;
    call.query.check(&[], &[])?;
    let fields = call
        .query
        .get("fields")
        .ok_or_else(|| refuse::bad_request("The 'fields' parameter is required for this method."))?;
    let fields = Fields::parse(fields)?;
    fields.check(
        &["kind", "user", "storageQuota"],
        Some(("user", &["kind", "displayName", "emailAddress", "me", "permissionId"])),
    )?;
    let owner = &world.owner;
    let user =
        json!({ "kind": "drive#user", "displayName": owner.name, "emailAddress": owner.email, "me": true });
    Ok(Reply::json(200, &fields.project(&json!({ "kind": "drive#about", "user": user }))))
}

/// The fields a request wants of one file; 400 for one that no file has.
pub(super) fn file_fields(call: &Call) -> Result<Fields, Reply> {
    let fields = Fields::parse(call.query.get("fields").unwrap_or(DEFAULT_FIELDS))?;
    fields.check(FILE_FIELDS, None)?;
    Ok(fields)
}

/// A file's JSON with those fields only.
pub(super) fn shown(drive: &Drive, file: &File, fields: &Fields) -> Value {
    fields.project(&drive.json(file))
}
