//! The command line `claviger`: what an admin sees and types.
//!
//! Each command makes a [`report::Report`], which is printed as plain text or, with `--json`, as JSON; or a
//! [`failure::Failure`], which always says what to do next. Commands live in one file per group. Nothing secret is
//! ever an argument: values come by prompt or from stdin.
//!
//! Deliberately absent: any way to show a stored secret, a configuration editor; and confirmation questions, but for
//! `approve`, whose purpose one is, and where a command forgets what cannot be learnt again (`agent untaint`).

mod adapter;
mod agent;
mod approval;
pub mod args;
mod audit;
mod browser;
mod callback;
mod can;
mod caveat;
mod client;
mod client_install;
mod clock;
mod connect;
mod decoy;
mod entry;
mod failure;
mod grant;
mod grants_file;
mod history;
mod import;
mod init;
mod json;
mod key_file;
mod limits;
mod log;
mod page;
mod plan;
mod record;
mod report;
mod seal;
mod secret;
mod serve;
mod services;
mod status;
mod taint;
mod time;
mod visible;
mod why;
mod world;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use secrecy::SecretString;

use crate::config::Config;
use args::{Cli, Command};
use client::Session;
pub use failure::{Exit, Failure};
use report::Report;
pub use world::{Ask, World};

/// How long the threads of a vault that sealed may take to end.
const LAST_THREADS: Duration = Duration::from_secs(10);

/// What the daemon is started with.
pub struct DaemonOptions {
    /// The configuration.
    pub config: Config,
    /// The key to unseal with at once; `None` starts sealed.
    pub unlock: Option<Unlock>,
    /// Whether to run the adapters too, as children (`claviger up`).
    pub adapters: bool,
}

/// A key to unseal with.
pub enum Unlock {
    /// The text of an age identity file.
    Identity(SecretString),
    /// A passphrase.
    Passphrase(SecretString),
}

/// A daemon that runs until it is stopped.
pub type Serving = Pin<Box<dyn Future<Output = anyhow::Result<Ended>> + Send>>;

/// How a daemon ended.
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// It sealed: the program is to start anew in this process. It returns only if that fails.
    ///
    /// Called when the runtime is gone, because it puts listeners where the runtime's own descriptors were: a thread of
    /// the runtime that still ran would read from them.
    Anew(Box<dyn FnOnce() -> anyhow::Error + Send>),
}

/// What the command line calls and does not contain.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Runs the daemon in the foreground until it is told to stop.
    pub serve: fn(DaemonOptions) -> Serving,
}

/// Runs the command that this process was started with, and returns its exit code.
#[must_use]
pub fn main(hooks: Hooks) -> ExitCode {
    // A passphrase may pass through this process. The daemon hardens itself again, and checks that it worked.
    let _ = crate::keys::harden::harden();
    let exit = run(std::env::args_os(), &mut World::real(), hooks);
    ExitCode::from(exit as u8)
}

/// Runs one command line in that world. `line` begins with the program's name.
pub fn run(line: impl IntoIterator<Item = OsString>, world: &mut World, hooks: Hooks) -> Exit {
    let cli = match Cli::try_parse_from(line) {
        Ok(cli) => cli,
        Err(error) => return world.say_usage(&error),
    };
    let json = cli.json;
    // The daemon wants its cores; everything else is over sooner on one thread.
    let runtime = match cli.command {
        Command::Serve(_) | Command::Up(_) => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()
        }
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let mut ended = Ended::Stopped;
    let mut result = match &runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli, world, hooks, &mut ended)),
        Err(error) => Err(Failure::new(format!("no runtime: {error}"))),
    };
    match (runtime, ended) {
        // A thread may still wait for a line of stdin that nobody will type.
        (Ok(runtime), Ended::Stopped) => runtime.shutdown_background(),
        (Ok(runtime), Ended::Anew(anew)) => {
            runtime.shutdown_timeout(LAST_THREADS);
            result = Err(Failure::new(format!("sealed, but the vault could not start anew: {:#}", anew()))
                .hint("nothing runs now; correct it, then start again"));
        }
        (Err(_), _) => {}
    }
    match result {
        Ok(report) => world.say(&report, json),
        Err(failure) => world.complain(&failure, json),
    }
}

async fn dispatch(cli: Cli, world: &mut World, hooks: Hooks, ended: &mut Ended) -> Result<Report, Failure> {
    let Cli { json: _, home, socket, command } = cli;
    let mut session = Session { world, home, socket };
    let session = &mut session;
    match command {
        Command::Init(args) => init::run(session, args),
        Command::Serve(args) => serve::run(session, args, false, hooks, ended).await,
        Command::Up(args) => serve::run(session, args, true, hooks, ended).await,
        Command::Status => status::run(session).await,
        Command::Agent(args) => agent::run(session, args).await,
        Command::Adapter(args) => adapter::run(session, args).await,
        Command::Connect(args) => connect::run(session, args).await,
        Command::Client(args) => client_install::run(session, args).await,
        Command::Import(args) => import::run(session, args).await,
        Command::Secret(args) => secret::run(session, args).await,
        Command::Grant(args) => grant::run(session, args).await,
        Command::Revoke(args) => grant::revoke(session, &args.id).await,
        Command::Approvals(args) => approval::list(session, args).await,
        Command::Approve(args) => approval::approve(session, args).await,
        Command::Deny(args) => approval::deny(session, args).await,
        Command::Freeze(args) => agent::freeze(session, args).await,
        Command::Thaw(args) => agent::thaw(session, args).await,
        Command::Seal => seal::seal(session).await,
        Command::Unseal(args) => seal::unseal(session, args).await,
        Command::Decoy(args) => decoy::run(session, args).await,
        Command::Log(args) => log::run(session, args).await,
        Command::Why(args) => why::run(session, args).await,
        Command::Can(args) => can::run(session, args).await,
        Command::Plan(args) => plan::run(session, args, false).await,
        Command::Apply(args) => plan::run(session, args, true).await,
        Command::Suggest(args) => history::suggest(session, args).await,
        Command::Simulate(args) => history::simulate(session, args).await,
        Command::Audit(args) => audit::run(session, args).await,
        Command::Services(args) => services::run(session, args).await,
        Command::Clock(args) => clock::run(session, args).await,
        Command::Completions(args) => Ok(args::completions(&args)),
    }
}
