//! `claviger decoy`.

use clap::{Args, Subcommand, ValueEnum};
use claviger_proto::v1::{AddDecoyRequest, Decoy, ListDecoysRequest, RemoveDecoyRequest};
use serde_json::{Value, json};

use super::client::Session;
use super::failure::Failure;
use super::page::Tone;
use super::report::Report;
use super::time::relative;

/// `claviger decoy …`.
#[derive(Debug, Subcommand)]
pub(super) enum DecoyCommand {
    /// Make one, and say what to plant: whoever uses it is frozen, and you are told.
    Add(AddArgs),
    /// List them, with how often each was used.
    Ls,
    /// Remove one.
    Rm(IdArgs),
}

/// Arguments of `decoy add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// What it seems to be.
    #[arg(value_enum, default_value = "credential")]
    kind: KindWord,
    /// Where it is planted, for you alone.
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
    /// Whose credential it looks like; google unless said.
    #[arg(long, value_enum)]
    look: Option<LookWord>,
}

/// Arguments of `decoy rm`.
#[derive(Debug, Args)]
pub(super) struct IdArgs {
    /// The decoy, dec_…
    id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindWord {
    /// A handle that was never given to anybody.
    Handle,
    /// A text that looks like a provider's token.
    Credential,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LookWord {
    /// A Google API key.
    Google,
    /// A GitHub personal access token.
    Github,
    /// An AWS access key's id.
    Aws,
    /// A Slack bot token.
    Slack,
}

/// Runs `claviger decoy …`.
pub(super) async fn run(session: &mut Session<'_>, command: DecoyCommand) -> Result<Report, Failure> {
    match command {
        DecoyCommand::Add(args) => add(session, args).await,
        DecoyCommand::Ls => list(session).await,
        DecoyCommand::Rm(args) => remove(session, args).await,
    }
}

async fn add(session: &mut Session<'_>, args: AddArgs) -> Result<Report, Failure> {
    let AddArgs { kind, note, look } = args;
    if kind == KindWord::Handle && look.is_some() {
        return Err(Failure::usage("a handle looks like a handle").hint("leave out --look"));
    }
    let look = look.map_or("", |look| match look {
        LookWord::Google => "google",
        LookWord::Github => "github",
        LookWord::Aws => "aws",
        LookWord::Slack => "slack",
    });
    let kind = match kind {
        KindWord::Handle => "handle",
        KindWord::Credential => "credential",
    };
    let request = AddDecoyRequest { kind: kind.to_owned(), note, look: look.to_owned() };
    let decoy = session.admin().await?.add_decoy(request).await?.into_inner();
    let mut page = session.page();
    page.line(format!("decoy {} is made; plant this where nobody should look:", decoy.id));
    page.line(format!("  {}", decoy.value));
    page.line("an agent that uses it is frozen at once, and `claviger status` says so");
    Ok(Report::new(as_json(&decoy), page))
}

async fn list(session: &mut Session<'_>) -> Result<Report, Failure> {
    let decoys = session.admin().await?.list_decoys(ListDecoysRequest {}).await?.into_inner().decoys;
    let now_ms = session.world.now_ms;
    let row = |decoy: &Decoy| {
        vec![
            decoy.id.clone(),
            decoy.kind.clone(),
            decoy.value.clone(),
            decoy.used.to_string(),
            relative(decoy.created_at_ms, now_ms),
            decoy.note.clone(),
        ]
    };
    let mut page = session.page();
    let rows: Vec<_> = decoys.iter().map(row).collect();
    page.table(
        &["id", "kind", "what to plant", "used", "made", "note"],
        &rows,
        "no decoys; `claviger decoy add` makes one",
    );
    for decoy in decoys.iter().filter(|decoy| decoy.used > 0) {
        page.toned(
            Tone::Alarm,
            format!("warning: {} was used: `claviger log --alerts` says by whom", decoy.id),
        );
    }
    Ok(Report::new(json!({ "decoys": decoys.iter().map(as_json).collect::<Vec<_>>() }), page))
}

async fn remove(session: &mut Session<'_>, args: IdArgs) -> Result<Report, Failure> {
    let IdArgs { id } = args;
    session.admin().await?.remove_decoy(RemoveDecoyRequest { id: id.clone() }).await?;
    let mut page = session.page();
    page.line(format!("decoy {id} is removed: what was planted is worth nothing now, not even an alarm"));
    Ok(Report::new(json!({ "removed": id }), page))
}

fn as_json(decoy: &Decoy) -> Value {
    let Decoy { id, kind, value, note, created_at_ms, used } = decoy;
    json!({
        "id": id, "kind": kind, "value": value, "note": note, "created_at_ms": created_at_ms, "used": used,
    })
}
