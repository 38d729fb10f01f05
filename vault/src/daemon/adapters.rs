//! `claviger up`: the adapters, as children of the vault.
//!
//! A child gets the paths of two sockets, that of its settings file if it has one, and an empty environment. It is started again when it ends, later each time;
//! it comes and goes with its registration.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use claviger_domain::name::AdapterName;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::compose::Vault;

/// The adapters' program, beside this one.
const PROGRAM: &str = "claviger-mcp";
/// How long after a child ended the next one starts: at first, and at most, in milliseconds.
const BACKOFF_MS: (u64, u64) = (500, 30_000);
/// A child that ran this long was well, in microseconds.
const WELL_US: u64 = 60_000_000;
/// How long a child may take to stop when asked to, in milliseconds.
const STOP_MS: u64 = 5_000;

/// The adapters that run.
pub(super) struct Children {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Children {
    /// Runs one for each registered adapter, and follows the registry.
    pub(super) fn run(vault: Arc<Vault>) -> Self {
        let children = Self { stop: CancellationToken::new(), tasks: TaskTracker::new() };
        children.tasks.spawn(follow(vault, children.stop.clone()));
        children.tasks.close();
        children
    }

    /// Ends all of them.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn follow(vault: Arc<Vault>, stop: CancellationToken) {
    let mut changes = vault.broker.changes();
    let mut running: HashMap<(AdapterName, String), CancellationToken> = HashMap::new();
    let keepers = TaskTracker::new();
    loop {
        let wanted: Vec<(AdapterName, String)> =
            vault.broker.adapters().into_iter().map(|adapter| (adapter.name, adapter.endpoint)).collect();
        running.retain(|child, ended| {
            let stays = wanted.contains(child);
            if !stays {
                ended.cancel();
            }
            stays
        });
        for child in wanted {
            let Entry::Vacant(place) = running.entry(child) else { continue };
            let ((name, endpoint), ended) = (place.key().clone(), stop.child_token());
            keepers.spawn(keep(Arc::clone(&vault), name, endpoint, ended.clone()));
            place.insert(ended);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    keepers.close();
    keepers.wait().await;
}

/// Keeps one adapter running until `stop`.
async fn keep(vault: Arc<Vault>, name: AdapterName, endpoint: String, stop: CancellationToken) {
    let (mut pause_ms, most_ms) = BACKOFF_MS;
    loop {
        let began_us = vault.clock.mono_us();
        match spawn(&vault, &name, &endpoint) {
            Ok(mut child) => {
                tracing::info!(adapter = %name, "the adapter runs");
                tokio::select! {
                    () = stop.cancelled() => return end(&vault, &name, child).await,
                    ended = child.wait() => tell(&name, ended),
                }
            }
            Err(fault) => tracing::error!(adapter = %name, %fault, "{PROGRAM} cannot be started"),
        }
        if vault.clock.mono_us().saturating_sub(began_us) > WELL_US {
            pause_ms = BACKOFF_MS.0;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = vault.clock.sleep_ms(pause_ms) => {}
        }
        pause_ms = (pause_ms * 2).min(most_ms);
    }
}

fn tell(name: &AdapterName, ended: std::io::Result<ExitStatus>) {
    match ended {
        Ok(status) => tracing::warn!(adapter = %name, %status, "the adapter ended; it is started again"),
        Err(fault) => tracing::warn!(adapter = %name, %fault, "the adapter is lost; it is started again"),
    }
}

fn spawn(vault: &Vault, name: &AdapterName, endpoint: &str) -> std::io::Result<Child> {
    let level = match vault.config.log {
        tracing::Level::TRACE => tracing::Level::DEBUG,
        level => level,
    };
    let mut command =
        command(&program()?, name, &vault.adapter_socket(name.as_str()), Path::new(endpoint), level);
    if let Some(settings) = settings(&vault.config.home, name) {
        command.arg("--settings").arg(settings);
    }
    command.spawn()
}

/// The settings file of an adapter that has one: `adapters/NAME.toml` in the vault's home.
fn settings(home: &Path, name: &AdapterName) -> Option<PathBuf> {
    let path = home.join("adapters").join(format!("{name}.toml"));
    path.is_file().then_some(path)
}

/// The adapters' program beside the one that runs.
fn program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name(PROGRAM);
    if program.is_file() {
        Ok(program)
    } else {
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("there is no {}", program.display())))
    }
}

fn command(
    program: &Path,
    name: &AdapterName,
    vault: &Path,
    endpoint: &Path,
    level: tracing::Level,
) -> Command {
    let mut command = Command::new(program);
    command
        .arg(name.as_str())
        .arg("--vault-socket")
        .arg(vault)
        .arg("--endpoint")
        .arg(endpoint)
        .args(["--single-user", "--end-with-parent"])
        .args(["--log", &level.to_string().to_lowercase()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Ctrl-C in a terminal reaches a whole group; the vault asks its children itself, in its turn.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Asks it to stop; makes it stop if it does not.
async fn end(vault: &Vault, name: &AdapterName, mut child: Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Gone already, if this fails: the wait below says so.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    tokio::select! {
        _ = child.wait() => {}
        () = vault.clock.sleep_ms(STOP_MS) => {
            tracing::warn!(adapter = %name, "the adapter did not stop when asked to; it is killed");
            // Gone already, if this fails.
            let _ = child.kill().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_child_sees_no_environment_and_no_input() {
        let dir = tempfile::tempdir().unwrap();
        let (program, told) = (dir.path().join("program"), dir.path().join("told"));
        // A program in its place, which tells in the file that is its endpoint what reaches it.
        std::fs::write(&program, "#!/bin/sh\nread line\n(echo \"$line|$*\"; pwd; env) > \"$5\"\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let name = "gmail".parse().unwrap();
        let mut command = command(&program, &name, Path::new("/v"), &told, tracing::Level::INFO);
        assert!(command.status().await.unwrap().success());
        let told_text = std::fs::read_to_string(&told).unwrap();
        let mut lines: Vec<&str> = told_text.lines().collect();
        let args = format!(
            "|gmail --vault-socket /v --endpoint {} --single-user --end-with-parent --log info",
            told.display()
        );
        assert_eq!(lines.drain(..2).collect::<Vec<_>>(), [args.as_str(), "/"]);
        assert_eq!(settings(dir.path(), &name), None);
        let own = dir.path().join("adapters/gmail.toml");
        std::fs::create_dir(dir.path().join("adapters")).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(settings(dir.path(), &name), Some(own));
        // A shell makes these itself.
        lines.retain(|line| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own)));
        assert_eq!(lines, Vec::<&str>::new());
    }
}
