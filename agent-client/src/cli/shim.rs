//! `mcp`: this program under the name that agents know from mcporter, with a part of mcporter's words.
//!
//! An owner who let an agent run mcporter through `sudo` and a list of names gives it this instead: the same two or three
//! lines, over what is granted. A word that is not one of these is denied before the vault is asked for anything.
//!
//! Deliberately absent: names that are corrected, servers that a word names by an address or a command, values that are
//! read from a file or from standard input, and every variable of mcporter's.

mod denial;
mod list;
mod names;
mod words;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::CallToolResult;
use serde_json::json;

use super::{Cli, CliError, Exit, call, print};
use crate::clock::Clock;
use crate::error::ClientError;
use crate::outcome::{CallOutcome, Refusal};
use crate::session::Session;
use crate::suggest;
use names::{Named, Names};
use words::{Call, Ready};

pub use denial::Told;
pub use words::{Asked, Words};

/// The name it has to be started by.
pub const NAME: &str = "mcp";

/// Whether the program was started as `mcp`: what follows the last `/` of its first word is exactly that.
///
/// The word is the caller's to choose. It picks one of two command lines over the same grants, and is no wall.
#[must_use]
pub fn is_meant(program: Option<&OsStr>) -> bool {
    let name = program.and_then(|word| word.as_bytes().rsplit(|byte| *byte == b'/').next());
    name == Some(NAME.as_bytes())
}

/// Why something that could be read was not done.
#[derive(Debug, thiserror::Error)]
enum ShimError {
    #[error(transparent)]
    Cli(#[from] CliError),
    /// Absent, not granted and misspelt are one.
    #[error("nothing of that name is granted{}", meant(.suggestions))]
    NotGranted { suggestions: Vec<String> },
}

impl From<io::Error> for ShimError {
    fn from(error: io::Error) -> Self {
        Self::Cli(error.into())
    }
}

impl ShimError {
    /// "Denied" is what the one that it replaces says of a name; the rest is no matter of names.
    fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::NotGranted { .. } => writeln!(err, "Denied: {self}"),
            Self::Cli(_) => writeln!(err, "error: {}", print::visible(&self.to_string())),
        }?;
        writeln!(err, "next: {}", self.next_step())
    }

    fn next_step(&self) -> &'static str {
        match self {
            Self::NotGranted { .. } | Self::Cli(CliError::Client(ClientError::UnknownTool { .. })) => {
                "`mcp list` shows what is granted; names are exact"
            }
            Self::Cli(CliError::NoSocket) => "set CLAVIGER_AGENT_SOCKET; the owner knows the path",
            Self::Cli(CliError::Argument(_)) => {
                "`mcp list SERVER.TOOL` shows the arguments; they are written KEY=VALUE"
            }
            Self::Cli(error) => error.next_step(),
        }
    }

    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Cli(error) if error.is_closed_pipe())
    }
}

fn meant(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", suggestions.join(" or "))
    }
}

/// Does what was asked, where `at` says that the vault is; of `at` the command is not looked at. Returns
/// [`Exit::Ok`] or [`Exit::Failed`], and nothing else.
pub async fn run(
    asked: Asked,
    at: Cli,
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let done = match asked.into_ready() {
        Ready::List(wanted) => list(&wanted, at, clock, out, err).await,
        Ready::Call(wanted) => make(wanted, at, clock, out, err).await,
        Ready::Status => status(at, clock, out).await,
    };
    match done {
        Ok(exit) => exit,
        // The reader went away, which is its right.
        Err(error) if error.is_closed_pipe() => Exit::Ok,
        Err(error) => {
            // Where even this cannot be written, the exit code still tells.
            let _ = error.tell(err);
            Exit::Failed
        }
    }
}

async fn open(at: &Cli, clock: Arc<dyn Clock>) -> Result<Session, ShimError> {
    Ok(at.at()?.open(clock).await?)
}

