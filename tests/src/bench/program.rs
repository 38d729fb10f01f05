//! Programs that run beside: ended with the bench, whatever happens.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, Command};

/// A running program. Killed when dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// Its process id.
    pub(crate) id: u32,
}

impl Program {
    /// Starts one, with an empty environment. Its messages go to the terminal.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let id = child.id().context("it ended at once")?;
        Ok(Self { child, id })
    }
}

/// One of the programs that were built with this one, or this one itself.
///
/// # Errors
/// It is not there.
pub(crate) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let path = own.with_file_name(name);
    anyhow::ensure!(path.is_file(), "there is no {name} beside this program; `cargo xtask bench` builds it");
    Ok(path)
}
