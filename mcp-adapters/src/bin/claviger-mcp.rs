//! `claviger-mcp NAME`: serves one service's tools over MCP. `claviger-mcp cage`: runs a command in a cage.

use std::io::{Write, stderr};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use claviger_mcp::host;
use claviger_mcp::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Before anything is read, opened or started: a stage of a cage gives itself up, and has to be one thread.
    #[cfg(target_os = "linux")]
    if let Some(code) = caged() {
        return code;
    }
    // Wrong usage ends here, with exit code 2 and a line on what to do.
    let settings = Settings::parse();
    // A filter of our own making, not of the environment's: no variable can make a library log what it carries.
    let filter = EnvFilter::new(settings.log_filter());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).init();
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Said even where the log is off; and if standard error is closed, the exit code has to do.
            let _ = writeln!(stderr(), "claviger-mcp: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is not an adapter: a command in a cage, and the stages of one. No adapter has these names.
#[cfg(target_os = "linux")]
fn caged() -> Option<ExitCode> {
    use claviger_mcp::wrap::cage::{command, stage};
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (word, rest) = arguments.split_first()?;
    match word.as_str() {
        stage::WORD => Some(stage::run(rest)),
        command::WORD => Some(command::run(&arguments)),
        _ => None,
    }
}

fn serve(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        // Only now: what the kernel sends then is the signal that is waited for.
        if settings.end_with_parent {
            end_with_parent()?;
        }
        let stop = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.cancel();
        });
        host::run(settings.host()?, shutdown).await?;
        Ok(())
    })
}

/// An adapter that outlived its vault would keep its socket from the adapter of the next one.
#[cfg(target_os = "linux")]
fn end_with_parent() -> anyhow::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))
        .context("cannot end with the program that started this")
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> anyhow::Result<()> {
    Ok(())
}
