//! `claviger plan` and `apply`: a file of grants, compared with what is, and made true.

use clap::Args;
use claviger_proto::v1::{CanResponse, Change, PlanRequest, PlanResponse, TestResult};
use serde_json::{Value, json};

use super::can;
use super::client::Session;
use super::failure::Failure;
use super::grants_file::{self, FileArg};
use super::page::{Page, Tone};
use super::report::Report;

/// Arguments of `plan` and `apply`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    file: FileArg,
    /// Revoke what the named agents have and the file does not describe.
    #[arg(long)]
    prune: bool,
}

/// Runs `claviger plan` or, with `apply`, `claviger apply`.
pub(super) async fn run(session: &mut Session<'_>, args: PlanArgs, apply: bool) -> Result<Report, Failure> {
    let PlanArgs { file: FileArg { file }, prune } = args;
    let grants_file::GrantsFile { grants, tests } = grants_file::read(&file)?;
    let mut admin = session.admin().await?;
    let request = PlanRequest { grants, tests, prune, apply: false, digest: String::new() };
    let mut plan = admin.plan(request.clone()).await?.into_inner();
    if let Some(failed) = plan.tests.iter().find(|test| !test.holds) {
        // Each line by itself, and without colours: what is noted has its control characters made visible.
        let mut page = Page::new(false);
        show(&mut page, &plan);
        page.into_text().lines().for_each(|line| session.world.note(line));
        return Err(Failure::new(format!("a test does not hold: {}", told(failed)))
            .hint("nothing was changed; mend the grants or the test"));
    }
    let changes = plan.changes.iter().any(|change| !matches!(change.kind.as_str(), "keep" | "unmanaged"));
    if apply && changes {
        // The digest of what was just planned: what changed in between is not applied unseen.
        let request = PlanRequest { apply: true, digest: plan.digest.clone(), ..request };
        plan = admin.plan(request).await?.into_inner();
    }
    let mut page = session.page();
    show(&mut page, &plan);
    page.gap();
    page.line(match (plan.applied, changes, apply) {
        (true, _, _) => "applied",
        (false, false, _) => "nothing to change",
        (false, true, _) => "nothing was changed yet; `claviger apply` does it",
    });
    Ok(Report::new(as_json(&plan), page))
}

fn show(page: &mut Page, plan: &PlanResponse) {
    for change in &plan.changes {
        let Change { kind, grant, name, agent: _, before, after, sentence, warnings } = change;
        let (mark, tone) = match kind.as_str() {
            "add" => ("+", Some(Tone::Good)),
            "change" => ("~", Some(Tone::Alarm)),
            "revoke" => ("-", Some(Tone::Alarm)),
            "unmanaged" => ("?", None),
            _ => ("=", None),
        };
        let mut head = format!("{mark} {kind}");
        for part in [name, grant] {
            if !part.is_empty() {
                head.push_str(&format!(" {part}"));
            }
        }
        head.push_str(&format!(": {sentence}"));
        match tone {
            Some(tone) => page.toned(tone, head),
            None => page.line(head),
        }
        if kind == "change" {
            before.iter().for_each(|line| page.line(format!("    - {line}")));
            after.iter().for_each(|line| page.line(format!("    + {line}")));
        }
        if kind == "unmanaged" {
            page.line("    not in the file; --prune would revoke it");
        } else if kind != "keep" {
            page.warnings(warnings);
        }
    }
    let (held, all) = (plan.tests.iter().filter(|test| test.holds).count(), plan.tests.len());
    if all > 0 {
        page.line(format!("tests: {held} of {all} hold"));
    }
    for failed in plan.tests.iter().filter(|test| !test.holds) {
        page.toned(Tone::Alarm, told(failed));
        if let Some(got) = &failed.got {
            can::say(page, got);
        }
    }
}

fn told(result: &TestResult) -> String {
    let got = result.got.as_ref().map(|got| got.answer.clone()).unwrap_or_default();
    match &result.test {
        None => "a test".to_owned(),
        Some(test) => format!("{} {} is to be {}, and would be {got}", test.agent, test.tool, test.expect),
    }
}

fn as_json(plan: &PlanResponse) -> Value {
    let PlanResponse { changes, tests, digest, applied } = plan;
    let change = |change: &Change| {
        let Change { kind, grant, name, agent, before, after, sentence, warnings } = change;
        json!({
            "kind": kind, "grant": grant, "name": name, "agent": agent, "before": before, "after": after,
            "sentence": sentence, "warnings": warnings,
        })
    };
    let test = |result: &TestResult| {
        let test = result.test.clone().unwrap_or_default();
        let arguments = serde_json::from_slice::<Value>(&test.arguments).unwrap_or(Value::Null);
        json!({
            "agent": test.agent, "tool": test.tool, "secret": test.secret, "arguments": arguments,
            "expect": test.expect, "holds": result.holds,
            "got": can::json(result.got.as_ref().unwrap_or(&CanResponse::default())),
        })
    };
    json!({
        "changes": changes.iter().map(change).collect::<Vec<_>>(),
        "tests": tests.iter().map(test).collect::<Vec<_>>(),
        "digest": digest, "applied": applied,
    })
}
