//! How a plan is told: everything but values, nor how long they are, nor how they begin.

use claviger_proto::v1::AddGrantRequest;
use serde_json::{Value, json};

use super::super::page::{Page, Tone};
use super::copies::Leftover;
use super::plan::Plan;

/// What became of a plan.
pub(super) struct Done {
    /// The encrypted copy of the file as it was.
    pub(super) backup: Option<Backup>,
    /// What still lies around.
    pub(super) leftovers: Vec<Leftover>,
}

/// An encrypted copy.
pub(super) struct Backup {
    /// Where it is.
    pub(super) path: String,
    /// What opens it.
    pub(super) opens: String,
}

/// The plan, and what became of it.
pub(super) fn page(page: &mut Page, agent: &str, file: &str, plan: &Plan, done: Option<&Done>) {
    let rows: Vec<Vec<String>> = plan
        .rows
        .iter()
        .map(|row| {
            let becomes = if row.becomes.is_empty() { "stays".to_owned() } else { row.becomes.join(", ") };
            vec![becomes, row.kind.to_owned(), row.place.clone(), row.key.clone(), row.why.clone()]
        })
        .collect();
    page.table(&["becomes", "kind", "where", "key", ""], &rows, "no secret was found");
    if !plan.grants.is_empty() {
        page.gap();
        page.line(format!("grants for {agent}:"));
    }
    for grant in &plan.grants {
        let change = kind(plan, grant);
        let mark = match change {
            "keep" => "=",
            "change" => "~",
            _ => "+",
        };
        let may = if grant.deny { "never" } else { "may" };
        page.line(format!("  {mark} {} {may}: {}", grant.secret, grant.tools.join(", ")));
        for change in
            plan.changes.iter().filter(|change| change.name == grant.name && change.kind == "change")
        {
            change.before.iter().for_each(|line| page.line(format!("      - {line}")));
            change.after.iter().for_each(|line| page.line(format!("      + {line}")));
        }
    }
    if plan.grants.iter().any(|grant| !grant.deny) {
        page.line("  before each call that sends or deletes you are asked; bound them further with `claviger grant add`");
    }
    list(page, "not taken over:", &plan.not_taken);
    list(page, "servers that stay as they are:", &plan.stays);
    if plan.text.is_some() {
        page.gap();
        page.line(format!("{file}:"));
        plan.out.iter().for_each(|name| page.line(format!("  - {}", super::found::shown(name))));
        page.line("  an encrypted copy of it as it was is kept beside it");
    }
    for note in &plan.notes {
        page.toned(Tone::Alarm, format!("note: {note}"));
    }
    page.gap();
    match done {
        None if plan.is_done() => page.line("nothing to do"),
        None => page.line("nothing was changed yet; --apply does it"),
        Some(done) => finish(page, done),
    }
}

fn finish(page: &mut Page, done: &Done) {
    page.toned(Tone::Good, "done");
    if let Some(Backup { path, opens }) = &done.backup {
        page.fields(&[("copy of the old file", path.clone()), ("opens with", opens.clone())]);
    }
    if done.leftovers.is_empty() {
        return;
    }
    page.gap();
    page.line("what was taken still lies here; when all works, remove each:");
    for Leftover { what, command } in &done.leftovers {
        page.line(format!("  {what}"));
        if !command.is_empty() {
            page.line(format!("      {command}"));
        }
    }
    page.line(
        "not looked into: shell history, logs, backups, other users' files. Whoever read a copy before still",
    );
    page.line("has it: only a new token from the service ends that.");
}

fn list(page: &mut Page, head: &str, items: &[(String, String)]) {
    if items.is_empty() {
        return;
    }
    page.gap();
    page.line(head);
    for (what, why) in items {
        page.line(format!("  {what}: {why}"));
    }
}

fn kind<'p>(plan: &'p Plan, grant: &AddGrantRequest) -> &'p str {
    let change = plan.changes.iter().find(|change| change.name == grant.name);
    change.map_or("add", |change| change.kind.as_str())
}

/// The same as JSON.
pub(super) fn as_json(agent: &str, file: &str, plan: &Plan, done: Option<&Done>) -> Value {
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect::<Vec<_>>()
    };
    let rows: Vec<_> = plan
        .rows
        .iter()
        .map(|row| {
            json!({
                "where": row.place, "key": row.key, "kind": row.kind, "server": row.server, "becomes": row.becomes,
                "why": row.why,
            })
        })
        .collect();
    let grants: Vec<_> = plan
        .grants
        .iter()
        .map(|grant| {
            json!({
                "name": grant.name, "secret": grant.secret, "tools": grant.tools, "deny": grant.deny,
                "change": kind(plan, grant),
            })
        })
        .collect();
    let leftovers = |done: &Done| {
        let one = |left: &Leftover| json!({ "what": left.what, "command": left.command });
        done.leftovers.iter().map(one).collect::<Vec<_>>()
    };
    json!({
        "agent": agent, "file": file, "secrets": rows, "grants": grants, "not_taken": pairs(&plan.not_taken),
        "stays": pairs(&plan.stays), "out": plan.out, "notes": plan.notes, "applied": done.is_some(),
        "nothing_to_do": plan.is_done(), "backup": done.and_then(|done| done.backup.as_ref()).map(|backup| &backup.path),
        "leftovers": done.map(leftovers),
    })
}
