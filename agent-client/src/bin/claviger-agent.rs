//! `claviger-agent`: uses granted tools without holding a credential. Under the name `mcp` it takes mcporter's words.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use claviger_agent::SystemClock;
use claviger_agent::cli::{Cli, Exit, run, shim};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let asked = match shim::is_meant(std::env::args_os().next().as_deref()) {
        true => match shim::Asked::read(std::env::args_os().skip(1)) {
            Ok(asked) => Some(asked),
            Err(told) => return tell(&told),
        },
        false => None,
    };
    let cli = match asked {
        // Ends the process itself for help, version and usage faults (exit code 2).
        None => Cli::parse(),
        Some(_) => match Cli::of_environment() {
            Ok(cli) => cli,
            Err(fault) => {
                // Its first line names the option that the variable stands for.
                let fault = fault.to_string();
                let err = format!(
                    "{}\nnext: correct the CLAVIGER_ variables of the environment\n",
                    fault.lines().next().unwrap_or_default()
                );
                return tell(&shim::Told { out: String::new(), err, exit: Exit::Failed });
            }
        },
    };
    let cli = cli.watched(io::stderr().is_terminal());
    log(&cli);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let exit = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let is_server = cli.is_server();
        // Not locked for good: `claviger-agent mcp` writes to the same output by another way.
        let (mut out, mut err) = (io::stdout(), io::stderr());
        let clock = Arc::new(SystemClock);
        let work = async {
            match asked {
                Some(asked) => shim::run(asked, cli, clock, &mut out, &mut err).await,
                None => run(cli, clock, &mut out, &mut err, shutdown).await,
            }
        };
        tokio::pin!(work);
        tokio::select! {
            exit = &mut work => exit,
            () = interrupted() => {
                stop.cancel();
                // A server ends its calls in order; anything else is left where it is.
                if is_server { work.await } else { Exit::Failed }
            }
        }
    });
    // A thread may be waiting for standard input, and would never end.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}

/// Says what the shim says where nothing is done.
fn tell(told: &shim::Told) -> ExitCode {
    // A reader that went away has no use for it, and the exit code still tells.
    let _ = io::stdout().write_all(told.out.as_bytes());
    let _ = io::stderr().write_all(told.err.as_bytes());
    ExitCode::from(told.exit as u8)
}

/// Completes at the first SIGINT or SIGTERM.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers, signals end the process as they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Logs our own lines, and only those, to standard error: libraries show messages with arguments and presentations.
fn log(cli: &Cli) {
    let ours = filter_fn(|metadata| metadata.target().starts_with("claviger_agent"));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).with_filter(ours);
    tracing_subscriber::registry().with(layer.with_filter(cli.log())).init();
}
