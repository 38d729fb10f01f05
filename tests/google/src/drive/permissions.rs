//! `permissions.list`, `permissions.create` and `permissions.delete`.

use serde_json::json;

use super::files::COMMON;
use super::store::{Share, permission};
use crate::fields::Fields;
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

const KNOWN: [&str; 10] = [
    "kind",
    "id",
    "type",
    "role",
    "emailAddress",
    "domain",
    "displayName",
    "deleted",
    "pendingOwner",
    "allowFileDiscovery",
];

pub(super) fn list(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.permissions.list")?;
    call.query.check(&["pageSize", "pageToken", COMMON[0], COMMON[1]], &[])?;
    call.query.number("pageSize", 100, 1, 100)?;
    if call.query.get("pageToken").is_some() {
        return Err(refuse::invalid_argument("Invalid pageToken"));
    }
    let file = world.drive.visible(id, &bearer)?;
    if !world.drive.can_write(file) {
        return Err(denied());
    }
    let answer = json!({ "kind": "drive#permissionList", "permissions": world.drive.permissions(file) });
    let fields = Fields::parse(call.query.get("fields").unwrap_or("kind,permissions(id,type,kind,role)"))?;
    fields.check(&["kind", "permissions", "nextPageToken"], Some(("permissions", &KNOWN)))?;
    Ok(Reply::json(200, &fields.project(&answer)))
}

/// Who has it may be a user, a group, a domain or everybody; here users and everybody.
pub(super) fn create(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "drive.permissions.create")?;
    call.query
        .check(&["sendNotificationEmail", "emailMessage", "transferOwnership", COMMON[0], COMMON[1]], &[])?;
    let fields = Fields::parse(call.query.get("fields").unwrap_or("kind,id,type,role"))?;
    fields.check(&KNOWN, None)?;
    let body = call.json_object()?;
    if let Some(strange) = body
        .keys()
        .find(|name| !["type", "role", "emailAddress", "allowFileDiscovery"].contains(&name.as_str()))
    {
        return Err(refuse::bad_request(&format!(
            "Invalid JSON payload received. Unknown name \"{strange}\": Cannot find field."
        )));
    }
    let file = world.drive.visible(id, &bearer)?;
    if !world.drive.can_write(file) {
        return Err(denied());
    }
    let id = file.id.clone();
    let text = |name: &str| body.get(name).and_then(|value| value.as_str());
    let role = text("role").filter(|role| ["reader", "commenter", "writer"].contains(role));
    let role = role.ok_or_else(|| refuse::bad_request("The permission role field is required."))?;
    let address = match (text("type"), text("emailAddress")) {
        (Some("user"), Some(address)) if address.contains('@') => Some(address.to_owned()),
        (Some("anyone"), None) => None,
        _ => return Err(refuse::bad_request("The permission type field is required.")),
    };
    let notify = match call.query.get("sendNotificationEmail") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(refuse::bad_request("Invalid value at 'send_notification_email'")),
    };
    if let (true, Some(address)) = (notify, &address) {
        world.drive.notices.push((id.clone(), address.clone()));
    }
    let share = Share { address, role: role.to_owned() };
    let answer = permission(&share);
    world.drive.give(&id, share);
    Ok(Reply::json(200, &fields.project(&answer)))
}

pub(super) fn delete(world: &mut World, call: &Call, id: &str, permission: &str) -> Answer {
    let bearer = world.authorize(call, "drive.permissions.delete")?;
    call.query.check(&COMMON[..2], &[])?;
    let file = world.drive.visible(id, &bearer)?;
    if !world.drive.can_write(file) {
        return Err(denied());
    }
    let known = world.drive.permissions(file);
    let known = known.as_array().into_iter().flatten().find(|known| known["id"] == permission);
    match known.map(|known| known["role"].as_str()) {
        None => return Err(refuse::not_found(&format!("Permission not found: {permission}."))),
        Some(Some("owner")) => return Err(denied()),
        Some(_) => {}
    }
    let id = file.id.clone();
    if world.drive.take(&id, permission) {
        Ok(Reply::empty())
    } else {
        Err(refuse::forbidden("cannotDeleteInheritedPermission", "Cannot delete inherited permission."))
    }
}

fn denied() -> Reply {
    refuse::forbidden(
        "insufficientFilePermissions",
        "The user does not have sufficient permissions for this file.",
    )
}
