//! Drive v3: files and the reading of permissions.

mod files;
mod list;
mod search;
mod store;
mod upload;
mod write;

use http::Method;

use crate::google_error as refuse;
use crate::wire::{Answer, Call};
use crate::world::World;

pub(crate) use store::Drive;

/// Answers everything below `/drive/v3/files`; `rest` is what follows.
pub(crate) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    world.live(call)?;
    match (&call.method, rest) {
        (&Method::GET, []) => list::list(world, call),
        (&Method::POST, []) => write::create(world, call),
        (&Method::GET, [id]) => files::get(world, call, id),
        (&Method::PATCH, [id]) => write::update(world, call, id),
        (&Method::DELETE, [id]) => write::delete(world, call, id),
        (&Method::GET, [id, "export"]) => files::export(world, call, id),
        (&Method::GET, [id, "permissions"]) => files::permissions(world, call, id),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Answers everything below `/upload/drive/v3/files`.
pub(crate) fn route_upload(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    world.live(call)?;
    match (&call.method, rest) {
        (&Method::POST, []) => upload::create(world, call),
        (&Method::PATCH, [id]) => upload::update(world, call, id),
        _ => Err(refuse::not_found("Not Found")),
    }
}
