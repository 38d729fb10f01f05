//! Bridge tools: what became of something that waits for a person, and asking the owner.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, Tool as McpTool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::error::ClientError;
use crate::outcome::CallOutcome;
use crate::session::{CallOptions, Session};
use crate::waiting::{ApprovalId, Ask, AskBounds, Collected, State, Waited};

/// Collects.
pub(super) const RESULT: &str = "claviger_result";
/// Asks.
pub(super) const ASK: &str = "claviger_ask";

/// Both, as a host is told of them.
pub(super) fn tools() -> Vec<McpTool> {
    let object = |value: Value| match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    };
    let texts = |about: &str| json!({"type": "array", "items": {"type": "string"}, "description": about});
    let result = McpTool::new(
        RESULT,
        "What became of something that a person must agree to first (ap_…). If it was a call and they agreed, the call \
         is made now, once, with exactly the arguments they saw, and this returns its result. If nobody has decided, \
         tell the user and ask again later; do not call in a loop.",
        object(json!({
            "type": "object",
            "properties": {"id": {"type": "string", "description": "ap_ and 32 digits, as it was told"}},
            "required": ["id"],
            "additionalProperties": false,
        })),
    );
    let ask = McpTool::new(
        ASK,
        "Asks the owner of these tools, a person: a question; or, with `tools`, for a task (several calls of granted \
         tools within bounds and a time, agreed to once); or, with `secret` and `tools`, for a grant. Nothing changes \
         until they agree. Returns an id for claviger_result. At most a few can wait, and 20 a day.",
        object(json!({
            "type": "object",
            "properties": {
                "purpose": {"type": "string", "maxLength": 2000,
                    "description": "What it is for, in plain words; the owner sees them as yours"},
                "tools": texts("For a task: names of tools as listed here. For a grant: full names such as gmail.get_message"),
                "secret": {"type": "string", "description": "For a grant: the account, such as gmail/me"},
                "hours": {"type": "number", "exclusiveMinimum": 0, "maximum": 2160,
                    "description": "For how long; a task needs it, at most 168"},
                "recipients": texts("Only to these addresses, or *@example.com"),
                "labels": texts("Only mails with one of these labels"),
                "folders": texts("Only files in one of these folders"),
                "calendars": texts("Only in these calendars"),
                "calls": {"type": "integer", "minimum": 1, "description": "At most so many calls altogether"},
            },
            "required": ["purpose"],
            "additionalProperties": false,
        })),
    );
    vec![
        // Of a call that was agreed to, this is the call.
        result.with_annotations(ToolAnnotations::new().read_only(false).destructive(true).idempotent(false)),
        ask.with_annotations(ToolAnnotations::new().read_only(false).destructive(false).idempotent(true)),
    ]
}

/// Whether it is one of them.
pub(super) fn is(name: &str) -> bool {
    [RESULT, ASK].contains(&name)
}

/// Runs one of them.
pub(super) async fn call(
    session: &Session,
    name: &str,
    arguments: &Map<String, Value>,
    patience: Duration,
) -> CallToolResult {
    if name == RESULT { result(session, arguments, patience).await } else { ask(session, arguments).await }
}

async fn result(session: &Session, arguments: &Map<String, Value>, patience: Duration) -> CallToolResult {
    let id = match arguments.get("id").and_then(Value::as_str).and_then(ApprovalId::parse) {
        Some(id) if arguments.len() == 1 => id,
        _ => return failed(&ClientError::NoApproval),
    };
    let options = CallOptions { timeout: Some(patience), progress: None };
    match session.result(id, &options).await {
        Ok(Waited::Ran(CallOutcome::Answered(result))) => result,
        Ok(Waited::Ran(CallOutcome::Refused(refusal))) => error(refusal.to_string()),
        Ok(Waited::Told(collected)) => told(id, &collected),
        Err(error) => failed(&error),
    }
}

/// How it stands, in words that say what to do, and for programs.
fn told(id: ApprovalId, collected: &Collected) -> CallToolResult {
    let words = words(id, collected);
    let mut result = CallToolResult::success(vec![ContentBlock::text(words)]);
    result.structured_content = Some(json!({
        "id": id.to_string(),
        "state": collected.state.as_str(),
        "answer": collected.answer,
        "expires_at_ms": collected.expires_at_ms,
    }));
    result
}

