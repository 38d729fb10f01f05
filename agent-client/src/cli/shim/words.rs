//! The words that `mcp` takes.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::NAME;
use super::denial::{Told, denied};
use super::names::{Below, Selector};
use crate::cli::arguments;

/// Uses the granted tools by the words of mcporter: claviger-agent under the name mcp
///
/// There is `list`, `call` (or `tool`) and `daemon status`, and nothing else: any other word is denied before the vault is
/// asked for anything. A tool is SERVER.TOOL, letter by letter; the server is the service, such as gmail, or service and
/// account, such as gmail_work, where the account is not the service's default. Nothing is guessed or corrected.
///
/// Where the vault is, CLAVIGER_AGENT_SOCKET says; CLAVIGER_VAULT_UID, CLAVIGER_AGENT_LOG and CLAVIGER_FOLDER are read as
/// claviger-agent reads them, and no variable of mcporter's is. It ends with 0, or with 1 where anything was denied, refused
/// or failed.
#[derive(Debug, Parser)]
#[command(name = NAME, bin_name = NAME, version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Words {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the granted tools: SERVER.TOOL and a summary, one on a line
    List(ListWords),
    /// Call a granted tool once
    ///
    /// KEY=VALUE is read as the tool's schema says; for a list repeat the key or give a JSON array. KEY:=JSON is taken as
    /// it stands. A value is only ever itself: an @ at its beginning means nothing, and nothing is read from standard
    /// input. What the tool answers is written to standard output, and a denial to standard error.
    #[command(visible_alias = "tool")]
    Call(CallWords),
    /// Say how it stands with the vault
    #[command(disable_help_subcommand = true)]
    Daemon {
        #[command(subcommand)]
        what: Daemon,
    },
}

#[derive(Debug, Args)]
struct ListWords {
    /// Only this server's, with their arguments; or only SERVER.TOOL
    #[arg(value_name = "SERVER")]
    below: Option<String>,
    /// As JSON, in the form that mcporter gives it
    #[arg(long)]
    json: bool,
    /// text or json
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    output: Option<ListOutput>,
    /// With the JSON Schema of the arguments, as the grants narrow it
    #[arg(long)]
    schema: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    Text,
    Json,
}

#[derive(Debug, Args)]
struct CallWords {
    /// The tool, exactly as `list` shows it
    #[arg(value_name = "SERVER.TOOL")]
    selector: String,
    /// Its arguments
    #[arg(value_name = "KEY=VALUE")]
    words: Vec<String>,
    /// Arguments as a JSON object, beside those that are KEY=VALUE
    #[arg(long = "args", visible_alias = "json", value_name = "OBJECT")]
    object: Option<String>,
    /// auto, text and markdown: the answer's text; json: its structured part
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    output: CallOutput,
    /// How many milliseconds to wait for the answer; a file that is saved or sent has its own bounds
    #[arg(long, value_name = "MS", default_value_t = 120_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CallOutput {
    Auto,
    Text,
    Markdown,
    Json,
}

#[derive(Debug, Subcommand)]
enum Daemon {
    /// Say whether the vault can be reached, whether it is sealed, and how many tools are granted
    Status,
}

/// Something that may be asked of the vault.
#[derive(Debug)]
pub struct Asked(Ready);

/// What it is.
#[derive(Debug)]
pub(super) enum Ready {
    List(List),
    Call(Call),
    Status,
}

/// A list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) below: Below,
    pub(super) json: bool,
    pub(super) schema: bool,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) selector: Selector,
    pub(super) object: Map<String, Value>,
    pub(super) words: Vec<String>,
    pub(super) json: bool,
    pub(super) timeout_ms: u64,
}

impl Asked {
    /// Reads the words after the program's name. Touches no file, no socket and no variable.
    ///
    /// # Errors
    /// What is to be said instead: help, the version, or a denial.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Told> {
        let words = std::iter::once(OsString::from(NAME)).chain(words);
        let Words { verb } = Words::try_parse_from(words).map_err(|fault| Told::of(&fault))?;
        Ok(Self(match verb {
            Verb::List(words) => Ready::List(words.ready()?),
            Verb::Call(words) => Ready::Call(words.ready()?),
            Verb::Daemon { what: Daemon::Status } => Ready::Status,
        }))
    }

    pub(super) fn into_ready(self) -> Ready {
        self.0
    }
}

impl ListWords {
    fn ready(self) -> Result<List, Told> {
        let Self { below, json, output, schema } = self;
        let below = match below {
            None => Below::All,
            Some(text) => Below::parse(&text).ok_or_else(|| {
                denied("a list is of SERVER or SERVER.TOOL, by its exact name; no address, command or path")
            })?,
        };
        Ok(List { below, json: json || output == Some(ListOutput::Json), schema })
    }
}

impl CallWords {
    fn ready(self) -> Result<Call, Told> {
        let Self { selector, words, object, output, timeout } = self;
        let selector = Selector::parse(&selector).ok_or_else(|| {
            denied("a tool is SERVER.TOOL, by its exact name; no address, command, path or expression")
        })?;
        let object = match object {
            None => Map::new(),
            Some(text) => arguments::object("--args", &text).map_err(|fault| {
                denied(&format!("{fault}; it is the object itself, and neither a file nor standard input"))
            })?,
        };
        Ok(Call { selector, object, words, json: output == CallOutput::Json, timeout_ms: timeout })
    }
}
