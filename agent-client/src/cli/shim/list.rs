//! `mcp list`: what is granted, for people and in the JSON that mcporter gives.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::names::{Below, Named};
use super::words::List;
use crate::cli::{list, print};

/// Writes these tools, sorted as they come.
pub(super) fn write(out: &mut dyn Write, shown: &[Named<'_>], wanted: &List) -> io::Result<()> {
    if wanted.json { as_json(out, shown, wanted) } else { lines(out, shown, wanted) }
}

fn lines(out: &mut dyn Write, shown: &[Named<'_>], wanted: &List) -> io::Result<()> {
    let width = shown.iter().map(|named| named.selector.to_string().len()).max().unwrap_or_default();
    for Named { selector, tool } in shown {
        let line = format!("{:width$}  {}", selector.to_string(), print::line(tool.summary()));
        writeln!(out, "{}", line.trim_end())?;
        if wanted.schema {
            let schema = format!("{:#}", Value::Object(tool.input_schema.as_ref().clone()));
            for line in schema.lines() {
                writeln!(out, "    {}", print::line(line))?;
            }
        } else if !wanted.below.is_all() {
            list::arguments(out, tool)?;
        }
    }
    Ok(())
}

/// The members of mcporter's that mean something here. A server is `ok`: what is not is not granted.
fn as_json(out: &mut dyn Write, shown: &[Named<'_>], wanted: &List) -> io::Result<()> {
    let tools = |server: &str, schema: bool| -> Vec<Value> {
        let of_server = shown.iter().filter(|named| named.selector.server() == server);
        of_server.map(|named| tool_json(named, schema)).collect()
    };
    let mut servers: Vec<&str> = shown.iter().map(|named| named.selector.server()).collect();
    servers.dedup();
    let told = match (&wanted.below, servers.as_slice()) {
        (Below::Server(_) | Below::Tool(_), [server]) => {
            json!({"mode": "server", "name": server, "status": "ok", "tools": tools(server, true)})
        }
        _ => {
            let entry = |server: &&str| json!({"name": server, "status": "ok", "tools": tools(server, wanted.schema)});
            let entries: Vec<Value> = servers.iter().map(entry).collect();
            let counts = json!({"ok": entries.len(), "auth": 0, "offline": 0, "http": 0, "error": 0});
            json!({"mode": "list", "counts": counts, "servers": entries})
        }
    };
    writeln!(out, "{told:#}")
}

fn tool_json(named: &Named<'_>, schema: bool) -> Value {
    let Named { selector, tool } = named;
    let mut told = json!({"name": selector.tool(), "description": tool.description});
    if schema {
        told["inputSchema"] = Value::Object(tool.input_schema.as_ref().clone());
    }
    told
}
