//! `claviger status`.

use claviger_proto::v1::{StatusRequest, StatusResponse};

use super::client::Session;
use super::failure::Failure;
use super::json;
use super::page::{Page, Tone};
use super::report::Report;
use super::time::moment;

/// Asks the vault how it is. Works while it is sealed.
pub(super) async fn run(session: &mut Session<'_>) -> Result<Report, Failure> {
    let status = session.admin().await?.status(StatusRequest {}).await?.into_inner();
    let page = page(session.page(), &status, session.world.now_ms);
    Ok(Report::new(json::status(&status), page))
}

fn page(mut page: Page, status: &StatusResponse, now_ms: u64) -> Page {
    if status.sealed {
        page.toned(Tone::Alarm, "sealed: nothing can be used until `claviger unseal`");
    } else {
        page.toned(Tone::Good, "unsealed");
    }
    if status.single_user {
        page.toned(Tone::Alarm, "single-user: agents that run as this user are not isolated from the vault");
    }
    page.fields(&[
        ("vault", status.vault.clone()),
        ("version", status.version.clone()),
        ("started", moment(status.started_at_ms, now_ms)),
        ("key memory", status.key_memory.clone()),
        ("recipients", status.recipients.join(", ")),
    ]);
    if !status.sealed {
        page.fields(&[
            ("agents", status.agents.to_string()),
            ("adapters", status.adapters.to_string()),
            ("secrets", status.secrets.to_string()),
            ("grants", status.grants.to_string()),
            ("live calls", status.live_capabilities.to_string()),
            ("audit", format!("{} records", status.audit_records)),
        ]);
    }
    if !status.audit_trouble.is_empty() {
        page.toned(Tone::Alarm, format!("uses are refused: {}", status.audit_trouble));
    }
    if status.clock_refuses {
        page.toned(
            Tone::Alarm,
            "uses are refused: the clock went back; set it right, or accept it with `claviger clock reset`",
        );
    }
    if status.alerts > 0 {
        page.toned(
            Tone::Alarm,
            format!("{} alerts in the last day; `claviger log --alerts` shows them all", status.alerts),
        );
        for alert in &status.newest_alerts {
            let whose = if alert.agent.is_empty() { String::new() } else { format!(" {}", alert.agent) };
            page.line(format!(
                "  {}  {}{whose}  {}",
                super::time::relative(alert.at_ms, now_ms),
                alert.what,
                alert.reference
            ));
        }
    }
    page.warnings(&status.warnings);
    page
}
