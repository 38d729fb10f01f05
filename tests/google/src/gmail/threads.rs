//! `users.threads`: list and get.

use std::collections::BTreeSet;

use serde_json::json;

use super::messages::find;
use super::render::{Format, message};
use super::{metadata_refusal, only_metadata};
use crate::google_error as refuse;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

pub(super) fn list(world: &mut World, call: &Call) -> Answer {
    let (page, next, total) = find(world, call, "gmail.users.threads.list", |mails| {
        let mut seen = BTreeSet::new();
        mails.into_iter().filter(|mail| seen.insert(mail.thread_id.clone())).collect()
    })?;
    let mut answer = json!({ "resultSizeEstimate": total });
    if !page.is_empty() {
        answer["threads"] = page
            .iter()
            .map(|mail| {
                let newest = message(mail, &Format::Minimal);
                json!({ "id": mail.thread_id, "snippet": newest["snippet"], "historyId": newest["historyId"] })
            })
            .collect();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = json!(next);
    }
    Ok(Reply::json(200, &answer))
}

pub(super) fn get(world: &mut World, call: &Call, id: &str) -> Answer {
    let bearer = world.authorize(call, "gmail.users.threads.get")?;
    call.query.check(&["format"], &["metadataHeaders"])?;
    let format = Format::from_query(call, false)?;
    if format.shows_content() && only_metadata(&bearer) {
        return Err(metadata_refusal("doesn't allow format FULL"));
    }
    let mails = world.mailbox.thread(id);
    if mails.is_empty() {
        return Err(refuse::not_found("Requested entity was not found."));
    }
    let history = mails.iter().map(|mail| mail.history).max().unwrap_or(0);
    let answer = json!({
        "id": id,
        "historyId": history.to_string(),
        "messages": mails.iter().map(|mail| message(mail, &format)).collect::<Vec<_>>(),
    });
    Ok(Reply::json(200, &answer))
}
