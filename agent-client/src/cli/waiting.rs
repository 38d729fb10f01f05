//! `result` and `ask`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, bar, call, print};
use crate::bridge::asking::words;
use crate::error::ClientError;
use crate::session::{CallOptions, Session};
use crate::waiting::{ApprovalId, Ask, AskBounds, State, Waited};

/// Arguments of `ask`.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// What it is for; the owner sees these words as the agent's
    purpose: String,
    /// A grant of this account's tools, such as gmail/me
    #[arg(long, value_name = "SECRET", default_value = "")]
    secret: String,
    /// A tool: as `ls` shows it for a task, in full (gmail.get_message) for a grant; can be repeated
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// For how many hours; a task needs it
    #[arg(long, value_name = "HOURS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=2160))]
    hours: u64,
    /// Only to these addresses, or *@example.com; can be repeated
    #[arg(long = "recipient", value_name = "ADDRESS")]
    recipients: Vec<String>,
    /// Only what has this label; can be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only what lies in this folder; can be repeated
    #[arg(long = "folder", value_name = "FOLDER")]
    folders: Vec<String>,
    /// Only in this calendar; can be repeated
    #[arg(long = "calendar", value_name = "CALENDAR")]
    calendars: Vec<String>,
    /// At most so many calls altogether
    #[arg(long, value_name = "N", default_value_t = 0)]
    calls: u64,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Writes what became of something that waits for a person, or the result of the call that they agreed to.
pub(super) async fn result(
    out: &mut dyn Write,
    session: &Session,
    id: &str,
    how: call::How,
) -> Result<Exit, CliError> {
    let call::How { json, timeout, watched } = how;
    let id = ApprovalId::parse(id).ok_or(ClientError::NoApproval)?;
    let (progress, bar) = bar::watch(watched);
    let options = CallOptions { timeout: Some(timeout), progress };
    let collected = match bar.during(session.result(id, &options)).await? {
        Waited::Ran(outcome) => return call::tell(out, outcome, json),
        Waited::Told(collected) => collected,
    };
    let exit = match collected.state {
        State::Pending => Exit::Pending,
        State::Approved => Exit::Ok,
        State::Denied | State::Expired | State::Done => Exit::Failed,
    };
    if json {
        let told = json!({
            "ok": exit == Exit::Ok, "id": id.to_string(), "state": collected.state.as_str(),
            "answer": collected.answer, "handle": collected.handle, "expires_at_ms": collected.expires_at_ms,
        });
        print::json(out, &told)?;
    } else {
        writeln!(out, "{}", print::visible(&words(id, &collected)))?;
    }
    Ok(exit)
}

/// Asks the owner, and writes what it is collected by. A task is under the handle that has its tools.
pub(super) async fn ask(out: &mut dyn Write, session: &Session, args: AskArgs) -> Result<Exit, CliError> {
    let AskArgs { purpose, secret, tools, hours, recipients, labels, folders, calendars, calls, json } = args;
    let bounds = AskBounds { recipients, labels, folders, calendars, calls };
    let ask = Ask { purpose, handle: String::new(), secret, tools, bounds, seconds: hours * 3600 };
    let (id, expires_at_ms) = session.ask(ask).await?;
    if json {
        let told = json!({
            "ok": true, "id": id.to_string(), "state": "pending", "expires_at_ms": expires_at_ms,
        });
        print::json(out, &told)?;
    } else {
        writeln!(out, "{id} waits for the owner")?;
        writeln!(out, "next: claviger-agent result {id}, once they have decided")?;
    }
    Ok(Exit::Pending)
}
