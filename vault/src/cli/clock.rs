//! `claviger clock`.

use clap::Subcommand;
use claviger_proto::v1::ResetClockRequest;
use serde_json::json;

use super::client::Session;
use super::failure::Failure;
use super::report::Report;
use super::time::absolute;

/// `claviger clock …`.
#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Accept the machine's clock as it is now, after it was wrong.
    Reset,
}

/// Runs `claviger clock …`.
pub(super) async fn run(session: &mut Session<'_>, command: ClockCommand) -> Result<Report, Failure> {
    let ClockCommand::Reset = command;
    let now_ms = session.admin().await?.reset_clock(ResetClockRequest {}).await?.into_inner().now_ms;
    let mut page = session.page();
    page.line(format!("the vault's clock is now {}", absolute(now_ms)));
    Ok(Report::new(json!({ "now_ms": now_ms }), page))
}
