//! The program `claviger-agent`.

mod arguments;
mod call;
mod list;
mod print;
mod waiting;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use claviger_proto::connect::Server;
use tokio_util::sync::CancellationToken;

use crate::bridge;
use crate::clock::Clock;
use crate::environment;
use crate::error::ClientError;
use crate::session::Session;

pub use arguments::{ArgumentError, parse as parse_arguments};

/// Uses the tools that the owner has granted to this agent, without holding a credential.
#[derive(Debug, Parser)]
#[command(name = "claviger-agent", version, about, max_term_width = 100)]
pub struct Cli {
    /// The vault's agent socket
    #[arg(long, global = true, value_name = "PATH", env = environment::SOCKET)]
    socket: Option<PathBuf>,
    /// The user that must be serving it [default: the owner of its directory]
    #[arg(long, global = true, value_name = "UID", env = environment::VAULT_UID)]
    vault_uid: Option<u32>,
    /// How much is logged to standard error; never arguments, answers or keys
    #[arg(long, global = true, value_name = "LEVEL", env = environment::LOG, default_value = "warn")]
    log: Level,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Whether it serves until told to stop.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.command, Command::Mcp)
    }

    /// How much is to be logged.
    #[must_use]
    pub fn log(&self) -> tracing_subscriber::filter::LevelFilter {
        use tracing_subscriber::filter::LevelFilter;
        match self.log {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the granted tools to an MCP host over standard input and output
    Mcp,
    /// List the granted tools
    Ls {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// With their arguments
        #[arg(short, long)]
        verbose: bool,
    },
    /// List the handles behind the tools
    Handles {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Call a tool once
    ///
    /// KEY=VALUE is read as the tool's schema says: text as it is, numbers, true or false; for a list repeat the key
    /// or give a JSON array. KEY:=JSON is taken as it stands. A value is never a file or an address to read from.
    Call {
        /// The tool's name, exactly as `ls` shows it
        tool: String,
        /// Its arguments
        #[arg(value_name = "KEY=VALUE")]
        arguments: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// How many seconds to wait for the answer
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
    /// Say what became of something that a person must agree to first; a call they agreed to is made now, once
    Result {
        /// What it is collected by (ap_…)
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// How many seconds to wait for the answer
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
    /// Ask the owner: a question; with --tool a task; with --secret a grant
    Ask(waiting::AskArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What the program ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed or denied.
    Failed = 1,
    /// Called wrongly; nothing was sent.
    Usage = 2,
    /// The vault is sealed.
    Sealed = 3,
    /// Waiting for the owner's approval.
    Pending = 4,
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("it is not said where the vault is")]
    NoSocket,
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    #[error(transparent)]
    Bridge(#[from] bridge::BridgeError),
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoSocket
            | Self::Argument(_)
            | Self::Client(
                ClientError::UnknownTool { .. } | ClientError::Arguments(_) | ClientError::NoApproval,
            ) => Exit::Usage,
            Self::Client(ClientError::Sealed) => Exit::Sealed,
            Self::Client(_) | Self::Bridge(_) | Self::Output(_) => Exit::Failed,
        }
    }

    fn next_step(&self) -> &'static str {
        match self {
            Self::NoSocket => "pass --socket PATH or set CLAVIGER_AGENT_SOCKET; the owner knows the path",
            Self::Client(error) => error.next_step(),
            Self::Argument(_) => "`claviger-agent ls -v` lists the arguments of each tool",
            Self::Bridge(_) => "start it from an MCP host; see `claviger-agent mcp --help`",
            Self::Output(_) => "look where standard output goes",
        }
    }

    /// Whether the reader went away, which is its right.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// Runs one command, writing to `out` and `err`; returns what to exit with.
///
/// `mcp` alone uses the process's own standard input and output; it ends when `shutdown` is cancelled.
pub async fn run(
    cli: Cli,
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    shutdown: CancellationToken,
) -> Exit {
    let json = match &cli.command {
        Command::Ls { json, .. }
        | Command::Handles { json }
        | Command::Call { json, .. }
        | Command::Result { json, .. } => *json,
        Command::Ask(args) => args.json,
        Command::Mcp | Command::Completions { .. } => false,
    };
    match dispatch(cli, clock, out, shutdown).await {
        Ok(exit) => exit,
        Err(error) if error.is_closed_pipe() => Exit::Ok,
        Err(error) => {
            if json {
                // Where even this cannot be written, the exit code still tells.
                let _ = print::error(out, &error.to_string(), error.next_step());
            }
            let _ = writeln!(err, "error: {}", print::visible(&error.to_string()));
            let _ = writeln!(err, "next: {}", error.next_step());
            error.exit()
        }
    }
}

async fn dispatch(
    cli: Cli,
    clock: Arc<dyn Clock>,
    out: &mut dyn Write,
    shutdown: CancellationToken,
) -> Result<Exit, CliError> {
    let Cli { socket, vault_uid, log: _, command } = cli;
    if let Command::Completions { shell } = command {
        // Written at once: the generator ends the process when its reader goes away.
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "claviger-agent", &mut script);
        out.write_all(&script)?;
        return Ok(Exit::Ok);
    }
    let socket = socket.ok_or(CliError::NoSocket)?;
    let server = vault_uid.map_or(Server::OwnerOfDirectory, Server::Uid);
    match command {
        Command::Mcp => {
            let settings = bridge::Settings { clock, ..bridge::Settings::new(socket, server) };
            bridge::serve(settings, (tokio::io::stdin(), tokio::io::stdout()), shutdown).await?;
        }
        Command::Ls { json, verbose } => {
            list::tools(out, &Session::open_with(&socket, server, clock).await?.grants(), json, verbose)?;
        }
        Command::Handles { json } => {
            let now_ms = clock.now_ms();
            let grants = Session::open_with(&socket, server, clock).await?.grants();
            list::handles(out, &grants, json, now_ms)?;
        }
        Command::Call { tool, arguments, json, timeout } => {
            let session = Session::open_with(&socket, server, clock).await?;
            return call::call(out, &session, &tool, &arguments, json, Duration::from_secs(timeout)).await;
        }
        Command::Result { id, json, timeout } => {
            let session = Session::open_with(&socket, server, clock).await?;
            return waiting::result(out, &session, &id, json, Duration::from_secs(timeout)).await;
        }
        Command::Ask(args) => {
            let session = Session::open_with(&socket, server, clock).await?;
            return waiting::ask(out, &session, args).await;
        }
        Command::Completions { .. } => {}
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