async fn list(
    wanted: &words::List,
    at: Cli,
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, ShimError> {
    let grants = open(&at, clock).await?.grants();
    let names = Names::of(&grants);
    let shown = names.under(&wanted.below);
    if shown.is_empty() && !wanted.below.is_all() {
        if grants.frozen() {
            return Ok(refused(out, err, &Refusal::frozen(), false)?);
        }
        return Err(not_granted(&names, &wanted.below.to_string()));
    }
    list::write(out, &shown, wanted)?;
    // Not among the names: a program that reads them takes every line for one.
    super::list::frozen(err, &grants)?;
    if shown.is_empty() && !grants.frozen() {
        writeln!(err, "{}", super::list::NOTHING)?;
    }
    if names.unnamed > 0 {
        writeln!(err, "without a name here: {}; `claviger-agent ls` shows all tools", names.unnamed)?;
    }
    Ok(Exit::Ok)
}

async fn make(
    wanted: Call,
    at: Cli,
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, ShimError> {
    let Call { selector, object, words, json, timeout_ms } = wanted;
    let session = open(&at, clock).await?;
    let grants = session.grants();
    if grants.frozen() {
        return Ok(refused(out, err, &Refusal::frozen(), json)?);
    }
    let name = {
        let names = Names::of(&grants);
        let tool = names.tool(&selector).map(|tool| tool.mcp_name.clone());
        tool.ok_or_else(|| not_granted(&names, &selector.to_string()))?
    };
    // Only the session holds the grants during the call, so a key that it replaces is erased at once.
    drop(grants);
    let how = call::How { json, timeout: Duration::from_millis(timeout_ms), watched: at.watched };
    match call::make(&session, &name, object, &words, how).await? {
        CallOutcome::Refused(refusal) => Ok(refused(out, err, &refusal, json)?),
        CallOutcome::Answered(result) => {
            if json {
                answer_json(out, &result)?;
            } else {
                call::answer(out, &result, "claviger-agent call --json")?;
            }
            Ok(if result.is_error == Some(true) { Exit::Failed } else { Exit::Ok })
        }
    }
}

/// As mcporter writes it: the structured answer alone where there is one, else the content.
fn answer_json(out: &mut dyn Write, result: &CallToolResult) -> io::Result<()> {
    match &result.structured_content {
        Some(structured) => writeln!(out, "{structured:#}"),
        None => writeln!(out, "{:#}", json!({"content": serde_json::to_value(&result.content)?})),
    }
}

/// Writes a refusal: in words on `err`, and on `out` only where a program reads.
fn refused(out: &mut dyn Write, err: &mut dyn Write, refusal: &Refusal, json: bool) -> io::Result<Exit> {
    if json {
        call::refused_json(out, refusal)?;
    }
    let told = refusal.to_string();
    writeln!(err, "Denied: {}", told.strip_prefix("refused: ").unwrap_or(&told))?;
    if let Some(approval) = refusal.approval() {
        writeln!(err, "next: claviger-agent result {approval}, once they have agreed")?;
    }
    Ok(Exit::Failed)
}

/// The error for a name that names nothing; what looks like it is shown, and not used.
fn not_granted(names: &Names<'_>, name: &str) -> ShimError {
    let known: Vec<String> = names.iter().flat_map(Named::both).collect();
    let mut suggestions = suggest::similar(name, known.iter().map(String::as_str));
    suggestions.dedup();
    ShimError::NotGranted { suggestions }
}

async fn status(at: Cli, clock: Arc<dyn Clock>, out: &mut dyn Write) -> Result<Exit, ShimError> {
    writeln!(out, "There is no daemon to manage here: the owner runs the vault.")?;
    let session = match open(&at, clock).await {
        Ok(session) => session,
        Err(error) => {
            let told = match &error {
                ShimError::Cli(CliError::Client(ClientError::Sealed)) => "reachable, and sealed",
                ShimError::Cli(CliError::Client(ClientError::OpenRefused(_))) => "reachable, and refuses",
                _ => "not reachable",
            };
            writeln!(out, "vault: {told}")?;
            return Err(error);
        }
    };
    let grants = session.grants();
    let agent = print::line(grants.agent());
    if grants.frozen() {
        writeln!(out, "vault: reachable, unsealed; {agent} is frozen")?;
        return Ok(Exit::Failed);
    }
    let count = match grants.tools().count() {
        1 => "1 tool is".to_owned(),
        count => format!("{count} tools are"),
    };
    writeln!(out, "vault: reachable, unsealed; {count} granted to {agent}")?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exactly `mcp` after the last slash; nothing that only looks like it.
    #[test]
    fn what_it_is_started_as() {
        for name in ["mcp", "./mcp", "/usr/local/bin/mcp", "//mcp", "/tmp/MCP/mcp"] {
            assert!(is_meant(Some(OsStr::new(name))), "{name}");
        }
        for name in [
            "",
            "MCP",
            "Mcp",
            "mcp.exe",
            "mcp ",
            " mcp",
            "-mcp",
            "mcp/",
            "mcp/.",
            "mcp\n",
            "mcp\u{200b}",
            "m\u{441}p",
            "mcporter",
            "claviger-agent",
            "/tmp/mcp/claviger-agent",
            "/tmp/mcp\\claviger-agent",
        ] {
            assert!(!is_meant(Some(OsStr::new(name))), "{name:?}");
        }
        assert!(!is_meant(Some(OsStr::from_bytes(b"mcp\xff"))));
        assert!(!is_meant(None));
    }
}
