//! What is put into a cage, and what it may have there.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

use super::stage::Footing;

/// Where a command without a slash is looked for, if the given environment has no `PATH`; and the `PATH` in the cage.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The user outside that a cage started by root runs as: nobody.
const NOBODY: u32 = 65_534;
/// Parts of the system that are in every cage, read-only.
pub(super) const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// Directories that are not code, whole or in part: what the kernel and running programs keep, settings, state.
const NEVER: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/etc", "/boot"];
/// Directories that are not code as a whole; something in them may be.
const NEVER_WHOLE: [&str; 12] = [
    "/", "/home", "/root", "/var", "/var/lib", "/var/run", "/tmp", "/var/tmp", "/mnt", "/media", "/srv",
    "/opt",
];
/// What the cage sets itself.
const OURS: [&str; 2] = ["HOME", "TMPDIR"];

/// One command and its cage.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program: an absolute path, or a name to be found in the `PATH` of `env` or the usual directories.
    pub command: PathBuf,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Its environment, beside `HOME`, `TMPDIR`, `PATH`, `USER`, `LOGNAME` and `LANG`, which the cage sets; `HOME` and
    /// `TMPDIR` cannot be given.
    pub env: Vec<(String, String)>,
    /// Absolute paths that may be read and executed beside the system's: the program's own files, its interpreter.
    pub code: Vec<PathBuf>,
    /// The one directory that may be written.
    pub scratch: Scratch,
    /// How much of the machine it may take.
    pub limits: Limits,
    /// Start even if a wall is missing.
    pub weak: bool,
    /// The port on 127.0.0.1 in the cage that leads to the listener. Without a network namespace (a weak cage) it is a port
    /// of the machine, and has to be free there.
    pub port: u16,
    /// The user outside that the cage is if root starts it: anybody but root, best one that nobody else is. Others start cages
    /// as the user they are.
    pub user: u32,
    /// The program that has the stages: one whose `main` calls [`super::stage::run`] on
    /// [`super::stage::WORD`]. `None`: this program.
    pub stage: Option<PathBuf>,
}

impl Plan {
    /// A plan for a command without arguments, with nothing but the system's files and a scratch directory in memory.
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: Vec::new(),
            code: Vec::new(),
            scratch: Scratch::Memory,
            limits: Limits::default(),
            weak: false,
            port: 3128,
            user: NOBODY,
            stage: None,
        }
    }
}

/// Where the cage may write. In the cage it is `/scratch`, its home and first working directory; a weak cage without a mount
/// namespace sees it where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scratch {
    /// In memory, gone with the cage, and never more than [`Limits::scratch`].
    Memory,
    /// This directory, an absolute path. It must belong to who starts the cage (or, started by root, to the user of the
    /// cage) and be closed to others. What is written there is bounded file by file only.
    Directory(PathBuf),
}

/// How much of the machine a cage may take. Bytes, seconds, or a number of things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads, together.
    pub processes: u64,
    /// Open files of one process.
    pub files: u64,
    /// Memory of all processes together, in bytes: watched a few times a second, and the cage is ended beyond it. A single
    /// process cannot have more private memory than this at any moment.
    pub memory: u64,
    /// The largest file, in bytes.
    pub file: u64,
    /// A scratch directory in memory, and likewise `/tmp`: bytes each.
    pub scratch: u64,
    /// Processor time of one process, in seconds; `None`: as much as is left over by others.
    pub cpu: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 256, files: 1024, memory: 2 << 30, file: 256 << 20, scratch: 256 << 20, cpu: None }
    }
}

/// Why a plan is none.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No such program, or none that may be executed.
    #[error("there is no program {0} that could be started")]
    Command(String),
    /// A path that is not absolute, or has `..`.
    #[error("{0} is not an absolute path")]
    Relative(String),
    /// A code path that cannot be looked at.
    #[error("cannot look at {0}")]
    Code(String, #[source] io::Error),
    /// A code path that would show more than code.
    #[error("{0} is not code: it would show the cage what is not its own")]
    TooMuch(String),
    /// The scratch directory is missing, a link, another's, open to others, or overlaps with code.
    #[error("{0} cannot be the scratch directory: {1}")]
    Scratch(String, &'static str),
    /// A variable whose name or value cannot be one, or that the cage sets itself.
    #[error("the variable {0:?} cannot be given to a cage")]
    Variable(String),
    /// An argument with a zero byte.
    #[error("an argument has a zero byte")]
    Argument,
    /// A limit, the port or the user is zero.
    #[error("a limit, the port or the user is zero")]
    Zero,
}

/// A plan that was looked at, as the stages are given it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) command: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Where to show it, and what: absolute, and what is shown is canonical. Parents come before what they contain.
    pub(super) code: Vec<(PathBuf, PathBuf)>,
    pub(super) scratch: Scratch,
    pub(super) limits: Limits,
    pub(super) weak: bool,
    pub(super) port: u16,
    /// The user outside, if the starter may change users.
    pub(super) user: u32,
    /// Only build the walls and tell.
    pub(super) check: bool,
    /// Set by the supervisor.
    pub(super) footing: Footing,
    /// Set by the supervisor: the user outside is called root.
    pub(super) by_root: bool,
}

