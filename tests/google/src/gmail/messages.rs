//! `users.messages`: list, get, modify, trash, delete, attachments.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::mailbox::{Mail, Mailbox};
use super::render::{Format, attachment_id, message};
use super::search::Search;
use super::{metadata_refusal, only_metadata};
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// Labels that only Gmail itself puts on and takes off.
const FIXED_LABELS: [&str; 3] = ["SENT", "DRAFT", "CHAT"];

pub(super) fn list(world: &mut World, call: &Call) -> Answer {
    let (page, next, total) = find(world, call, "gmail.users.messages.list", |mails| mails)?;
    let mut answer = json!({ "resultSizeEstimate": total });
    if !page.is_empty() {
        let ids = page.iter().map(|mail| json!({ "id": mail.id, "threadId": mail.thread_id }));
        answer["messages"] = ids.collect();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = json!(next);
    }
    Ok(Reply::json(200, &answer))
}

/// The mails a list asks for: one page, the token of the next one, and how many there are in all.
pub(super) fn find(
    world: &mut World,
    call: &Call,
    method: &str,
    narrow: impl Fn(Vec<Mail>) -> Vec<Mail>,
) -> Result<(Vec<Mail>, Option<String>, usize), Reply> {
    let bearer = world.authorize(call, method)?;
    call.query.check(&["q", "maxResults", "pageToken", "includeSpamTrash"], &["labelIds"])?;
    let text = call.query.get("q").unwrap_or("");
    if call.query.get("q").is_some() && only_metadata(&bearer) {
        return Err(metadata_refusal("does not support 'q' parameter"));
    }
    let labels: BTreeSet<&str> = call.query.all("labelIds").collect();
    if let Some(unknown) = labels.iter().find(|label| !world.mailbox.is_label(label)) {
        return Err(refuse::invalid_argument(&format!("Invalid label: {unknown}")));
    }
    let hidden = call.query.flag("includeSpamTrash")?;
    let size = call.query.number("maxResults", 100, 1, 500)?;
    let search = Search::parse(text);
    let everywhere = hidden || search.names_hidden() || labels.contains("TRASH") || labels.contains("SPAM");
    let found = narrow(
        world
            .mailbox
            .newest_first()
            .into_iter()
            .filter(|mail| everywhere || !(mail.labels.contains("TRASH") || mail.labels.contains("SPAM")))
            .filter(|mail| labels.iter().all(|label| mail.labels.contains(*label)))
            .filter(|mail| search.fits(mail, &world.mailbox))
            .cloned()
            .collect(),
    );
    let query = format!("{method} {text:?} {labels:?} {hidden}");
    let start = world.pages.start(call.query.get("pageToken"), &query)?;
    let next = world.pages.next(&query, start + size, found.len());
    let total = found.len();
    Ok((found.into_iter().skip(start).take(size).collect(), next, total))
}

pub(super) fn get(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "gmail.users.messages.get")?;
    call.query.check(&["format"], &["metadataHeaders"])?;
    let format = Format::from_query(call, true)?;
    if format.shows_content() && only_metadata(&bearer) {
        return Err(metadata_refusal("doesn't allow format FULL or RAW"));
    }
    Ok(Reply::json(200, &message(known(&world.mailbox, id)?, &format)))
}

pub(super) fn attachment(world: &mut World, call: &Call, id: &str, attachment: &str) -> Answer {
    let bearer = world.authorize(call, "gmail.users.messages.attachments.get")?;
    call.query.check(&[], &[])?;
    if only_metadata(&bearer) {
        return Err(metadata_refusal("doesn't allow attachments"));
    }
    let mail = known(&world.mailbox, id)?;
    let mut parts = mail.parsed.walk().into_iter().filter(|part| part.is_attachment());
    let Some(part) = parts.find(|part| attachment_id(&mail.id, part) == attachment) else {
        return Err(refuse::invalid_argument("Invalid attachment token"));
    };
    let answer = json!({
        "attachmentId": attachment,
        "size": part.content.len(),
        "data": URL_SAFE.encode(&part.content),
    });
    Ok(Reply::json(200, &answer))
}

/// One change for up to 1000 mails. A mail that does not exist fails the whole request, with nothing changed.
pub(super) fn batch_modify(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.messages.batchModify")?;
    call.query.check(&[], &[])?;
    let mut body = call.json_object()?;
    let ids = id_list(world, body.remove("ids"))?;
    let (add, remove) = label_change(&world.mailbox, &body)?;
    for id in ids {
        world.mailbox.relabel(&id, |labels| {
            labels.extend(add.iter().cloned());
            labels.retain(|label| !remove.contains(label));
        });
    }
    Ok(Reply::empty())
}

