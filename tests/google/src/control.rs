//! What the demo may look at without any authorisation, if it was started so.

use http::Method;
use serde_json::Value;

use crate::log::LoggedRequest;
use crate::wire::{Call, Reply};
use crate::world::World;

/// Answers `/stand-in/outbox` and `/stand-in/log`; `None` for every other request.
pub(crate) fn answer(world: &World, log: &[LoggedRequest], call: &Call) -> Option<Reply> {
    if call.method != Method::GET {
        return None;
    }
    let list: Vec<Value> = match call.path.as_str() {
        "/stand-in/outbox" => world.mailbox.outbox.iter().map(crate::gmail::Sent::to_json).collect(),
        "/stand-in/log" => log.iter().map(LoggedRequest::to_json).collect(),
        _ => return None,
    };
    Some(Reply::json(200, &Value::Array(list)))
}