/// Looks at a plan: nothing is started by what it refuses.
pub(super) fn order(plan: &Plan, check: bool) -> Result<Order, PlanError> {
    if plan.args.iter().any(|arg| arg.contains('\0')) {
        return Err(PlanError::Argument);
    }
    for (name, value) in &plan.env {
        if name.is_empty()
            || name.contains(['=', '\0'])
            || value.contains('\0')
            || OURS.contains(&name.as_str())
        {
            return Err(PlanError::Variable(name.clone()));
        }
    }
    let limits = &plan.limits;
    let zero = [
        limits.processes,
        limits.files,
        limits.memory,
        limits.file,
        limits.scratch,
        plan.port.into(),
        plan.user.into(),
    ];
    if zero.contains(&0) || limits.cpu == Some(0) {
        return Err(PlanError::Zero);
    }
    let me = Uid::effective();
    let command = find(plan)?;
    let mut code = BTreeSet::new();
    for path in &plan.code {
        code.insert((path.clone(), code_path(path, me)?));
    }
    // The program itself, as one file: what else it needs has to be named.
    let real = command.canonicalize().map_err(|_| PlanError::Command(command.display().to_string()))?;
    code.insert((command.clone(), real.clone()));
    code.insert((real.clone(), real));
    // What is linked to is shown where it is, too: programs ask for their real path.
    let reals: Vec<_> = code.iter().map(|(_, real)| (real.clone(), real.clone())).collect();
    code.extend(reals);
    let scratch = match &plan.scratch {
        Scratch::Memory => Scratch::Memory,
        Scratch::Directory(path) => Scratch::Directory(scratch(path, me, plan.user, &code)?),
    };
    Ok(Order {
        command,
        args: plan.args.clone(),
        env: plan.env.clone(),
        code: code.into_iter().collect(),
        scratch,
        limits: plan.limits.clone(),
        weak: plan.weak,
        port: plan.port,
        user: plan.user,
        check,
        footing: Footing::Missing(String::new()),
        by_root: false,
    })
}

/// The environment in the cage: ours, and over it what was given.
pub(super) fn environment(given: &[(String, String)], home: &Path, tmp: &Path) -> Vec<(String, String)> {
    let (home, tmp) = (home.display().to_string(), tmp.display().to_string());
    let mut all = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("USER".to_owned(), "cage".to_owned()),
        ("LOGNAME".to_owned(), "cage".to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ];
    all.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
    all.extend(given.iter().cloned());
    all.push(("HOME".to_owned(), home));
    all.push(("TMPDIR".to_owned(), tmp));
    all
}

fn find(plan: &Plan) -> Result<PathBuf, PlanError> {
    let missing = || PlanError::Command(plan.command.display().to_string());
    let fits = |path: &Path| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if plan.command.components().count() == 1 && !plan.command.is_absolute() {
        let path = plan.env.iter().find(|(name, _)| name == "PATH").map_or(PATH, |(_, value)| value.as_str());
        return path
            .split(':')
            .filter(|part| part.starts_with('/'))
            .map(|part| Path::new(part).join(&plan.command))
            .find(|path| fits(path))
            .ok_or_else(missing);
    }
    plain(&plan.command)?;
    if fits(&plan.command) { Ok(plan.command.clone()) } else { Err(missing()) }
}

/// Absolute, without `..`.
fn plain(path: &Path) -> Result<(), PlanError> {
    let odd = path.components().any(|part| matches!(part, Component::ParentDir));
    if !path.is_absolute() || odd || path.to_str().is_none() {
        return Err(PlanError::Relative(path.display().to_string()));
    }
    Ok(())
}

fn code_path(path: &Path, me: Uid) -> Result<PathBuf, PlanError> {
    plain(path)?;
    let real = path.canonicalize().map_err(|fault| PlanError::Code(path.display().to_string(), fault))?;
    // The home directory as the system knows it; a variable could say anything.
    let home = User::from_uid(me).ok().flatten().map(|user| user.dir);
    for path in [path, &real] {
        let whole = NEVER_WHOLE.iter().any(|never| path == Path::new(never));
        let part = NEVER.iter().any(|never| path.starts_with(never));
        // A home, and everything that has it in it.
        let home = home.as_ref().is_some_and(|home| home != Path::new("/") && home.starts_with(path));
        // Other people's, each by its usual place.
        let other = path.parent() == Some(Path::new("/home"));
        if whole || part || home || other {
            return Err(PlanError::TooMuch(path.display().to_string()));
        }
    }
    plain(&real)?;
    Ok(real)
}

