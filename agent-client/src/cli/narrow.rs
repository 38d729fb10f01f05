//! `narrow` and `release`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::print;
use crate::narrow::{Bounds, Child, list, rate, span};

/// Arguments of `narrow`.
#[derive(Debug, Args)]
pub(super) struct NarrowArgs {
    /// The handle to make a child of, as `handles` shows it (hdl_…)
    pub(super) handle: String,
    /// Only this tool, by the name `ls` shows; can be repeated
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,
    /// What the child is for; for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// When it ends, such as 1h or 30d from now
    #[arg(long, value_name = "SPAN", value_parser = spans)]
    expires: Option<u64>,
    /// At most so often, such as 10/1h
    #[arg(long, value_name = "N/SPAN", value_parser = rates)]
    rate: Option<(u32, u64)>,
    /// At most so many calls altogether
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// At most so many bytes a day (UTC), sent and received together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    bytes_a_day: Option<u64>,
    /// Only to these addresses; `*@example.com` for a whole domain
    #[arg(long, value_name = "A,B", value_parser = lists)]
    recipients: Option<Words>,
    /// Only objects with this id, such as folder=ID; can be repeated (any of them)
    #[arg(long = "resource", value_name = "KIND=ID", value_parser = pairs)]
    resources: Vec<(String, String)>,
    /// A bound on an argument, such as max_results.max=10 or bcc.absent; can be repeated
    #[arg(long = "bound", value_name = "ARG.RULE=VALUE")]
    bounds: Vec<String>,
    /// Only under this path; can be repeated (any of them)
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Values that stood between commas: one value of one option.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

fn spans(text: &str) -> Result<u64, &'static str> {
    span(text).ok_or("a span is a number with s, m, h or d, such as 1h")
}

fn rates(text: &str) -> Result<(u32, u64), &'static str> {
    rate(text).ok_or("a rate is a number and a span, such as 10/1h")
}

fn lists(text: &str) -> Result<Words, &'static str> {
    list(text).map(Words).ok_or("a value between the commas is empty")
}

fn pairs(text: &str) -> Result<(String, String), &'static str> {
    let pair = text.split_once('=').filter(|(kind, id)| !kind.is_empty() && !id.is_empty());
    pair.map(|(kind, id)| (kind.to_owned(), id.to_owned())).ok_or("it is KIND=ID, such as folder=ID")
}

impl NarrowArgs {
    /// The handle and what bounds its child.
    pub(super) fn into_bounds(self) -> (String, Bounds) {
        let Self {
            handle,
            tools,
            label,
            expires,
            rate,
            calls,
            bytes_a_day,
            recipients,
            resources,
            bounds,
            paths,
            json: _,
        } = self;
        let mut by_kind: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (kind, id) in resources {
            by_kind.entry(kind).or_default().push(id);
        }
        let bounds = Bounds {
            tools,
            label,
            expires_in: expires.map(Duration::from_secs),
            calls,
            rate,
            bytes_a_day,
            recipients: recipients.map(|Words(words)| words).unwrap_or_default(),
            resources: by_kind,
            paths,
            arguments: bounds,
        };
        (handle, bounds)
    }
}

/// Writes a child: its id alone on a line, for scripts, or as JSON.
pub(super) fn made(out: &mut dyn Write, child: &Child, json: bool) -> io::Result<()> {
    let Child { id, parent, label, grant, tools, expires_at_ms } = child;
    if json {
        return print::json(
            out,
            &json!({
                "ok": true, "handle": id, "parent": parent, "label": label, "grant": grant, "tools": tools,
                "expires_at_ms": expires_at_ms,
            }),
        );
    }
    writeln!(out, "{id}")
}

/// Writes how many handles ended.
pub(super) fn released(out: &mut dyn Write, count: u32, json: bool) -> io::Result<()> {
    if json {
        return print::json(out, &json!({ "ok": true, "released": count }));
    }
    match count {
        1 => writeln!(out, "1 handle has ended"),
        count => writeln!(out, "{count} handles have ended"),
    }
}
