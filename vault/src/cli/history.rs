//! `claviger suggest` and `simulate`: what the calls on record say about grants.

use clap::Args;
use claviger_proto::v1::{
    AddGrantRequest, ArgumentBound, Replayed, SimulateRequest, SimulateResponse, SuggestRequest,
    SuggestResponse, Unused, argument_bound, caveat,
};
use serde_json::{Value, json};

use super::can;
use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::grants_file::{self, FileArg};
use super::limits;
use super::page::Page;
use super::report::Report;
use super::time::{absolute, span};

/// Arguments of `suggest`.
#[derive(Debug, Args)]
pub(super) struct SuggestArgs {
    /// Whose calls.
    agent: String,
    /// How far back, such as 7d.
    #[arg(long, value_parser = limits::duration, default_value = "7d", value_name = "SPAN")]
    since: u64,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    #[command(flatten)]
    file: FileArg,
    /// How far back, such as 7d.
    #[arg(long, value_parser = limits::duration, default_value = "7d", value_name = "SPAN")]
    since: u64,
    /// Only calls of this agent.
    #[arg(long, default_value = "", value_name = "NAME")]
    agent: String,
}

/// Runs `claviger suggest`.
pub(super) async fn suggest(session: &mut Session<'_>, args: SuggestArgs) -> Result<Report, Failure> {
    let SuggestArgs { agent, since } = args;
    let since_ms = session.world.now_ms.saturating_sub(since * 1000);
    let mut admin = session.admin().await?;
    let suggested = match admin.suggest(SuggestRequest { agent: agent.clone(), since_ms }).await {
        Ok(suggested) => suggested.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&agent)]).await),
    };
    let SuggestResponse { grants, calls, unused, looked_at, forgotten } = suggested;
    let mut page = session.page();
    page.line(format!("# {looked_at} calls of {agent} in the last {}", span(since)));
    if forgotten > 0 {
        page.line(format!("# of {forgotten} of them the arguments are no longer kept"));
    }
    for (grant, calls) in grants.iter().zip(&calls) {
        page.gap();
        page.line(format!("# {calls} calls"));
        toml(&mut page, grant);
    }
    for Unused { grant, tools, whole } in &unused {
        page.gap();
        let what = if *whole { "was not used at all" } else { "has tools that were not used" };
        page.line(format!("# {grant} {what}: {}", tools.join(" ")));
    }
    let unused: Vec<Value> = unused
        .iter()
        .map(|Unused { grant, tools, whole }| json!({ "grant": grant, "tools": tools, "whole": whole }))
        .collect();
    let listed: Vec<Value> = grants
        .iter()
        .zip(&calls)
        .map(|(grant, calls)| {
            let mut text = Page::new(false);
            toml(&mut text, grant);
            json!({ "agent": grant.agent, "secret": grant.secret, "tools": grant.tools, "calls": calls, "toml": text.into_text() })
        })
        .collect();
    let json = json!({ "looked_at": looked_at, "forgotten": forgotten, "grants": listed, "unused": unused });
    Ok(Report::new(json, page))
}

/// A proposal as an entry of a file of grants.
fn toml(page: &mut Page, grant: &AddGrantRequest) {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let list = |texts: &[String]| {
        format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
    };
    page.line("[[grant]]");
    page.line(format!("agent = {}", quoted(&grant.agent)));
    page.line(format!("secret = {}", quoted(&grant.secret)));
    page.line(format!("tools = {}", list(&grant.tools)));
    let mut bounds = Vec::new();
    for kind in grant.caveats.iter().filter_map(|caveat| caveat.kind.as_ref()) {
        match kind {
            caveat::Kind::Rate(rate) => page
                .line(format!("rate = {}", quoted(&format!("{}/{}", rate.count, typed(rate.per_seconds))))),
            caveat::Kind::Recipients(patterns) => {
                page.line(format!("recipients = {}", list(&patterns.patterns)))
            }
            caveat::Kind::Resource(resource) => {
                let ids: Vec<String> = resource.values.iter().map(|id| format!("id:{id}")).collect();
                page.line(format!(
                    "resource.{} = {}  # {}",
                    resource.name,
                    list(&ids),
                    resource.shown.join(", ")
                ));
                if resource.nested {
                    page.line("nested = true");
                }
            }
            caveat::Kind::Argument(ArgumentBound {
                argument,
                bound: Some(argument_bound::Bound::Absent(_)),
            }) => {
                bounds.push(format!("{argument}.absent"));
            }
            caveat::Kind::Argument(ArgumentBound {
                argument,
                bound: Some(argument_bound::Bound::Max(max)),
            }) => {
                bounds.push(format!("{argument}.max={max}"));
            }
            other => page.line(format!("# and {other:?}")),
        }
    }
    if !bounds.is_empty() {
        page.line(format!("bound = {}", list(&bounds)));
    }
    if grant.expires_in_seconds > 0 {
        page.line(format!("expires = {}", quoted(&typed(grant.expires_in_seconds))));
    }
}

/// A span as it can be typed again.
fn typed(seconds: u64) -> String {
    span(seconds).replace(' ', "")
}

/// Runs `claviger simulate`.
pub(super) async fn simulate(session: &mut Session<'_>, args: SimulateArgs) -> Result<Report, Failure> {
    let SimulateArgs { file: FileArg { file }, since, agent } = args;
    let grants = grants_file::read(&file)?.grants;
    let since_ms = session.world.now_ms.saturating_sub(since * 1000);
    let mut admin = session.admin().await?;
    let request = SimulateRequest { grants, since_ms, agent };
    let SimulateResponse { differing, same, forgotten } = admin.simulate(request).await?.into_inner();
    let mut page = session.page();
    page.line(format!("{same} calls would be told the same, {} something else", differing.len()));
    if forgotten > 0 {
        page.line(format!("of {forgotten} calls the arguments or the tool are no longer there"));
    }
    for replayed in &differing {
        let Replayed { reference, at_ms, agent, tool, secret, then, now } = replayed;
        page.gap();
        page.line(format!(
            "{} {agent} {tool} with {secret} ({reference}): was {then}, would be:",
            absolute(*at_ms)
        ));
        if let Some(now) = now {
            can::say(&mut page, now);
        }
    }
    let rows: Vec<Value> = differing
        .iter()
        .map(|replayed| {
            let Replayed { reference, at_ms, agent, tool, secret, then, now } = replayed;
            json!({
                "reference": reference, "at_ms": at_ms, "agent": agent, "tool": tool, "secret": secret, "then": then,
                "now": now.as_ref().map(can::json),
            })
        })
        .collect();
    Ok(Report::new(json!({ "same": same, "forgotten": forgotten, "differing": rows }), page))
}