pub(super) fn batch_delete(world: &mut World, call: &Call) -> Answer {
    world.authorize(call, "gmail.users.messages.batchDelete")?;
    call.query.check(&[], &[])?;
    let mut body = call.json_object()?;
    let ids = id_list(world, body.remove("ids"))?;
    if let Some(unknown) = body.keys().next() {
        return Err(unknown_field(unknown));
    }
    for id in ids {
        world.mailbox.remove(&id);
    }
    Ok(Reply::empty())
}

fn id_list(world: &World, value: Option<Value>) -> Result<Vec<String>, Reply> {
    let wrong = || refuse::bad_request("Invalid value at 'ids' (TYPE_STRING list)");
    let Some(Value::Array(items)) = value else { return Err(wrong()) };
    if items.is_empty() || items.len() > 1000 {
        return Err(refuse::invalid_argument("Too many message ids, or none"));
    }
    let text = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
    let ids: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
    for id in &ids {
        known(&world.mailbox, id)?;
    }
    Ok(ids)
}

pub(super) fn modify(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.messages.modify")?;
    call.query.check(&[], &[])?;
    let body = call.json_object()?;
    known(&world.mailbox, id)?;
    let (add, remove) = label_change(&world.mailbox, &body)?;
    relabel(world, id, |labels| {
        labels.extend(add);
        labels.retain(|label| !remove.contains(label));
    })
}

pub(super) fn trash(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.messages.trash")?;
    call.query.check(&[], &[])?;
    relabel(world, id, |labels| {
        labels.remove("INBOX");
        labels.insert("TRASH".to_owned());
    })
}

pub(super) fn untrash(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.messages.untrash")?;
    call.query.check(&[], &[])?;
    relabel(world, id, |labels| {
        labels.remove("TRASH");
    })
}

pub(super) fn delete(world: &mut World, call: &Call, id: &str) -> Answer {
    world.authorize(call, "gmail.users.messages.delete")?;
    call.query.check(&[], &[])?;
    if world.mailbox.remove(id) { Ok(Reply::empty()) } else { Err(refuse::not_found(NO_MAIL)) }
}

/// 400 for a field of a body that the method does not have.
pub(super) fn unknown_field(name: &str) -> Reply {
    refuse::bad_request(&format!(
        "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
    ))
}

const NO_MAIL: &str = "Requested entity was not found.";

fn known<'a>(mailbox: &'a Mailbox, id: &str) -> Result<&'a Mail, Reply> {
    mailbox.get(id).ok_or_else(|| refuse::not_found(NO_MAIL))
}

fn relabel(world: &mut World, id: &str, change: impl FnOnce(&mut BTreeSet<String>)) -> Answer {
    let mail = world.mailbox.relabel(id, change).ok_or_else(|| refuse::not_found(NO_MAIL))?;
    let answer = json!({ "id": mail.id, "threadId": mail.thread_id, "labelIds": mail.labels });
    Ok(Reply::json(200, &answer))
}

/// The labels that a body adds and removes.
fn label_change(
    mailbox: &Mailbox,
    body: &serde_json::Map<String, Value>,
) -> Result<(BTreeSet<String>, BTreeSet<String>), Reply> {
    if let Some(unknown) = body.keys().find(|key| !["addLabelIds", "removeLabelIds"].contains(&key.as_str()))
    {
        return Err(unknown_field(unknown));
    }
    let add = label_list(mailbox, body.get("addLabelIds"))?;
    let remove = label_list(mailbox, body.get("removeLabelIds"))?;
    if add.is_empty() && remove.is_empty() {
        return Err(refuse::invalid_argument("No label add or removes specified"));
    }
    if add.iter().any(|label| remove.contains(label)) {
        return Err(refuse::invalid_argument("Cannot both add and remove the same label"));
    }
    Ok((add, remove))
}

fn label_list(mailbox: &Mailbox, value: Option<&Value>) -> Result<BTreeSet<String>, Reply> {
    let Some(value) = value else { return Ok(BTreeSet::new()) };
    let wrong = || refuse::bad_request("Invalid value at 'labelIds' (TYPE_STRING list)");
    let list = value.as_array().ok_or_else(wrong)?;
    if list.len() > 100 {
        return Err(refuse::invalid_argument("Too many labels"));
    }
    list.iter()
        .map(|item| {
            let id = item.as_str().ok_or_else(wrong)?;
            if !mailbox.is_label(id) || FIXED_LABELS.contains(&id) {
                return Err(refuse::invalid_argument(&format!("Invalid label: {id}")));
            }
            Ok(id.to_owned())
        })
        .collect()
}
