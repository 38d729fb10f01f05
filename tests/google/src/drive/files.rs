//! `files.get`, `files.export` and `permissions.list`.

use serde_json::{Value, json};

use super::store::{Drive, File};
use crate::fields::Fields;
use crate::google_error as refuse;
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
    Ok(Reply::new(200, file.content.clone()).with("content-type", &file.mime_type))
}

pub(super) fn export(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.files.export")?;
    call.query.check(&["mimeType"], &[])?;
    let file = world.drive.visible(id, &bearer)?;
    if file.mime_type != crate::seed::SeedFile::DOCUMENT {
        return Err(refuse::forbidden("fileNotExportable", "Export only supports Docs Editors files."));
    }
    match call.query.get("mimeType") {
        Some(kind @ ("text/plain" | "text/markdown")) => {
            Ok(Reply::new(200, file.content.clone()).with("content-type", kind))
        }
        _ => Err(refuse::bad_request("The requested conversion is not supported.")),
    }
}

pub(super) fn permissions(world: &mut World, call: &Call, id: &str) -> Answer {
    const KNOWN: [&str; 8] =
        ["kind", "id", "type", "role", "emailAddress", "displayName", "deleted", "pendingOwner"];
    let bearer = world.authorize(call, "drive.permissions.list")?;
    call.query.check(&["pageSize", "pageToken", COMMON[0], COMMON[1]], &[])?;
    call.query.number("pageSize", 100, 1, 100)?;
    if call.query.get("pageToken").is_some() {
        return Err(refuse::invalid_argument("Invalid pageToken"));
    }
    let file = world.drive.visible(id, &bearer)?;
    let answer = json!({ "kind": "drive#permissionList", "permissions": world.drive.permissions(file) });
    let fields = Fields::parse(call.query.get("fields").unwrap_or("kind,permissions(id,type,kind,role)"))?;
    fields.check(&["kind", "permissions", "nextPageToken"], Some(("permissions", &KNOWN)))?;
    Ok(Reply::json(200, &fields.project(&answer)))
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