/// How it stands, in a sentence or two.
pub(crate) fn words(id: ApprovalId, collected: &Collected) -> String {
    let mut text = match collected.state {
        State::Pending => format!(
            "{id} waits for a person. Tell the user; call claviger_result again when they say that they have decided."
        ),
        State::Approved => format!("{id}: the owner agreed."),
        State::Denied => format!("{id}: the owner said no. Do not ask for it again soon."),
        State::Expired => format!("{id} is over: nobody decided in time, or it was not collected in time."),
        State::Done => format!("{id} was carried out already."),
    };
    if !collected.answer.is_empty() {
        text.push_str(&format!(" The owner says: {}", collected.answer));
    }
    text
}

async fn ask(session: &Session, arguments: &Map<String, Value>) -> CallToolResult {
    let ask = match read(arguments) {
        Ok(ask) => ask,
        Err(fault) => {
            return error(format!("not done: {fault}. Next: correct the arguments by the tool's schema."));
        }
    };
    match session.ask(ask).await {
        Ok((id, expires_at_ms)) => {
            let text = format!(
                "{id} waits for a person. Tell the user what was asked for; once they have decided, call claviger_result \
                 with {id} (the owner can run `claviger approve {id}`)."
            );
            let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
            result.structured_content =
                Some(json!({"id": id.to_string(), "state": "pending", "expires_at_ms": expires_at_ms}));
            result
        }
        Err(error) => failed(&error),
    }
}

/// Strict: what is not known, or of another kind, is refused, for the owner would be asked for something else.
fn read(arguments: &Map<String, Value>) -> Result<Ask, String> {
    let mut ask = Ask::default();
    let mut bounds = AskBounds::default();
    for (name, value) in arguments {
        let wrong = || format!("`{name}` is of another kind");
        let text = || value.as_str().map(str::to_owned).ok_or_else(wrong);
        let texts = || {
            let items = value.as_array().ok_or_else(wrong)?;
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<Vec<String>, String>>()
        };
        match name.as_str() {
            "purpose" => ask.purpose = text()?,
            "secret" => ask.secret = text()?,
            "tools" => ask.tools = texts()?,
            "recipients" => bounds.recipients = texts()?,
            "labels" => bounds.labels = texts()?,
            "folders" => bounds.folders = texts()?,
            "calendars" => bounds.calendars = texts()?,
            "calls" => bounds.calls = value.as_u64().filter(|calls| *calls > 0).ok_or_else(wrong)?,
            "hours" => ask.seconds = seconds(value).ok_or_else(wrong)?,
            _ => return Err("there is an argument that is not known".to_owned()),
        }
    }
    ask.bounds = bounds;
    if ask.purpose.trim().is_empty() { Err("`purpose` must be given".to_owned()) } else { Ok(ask) }
}

/// Whole seconds in a number of hours, at least one.
fn seconds(hours: &Value) -> Option<u64> {
    let hours = hours.as_f64().filter(|hours| *hours > 0.0 && *hours <= 2160.0)?;
    let seconds = std::time::Duration::from_secs_f64(hours * 3600.0).as_secs();
    Some(seconds.max(1))
}

fn error(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

fn failed(error: &ClientError) -> CallToolResult {
    super::server::failed(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn arguments_are_read_strictly() {
        let read = |value: Value| read(value.as_object().unwrap());
        let ask = read(json!({"purpose": "p", "tools": ["a"], "hours": 0.5, "calls": 3, "labels": ["AI"]}))
            .unwrap();
        assert_eq!((ask.seconds, ask.bounds.calls, ask.bounds.labels.len()), (1800, 3, 1));
        for wrong in [
            json!({}),
            json!({"purpose": " "}),
            json!({"purpose": "p", "hours": 0}),
            json!({"purpose": "p", "hours": 1e9}),
            json!({"purpose": "p", "calls": 0}),
            json!({"purpose": "p", "calls": -1}),
            json!({"purpose": "p", "tools": "a"}),
            json!({"purpose": "p", "tools": [1]}),
            json!({"purpose": "p", "approve": "never"}),
            json!({"purpose": ["p"]}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
