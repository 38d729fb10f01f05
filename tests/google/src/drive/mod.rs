//! Drive v3: files, permissions and the account.

mod content;
mod files;
mod list;
mod permissions;
mod search;
mod session;
mod store;
mod upload;
mod write;

use http::Method;

use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

pub(crate) use session::{Put, finish_put, is_put, put, take};
pub(crate) use store::Drive;

/// Answers everything below `/drive/v3/files`; `rest` is what follows.
pub(crate) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    world.live(call)?;
    shared_drives(world, call, rest)?;
    match (&call.method, rest) {
        (&Method::GET, []) => list::list(world, call),
        (&Method::POST, []) => write::create(world, call),
        (&Method::GET, [id]) => files::get(world, call, id),
        (&Method::PATCH, [id]) => write::update(world, call, id),
        (&Method::DELETE, [id]) => write::delete(world, call, id),
        (&Method::GET, [id, "export"]) => files::export(world, call, id),
        (&Method::POST, [id, "copy"]) => write::copy(world, call, id),
        (&Method::GET, [id, "permissions"]) => permissions::list(world, call, id),
        (&Method::POST, [id, "permissions"]) => permissions::create(world, call, id),
        (&Method::DELETE, [id, "permissions", permission]) => {
            permissions::delete(world, call, id, permission)
        }
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Answers everything below `/upload/drive/v3/files`.
pub(crate) fn route_upload(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    world.live(call)?;
    shared_drives(world, call, rest)?;
    match (&call.method, rest) {
        (&Method::POST, []) if call.query.get("uploadType") == Some("resumable") => {
            session::begin(world, call)
        }
        (&Method::POST, []) => upload::create(world, call),
        (&Method::DELETE, []) => session::end(world, call),
        (&Method::PATCH, [id]) => upload::update(world, call, id),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Answers `/drive/v3/about`.
pub(crate) fn route_about(world: &mut World, call: &Call) -> Answer {
    world.live(call)?;
    match call.method {
        Method::GET => files::about(world, call),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// What lies in a shared drive is there only for requests that say they know of shared drives. Exports always do.
fn shared_drives(world: &World, call: &Call, rest: &[&str]) -> Result<(), Reply> {
    let Some((id, more)) = rest.split_first() else { return Ok(()) };
    let knows = call.query.get("supportsAllDrives") == Some("true") || more.first() == Some(&"export");
    if !knows && world.drive.drive_of(id).is_some() {
        return Err(refuse::not_found(&format!("File not found: {id}.")));
    }
    Ok(())
}
