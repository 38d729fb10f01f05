//! Requests that fill a session, of whichever service: their bodies are taken as they come.

use http::Method;

use crate::wire::{Answer, Call, Reply};
use crate::world::World;
use crate::{drive, gmail};

/// A session that is being filled.
#[derive(Debug)]
pub(crate) enum Put {
    Drive(drive::Put),
    Gmail(gmail::Put),
}

/// Whether a request fills a session: its body may be long.
pub(crate) fn is_put(method: &Method, path: &str) -> bool {
    drive::is_put(method, path) || gmail::is_put(method, path)
}

/// Judges the head of a PUT. The error is the answer to one that brings nothing.
pub(crate) fn put(world: &mut World, call: &Call) -> Result<Put, Reply> {
    if gmail::is_put(&call.method, &call.path) {
        gmail::put(world, call).map(Put::Gmail)
    } else {
        drive::put(world, call).map(Put::Drive)
    }
}

/// Takes bytes as they come.
pub(crate) fn take(world: &mut World, put: &Put, bytes: &[u8]) {
    match put {
        Put::Drive(put) => drive::take(world, put, bytes),
        Put::Gmail(put) => gmail::take(world, put, bytes),
    }
}

/// Makes the file, or sends the mail, if all came.
pub(crate) fn finish_put(world: &mut World, put: &Put, call: &Call) -> Answer {
    match put {
        Put::Drive(put) => drive::finish_put(world, put),
        Put::Gmail(put) => gmail::finish_put(world, put, call),
    }
}
