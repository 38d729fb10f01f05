//! `get_thread`: the mails of a thread, oldest first.
//!
//! `id`, `messages` (each as `get_message` gives it, with less of a long body), and `incomplete`: `true` where the thread
//! has more mails than one call may ask for; then the newest are told.

use serde_json::{Map, Value};

use super::{read, text};
use crate::call::Call;
use crate::failure::Failure;
use crate::service::Shaped;

/// How many bytes of each body are told.
const BODY: usize = 24 * 1024;

pub(super) async fn run(call: &Call) -> Result<Shaped, Failure> {
    let thread = call.json("thread", &[]).await?;
    let all = thread.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<String> =
        all.iter().map(|message| text(message, "id")).filter(|id| !id.is_empty()).collect();
    let room = usize::try_from(call.minted().requests.saturating_sub(1)).unwrap_or(usize::MAX);
    let incomplete = ids.len() > room;
    let (mut mails, mut lines) = (Vec::new(), Vec::new());
    for id in &ids[ids.len().saturating_sub(room)..] {
        let message = match call.json("message", &[("message_id", id)]).await {
            Ok(message) => message,
            // Out of scope, or gone since: not part of the thread, and not told.
            Err(failure) if failure.is_absence() => continue,
            Err(failure) => return Err(failure),
        };
        let Shaped { structured, text, .. } = read::shape_to(&message, BODY)?;
        mails.push(Value::Object(structured));
        lines.push(text);
    }
    if mails.is_empty() {
        return Err(call.absent());
    }
    let count = mails.len();
    let mut paragraphs = vec![match count {
        1 => "1 mail".to_owned(),
        count => format!("{count} mails, the oldest first"),
    }];
    if incomplete {
        paragraphs.push("There are older ones, more than one call may read.".to_owned());
    }
    paragraphs
        .extend(lines.iter().enumerate().map(|(n, text)| format!("--- {} of {count} ---\n{text}", n + 1)));
    let mut told = Map::from_iter([("id".to_owned(), text(&thread, "id").into())]);
    told.insert("messages".to_owned(), mails.into());
    if incomplete {
        told.insert("incomplete".to_owned(), true.into());
    }
    Ok(Shaped::new(told, paragraphs.join("\n\n")))
}
