//! Gmail v1, for the one user `me`.

mod drafts;
mod labels;
mod mailbox;
mod messages;
mod render;
mod search;
mod send;
mod session;
mod threads;

use http::Method;

use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::{Bearer, World};

pub(crate) use mailbox::Mailbox;
pub use send::Sent;
pub(crate) use session::{Put, finish_put, is_put, put, take};

/// Answers everything below `/gmail/v1/users`; `rest` is what follows.
pub(crate) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    let (user, rest) = rest.split_first().ok_or_else(|| refuse::not_found("Not Found"))?;
    // 401 comes before 403: a stranger learns nothing about whose mailbox this is.
    world.live(call)?;
    if *user != "me" && *user != world.owner.email {
        return Err(refuse::forbidden("forbidden", &format!("Delegation denied for {}", world.owner.email)));
    }
    match (&call.method, rest) {
        (&Method::GET, ["profile"]) => labels::profile(world, call),
        (&Method::GET, ["messages"]) => messages::list(world, call),
        (&Method::POST, ["messages", "send"]) => send::send(world, call),
        (&Method::POST, ["messages", "batchModify"]) => messages::batch_modify(world, call),
        (&Method::POST, ["messages", "batchDelete"]) => messages::batch_delete(world, call),
        (&Method::GET, ["messages", id]) => messages::get(world, call, id),
        (&Method::DELETE, ["messages", id]) => messages::delete(world, call, id),
        (&Method::POST, ["messages", id, "modify"]) => messages::modify(world, call, id),
        (&Method::POST, ["messages", id, "trash"]) => messages::trash(world, call, id),
        (&Method::POST, ["messages", id, "untrash"]) => messages::untrash(world, call, id),
        (&Method::GET, ["messages", id, "attachments", part]) => messages::attachment(world, call, id, part),
        (&Method::GET, ["labels"]) => labels::list(world, call),
        (&Method::POST, ["labels"]) => labels::create(world, call),
        (&Method::GET, ["labels", id]) => labels::get(world, call, id),
        (&Method::GET, ["threads"]) => threads::list(world, call),
        (&Method::GET, ["threads", id]) => threads::get(world, call, id),
        (&Method::GET, ["drafts"]) => drafts::list(world, call),
        (&Method::POST, ["drafts"]) => drafts::create(world, call),
        (&Method::POST, ["drafts", "send"]) => drafts::send(world, call),
        (&Method::GET, ["drafts", id]) => drafts::get(world, call, id),
        (&Method::PUT, ["drafts", id]) => drafts::update(world, call, id),
        (&Method::DELETE, ["drafts", id]) => drafts::delete(world, call, id),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Answers everything below `/upload/gmail/v1/users`: the ways by which a mail comes as it is and not inside JSON.
pub(crate) fn route_upload(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    let (user, rest) = rest.split_first().ok_or_else(|| refuse::not_found("Not Found"))?;
    world.live(call)?;
    if *user != "me" && *user != world.owner.email {
        return Err(refuse::forbidden("forbidden", &format!("Delegation denied for {}", world.owner.email)));
    }
    match (&call.method, rest) {
        (&Method::POST, ["messages", "send"]) if call.query.get("uploadType") == Some("resumable") => {
            session::begin(world, call)
        }
        (&Method::POST, ["messages", "send"]) => send::send_upload(world, call),
        (&Method::DELETE, ["messages", "send"]) => session::end(world, call),
        _ => Err(refuse::not_found("Not Found")),
    }
}

/// Answers `/batch/gmail/v1`, to which many requests can be posted at once: it takes none of them, but it says 200, so
/// that who reached it shows in the log.
pub(crate) fn route_batch(world: &mut World, call: &Call) -> Answer {
    world.live(call)?;
    if call.method != Method::POST {
        return Err(refuse::not_found("Not Found"));
    }
    Ok(Reply::new(200, "--batch_none--\r\n").with("content-type", "multipart/mixed; boundary=batch_none"))
}

/// Whether Gmail holds a token to the rules of `gmail.metadata`: it does whenever that scope is among the granted
/// ones, unless the full mailbox scope is, too.
fn only_metadata(bearer: &Bearer) -> bool {
    crate::scopes::has(&bearer.scopes, "gmail.metadata")
        && !crate::scopes::has(&bearer.scopes, "https://mail.google.com/")
}

/// 403 for what `gmail.metadata` does not allow.
fn metadata_refusal(what: &str) -> Reply {
    refuse::forbidden("forbidden", &format!("Metadata scope {what}"))
}
