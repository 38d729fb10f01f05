//! `claviger-agent`: uses granted tools without holding a credential.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use claviger_agent::SystemClock;
use claviger_agent::cli::{Cli, Exit, run};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    // Ends the process itself for help, version and usage faults (exit code 2).
    let cli = Cli::parse().watched(io::stderr().is_terminal());
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
        let asked = shutdown.clone();
        let is_server = cli.is_server();
        // Not locked for good: `mcp` writes to the same output by another way.
        let (mut out, mut err) = (io::stdout(), io::stderr());
        let work = run(cli, Arc::new(SystemClock), &mut out, &mut err, shutdown);
        tokio::pin!(work);
        tokio::select! {
            exit = &mut work => exit,
            () = interrupted() => {
                asked.cancel();
                // A server ends its calls in order; anything else is left where it is.
                if is_server { work.await } else { Exit::Failed }
            }
        }
    });
    // A thread may be waiting for standard input, and would never end.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
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
