//! `claviger audit`: checking the log offline, and what is needed for that.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use claviger_proto::v1::CheckpointRequest;
use serde_json::json;

use super::client::Session;
use super::failure::Failure;
use super::limits::duration;
use super::page::Tone;
use super::record::record;
use super::report::Report;
use crate::audit::verify::VerifyFault;
use crate::audit::{export, verify};

/// The longest key or checkpoint file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// `claviger audit …`.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Check the log, without the vault: edits, reordering and a cut end show.
    Verify(VerifyArgs),
    /// Check the log, then print its records as JSON, one a line, oldest first. Details stay sealed.
    Export(ExportArgs),
    /// Print a signed checkpoint, to be kept elsewhere.
    Checkpoint,
    /// Print the public key, to be kept elsewhere.
    Key,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The log's folder; the vault's own without it.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The public key, or a file with it; the one beside the log without it.
    #[arg(long, value_name = "FILE|KEY")]
    key: Option<String>,
    /// A checkpoint that was kept elsewhere.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    log: VerifyArgs,
    /// Only the last while, such as 7d or 12h.
    #[arg(long, value_parser = duration, value_name = "SPAN")]
    since: Option<u64>,
    /// Only of this agent.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

/// Runs `claviger audit …`.
pub(super) async fn run(session: &mut Session<'_>, command: AuditCommand) -> Result<Report, Failure> {
    match command {
        AuditCommand::Verify(args) => check(session, args),
        AuditCommand::Export(args) => print(session, args),
        AuditCommand::Checkpoint => {
            let signed = session.admin().await?.checkpoint(CheckpointRequest {}).await?.into_inner();
            // The note must come out byte for byte: a space more and it no longer verifies.
            let report = Report::text(signed.note.clone());
            Ok(Report { json: Some(json!({ "note": signed.note, "key": signed.key })), ..report })
        }
        AuditCommand::Key => {
            let key =
                match session.config().ok().and_then(|config| read(&config.audit.dir.join("audit.pub")).ok())
                {
                    Some(key) => key.trim().to_owned(),
                    None => session.admin().await?.checkpoint(CheckpointRequest {}).await?.into_inner().key,
                };
            let mut page = session.page();
            page.line(&key);
            Ok(Report::new(json!({ "key": key }), page))
        }
    }
}

/// A log and what to check it with.
struct Evidence {
    dir: PathBuf,
    key: String,
    /// Whether the key was taken from beside the log.
    beside: bool,
    checkpoint: Option<String>,
}

fn evidence(session: &Session<'_>, args: VerifyArgs) -> Result<Evidence, Failure> {
    let VerifyArgs { dir, key, checkpoint } = args;
    let dir = match dir {
        Some(dir) => dir,
        None => session.config()?.audit.dir,
    };
    let beside = key.is_none();
    let key = match key {
        // A verifier key has the form NAME+ID+KEY (C2SP signed note), and may have slashes in it.
        Some(text) if text.split('+').count() >= 3 && !Path::new(&text).exists() => text,
        Some(path) => read(Path::new(&path))?,
        None => read(&dir.join("audit.pub")).map_err(|mut failure| {
            failure.hints = vec![
                "give --dir the log's folder; a vault that was never unsealed has no key yet".to_owned(),
            ];
            failure
        })?,
    };
    let checkpoint = checkpoint.as_deref().map(read).transpose()?;
    Ok(Evidence { dir, key: key.trim().to_owned(), beside, checkpoint })
}

/// Prints each record as soon as it is read, so that a log of any length needs no more memory than a segment of it.
fn print(session: &mut Session<'_>, args: ExportArgs) -> Result<Report, Failure> {
    let ExportArgs { log, since, agent } = args;
    let Evidence { dir, key, beside: _, checkpoint } = evidence(session, log)?;
    let since_ms = since.map_or(0, |seconds| session.world.now_ms.saturating_sub(seconds * 1000));
    let mut written = Ok(());
    let found = export(&dir, &key, checkpoint.as_deref(), &mut |index, event| {
        let wanted = event.at_ms >= since_ms
            && agent
                .as_deref()
                .is_none_or(|agent| event.agent.as_ref().is_some_and(|of| of.as_str() == agent));
        if !wanted || written.is_err() {
            return;
        }
        written = session.world.line(&record(index, event));
    });
    found.map_err(|fault| not_believed(&fault))?;
    match written {
        // Whoever read, as `head` does, has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Report::text(String::new())),
    }
}

fn check(session: &mut Session<'_>, args: VerifyArgs) -> Result<Report, Failure> {
    let Evidence { dir, key, beside, checkpoint } = evidence(session, args)?;
    let found = verify(&dir, &key, checkpoint.as_deref()).map_err(|fault| not_believed(&fault))?;
    let mut page = session.page();
    page.toned(
        Tone::Good,
        format!("the log is whole: {} records, {} of them signed", found.records, found.signed),
    );
    page.fields(&[
        ("root", hex(&found.root)),
        ("segments", found.segments.to_string()),
        ("details", format!("{} fit their records, {} were erased", found.details, found.erased)),
    ]);
    if beside {
        page.line(
            "note: the key was taken from beside the log; who can write there could have changed both.",
        );
        page.line("      `claviger audit key` prints it: keep it elsewhere, and give it with --key");
    }
    if checkpoint.is_none() {
        page.line("note: without a checkpoint from elsewhere, a log replaced as a whole does not show.");
        page.line("      `claviger audit checkpoint` prints one: keep it, and give it with --checkpoint");
    }
    let json = json!({
        "whole": true,
        "records": found.records,
        "signed": found.signed,
        "root": hex(&found.root),
        "segments": found.segments,
        "details": found.details,
        "erased": found.erased,
        "key_from_beside_the_log": beside,
        "checkpoint_given": checkpoint.is_some(),
    });
    Ok(Report::new(json, page))
}

fn not_believed(fault: &VerifyFault) -> Failure {
    let failure = Failure::new(fault.to_string());
    match fault {
        VerifyFault::Io(_) => {
            failure.hint("give --dir the log's folder, and run this as a user who may read it")
        }
        VerifyFault::Key(_) => failure.hint("`claviger audit key` prints the key in its right form"),
        VerifyFault::Given(_) => {
            failure.hint("give --checkpoint what `claviger audit checkpoint` printed, unchanged")
        }
        VerifyFault::NoCheckpoint => failure
            .hint("give --checkpoint one that was kept elsewhere; a vault that runs makes one by itself"),
        VerifyFault::Checkpoint(_)
        | VerifyFault::Damage(_)
        | VerifyFault::Cut { .. }
        | VerifyFault::Root { .. }
        | VerifyFault::Detail { .. } => failure
            .hint("somebody or some disk has changed the log: keep a copy of the folder as it is")
            .hint("`claviger freeze` stops agents while you look"),
    }
}

/// A small text file.
fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let bad = |error: std::io::Error| {
        Failure::new(format!("{} cannot be read: {error}", path.display())).hint("give the path of the file")
    };
    let mut text = String::new();
    std::fs::File::open(path).map_err(bad)?.take(MAX_FILE).read_to_string(&mut text).map_err(bad)?;
    Ok(text)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
