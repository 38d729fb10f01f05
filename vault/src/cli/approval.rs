//! `claviger approvals`, `approve` and `deny`: what waits for a person, and their word.

use std::io::Write as _;

use clap::Args;
use claviger_proto::v1::{Approval, DecideRequest, ListApprovalsRequest, ShowApprovalRequest};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::json;
use super::page::{Page, Tone};
use super::report::Report;
use super::time::{moment, relative};

/// Arguments of `approvals`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One of them (ap_…), whole.
    id: Option<String>,
    /// Only of this agent.
    #[arg(long, default_value = "", value_name = "NAME")]
    agent: String,
    /// Those that are over too.
    #[arg(long)]
    all: bool,
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// What to agree to (ap_…).
    id: String,
    /// What the agent is told; the answer, where it asked a question.
    #[arg(long, default_value = "", value_name = "TEXT")]
    message: String,
    /// Do not ask again. Look at it first: `claviger approvals ID`.
    #[arg(long)]
    yes: bool,
}

/// Arguments of `deny`.
#[derive(Debug, Args)]
pub(super) struct DenyArgs {
    /// What to refuse (ap_…).
    id: String,
    /// What the agent is told.
    #[arg(long, default_value = "", value_name = "TEXT")]
    why: String,
}

/// Runs `claviger approvals`.
pub(super) async fn list(session: &mut Session<'_>, args: ListArgs) -> Result<Report, Failure> {
    let ListArgs { id, agent, all } = args;
    if let Some(id) = id {
        let approval = fetch(session, &id).await?;
        let page = whole(session.page(), &approval, session.world.now_ms);
        return Ok(Report::new(json::approval(&approval), page));
    }
    let mut admin = session.admin().await?;
    let found = match admin.list_approvals(ListApprovalsRequest { agent: agent.clone(), all }).await {
        Ok(response) => response.into_inner().approvals,
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&agent)]).await),
    };
    let now_ms = session.world.now_ms;
    let row = |approval: &Approval| {
        let summary = approval.shown.first().map(|line| line.text.clone()).unwrap_or_default();
        let what = if approval.tool.is_empty() { approval.kind.clone() } else { approval.tool.clone() };
        let until = if approval.state == "pending" {
            relative(approval.expires_at_ms, now_ms)
        } else {
            String::new()
        };
        vec![approval.id.clone(), approval.agent.clone(), what, approval.state.clone(), until, cut(&summary)]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let mut page = session.page();
    page.table(&["approval", "agent", "what", "state", "ends", "about"], &rows, "nothing waits for you");
    if found.iter().any(|approval| approval.state == "pending") {
        page.gap();
        page.line("next: claviger approve ID shows all of it and asks; claviger deny ID");
    }
    Ok(Report::new(json!({ "approvals": found.iter().map(json::approval).collect::<Vec<_>>() }), page))
}

/// Runs `claviger approve`.
pub(super) async fn approve(session: &mut Session<'_>, args: ApproveArgs) -> Result<Report, Failure> {
    let ApproveArgs { id, message, yes } = args;
    let approval = fetch(session, &id).await?;
    if approval.state != "pending" {
        return Err(Failure::new(format!("{} is {} already", approval.id, approval.state))
            .hint("`claviger approvals` lists what waits"));
    }
    if approval.kind == "question" && message.is_empty() {
        return Err(Failure::usage("a question is answered in words").hint("say them with --message"));
    }
    if !yes {
        if !session.world.ask.is_person() {
            return Err(Failure::usage("nobody sits here who could agree")
                .hint(format!("look at it with `claviger approvals {id}`, then say --yes")));
        }
        let page = whole(Page::new(session.world.colour), &approval, session.world.now_ms);
        // Nobody is there to be told that stderr is closed; then nothing was shown, and the line below is not read.
        let shown = session.world.err.write_all(page.into_text().as_bytes());
        let asked = shown.and_then(|()| write!(session.world.err, "\nAgree to exactly this? [y/N] "));
        asked.and_then(|()| session.world.err.flush())?;
        let agreed = session.world.ask.line().is_ok_and(|line| {
            // EXPOSE: a yes or a no, no secret.
            let word = line.expose_secret().trim().to_ascii_lowercase();
            word == "y" || word == "yes"
        });
        if !agreed {
            return Err(Failure::new("not agreed to; it still waits")
                .hint(format!("`claviger deny {id}` refuses it, so that it is not asked again soon")));
        }
    }
    let decided = decide(session, &id, true, message).await?;
    let mut page = session.page();
    page.toned(Tone::Good, told(&decided));
    Ok(Report::new(json::approval(&decided), page))
}

fn told(approval: &Approval) -> String {
    match approval.kind.as_str() {
        "call" => format!(
            "agreed: {} may now do exactly this, once, within 10 minutes of having asked",
            approval.agent
        ),
        "task" => format!("agreed: {} works by {} until it ends", approval.agent, approval.handle),
        "grant" => format!("agreed: {} has the grant behind {}", approval.agent, approval.handle),
        _ => format!("answered: {} can read it", approval.agent),
    }
}

/// Runs `claviger deny`.
pub(super) async fn deny(session: &mut Session<'_>, args: DenyArgs) -> Result<Report, Failure> {
    let DenyArgs { id, why } = args;
    let decided = decide(session, &id, false, why).await?;
    let mut page = session.page();
    page.line(format!("refused: {} cannot ask for the same again for a while", decided.agent));
    Ok(Report::new(json::approval(&decided), page))
}

async fn fetch(session: &mut Session<'_>, id: &str) -> Result<Approval, Failure> {
    let request = ShowApprovalRequest { id: id.to_owned() };
    Ok(session.admin().await?.show_approval(request).await.map_err(no_such)?.into_inner())
}

async fn decide(session: &mut Session<'_>, id: &str, yes: bool, answer: String) -> Result<Approval, Failure> {
    let request = DecideRequest { id: id.to_owned(), yes, answer };
    Ok(session.admin().await?.decide(request).await.map_err(no_such)?.into_inner())
}

fn no_such(status: tonic::Status) -> Failure {
    let mut failure = Failure::from(status);
    if failure.hints.is_empty() && matches!(failure.class.as_deref(), Some("out-of-scope" | "bad-arguments"))
    {
        failure.hints.push("`claviger approvals --all` lists them".to_owned());
    }
    failure
}

/// One line, short enough for a table.
fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// All of it: what the vault says of it, then each piece of what was asked for, marked as such on each line.
fn whole(mut page: Page, approval: &Approval, now_ms: u64) -> Page {
    page.fields(&[
        ("approval", approval.id.clone()),
        ("state", approval.state.clone()),
        ("asked", moment(approval.created_at_ms, now_ms)),
        ("ends", moment(approval.expires_at_ms, now_ms)),
    ]);
    page.gap();
    for line in &approval.shown {
        page.block(&line.name, &line.text);
    }
    if !approval.answer.is_empty() {
        page.block("Your answer", &approval.answer);
    }
    page
}
