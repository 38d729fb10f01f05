//! Who attacks, from where, and what came of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The hostile server.
pub(crate) const HOSTILE: &str = include_str!("hostile.py");
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// A user that owns nothing.
const USER: u32 = 54_321;

/// A place that every user can reach, with the program in it, and somebody to run it.
pub(crate) struct Rig {
    pub(crate) place: TempDir,
    program: PathBuf,
    user: Option<u32>,
}

/// The same for each user that this test can be.
pub(crate) fn rigs() -> Vec<Rig> {
    let users = if nix::unistd::Uid::effective().is_root() { vec![None, Some(USER)] } else { vec![None] };
    users.into_iter().map(Rig::new).collect()
}

impl Rig {
    pub(crate) fn new(user: Option<u32>) -> Self {
        assert!(Path::new(PYTHON).exists(), "these tests need {PYTHON}");
        let place = tempfile::tempdir_in("/tmp").unwrap();
        open(place.path(), 0o755);
        let program = place.path().join("claviger-mcp");
        let built = env!("CARGO_BIN_EXE_claviger-mcp");
        // The build directory may be closed to others.
        if fs::hard_link(built, &program).is_err() {
            fs::copy(built, &program).unwrap();
        }
        Self { place, program, user }
    }

    pub(crate) fn who(&self) -> &'static str {
        if self.user.is_some() { "a user" } else { "whoever runs the tests" }
    }

    /// A directory of this user, closed to others.
    pub(crate) fn own_directory(&self, name: &str) -> PathBuf {
        let path = self.place.path().join(name);
        fs::create_dir(&path).unwrap();
        open(&path, 0o700);
        if let Some(user) = self.user {
            std::os::unix::fs::chown(&path, Some(user), Some(user)).unwrap();
        }
        path
    }

    fn as_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = self.user {
            // Also without the groups of who runs the tests: the standard library leaves them with the user.
            command.uid(user).gid(user);
        }
        command
    }

    /// The program itself.
    pub(crate) fn program(&self) -> Command {
        self.as_user(&self.program)
    }

    /// `claviger-mcp cage FLAGS -- COMMAND`.
    pub(crate) fn cage(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut caged = self.program();
        caged.arg("cage").args(flags).arg("--").args(command);
        caged
    }

    /// What the hostile server gets outside.
    pub(crate) fn outside(&self, attempt: &[&str]) -> String {
        said(self.as_user(PYTHON).args(["-c", HOSTILE]).args(attempt).output().unwrap())
    }

    /// What it gets in a cage.
    pub(crate) fn inside(&self, attempt: &[&str]) -> String {
        self.inside_with(&[], attempt)
    }

    pub(crate) fn inside_with(&self, flags: &[&str], attempt: &[&str]) -> String {
        said(self.hostile(flags, attempt).output().unwrap())
    }

    /// The hostile server in a cage, not started yet.
    pub(crate) fn hostile(&self, flags: &[&str], attempt: &[&str]) -> Command {
        self.cage(flags, &[&[PYTHON, "-c", HOSTILE], attempt].concat())
    }

    /// The attempt works outside, and in the cage it does not, for this reason.
    #[track_caller]
    pub(crate) fn only_outside(&self, attempt: &[&str], reason: &str) {
        let outside = self.outside(attempt);
        assert!(
            outside.starts_with("GOT"),
            "{attempt:?} by {} has to work outside, but: {outside}",
            self.who()
        );
        self.not_inside(attempt, reason);
    }

    /// The attempt does not work in the cage, for this reason.
    #[track_caller]
    pub(crate) fn not_inside(&self, attempt: &[&str], reason: &str) {
        let inside = self.inside(attempt);
        assert!(inside.starts_with(&format!("NO {reason}")), "{attempt:?} by {}: {inside}", self.who());
    }
}

pub(crate) fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// The hostile server's last line; without one, everything that came.
pub(crate) fn said(output: Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    match stdout.lines().rfind(|line| line.starts_with("GOT") || line.starts_with("NO")) {
        Some(line) => line.to_owned(),
        None => format!("{}: {stdout}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}
