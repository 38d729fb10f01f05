//! Bridge tools: a part of what this agent may, handed on to a sub-agent.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, Tool as McpTool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::server::failed;
use crate::error::ClientError;
use crate::narrow::{Bounds, Child, rate};
use crate::session::Session;

/// Makes a child handle.
const NARROW: &str = "claviger_narrow";

/// Ends one.
const RELEASE: &str = "claviger_release";

/// Whether a tool is one of these.
pub(super) fn is(name: &str) -> bool {
    matches!(name, NARROW | RELEASE)
}

/// As hosts are told of them.
pub(super) fn tools() -> Vec<McpTool> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let texts = |description: &str| json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "description": description });
    let number = |description: &str| json!({ "type": "integer", "minimum": 1, "description": description });
    let narrow = json!({
        "type": "object",
        "properties": {
            "tools": texts("The tools the child may call, by their names here; all of them belong to one account"),
            "handle": text("The id of the handle to narrow, such as a child you were given; without it, the one that has the tools"),
            "label": text("What the child is for, in a few words, for the owner"),
            "expires_in_seconds": number("When the child ends, in seconds from now"),
            "calls": number("How many calls the child may make altogether"),
            "rate": text("How often it may call, such as 10/1h"),
            "recipients": texts("Whom it may write to: addresses, or *@example.com"),
            "resources": {
                "type": "object",
                "additionalProperties": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                "description": "Which objects it may touch: ids by kind, such as {\"folder\": [\"ID\"]}",
            },
        },
        "required": ["tools"],
        "additionalProperties": false,
    });
    let release = json!({
        "type": "object",
        "properties": { "handle": text("The id of the child to end, with all that was made of it") },
        "required": ["handle"],
        "additionalProperties": false,
    });
    let tool = |name: &'static str, title: &str, description: &str, schema: Value| {
        let schema = schema.as_object().cloned().unwrap_or_default();
        McpTool::new(name, description.to_owned(), Arc::new(schema))
            .with_title(title.to_owned())
            .with_annotations(
                ToolAnnotations::new()
                    .read_only(false)
                    .destructive(false)
                    .idempotent(false)
                    .open_world(false),
            )
    };
    vec![
        tool(
            NARROW,
            "Hand on a part",
            "Make a child handle that may do less than you, for a sub-agent. It can never do more than you, its calls \
             count against your limits, and it ends with your own grant. Returns its id and how to start the \
             sub-agent's tools with it.",
            narrow,
        ),
        tool(RELEASE, "End a child", "End a child handle that you made, with all below it. Final.", release),
    ]
}

/// Calls one of them.
pub(super) async fn call(
    session: &Session,
    name: &str,
    arguments: Map<String, Value>,
) -> Result<CallToolResult, ErrorData> {
    let done =
        if name == RELEASE { release(session, &arguments).await } else { narrow(session, &arguments).await };
    match done {
        Ok(answer) => Ok(answer),
        Err(Fault::Arguments(why)) => Err(ErrorData::invalid_params(why, None)),
        Err(Fault::Client(ClientError::Refused(refusal))) => {
            Ok(CallToolResult::error(vec![ContentBlock::text(refusal.to_string())]))
        }
        Err(Fault::Client(error)) => Ok(failed(&error)),
    }
}

/// Why it was not done.
enum Fault {
    /// The arguments are not what the tool takes. Names keys, never a value.
    Arguments(String),
    Client(ClientError),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

async fn narrow(session: &Session, arguments: &Map<String, Value>) -> Result<CallToolResult, Fault> {
    let known =
        ["tools", "handle", "label", "expires_in_seconds", "calls", "rate", "recipients", "resources"];
    only(arguments, &known)?;
    let mut bounds = Bounds {
        tools: texts(arguments, "tools")?,
        label: text(arguments, "label")?.unwrap_or_default(),
        expires_in: number(arguments, "expires_in_seconds")?.map(Duration::from_secs),
        calls: number(arguments, "calls")?,
        recipients: texts(arguments, "recipients")?,
        ..Bounds::default()
    };
    if let Some(words) = text(arguments, "rate")? {
        bounds.rate = Some(rate(&words).ok_or_else(|| bad("rate", "text such as 10/1h"))?);
    }
    if let Some(resources) = arguments.get("resources") {
        let resources = resources.as_object().ok_or_else(|| bad("resources", "an object of lists"))?;
        for name in resources.keys() {
            bounds.resources.insert(name.clone(), texts(resources, name)?);
        }
    }
    let handle = match text(arguments, "handle")? {
        Some(handle) => handle,
        None => handle_of(session, &bounds.tools)?,
    };
    let child = session.narrow(&handle, &bounds).await?;
    Ok(made(&child))
}

/// The one handle that has all of these tools.
fn handle_of(session: &Session, tools: &[String]) -> Result<String, Fault> {
    let grants = session.grants();
    let mut found: Option<String> = None;
    for name in tools {
        let (_, handle) = grants.tool(name)?;
        match &found {
            Some(first) if first != handle.id() => {
                return Err(bad("tools", "tools of one grant; make a child for each"));
            }
            _ => found = Some(handle.id().to_owned()),
        }
    }
    found.ok_or_else(|| bad("tools", "at least one tool"))
}

fn made(child: &Child) -> CallToolResult {
    let Child { id, tools, expires_at_ms, .. } = child;
    let start = format!("claviger-agent mcp --handle {id}");
    let text = format!(
        "Made {id}, for {}. Start the sub-agent's MCP server with `{start}`: it can do that and nothing more. End it \
         with {RELEASE}.",
        tools.join(", "),
    );
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content =
        Some(json!({ "handle": id, "tools": tools, "expires_at_ms": expires_at_ms, "start": start }));
    result
}

async fn release(session: &Session, arguments: &Map<String, Value>) -> Result<CallToolResult, Fault> {
    only(arguments, &["handle"])?;
    let handle = text(arguments, "handle")?.ok_or_else(|| bad("handle", "the id of a child"))?;
    let released = session.release(&handle).await?;
    let mut result = CallToolResult::success(vec![ContentBlock::text(format!("Ended {released} handles."))]);
    result.structured_content = Some(json!({ "released": released }));
    Ok(result)
}

fn bad(key: &str, takes: &str) -> Fault {
    Fault::Arguments(format!("`{key}` takes {takes}"))
}

fn only(arguments: &Map<String, Value>, known: &[&str]) -> Result<(), Fault> {
    if arguments.keys().all(|key| known.contains(&key.as_str())) {
        Ok(())
    } else {
        Err(Fault::Arguments(format!("it takes {} and nothing else", known.join(", "))))
    }
}

fn text(arguments: &Map<String, Value>, key: &str) -> Result<Option<String>, Fault> {
    match arguments.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(key, "text")),
    }
}

fn number(arguments: &Map<String, Value>, key: &str) -> Result<Option<u64>, Fault> {
    match arguments.get(key).map(|value| value.as_u64().filter(|number| *number > 0)) {
        None => Ok(None),
        Some(None) => Err(bad(key, "a positive whole number")),
        Some(number) => Ok(number),
    }
}

/// A list that is not empty, or nothing: an empty one would bound nothing where it was meant to allow nothing.
fn texts(arguments: &Map<String, Value>, key: &str) -> Result<Vec<String>, Fault> {
    let Some(value) = arguments.get(key) else { return Ok(Vec::new()) };
    let items = value.as_array().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| bad(key, "a list of texts that is not empty"))?;
    let text = |item: &Value| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    items.iter().map(text).collect::<Option<_>>().ok_or_else(|| bad(key, "a list of texts that is not empty"))
}
