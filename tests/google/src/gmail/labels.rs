//! `users.labels` and `users.getProfile`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::mailbox::{Mailbox, SYSTEM_LABELS};
use super::messages::unknown_field;
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

pub(super) fn profile(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.getProfile")?;
    call.query.check(&[], &[])?;
    let mails = world.mailbox.newest_first();
    let threads: BTreeSet<&str> = mails.iter().map(|mail| mail.thread_id.as_str()).collect();
    let answer = json!({
        "emailAddress": world.owner.email,
        "messagesTotal": mails.len(),
        "threadsTotal": threads.len(),
        "historyId": world.mailbox.history.to_string(),
    });
    Ok(Reply::json(200, &answer))
}

pub(super) fn list(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.labels.list")?;
    call.query.check(&[], &[])?;
    let system = SYSTEM_LABELS.iter().map(|id| label(id, id));
    let own = world.mailbox.user_labels().map(|(id, name)| label(id, name));
    Ok(Reply::json(200, &json!({ "labels": system.chain(own).collect::<Vec<_>>() })))
}

pub(super) fn get(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.labels.get")?;
    call.query.check(&[], &[])?;
    let own = world.mailbox.user_labels().find(|(known, _)| *known == id);
    let system = SYSTEM_LABELS.iter().find(|known| **known == id).map(|id| (*id, *id));
    let (id, name) = own.or(system).ok_or_else(|| refuse::not_found("Requested entity was not found."))?;
    let mut value = label(id, name);
    count(&world.mailbox, id, &mut value);
    Ok(Reply::json(200, &value))
}

pub(super) fn create(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.labels.create")?;
    call.query.check(&[], &[])?;
    let body = call.json_object()?;
    let allowed = ["name", "labelListVisibility", "messageListVisibility", "color", "type"];
    if let Some(unknown) = body.keys().find(|key| !allowed.contains(&key.as_str())) {
        return Err(unknown_field(unknown));
    }
    let name = body.get("name").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if name.is_empty() || name.chars().count() > 225 {
        return Err(refuse::invalid_argument("Invalid label name"));
    }
    if world.mailbox.label_id(name).is_some() {
        return Err(refuse::error(409, "ABORTED", "aborted", "Label name exists or conflicts"));
    }
    let id = world.mailbox.add_label(name);
    Ok(Reply::json(200, &label(&id, name)))
}

fn label(id: &str, name: &str) -> Value {
    let kind = if SYSTEM_LABELS.contains(&id) { "system" } else { "user" };
    let mut value = json!({ "id": id, "name": name, "type": kind });
    if kind == "user" {
        value["messageListVisibility"] = json!("show");
        value["labelListVisibility"] = json!("labelShow");
    }
    value
}

fn count(mailbox: &Mailbox, id: &str, value: &mut Value) {
    let mails: Vec<_> = mailbox.newest_first().into_iter().filter(|mail| mail.labels.contains(id)).collect();
    let unread: Vec<_> = mails.iter().filter(|mail| mail.labels.contains("UNREAD")).collect();
    let threads = |ids: BTreeSet<&str>| ids.len();
    value["messagesTotal"] = json!(mails.len());
    value["messagesUnread"] = json!(unread.len());
    value["threadsTotal"] = json!(threads(mails.iter().map(|mail| mail.thread_id.as_str()).collect()));
    value["threadsUnread"] = json!(threads(unread.iter().map(|mail| mail.thread_id.as_str()).collect()));
}
