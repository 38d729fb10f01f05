//! `call`.

use std::io::{self, Write};
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use super::{CliError, Exit, arguments, bar, print};
use crate::outcome::{CallOutcome, Refusal};
use crate::session::{CallOptions, Session};

/// How a call is made and told.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// As JSON.
    pub(super) json: bool,
    /// How long to wait for the answer.
    pub(super) timeout: Duration,
    /// Whether somebody looks.
    pub(super) watched: bool,
}

/// Calls a tool once and writes what came of it.
pub(super) async fn call(
    out: &mut dyn Write,
    session: &Session,
    name: &str,
    words: &[String],
    how: How,
) -> Result<Exit, CliError> {
    tell(out, make(session, name, Map::new(), words, how).await?, how.json)
}

/// Calls a tool once, with the arguments of an object and those of words.
pub(super) async fn make(
    session: &Session,
    name: &str,
    object: Map<String, Value>,
    words: &[String],
    how: How,
) -> Result<CallOutcome, CliError> {
    let How { json: _, timeout, watched } = how;
    let grants = session.grants();
    if grants.frozen() {
        return Ok(CallOutcome::Refused(Refusal::frozen()));
    }
    let (tool, _) = grants.tool(name)?;
    let arguments = arguments::parse_with(&tool.input_schema, object, words)?;
    // Only the session holds the grants during the call, so a key that it replaces is erased at once.
    drop(grants);
    let (progress, bar) = bar::watch(watched);
    let options = CallOptions { timeout: Some(timeout), progress };
    Ok(bar.during(session.call_with(name, arguments, &options)).await?)
}

/// Writes what came of a call.
pub(super) fn tell(out: &mut dyn Write, outcome: CallOutcome, json: bool) -> Result<Exit, CliError> {
    match outcome {
        CallOutcome::Answered(result) => {
            let failed = result.is_error == Some(true);
            if json {
                answer_json(out, &result, !failed)?
            } else {
                answer(out, &result, "--json")?
            }
            Ok(if failed { Exit::Failed } else { Exit::Ok })
        }
        CallOutcome::Refused(refusal) => {
            if json {
                refused_json(out, &refusal)?
            } else {
                writeln!(out, "{refusal}")?
            }
            Ok(exit(&refusal))
        }
    }
}

/// Writes a refusal: `{"ok": false, "refusal": {…}}`.
pub(super) fn refused_json(out: &mut dyn Write, refusal: &Refusal) -> io::Result<()> {
    let (class, field, reference) = (refusal.class(), refusal.field(), refusal.reference());
    let mut told =
        json!({"class": class, "field": field, "reference": reference, "message": refusal.to_string()});
    if let Some(approval) = refusal.approval() {
        told["approval"] = json!(approval);
    }
    print::json(out, &json!({"ok": false, "refusal": told}))
}

fn exit(refusal: &Refusal) -> Exit {
    match refusal.class() {
        "sealed" => Exit::Sealed,
        "pending" => Exit::Pending,
        _ => Exit::Failed,
    }
}

/// `{"ok": …, "content": […], "structured": …}`, the last two as the adapter gave them.
fn answer_json(out: &mut dyn Write, result: &CallToolResult, ok: bool) -> io::Result<()> {
    let content = serde_json::to_value(&result.content)?;
    let structured = result.structured_content.clone().unwrap_or(Value::Null);
    print::json(out, &json!({"ok": ok, "content": content, "structured": structured}))
}

/// Writes an answer for people; `whole` is the option that would show what is left out.
pub(super) fn answer(out: &mut dyn Write, result: &CallToolResult, whole: &str) -> io::Result<()> {
    for block in &result.content {
        match block {
            ContentBlock::Text(text) => {
                writeln!(out, "{}", print::visible(text.text.trim_end_matches('\n')))?
            }
            ContentBlock::Image(image) => {
                writeln!(out, "[image, {}; use {whole}]", print::line(&image.mime_type))?;
            }
            ContentBlock::Audio(audio) => {
                writeln!(out, "[audio, {}; use {whole}]", print::line(&audio.mime_type))?;
            }
            ContentBlock::Resource(_) | ContentBlock::ResourceLink(_) => {
                writeln!(out, "[resource; use {whole}]")?
            }
            _ => writeln!(out, "[content of another kind; use {whole}]")?,
        }
    }
    if result.content.is_empty() {
        match &result.structured_content {
            Some(structured) => writeln!(out, "{}", print::visible(&format!("{structured:#}")))?,
            None => writeln!(out, "done")?,
        }
    }
    Ok(())
}
