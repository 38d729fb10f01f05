//! `users.drafts`: list, get, create, update, send, delete.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::mailbox::Mail;
use super::messages::{find, unknown_field};
use super::render::{Format, message};
use super::send::{Written, deliver, read_message};
use super::{metadata_refusal, only_metadata};
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

const NO_DRAFT: &str = "Requested entity was not found.";

pub(super) fn list(world: &mut World, call: &Call) -> Answer {
    call.query.check(&["q", "maxResults", "pageToken", "includeSpamTrash"], &[])?;
    let (page, next, total) = find(world, call, "gmail.users.drafts.list", |mails| {
        mails.into_iter().filter(|mail| mail.labels.contains("DRAFT")).collect()
    })?;
    let mut answer = json!({ "resultSizeEstimate": total });
    let drafts: Vec<Value> =
        page.iter().filter_map(|mail| Some(short(world.mailbox.draft_of(&mail.id)?, mail))).collect();
    if !drafts.is_empty() {
        answer["drafts"] = json!(drafts);
    }
    if let Some(next) = next {
        answer["nextPageToken"] = json!(next);
    }
    Ok(Reply::json(200, &answer))
}

pub(super) fn get(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "gmail.users.drafts.get")?;
    call.query.check(&["format"], &[])?;
    let format = Format::from_query(call, true)?;
    if format.shows_content() && only_metadata(&bearer) {
        return Err(metadata_refusal("doesn't allow format FULL or RAW"));
    }
    let mail = known(world, id)?;
    Ok(Reply::json(200, &json!({ "id": id, "message": message(&mail, &format) })))
}

pub(super) fn create(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.drafts.create")?;
    call.query.check(&[], &[])?;
    let body = call.json_object()?;
    let written = written(world, &body, &["message"])?.ok_or_else(no_message)?;
    let id = insert(world, call, written)?;
    let draft = world.mailbox.new_draft(&id);
    answer(world, &draft)
}

pub(super) fn update(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.drafts.update")?;
    call.query.check(&[], &[])?;
    let old = known(world, id)?;
    let body = call.json_object()?;
    same_id(&body, id)?;
    let written = written(world, &body, &["id", "message"])?.ok_or_else(no_message)?;
    // A draft is never changed: its message is replaced by another one, with another id.
    let new = insert(world, call, written)?;
    world.mailbox.remove(&old.id);
    world.mailbox.redraft(id, &new);
    answer(world, id)
}

pub(super) fn send(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.drafts.send")?;
    call.query.check(&[], &[])?;
    let body = call.json_object()?;
    let id = body
        .get("id")
        .and_then(Value::as_str)
        .ok_or_else(|| refuse::invalid_argument("Draft id required"))?;
    let old = known(world, id)?;
    // A message that comes along is sent in place of what the draft holds.
    let written = match written(world, &body, &["id", "message"])? {
        Some(written) => written,
        None => {
            Written { raw: old.raw.clone(), parsed: old.parsed.clone(), thread: Some(old.thread_id.clone()) }
        }
    };
    let sent = deliver(world, call, written)?;
    world.mailbox.remove(&old.id);
    world.mailbox.forget_draft(id);
    Ok(sent)
}

pub(super) fn delete(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.drafts.delete")?;
    call.query.check(&[], &[])?;
    let mail = known(world, id)?;
    world.mailbox.remove(&mail.id);
    world.mailbox.forget_draft(id);
    Ok(Reply::empty())
}

fn known(world: &World, id: &str) -> Result<Mail, Reply> {
    let mail = world.mailbox.draft(id).and_then(|message| world.mailbox.get(message));
    mail.cloned().ok_or_else(|| refuse::not_found(NO_DRAFT))
}

fn no_message() -> Reply {
    refuse::invalid_argument("Missing draft message")
}

/// The `message` of a body, if there is one.
fn written(world: &World, body: &Map<String, Value>, allowed: &[&str]) -> Result<Option<Written>, Reply> {
    if let Some(unknown) = body.keys().find(|key| !allowed.contains(&key.as_str())) {
        return Err(unknown_field(unknown));
    }
    match body.get("message") {
        None => Ok(None),
        Some(Value::Object(message)) => read_message(world, message).map(Some),
        Some(_) => Err(refuse::bad_request("Invalid value at 'draft.message'")),
    }
}

fn same_id(body: &Map<String, Value>, id: &str) -> Result<(), Reply> {
    match body.get("id") {
        Some(other) if other != id => Err(refuse::invalid_argument("Draft id does not match")),
        _ => Ok(()),
    }
}

fn insert(world: &mut World, call: &Call, written: Written) -> Result<String, Reply> {
    let labels = BTreeSet::from(["DRAFT".to_owned()]);
    let inserted = world.mailbox.insert(written.raw, call.now_ms, labels, written.thread);
    inserted.map_err(|_| refuse::invalid_argument("Invalid message"))
}

fn answer(world: &World, id: &str) -> Answer {
    Ok(Reply::json(200, &short(id, &known(world, id)?)))
}

fn short(id: &str, mail: &Mail) -> Value {
    json!({ "id": id, "message": { "id": mail.id, "threadId": mail.thread_id, "labelIds": mail.labels } })
}
