//! `claviger-mcp cage`: a command in a cage on this terminal, with no way out at all.

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{CageError, Caged, Ended, Limits, Plan, Scratch, Wall, check, start};

/// The first argument that leads here.
pub const WORD: &str = "cage";
/// What failed is the cage, not the command.
const NO_CAGE: u8 = 125;
/// It was told to end.
const INTERRUPTED: u8 = 130;

/// Runs a command in a cage: no network, no files but its own, no other process, and nothing of this environment
///
/// To try an MCP server, or any program, that nobody has read. It has this command's standard input, output and error, a
/// scratch directory as its home, the programs and libraries of the system, and what --code names. Whatever it starts ends
/// with it.
#[derive(Debug, Parser)]
#[command(name = "claviger-mcp cage", bin_name = "claviger-mcp cage", version, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  claviger-mcp cage --check\n  claviger-mcp cage --code ~/servers/notes -- node \
    ~/servers/notes/index.js\n\nExit codes: the command's; 128 and the signal's number if one ended it; 125 if there was no \
    cage or its memory ran out, 130 interrupted, 2 wrong usage. --check: 0 if every wall holds, 1 if not."
)]
pub struct CageCommand {
    /// Tell which walls hold on this machine, for this user, and start nothing
    #[arg(long, conflicts_with_all = ["command", "weak", "code", "scratch", "env", "memory", "processes"])]
    pub check: bool,

    /// Start even if a wall is missing
    #[arg(long)]
    pub weak: bool,

    /// A directory or file that the command may read and execute, beside the system's; as often as needed
    #[arg(long, value_name = "PATH")]
    pub code: Vec<PathBuf>,

    /// The directory that the command may write, which only you may enter [default: one in memory]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,

    /// A variable of the command's environment, which has little else; as often as needed
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,

    /// How much memory all its processes may have together, in MiB; beyond it they are ended [default: 2048]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub memory: Option<u64>,

    /// How many processes and threads there may be [default: 256]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub processes: Option<u64>,

    /// The command and its arguments, after --
    #[arg(last = true, value_name = "CMD", required_unless_present = "check")]
    pub command: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Does what the command line says. `arguments` begins with the word itself.
///
/// # Returns
/// The exit code. What failed was said on standard error.
pub fn run(arguments: &[String]) -> ExitCode {
    let command = CageCommand::parse_from(arguments);
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| {
            let done = runtime.block_on(command.run());
            // A thread may be waiting for this terminal's next line.
            runtime.shutdown_background();
            done
        });
    done.unwrap_or_else(|fault| {
        let _ = writeln!(stderr(), "claviger-mcp: {fault:#}");
        ExitCode::from(NO_CAGE)
    })
}

impl CageCommand {
    async fn run(self) -> anyhow::Result<ExitCode> {
        if self.check {
            let walls = check(None).await?;
            show(&mut stdout().lock(), &walls)?;
            return Ok(if walls.iter().all(|wall| wall.holds) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        let plan = self.plan()?;
        let caged = match start(&plan).await {
            Err(CageError::Walls(walls)) => {
                show(&mut stderr().lock(), &walls)?;
                anyhow::bail!("not started, because a wall is missing; --weak starts it all the same");
            }
            other => other?,
        };
        show(&mut stderr().lock(), &caged.walls)?;
        attend(caged).await
    }

    fn plan(self) -> anyhow::Result<Plan> {
        let here = std::env::current_dir().context("there is no working directory")?;
        // What is typed is meant from here; the cage has other ideas of where it is.
        let absolute = |path: &Path| -> anyhow::Result<PathBuf> {
            let path = here.join(path);
            path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
        };
        let mut words = self.command.into_iter();
        let command = words.next().unwrap_or_default();
        let command = if command.contains('/') { here.join(&command) } else { PathBuf::from(command) };
        let command = if command.components().any(|part| part == std::path::Component::ParentDir) {
            absolute(&command)?
        } else {
            command
        };
        let usual = Limits::default();
        let limits = Limits {
            memory: self.memory.map_or(usual.memory, |mib| mib << 20),
            processes: self.processes.unwrap_or(usual.processes),
            ..usual
        };
        Ok(Plan {
            limits,
            args: words.collect(),
            env: self.env,
            code: self.code.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?,
            scratch: self
                .scratch
                .as_deref()
                .map(absolute)
                .transpose()?
                .map_or(Scratch::Memory, Scratch::Directory),
            weak: self.weak,
            ..Plan::new(command)
        })
    }
}

fn show(to: &mut impl Write, walls: &[Wall]) -> anyhow::Result<()> {
    for wall in walls {
        writeln!(to, "{wall}").context("cannot show the walls")?;
    }
    Ok(())
}

/// Carries the streams, closes every connection, and waits for the end.
async fn attend(mut caged: Caged) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    if let Some(listener) = caged.listener.take() {
        let listener = TcpListener::from_std(listener).context("no listener")?;
        // Accepted and dropped: there is nobody who would answer.
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    }
    if let Some(mut stdin) = caged.stdin.take() {
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut stdin).await;
        });
    }
    let out = caged.stdout.take().map(|mut from| {
        tokio::spawn(async move {
            let mut to = tokio::io::stdout();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.flush().await;
        })
    });
    let errors = caged.stderr.take().map(|mut lines| {
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next().await {
                let cut = if line.cut > 0 { format!(" [{} more bytes]", line.cut) } else { String::new() };
                let text = String::from_utf8_lossy(&line.bytes).into_owned();
                if writeln!(stderr(), "{text}{cut}").is_err() {
                    break;
                }
            }
        })
    });
    let mut interrupted = false;
    let ended = loop {
        tokio::select! {
            ended = caged.wait() => break ended,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        interrupted = true;
        caged.kill();
    };
    // Nobody writes any more, so both come to their end.
    for stream in [out, errors].into_iter().flatten() {
        let _ = stream.await;
    }
    Ok(match ended {
        Ended::Code(code) => ExitCode::from(code),
        Ended::Killed if interrupted => ExitCode::from(INTERRUPTED),
        Ended::Memory => anyhow::bail!("its processes took too much memory, and were ended"),
        Ended::Killed | Ended::Lost => anyhow::bail!("the cage was ended"),
    })
}
