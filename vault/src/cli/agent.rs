//! `claviger agent`, `freeze` and `thaw`.

use clap::{Args, Subcommand, ValueEnum};
use claviger_proto::v1::{
    AddAgentRequest, Agent, FreezeRequest, ListAgentsRequest, RemoveAgentRequest, ThawRequest,
};
use serde_json::json;

use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::json;
use super::page::{Page, Tone};
use super::report::Report;

/// `claviger agent …`.
#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// Register an agent.
    Add(AddArgs),
    /// List agents.
    Ls,
    /// Describe an agent: what tainted it, since when.
    Show(NameArgs),
    /// Forget what an agent has read.
    Untaint(super::taint::UntaintArgs),
    /// Remove an agent and revoke its grants.
    Rm(NameArgs),
}

/// Arguments of `agent add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Lower-case letters, digits and hyphens.
    name: String,
    /// The user it runs as (multi-user mode).
    #[arg(long, value_name = "N")]
    uid: Option<u32>,
    /// Tell it only that it was refused, not where.
    #[arg(long)]
    opaque_refusals: bool,
    /// Whether it also reads what comes from outside the vault.
    #[arg(long, value_enum, default_value = "open")]
    inputs: Inputs,
}

/// Where an agent's inputs come from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Inputs {
    /// From anywhere: it always counts as having read what strangers wrote.
    Open,
    /// From the vault alone.
    Vault,
}

/// An agent's name.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The agent.
    name: String,
}

/// Arguments of `freeze`.
#[derive(Debug, Args)]
pub(super) struct FreezeArgs {
    /// The agent.
    name: String,
    /// Why, for the log and for whoever thaws it.
    #[arg(long, default_value = "", value_name = "TEXT")]
    why: String,
}

/// Runs `claviger agent …`.
pub(super) async fn run(session: &mut Session<'_>, command: AgentCommand) -> Result<Report, Failure> {
    match command {
        AgentCommand::Add(args) => add(session, args).await,
        AgentCommand::Ls => list(session).await,
        AgentCommand::Show(args) => super::taint::show(session, args.name).await,
        AgentCommand::Untaint(args) => super::taint::untaint(session, args).await,
        AgentCommand::Rm(args) => remove(session, args).await,
    }
}

async fn add(session: &mut Session<'_>, args: AddArgs) -> Result<Report, Failure> {
    let AddArgs { name, uid, opaque_refusals, inputs } = args;
    let inputs = match inputs {
        Inputs::Open => "open",
        Inputs::Vault => "vault",
    };
    let request = AddAgentRequest { name, uid, opaque_refusals, inputs: inputs.to_owned() };
    let agent = session.admin().await?.add_agent(request).await?.into_inner();
    let mut page = session.page();
    page.line(format!("agent {} is registered; it may do nothing yet", agent.name));
    page.fields(&[("socket", agent.socket.clone()), ("uid", uid_text(agent.uid))]);
    page.gap();
    page.line("for its MCP host, as the agent's own user:");
    page.line(format!("  CLAVIGER_AGENT_SOCKET={} claviger-agent mcp", agent.socket));
    page.line(format!("next: claviger grant add {} SECRET --read", agent.name));
    Ok(Report::new(json::agent(&agent), page))
}

async fn list(session: &mut Session<'_>) -> Result<Report, Failure> {
    let agents = session.admin().await?.list_agents(ListAgentsRequest {}).await?.into_inner().agents;
    let row = |agent: &Agent| {
        let mut state =
            if agent.frozen { format!("frozen {}", agent.frozen_why) } else { "active".to_owned() };
        if agent.tainted {
            state.push_str(", tainted");
        }
        vec![
            agent.name.clone(),
            state,
            agent.grants.to_string(),
            uid_text(agent.uid),
            agent.inputs.clone(),
            agent.socket.clone(),
        ]
    };
    let mut page = session.page();
    let rows: Vec<_> = agents.iter().map(row).collect();
    page.table(
        &["name", "state", "grants", "uid", "inputs", "socket"],
        &rows,
        "no agents; `claviger agent add NAME` registers one",
    );
    Ok(Report::new(json!({ "agents": agents.iter().map(json::agent).collect::<Vec<_>>() }), page))
}

async fn remove(session: &mut Session<'_>, args: NameArgs) -> Result<Report, Failure> {
    let NameArgs { name } = args;
    let mut admin = session.admin().await?;
    let removed = match admin.remove_agent(RemoveAgentRequest { name: name.clone() }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&name)]).await),
    };
    let mut page = session.page();
    page.line(format!("agent {name} is removed; {} of its grants were revoked", removed.revoked_grants));
    Ok(Report::new(json!({ "removed": name, "revoked_grants": removed.revoked_grants }), page))
}

/// Runs `claviger freeze`.
pub(super) async fn freeze(session: &mut Session<'_>, args: FreezeArgs) -> Result<Report, Failure> {
    let FreezeArgs { name, why } = args;
    let mut admin = session.admin().await?;
    let agent = match admin.freeze(FreezeRequest { name: name.clone(), why }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&name)]).await),
    };
    let mut page = session.page();
    page.line(format!("agent {} is frozen: every use that starts now is refused", agent.name));
    page.line(format!("`claviger thaw {}` lets it go on", agent.name));
    Ok(Report::new(json::agent(&agent), page))
}

/// Runs `claviger thaw`.
pub(super) async fn thaw(session: &mut Session<'_>, args: NameArgs) -> Result<Report, Failure> {
    let NameArgs { name } = args;
    let mut admin = session.admin().await?;
    let agent = match admin.thaw(ThawRequest { name: name.clone() }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&name)]).await),
    };
    let mut page = session.page();
    thawed(&mut page, &agent);
    Ok(Report::new(json::agent(&agent), page))
}

fn thawed(page: &mut Page, agent: &Agent) {
    page.toned(Tone::Good, format!("agent {} may go on; it has {} grants", agent.name, agent.grants));
}

/// A uid, or nothing in single-user mode.
pub(super) fn uid_text(uid: Option<u32>) -> String {
    uid.map_or_else(String::new, |uid| uid.to_string())
}
