//! `files.create`, `files.copy`, `files.update` and `files.delete`, by metadata.

use serde_json::{Map, Value};

use super::files::{COMMON, file_fields, shown};
use super::store::File;
use crate::clock::parse_rfc3339;
use crate::google_error as refuse;
use crate::seed::SeedFile;
use crate::wire::{Answer, Call, Reply, parse_object};
use crate::world::{Bearer, World};

/// Parameters of a creation that mean nothing here.
pub(super) const CREATE: [&str; 5] = [
    "enforceSingleParent",
    "ignoreDefaultVisibility",
    "keepRevisionForever",
    "useContentAsIndexableText",
    COMMON[0],
];

pub(super) fn create(world: &mut World, call: &Call) -> Answer {
    let bearer = world.authorize(call, "drive.files.create")?;
    call.query.check(&CREATE, &[])?;
    let fields = file_fields(call)?;
    let metadata = if call.body.is_empty() { Map::new() } else { call.json_object()? };
    let file = new_file(world, call, &bearer, &metadata)?;
    let answer = shown(&world.drive, &file, &fields);
    world.drive.put(file);
    Ok(Reply::json(200, &answer))
}

/// A copy belongs to who made it and is shared with nobody but by its folder.
pub(super) fn copy(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.files.copy")?;
    call.query.check(&CREATE, &[])?;
    let fields = file_fields(call)?;
    let metadata = if call.body.is_empty() { Map::new() } else { call.json_object()? };
    let source = world.drive.visible(id, &bearer)?.clone();
    if source.mime_type == SeedFile::FOLDER {
        return Err(refuse::forbidden("cannotCopyFile", "This file cannot be copied by the user."));
    }
    let mut file = new_file(world, call, &bearer, &metadata)?;
    if !metadata.contains_key("name") {
        file.name = format!("Copy of {}", source.name);
    }
    if !metadata.contains_key("mimeType") {
        file.mime_type.clone_from(&source.mime_type);
    }
    file.content.clone_from(&source.content);
    file.target.clone_from(&source.target);
    let answer = shown(&world.drive, &file, &fields);
    world.drive.put(file);
    Ok(Reply::json(200, &answer))
}

pub(super) fn update(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.files.update")?;
    call.query.check(&["addParents", "removeParents", "keepRevisionForever", COMMON[0]], &[])?;
    let fields = file_fields(call)?;
    let metadata = if call.body.is_empty() { Map::new() } else { parse_object(&call.body)? };
    let file = changed_file(world, call, &bearer, id, &metadata)?;
    world.drive.put(file.clone());
    Ok(Reply::json(200, &shown(&world.drive, &file, &fields)))
}

pub(super) fn delete(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.files.delete")?;
    call.query.check(&COMMON, &[])?;
    let file = world.drive.visible(id, &bearer)?;
    if file.owner != world.owner.email || file.id == world.drive.root() {
        return Err(read_only());
    }
    let id = file.id.clone();
    // A folder takes what lies in it along.
    let inside: Vec<String> = world
        .drive
        .all()
        .filter(|file| world.drive.is_below(&file.id, &id))
        .map(|file| file.id.clone())
        .collect();
    inside.iter().for_each(|id| world.drive.remove(id));
    Ok(Reply::empty())
}

/// A file from a creation's metadata, not yet in the drive.
pub(super) fn new_file(
    world: &mut World,
    call: &Call,
    bearer: &Bearer,
    metadata: &Map<String, Value>,
) -> Result<File, Reply> {
    let mut file = world.drive.blank("Untitled", "application/octet-stream", call.now_ms);
    file.made_by = Some(bearer.client_id.clone());
    apply(&mut file, metadata, true)?;
    if let Some(parents) = metadata.get("parents") {
        let wrong = || refuse::bad_request("Invalid value at 'parents'");
        let [parent] = parents.as_array().map(Vec::as_slice).ok_or_else(wrong)? else {
            return Err(refuse::forbidden(
                "multipleParentsNotSupported",
                "A file must have exactly one parent.",
            ));
        };
        let parent = folder(world, bearer, parent.as_str().ok_or_else(wrong)?)?;
        file.drive_id = world.drive.drive_of(&parent);
        file.parents = vec![parent];
    }
    Ok(file)
}

