//! `ls` and `handles`.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::print;
use crate::grants::{Grants, Tool};

/// What an agent without a grant is told.
pub(super) const NOTHING: &str = "nothing is granted to this agent; the owner can run `claviger grant add`";

/// Writes the granted tools: one line each, or as JSON.
pub(super) fn tools(out: &mut dyn Write, grants: &Grants, json: bool, verbose: bool) -> io::Result<()> {
    if json {
        let tools: Vec<Value> = grants.tools().map(|tool| tool_json(tool)).collect();
        return print::json(
            out,
            &json!({"agent": grants.agent(), "frozen": grants.frozen(), "tools": tools}),
        );
    }
    frozen(out, grants)?;
    let width = grants.tools().map(|tool| tool.mcp_name.len()).max().unwrap_or_default();
    for tool in grants.tools() {
        let (name, effect) = (&tool.mcp_name, tool.effect.as_str());
        writeln!(out, "{name:width$}  {effect:6}  {}", print::line(tool.summary()))?;
        if verbose {
            arguments(out, tool)?;
        }
    }
    if grants.tools().next().is_none() {
        writeln!(out, "{NOTHING}")?;
    }
    Ok(())
}

/// Writes what a tool takes: one line each.
pub(super) fn arguments(out: &mut dyn Write, tool: &Tool) -> io::Result<()> {
    for argument in Arguments::of(&tool.input_schema).iter() {
        let need = if argument.required { ", required" } else { "" };
        let meaning = print::line(argument.description);
        let (key, kind) = (print::line(argument.key), argument.kind.as_str());
        writeln!(out, "    {}", format!("{key} ({kind}{need})  {meaning}").trim_end())?;
    }
    Ok(())
}

fn tool_json(tool: &Tool) -> Value {
    json!({
        "name": tool.mcp_name,
        "tool": tool.name.as_str(),
        "title": tool.title,
        "description": tool.description,
        "effect": tool.effect.as_str(),
        "untrusted": tool.untrusted,
        "input_schema": *tool.input_schema,
    })
}

/// Writes the handles: one line each, or as JSON. Never their keys.
pub(super) fn handles(out: &mut dyn Write, grants: &Grants, json: bool, now_ms: u64) -> io::Result<()> {
    if json {
        let handles: Vec<Value> = grants
            .handles()
            .iter()
            .map(|handle| {
                json!({
                    "id": handle.id(),
                    "grant": handle.grant(),
                    "secret": handle.secret(),
                    "parent": handle.parent(),
                    "label": handle.label(),
                    "expires_at_ms": handle.expires_at_ms(),
                    "adapter": handle.adapter(),
                    "tools": handle.tool_count(),
                })
            })
            .collect();
        return print::json(
            out,
            &json!({"agent": grants.agent(), "frozen": grants.frozen(), "handles": handles}),
        );
    }
    frozen(out, grants)?;
    for handle in grants.handles() {
        let (id, grant, secret) = (handle.id(), print::line(handle.grant()), print::line(handle.secret()));
        let tools = match handle.tool_count() {
            1 => "1 tool".to_owned(),
            count => format!("{count} tools"),
        };
        let of = match (handle.parent(), handle.label()) {
            (None, _) => String::new(),
            (Some(parent), "") => format!("  child of {}", print::line(parent)),
            (Some(parent), label) => {
                format!("  child of {} \"{}\"", print::line(parent), print::line(label))
            }
        };
        writeln!(out, "{id}  {grant}  {secret}  {tools}  {}{of}", expiry(handle.expires_at_ms(), now_ms))?;
    }
    if grants.handles().is_empty() {
        writeln!(out, "{NOTHING}")?;
    }
    Ok(())
}

pub(super) fn frozen(out: &mut dyn Write, grants: &Grants) -> io::Result<()> {
    if grants.frozen() {
        writeln!(out, "this agent is frozen: its calls are refused until the owner runs `claviger thaw`")?;
    }
    Ok(())
}

/// How long until `at_ms`, in its two largest units.
fn expiry(at_ms: u64, now_ms: u64) -> String {
    if at_ms == 0 {
        return "does not expire".to_owned();
    }
    let Some(left) = at_ms.checked_sub(now_ms).filter(|left| *left > 0) else {
        return "expired".to_owned();
    };
    let seconds = left / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s left"),
        (0, 0, _) => format!("{minutes}m left"),
        (0, ..) => format!("{hours}h {minutes}m left"),
        _ => format!("{days}d {hours}h left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries() {
        for (at, expected) in [
            (0, "does not expire"),
            (1_000, "expired"),
            (999, "expired"),
            (1_001, "0s left"),
            (60_999, "59s left"),
            (3_600_999, "59m left"),
            (3_601_000, "1h 0m left"),
            (86_401_000 + 7_200_000, "1d 2h left"),
        ] {
            assert_eq!(expiry(at, 1_000), expected, "{at}");
        }
    }
}