fn scratch(
    path: &Path,
    me: Uid,
    user: u32,
    code: &BTreeSet<(PathBuf, PathBuf)>,
) -> Result<PathBuf, PlanError> {
    let refuse = |why| PlanError::Scratch(path.display().to_string(), why);
    plain(path)?;
    let found = path.symlink_metadata().map_err(|_| refuse("it cannot be looked at"))?;
    if !found.is_dir() {
        return Err(refuse("it is not a directory"));
    }
    let owner = found.uid();
    if owner != me.as_raw() && !(me.is_root() && owner == user) {
        return Err(refuse("it belongs to another user"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(refuse("it is open to other users"));
    }
    let real = path.canonicalize().map_err(|_| refuse("it cannot be looked at"))?;
    plain(&real)?;
    let overlaps = |other: &Path| other.starts_with(&real) || real.starts_with(other);
    if code.iter().any(|(shown, what)| overlaps(shown) || overlaps(what)) {
        return Err(refuse("it overlaps with code"));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    fn with(change: impl FnOnce(&mut Plan)) -> Result<Order, PlanError> {
        let mut plan = Plan::new("/bin/sh");
        change(&mut plan);
        order(&plan, false)
    }

    #[test]
    fn what_is_not_code_is_refused() {
        let home = User::from_uid(Uid::effective()).unwrap().unwrap().dir;
        for path in
            ["/", "/etc", "/etc/ssl", "/proc", "/proc/self", "/run", "/dev", "/home", "/root", "/var", "/tmp"]
        {
            if Path::new(path).exists() {
                let refused = with(|plan| plan.code.push(path.into()));
                assert!(matches!(refused, Err(PlanError::TooMuch(_))), "{path}: {refused:?}");
            }
        }
        assert!(matches!(with(|plan| plan.code.push(home.clone())), Err(PlanError::TooMuch(_))));
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&home, &link).unwrap();
        assert!(matches!(with(|plan| plan.code.push(link)), Err(PlanError::TooMuch(_))));
        assert!(matches!(with(|plan| plan.code.push("usr".into())), Err(PlanError::Relative(_))));
        assert!(matches!(with(|plan| plan.code.push("/usr/../etc".into())), Err(PlanError::Relative(_))));
        assert!(matches!(with(|plan| plan.code.push("/usr/none".into())), Err(PlanError::Code(..))));
    }

    #[test]
    fn a_scratch_directory_is_ones_own_closed_and_apart() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o700)).unwrap();
        let at = |path: &Path| Scratch::Directory(path.to_owned());
        assert!(with(|plan| plan.scratch = at(&inner)).is_ok());
        let under = with(|plan| {
            plan.code.push(folder.path().to_owned());
            plan.scratch = at(&inner);
        });
        assert!(matches!(under, Err(PlanError::Scratch(_, "it overlaps with code"))), "{under:?}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&inner, &link).unwrap();
        assert!(with(|plan| plan.scratch = at(&link)).is_err());
        assert!(with(|plan| plan.scratch = at(&inner.join("none"))).is_err());
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o750)).unwrap();
        assert!(with(|plan| plan.scratch = at(&inner)).is_err());
    }

    #[test]
    fn variables_and_arguments_are_ones_that_exec_takes() {
        for (name, value) in
            [("", ""), ("A=B", ""), ("A\0", ""), ("A", "\0"), ("HOME", "/root"), ("TMPDIR", "/")]
        {
            assert!(with(|plan| plan.env.push((name.into(), value.into()))).is_err(), "{name:?}");
        }
        assert!(with(|plan| plan.args.push("a\0b".into())).is_err());
        assert!(with(|plan| plan.port = 0).is_err());
        assert!(with(|plan| plan.limits.cpu = Some(0)).is_err());
        assert!(with(|plan| plan.command = "sh".into()).is_ok());
        assert!(with(|plan| plan.command = "none-of-this-name".into()).is_err());
        assert!(with(|plan| plan.command = "./sh".into()).is_err());
    }

    #[test]
    fn what_is_given_wins_but_for_home() {
        let given = [("PATH".to_owned(), "/x".to_owned()), ("KEY".to_owned(), "v".to_owned())];
        let all = environment(&given, Path::new("/scratch"), Path::new("/tmp"));
        let of = |name: &str| {
            all.iter().filter(|(other, _)| other == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("PATH"), ["/x"]);
        assert_eq!(of("KEY"), ["v"]);
        assert_eq!(of("HOME"), ["/scratch"]);
        assert_eq!(of("TMPDIR"), ["/tmp"]);
        assert_eq!(all.len(), 7);
    }
}