/// A file after an update's metadata and parameters, not yet in the drive.
pub(super) fn changed_file(
    world: &World,
    call: &Call,
    bearer: &Bearer,
    id: &str,
    metadata: &Map<String, Value>,
) -> Result<File, Reply> {
    let mut file = world.drive.visible(id, bearer)?.clone();
    // Who may change a stranger's file may not put it into the bin.
    let foreign = file.owner != world.owner.email && file.drive_id.is_none();
    if !world.drive.can_write(&file)
        || file.id == world.drive.root()
        || foreign && metadata.contains_key("trashed")
    {
        return Err(read_only());
    }
    file.modified_ms = call.now_ms;
    file.changed_by = Some(world.owner.email.clone());
    apply(&mut file, metadata, false)?;
    let ids = |name: &str| -> Vec<String> {
        let list = call.query.get(name).unwrap_or("").split(',').filter(|id| !id.is_empty());
        list.map(|id| if id == "root" { world.drive.root().to_owned() } else { id.to_owned() }).collect()
    };
    for gone in ids("removeParents") {
        if !file.parents.contains(&gone) {
            return Err(refuse::not_found(&format!("Parent not found: {gone}.")));
        }
        file.parents.retain(|parent| *parent != gone);
    }
    for added in ids("addParents") {
        let added = folder(world, bearer, &added)?;
        if world.drive.is_below(&added, &file.id) {
            return Err(refuse::forbidden("cannotAddParent", "A folder cannot lie in itself."));
        }
        if !file.parents.contains(&added) {
            file.parents.push(added);
        }
    }
    if file.parents.len() != 1 {
        return Err(refuse::forbidden("cannotAddParent", "Increasing the number of parents is not allowed"));
    }
    Ok(file)
}

fn folder(world: &World, bearer: &Bearer, id: &str) -> Result<String, Reply> {
    let folder = world.drive.visible(id, bearer)?;
    if folder.mime_type != SeedFile::FOLDER {
        return Err(refuse::forbidden("parentNotAFolder", "The specified parent is not a folder."));
    }
    if !world.drive.can_write(folder) {
        return Err(read_only());
    }
    Ok(folder.id.clone())
}

/// Writes metadata into a file; 403 for fields only Google writes, 400 for fields no file has.
fn apply(file: &mut File, metadata: &Map<String, Value>, create: bool) -> Result<(), Reply> {
    for (name, value) in metadata {
        let wrong = || refuse::bad_request(&format!("Invalid value at '{name}'"));
        let text = || value.as_str().map(str::to_owned).ok_or_else(wrong);
        match name.as_str() {
            "name" => file.name = text()?,
            "mimeType" => file.mime_type = text()?.to_lowercase(),
            "description" => file.description = Some(text()?),
            "trashed" if !create => file.trashed = value.as_bool().ok_or_else(wrong)?,
            "modifiedTime" => file.modified_ms = parse_rfc3339(&text()?).ok_or_else(wrong)?,
            "createdTime" if create => file.created_ms = parse_rfc3339(&text()?).ok_or_else(wrong)?,
            "parents" if create => {}
            "parents" => {
                return Err(refuse::forbidden(
                    "fieldNotWritable",
                    "The parents field is not directly writable in update requests. Use the addParents and \
                     removeParents parameters instead.",
                ));
            }
            known if super::files::FILE_FIELDS.contains(&known) => {
                return Err(refuse::forbidden(
                    "fieldNotWritable",
                    "The resource body includes fields which are not directly writable.",
                ));
            }
            _ => {
                return Err(refuse::bad_request(&format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
                )));
            }
        }
    }
    Ok(())
}

fn read_only() -> Reply {
    refuse::forbidden(
        "insufficientFilePermissions",
        "The user does not have sufficient permissions for this file.",
    )
}
