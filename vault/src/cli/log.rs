//! `claviger log`.

use clap::Args;
use claviger_proto::v1::{LogEvent, ReadLogRequest};
use serde_json::json;

use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::json;
use super::limits::duration;
use super::report::Report;
use super::time::absolute;

/// Arguments of `log`.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Only of this agent.
    #[arg(long, default_value = "", value_name = "NAME")]
    agent: String,
    /// Only of this secret.
    #[arg(long, default_value = "", value_name = "SERVICE/NAME")]
    secret: String,
    /// Only of this tool.
    #[arg(long, default_value = "", value_name = "SERVICE.TOOL")]
    tool: String,
    /// Only refusals.
    #[arg(long)]
    refused: bool,
    /// Only alerts.
    #[arg(long)]
    alerts: bool,
    /// Only the last while, such as 7d or 12h.
    #[arg(long, value_parser = duration, value_name = "SPAN")]
    since: Option<u64>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    limit: u32,
}

/// Runs `claviger log`.
pub(super) async fn run(session: &mut Session<'_>, args: LogArgs) -> Result<Report, Failure> {
    let LogArgs { agent, secret, tool, refused, alerts, since, limit } = args;
    let since_ms = since.map_or(0, |seconds| session.world.now_ms.saturating_sub(seconds * 1000));
    let request = ReadLogRequest { agent, secret, tool, refused, since_ms, limit, alerts };
    let mut admin = session.admin().await?;
    let events = match admin.read_log(request.clone()).await {
        Ok(response) => response.into_inner().events,
        Err(status) => return Err(explained(&mut admin, status, &names(&request)).await),
    };
    let mut page = session.page();
    let rows: Vec<_> = events.iter().map(row).collect();
    page.table(
        &["when", "what", "who", "about", "how", "reference"],
        &rows,
        "the log has nothing of that kind",
    );
    Ok(Report::new(json!({ "events": events.iter().map(json::event).collect::<Vec<_>>() }), page))
}

fn names(request: &ReadLogRequest) -> Vec<Named<'_>> {
    let all = [
        (request.agent.as_str(), Named::Agent as fn(_) -> _),
        (request.secret.as_str(), Named::Secret),
        (request.tool.as_str(), Named::Tool),
    ];
    all.into_iter().filter(|(name, _)| !name.is_empty()).map(|(name, named)| named(name)).collect()
}

fn row(event: &LogEvent) -> Vec<String> {
    vec![
        absolute(event.at_ms),
        event.kind.clone(),
        event.actor.clone(),
        about(event),
        ending(event),
        event.reference.clone(),
    ]
}

/// What an event is about: the tool and secret of a call, or the one thing an admin changed.
pub(super) fn about(event: &LogEvent) -> String {
    let step = if event.step.is_empty() { String::new() } else { format!(":{}", event.step) };
    let tool = if event.tool.is_empty() { String::new() } else { format!("{}{step}", event.tool) };
    let parts = [
        tool.as_str(),
        event.secret.as_str(),
        event.agent.as_str(),
        event.adapter.as_str(),
        event.grant.as_str(),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    // Of a call, tool and secret say enough; the rest is in `why` and in the JSON.
    parts.into_iter().take(2).collect::<Vec<_>>().join(" ")
}

/// How it ended: a status, a class, a count.
pub(super) fn ending(event: &LogEvent) -> String {
    let mut parts = Vec::new();
    if event.kind == "finished" {
        parts.extend([event.field.clone(), format!("{} bytes", event.bytes)]);
    } else if !event.class.is_empty() {
        let field = if event.field.is_empty() { String::new() } else { format!(" ({})", event.field) };
        parts.push(format!("{}{field}", event.class));
    }
    if !event.ending.is_empty() {
        parts.push(event.ending.clone());
    }
    if event.status != 0 {
        parts.push(event.status.to_string());
    }
    if event.micros != 0 {
        parts.push(format!("{} ms", event.micros / 1000));
    }
    if event.count > 1 {
        parts.push(format!("{} times", event.count));
    }
    parts.join(", ")
}
