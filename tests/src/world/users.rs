//! Who runs as whom.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// A part in the play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Runs `claviger serve`.
    Vault,
    /// Administers.
    Admin,
    /// Runs `claviger-agent`.
    Agent,
    /// Runs `claviger-mcp gmail`.
    Gmail,
    /// Runs `claviger-mcp drive`.
    Drive,
    /// Is registered as a second agent.
    Other,
    /// Is registered nowhere.
    Stranger,
}

/// The users of all parts: one for all, or each one its own.
#[derive(Debug, Clone, Default)]
pub struct Users {
    first: Option<u32>,
}

impl Users {
    /// Everybody is the user that runs the test.
    #[must_use]
    pub fn single() -> Self {
        Self::default()
    }

    /// Everybody has a user id of their own; none of them needs to be in the user database.
    #[must_use]
    pub fn many() -> Self {
        Self { first: Some(61_001) }
    }

    /// Whether there is one user for all.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.first.is_none()
    }

    /// The user id of a part.
    #[must_use]
    pub fn uid(&self, who: Who) -> u32 {
        match self.first {
            None => rustix::process::geteuid().as_raw(),
            Some(first) => first + who as u32,
        }
    }

    /// The adapter's part.
    #[must_use]
    pub fn adapter(name: &str) -> Who {
        if name == "gmail" { Who::Gmail } else { Who::Drive }
    }

    /// A program that will run as that part, with an empty environment but for `PATH` and `HOME`.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "of our environment, programs under test get the path only")]
    pub fn command(&self, who: Who, program: &Path, base: &Path) -> Command {
        let mut command = Command::new(self.reachable(program, base));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", base.join("nobodys-home"))
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.first.is_some() {
            command.uid(self.uid(who)).gid(self.uid(who));
        }
        command
    }

    /// The program where other users can reach it.
    fn reachable(&self, program: &Path, base: &Path) -> PathBuf {
        use std::os::unix::fs::MetadataExt;
        let open = |path: &Path| std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o001 != 0);
        if self.first.is_none() || program.ancestors().all(|path| path.as_os_str().is_empty() || open(path)) {
            return program.to_owned();
        }
        let copy = base.join("bin").join(program.file_name().unwrap());
        if !copy.exists() {
            std::fs::create_dir_all(base.join("bin")).unwrap();
            if std::fs::hard_link(program, &copy).is_err() {
                std::fs::copy(program, &copy).unwrap();
            }
        }
        copy
    }

    /// Makes a directory that belongs to that part.
    pub fn make_dir(&self, who: Who, path: &Path, mode: u32) {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().mode(mode).create(path).unwrap();
        self.give(who, path);
    }

    /// Gives a file to that part.
    pub fn give(&self, who: Who, path: &Path) {
        if self.first.is_some() {
            let uid = self.uid(who);
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }
}
