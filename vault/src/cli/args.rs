//! What can be typed. No argument ever holds a secret.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::report::Report;
use super::{
    adapter, agent, approval, audit, can, client_install, clock, connect, decoy, grant, history, import,
    init, log, plan, seal, secret, serve, services, why,
};
use crate::config::env;

/// Holds credentials for AI agents: they get handles, never keys.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, after_help = after_help(), max_term_width = 110)]
pub struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The vault's home directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) home: Option<PathBuf>,
    /// The admin socket, where the home cannot be read by this user.
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a new vault, with a daily and a recovery key.
    Init(init::InitArgs),
    /// Run the vault in the foreground.
    Serve(serve::ServeArgs),
    /// Run the vault and its adapters in the foreground (single-user).
    Up(serve::ServeArgs),
    /// Say how the vault is.
    Status,
    /// Register, list and remove agents.
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Register, list and remove adapters.
    #[command(subcommand)]
    Adapter(adapter::AdapterCommand),
    /// Connect an account by OAuth.
    Connect(connect::ConnectArgs),
    /// Bring MCP hosts to the vault.
    #[command(subcommand)]
    Client(client_install::ClientCommand),
    /// Take over secrets and allowed actions from where they are now. Without --apply, only say what would be done.
    Import(import::ImportArgs),
    /// Put in, list, describe, rotate and remove secrets. Values are never shown.
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Give an agent tools of a secret, within bounds.
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// End a grant, for good. Takes a grant or one of its handles.
    Revoke(grant::IdArgs),
    /// What waits for your word, or one of it whole.
    Approvals(approval::ListArgs),
    /// Agree: to exactly what is shown, and nothing else.
    Approve(approval::ApproveArgs),
    /// Refuse.
    Deny(approval::DenyArgs),
    /// Stop an agent at once; `thaw` undoes it.
    Freeze(agent::FreezeArgs),
    /// Let a frozen agent go on.
    Thaw(agent::NameArgs),
    /// Forget the key: no use until `unseal`.
    Seal,
    /// Hand in the key.
    Unseal(seal::UnsealArgs),
    /// Make, list and remove decoys: what nobody should use, and who does.
    #[command(subcommand)]
    Decoy(decoy::DecoyCommand),
    /// What happened, newest first.
    Log(log::LogArgs),
    /// Explain a refusal: grant, bound, value, what would allow it.
    Why(why::WhyArgs),
    /// Say whether a call would be allowed, and why; nothing is sent.
    Can(can::CanArgs),
    /// Show what a file of grants would change.
    Plan(plan::PlanArgs),
    /// Make the grants as a file of grants says.
    Apply(plan::PlanArgs),
    /// Propose the narrowest grants that an agent's calls needed, and name what it never used.
    Suggest(history::SuggestArgs),
    /// Replay the calls on record against a file of grants.
    Simulate(history::SimulateArgs),
    /// Check and sign the audit log.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What agents can be given: services, tools, arguments, bounds.
    Services(services::ServicesArgs),
    /// The vault's clock.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

/// What a tool does, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EffectWord {
    /// Nothing changes.
    Read,
    /// Something of the owner's changes.
    Write,
    /// Somebody else can see it.
    Send,
    /// Something is destroyed.
    Delete,
}

impl EffectWord {
    /// The word on the wire.
    pub(super) fn word(self) -> String {
        match self {
            EffectWord::Read => "read",
            EffectWord::Write => "write",
            EffectWord::Send => "send",
            EffectWord::Delete => "delete",
        }
        .to_owned()
    }
}

fn after_help() -> String {
    let mut text =
        "Exit codes: 0 done, 1 failed or denied, 2 wrong usage, 3 sealed, 4 pending.\n\nEnvironment:\n"
            .to_owned();
    for variable in env::ALL {
        text.push_str(&format!("  {:16} {}\n", variable.name, variable.doc));
    }
    text
}

/// The completion script for a shell.
pub(super) fn completions(args: &CompletionsArgs) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "claviger", &mut script);
    Report::text(String::from_utf8_lossy(&script).into_owned())
}
