//! The program `claviger-agent`.

mod arguments;
mod bar;
mod call;
mod list;
mod narrow;
mod print;
pub mod shim;
mod waiting;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use claviger_proto::connect::Server;
use tokio_util::sync::CancellationToken;

use crate::bridge;
use crate::bridge::http::{self, HttpError, Listener, Loopback};
use crate::clock::Clock;
use crate::environment;
use crate::error::ClientError;
use crate::folder::{Folder, FolderError};
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
    /// Only this handle, a child too; can be repeated. So a sub-agent is started with less than all
    #[arg(long = "handle", global = true, value_name = "HANDLE")]
    only: Vec<String>,
    /// Whether somebody looks at standard error
    #[arg(skip)]
    watched: bool,
    /// How much is logged to standard error; never arguments, answers or keys
    #[arg(long, global = true, value_name = "LEVEL", env = environment::LOG, default_value = "warn")]
    log: Level,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// What the environment alone says: where the vault is, where files are, how much is logged.
    ///
    /// # Errors
    /// A variable of [`environment`] that cannot be read.
    pub fn of_environment() -> Result<Self, clap::Error> {
        Self::try_parse_from(["claviger-agent", "call", "-"])
    }

    /// Whether it serves until told to stop.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.command, Command::Mcp { .. })
    }

    /// Says that somebody looks at standard error: they are shown how far a transfer is.
    #[must_use]
    pub fn watched(self, watched: bool) -> Self {
        Self { watched, ..self }
    }

    /// Where the vault is, and what of it is opened.
    fn at(&self) -> Result<At, CliError> {
        let socket = self.socket.clone().ok_or(CliError::NoSocket)?;
        let server = self.vault_uid.map_or(Server::OwnerOfDirectory, Server::Uid);
        let folder = match &self.command {
            Command::Mcp { place, .. } | Command::Call { place, .. } | Command::Result { place, .. } => {
                place.folder.as_deref()
            }
            _ => None,
        };
        let folder = folder.map(|path| Folder::open(path).map(Arc::new));
        let folder = folder.transpose().map_err(ClientError::Folder)?;
        Ok(At { socket, server, only: self.only.clone(), folder })
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

/// Where the vault is, and what of it is opened.
struct At {
    socket: PathBuf,
    server: Server,
    only: Vec<String>,
    folder: Option<Arc<Folder>>,
}

impl At {
    /// Opens it.
    async fn open(self, clock: Arc<dyn Clock>) -> Result<Session, CliError> {
        let Self { socket, server, only, folder } = self;
        let session = Session::open_handles(&socket, server, &only, clock).await?.with_folder(folder);
        if session.is_complete() { Ok(session) } else { Err(ClientError::NoSuchHandle.into()) }
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

/// Where files are.
#[derive(Debug, Args)]
struct Place {
    /// The one directory in which tools save files, and from which they send them
    #[arg(long, value_name = "DIR", env = environment::FOLDER)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the granted tools to MCP hosts: over standard input and output, or with --http to any number of them
    Mcp {
        /// Over streamable HTTP at this loopback address, such as 127.0.0.1:8808, to processes of this same user alone
        ///
        /// Prints one line, the URL to give to hosts: http://127.0.0.1:8808/mcp. Port 0 takes any that is free. Connections
        /// of other users, root too, are closed; so is whatever a page in a browser sends. Every process of this user can
        /// use what is granted, as with the vault's socket. There is no TLS and no other address: for a host on another
        /// machine, run claviger-agent there.
        #[arg(long, value_name = "ADDRESS:PORT")]
        http: Option<Loopback>,
        #[command(flatten)]
        place: Place,
    },
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
    /// or give a JSON array. KEY:=JSON is taken as it stands. A value is never a file or an address to read from, but for
    /// an argument that is a file to send: that is a path below the folder of --folder.
    Call {
        /// The tool's name, exactly as `ls` shows it
        tool: String,
        /// Its arguments
        #[arg(value_name = "KEY=VALUE")]
        arguments: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// How many seconds to wait for the answer; a file that is saved or sent has its own bounds
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Make a child of a handle, bounded further, and print its id
    ///
    /// Whatever the child may do, its parent may do; what it uses up, its parent has used up. A sub-agent is started
    /// with `claviger-agent mcp --handle ID`. That process uses nothing else; but any process of the same user could
    /// open the parent too, so give a sub-agent that can run commands a user of its own.
    Narrow(Box<narrow::NarrowArgs>),
    /// End a child handle with all below it, for good
    Release {
        /// The child (hdl_…)
        handle: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what became of something that a person must agree to first; a call they agreed to is made now, once
    Result {
        /// What it is collected by (ap_…)
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// How many seconds to wait for the answer; a file that is saved or sent has its own bounds
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Ask the owner: a question; with --tool a task; with --secret a grant
    Ask(Box<waiting::AskArgs>),
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
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoSocket
            | Self::Argument(_)
            | Self::Client(
                ClientError::UnknownTool { .. }
                | ClientError::Arguments(_)
                | ClientError::Bounds(_)
                | ClientError::NoApproval
                | ClientError::NoFolder
                | ClientError::Folder(
                    FolderError::Unusable { .. }
                    | FolderError::OpenToAll { .. }
                    | FolderError::BadPath
                    | FolderError::Absent
                    | FolderError::NotAFile,
                ),
            ) => Exit::Usage,
            Self::Client(ClientError::Sealed) => Exit::Sealed,
            Self::Client(_) | Self::Bridge(_) | Self::Http(_) | Self::Output(_) => Exit::Failed,
        }
    }

    fn next_step(&self) -> &'static str {
        match self {
            Self::NoSocket => "pass --socket PATH or set CLAVIGER_AGENT_SOCKET; the owner knows the path",
            Self::Client(error) => error.next_step(),
            Self::Argument(_) => "`claviger-agent ls -v` lists the arguments of each tool",
            Self::Bridge(_) => "start it from an MCP host; see `claviger-agent mcp --help`",
            Self::Http(HttpError::Taken(_)) => "choose another port, or 0 for any that is free",
            Self::Http(HttpError::Bind(..)) => "choose another address or port; below 1024 takes a privilege",
            Self::Http(HttpError::NoOwners) => "serve over standard input and output: leave out --http",
            Self::Http(HttpError::Overflow) => "run it as a user that has a number of its own here",
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
/// `mcp` alone uses the process's own standard input and output, but for the URL of `--http`; it ends when `shutdown` is
/// cancelled.
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
        | Command::Release { json, .. }
        | Command::Result { json, .. } => *json,
        Command::Narrow(args) => args.json,
        Command::Ask(args) => args.json,
        Command::Mcp { .. } | Command::Completions { .. } => false,
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
    if let Command::Completions { shell } = cli.command {
        // Written at once: the generator ends the process when its reader goes away.
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "claviger-agent", &mut script);
        out.write_all(&script)?;
        return Ok(Exit::Ok);
    }
    let at = cli.at()?;
    let Cli { watched, command, .. } = cli;
    if let Command::Mcp { http, .. } = command {
        let At { socket, server, only, folder } = at;
        let settings =
            bridge::Settings { clock, handles: only, folder, ..bridge::Settings::new(socket, server) };
        let Some(address) = http else {
            bridge::serve(settings, (tokio::io::stdin(), tokio::io::stdout()), shutdown).await?;
            return Ok(Exit::Ok);
        };
        let listener = Listener::bind(address).await?;
        writeln!(out, "{}", listener.url())?;
        out.flush()?;
        http::serve(settings, listener, shutdown).await?;
        return Ok(Exit::Ok);
    }
    let now_ms = clock.now_ms();
    let session = at.open(clock).await?;
    match command {
        Command::Ls { json, verbose } => list::tools(out, &session.grants(), json, verbose)?,
        Command::Handles { json } => list::handles(out, &session.grants(), json, now_ms)?,
        Command::Call { tool, arguments, json, timeout, place: _ } => {
            let how = call::How { json, timeout: Duration::from_secs(timeout), watched };
            return call::call(out, &session, &tool, &arguments, how).await;
        }
        Command::Narrow(args) => {
            let json = args.json;
            let (handle, bounds) = args.into_bounds();
            narrow::made(out, &session.narrow(&handle, &bounds).await?, json)?;
        }
        Command::Release { handle, json } => narrow::released(out, session.release(&handle).await?, json)?,
        Command::Result { id, json, timeout, place: _ } => {
            let how = call::How { json, timeout: Duration::from_secs(timeout), watched };
            return waiting::result(out, &session, &id, how).await;
        }
        Command::Ask(args) => return waiting::ask(out, &session, *args).await,
        Command::Mcp { .. } => {}
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
