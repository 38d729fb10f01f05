//! `claviger why`: one refusal, explained.

use clap::Args;
use claviger_proto::v1::{LogEvent, WhyRequest, WhyResponse};
use serde_json::json;

use super::client::Session;
use super::failure::Failure;
use super::page::{Page, Tone};
use super::report::Report;
use super::time::{absolute, moment};
use super::{json, log};

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// The reference that came with a refusal, such as ref_0123456789abcdef.
    reference: String,
}

/// Runs `claviger why`.
pub(super) async fn run(session: &mut Session<'_>, args: WhyArgs) -> Result<Report, Failure> {
    let reference = args.reference;
    let why = session.admin().await?.why(WhyRequest { reference }).await.map_err(|status| {
        let mut failure = Failure::from(status);
        if failure.hints.is_empty() && failure.class.as_deref() != Some("sealed") {
            failure.hints.push("`claviger log --refused` lists references".to_owned());
        }
        failure
    })?;
    let why = why.into_inner();
    let mut page = session.page();
    let Some(event) = &why.event else {
        return Err(Failure::new("the vault knows nothing of that reference")
            .hint("`claviger log --refused` lists references"));
    };
    explain(&mut page, event, &why, session.world.now_ms);
    let json = json!({
        "event": json::event(event),
        "grant": why.grant.as_ref().map(json::grant),
        "call": why.call.iter().map(json::event).collect::<Vec<_>>(),
    });
    Ok(Report::new(json, page))
}

fn explain(page: &mut Page, event: &LogEvent, why: &WhyResponse, now_ms: u64) {
    let detail = |name: &str| {
        let lines = event.detail.iter().filter(|line| line.name == name);
        lines.map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    };
    let what = if event.class.is_empty() {
        event.kind.clone()
    } else {
        format!("{}: {}", event.kind, log::ending(event))
    };
    page.toned(Tone::Alarm, what);
    page.fields(&[
        ("when", moment(event.at_ms, now_ms)),
        ("who", event.actor.clone()),
        ("agent", event.agent.clone()),
        ("tool", event.tool.clone()),
        ("step", event.step.clone()),
        ("secret", event.secret.clone()),
        ("field", event.field.clone()),
        ("bound", detail("caveat")),
        ("value", detail("value")),
        ("arguments", detail("arguments")),
        ("upstream", detail("upstream")),
        ("fix", detail("fix")),
    ]);
    for line in &event.detail {
        if !matches!(line.name.as_str(), "caveat" | "value" | "arguments" | "upstream" | "fix") {
            page.fields(&[(line.name.as_str(), line.text.clone())]);
        }
    }
    if event.detail.is_empty() {
        page.line("the details were erased, or there never were any");
    }
    if let Some(grant) = &why.grant {
        page.gap();
        page.line(format!("by grant {} ({})", grant.id, grant.state));
        page.line(format!("  {}", grant.sentence));
    }
    if why.call.len() > 1 {
        page.gap();
        page.line("the whole call:");
        let row = |event: &LogEvent| {
            vec![
                format!("  {}", absolute(event.at_ms)),
                event.kind.clone(),
                log::about(event),
                log::ending(event),
            ]
        };
        let rows: Vec<_> = why.call.iter().map(row).collect();
        page.table(&["  when", "what", "about", "how"], &rows, "");
    }
}
