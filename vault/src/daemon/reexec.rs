//! Starting anew without a key: the same program in the same process, and nothing of what it had in memory.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::anyhow;
use command_fds::{CommandFdExt, FdMapping, FdMappingCollision};

/// The first descriptor that is passed on (sd_listen_fds(3)).
const FIRST_FD: i32 = 3;

/// Executes this program anew, sealed, with these listeners and no other descriptor but the standard ones. Does not
/// return but with the error that kept it from doing so; then the process must end, because it can serve no more.
///
/// The listeners take the place of whatever descriptors stood there, so no thread may use one any more.
pub(super) fn sealed(listeners: Vec<(PathBuf, OwnedFd)>) -> anyhow::Error {
    let mut line = std::env::args_os();
    let name = line.next().unwrap_or_else(|| "claviger".into());
    match command(&program(std::env::current_exe().ok()), &name, arguments(line), listeners) {
        Ok(mut command) => anyhow!(command.exec()),
        Err(fault) => fault.into(),
    }
}

fn command(
    program: &Path,
    name: &OsStr,
    arguments: Vec<OsString>,
    listeners: Vec<(PathBuf, OwnedFd)>,
) -> Result<Command, FdMappingCollision> {
    let mut command = Command::new(program);
    command.arg0(name).args(arguments);
    command.env("LISTEN_FDS", listeners.len().to_string());
    command.env("LISTEN_PID", std::process::id().to_string());
    let mappings = (FIRST_FD..).zip(listeners);
    let mappings = mappings.map(|(child_fd, (_, parent_fd))| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect())?;
    Ok(command)
}

/// The program's file; where it was replaced meanwhile, the one that runs.
fn program(current: Option<PathBuf>) -> PathBuf {
    current.filter(|path| path.is_file()).unwrap_or_else(|| Path::new("/proc/self/exe").to_owned())
}

/// The same arguments, but no key, and `--sealed`.
fn arguments(line: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut line = line.peekable();
    while let Some(argument) = line.next() {
        let text = argument.as_encoded_bytes();
        if argument == OsStr::new("--identity") {
            line.next();
        } else if argument == OsStr::new("--credential") {
            // Its name may be left out; what follows is that, unless it is another option.
            line.next_if(|next| !next.as_encoded_bytes().starts_with(b"-"));
        } else if !(text.starts_with(b"--identity=")
            || text.starts_with(b"--credential=")
            || argument == "--passphrase-stdin"
            || argument == "--sealed")
        {
            kept.push(argument);
        }
    }
    kept.push("--sealed".into());
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn no_key_is_among_the_arguments() {
        let check = |line: &[&str], expected: &[&str]| {
            let found = arguments(line.iter().map(OsString::from));
            assert_eq!(found, expected.iter().map(OsString::from).collect::<Vec<_>>());
        };
        check(&["serve"], &["serve", "--sealed"]);
        check(&["up", "--sealed"], &["up", "--sealed"]);
        check(&["--home", "/v", "up", "--identity", "/k"], &["--home", "/v", "up", "--sealed"]);
        check(&["serve", "--identity=/k", "--json"], &["serve", "--json", "--sealed"]);
        check(&["serve", "--passphrase-stdin", "--home=/v"], &["serve", "--home=/v", "--sealed"]);
        check(&["serve", "--credential"], &["serve", "--sealed"]);
        check(&["serve", "--credential", "--json"], &["serve", "--json", "--sealed"]);
        check(&["serve", "--credential", "name", "--json"], &["serve", "--json", "--sealed"]);
        check(&["--json", "serve", "--credential=name"], &["--json", "serve", "--sealed"]);
    }

    #[test]
    fn a_program_that_was_replaced_is_still_the_same() {
        assert_eq!(program(Some("/gone (deleted)".into())), Path::new("/proc/self/exe"));
        assert_eq!(program(Some("/proc/self/exe".into())), Path::new("/proc/self/exe"));
    }

    #[test]
    fn listeners_are_passed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let listeners = ["a", "b"].map(|name| {
            let path = dir.path().join(name);
            (path.clone(), OwnedFd::from(UnixListener::bind(path).unwrap()))
        });
        let _kept = UnixListener::bind(dir.path().join("kept")).unwrap();
        // Another program in its place, which tells what it got.
        let script = "ls -l /proc/$$/fd; echo $LISTEN_FDS $LISTEN_PID";
        let arguments = vec!["-c".into(), script.into()];
        let output =
            command(Path::new("/bin/sh"), OsStr::new("sh"), arguments, listeners.into()).unwrap().output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        for descriptor in [" 3 -> socket:", " 4 -> socket:"] {
            assert!(output.contains(descriptor), "{output}");
        }
        assert_eq!(output.matches("socket:").count(), 2, "{output}");
        assert!(output.trim_end().ends_with(&format!("2 {}", std::process::id())), "{output}");
    }
}
