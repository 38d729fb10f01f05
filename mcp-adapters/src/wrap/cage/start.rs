//! The outside: starts the stages, holds the pipes and the listener, ends the cage.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::libc;
use nix::unistd::Uid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::{Child, Command};

use super::lines::Lines;
use super::plan::{Order, Plan, PlanError, Scratch, order};
use super::stage;
use super::wall::{Ended, Wall};
use super::wire::{Report, hear, tell};

/// How much of a line of standard error is kept, in bytes.
const ERROR_LINE: usize = 4096;
/// How long the stages may take until the command runs. Building the walls takes some ten milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum CageError {
    /// The plan is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Walls that this machine does not hold, each with the reason, and the plan was not a weak one.
    #[error("this machine does not hold a cage: {}", missing(.0))]
    Walls(Vec<Wall>),
    /// The command could not be started in its cage, or a wall broke while it was built.
    #[error("not started: {0}")]
    Failed(String),
    /// The stages ended without a word, or spoke out of turn.
    #[error("the first stage of the cage ended without a word")]
    Silent,
    /// A pipe, socket or process could not be made.
    #[error("cannot prepare a cage")]
    Io(#[from] io::Error),
}

fn missing(walls: &[Wall]) -> String {
    let missing = walls.iter().filter(|wall| !wall.holds);
    missing.map(|wall| format!("{}: {}", wall.kind.name(), wall.why)).collect::<Vec<_>>().join("; ")
}

/// A command in its cage. Dropped, it ends with all its processes.
#[derive(Debug)]
pub struct Caged {
    /// To the command. Closed, the command reads the end of its input. `None` once it was taken.
    pub stdin: Option<Sender>,
    /// From the command. Bounding its lines is the reader's: [`Lines`] does it.
    pub stdout: Option<Receiver>,
    /// What the command says on its standard error, in bounded lines.
    pub stderr: Option<Lines<Receiver>>,
    /// The only way out: whatever connects to 127.0.0.1 at the plan's port in the cage. Not blocking, for
    /// [`tokio::net::TcpListener::from_std`]. `None` in a weak cage whose port could not be had.
    pub listener: Option<TcpListener>,
    /// All walls, and whether each holds: without `weak`, each does.
    pub walls: Vec<Wall>,
    control: tokio::net::UnixStream,
    supervisor: Child,
    /// What the supervisor said last.
    word: Vec<u8>,
}

impl Caged {
    /// Ends every process of the cage. [`Caged::wait`] says when that is done.
    pub fn kill(&mut self) {
        // The supervisor watches for the end of its socket. If it cannot be told, it is gone.
        let _ = rustix::net::shutdown(self.control.as_fd(), rustix::net::Shutdown::Write);
    }

    /// Waits until the command ended, and with it every process of the cage. Safe to cancel.
    pub async fn wait(&mut self) -> Ended {
        let ended = self.last_word().await;
        // It has nothing more to do; if it hangs, it is in the middle of being killed.
        let _ = self.supervisor.wait().await;
        ended
    }

    async fn last_word(&mut self) -> Ended {
        // It says one thing, and then its socket closes. What was read stays here if this is cancelled.
        while let Ok(1..) = self.control.read_buf(&mut self.word).await {
            if self.word.len() > 4096 {
                return Ended::Lost;
            }
        }
        match self.word.get(4..).map(serde_json::from_slice) {
            Some(Ok(Report::Ended(ended))) => ended,
            _ => Ended::Lost,
        }
    }
}

/// Starts a command in a cage, and answers when it runs.
///
/// # Errors
/// [`CageError::Walls`] with every wall if one is missing and the plan is not weak: nothing was run then.
pub async fn start(plan: &Plan) -> Result<Caged, CageError> {
    let order = order(plan, false)?;
    if let Scratch::Directory(path) = &order.scratch {
        hand_over(path, order.user)?;
    }
    let (inward, stdin) = io::pipe()?;
    let (stdout, outward) = io::pipe()?;
    let (stderr, errors) = io::pipe()?;
    let (control, supervisor) = spawn(plan, errors.try_clone()?.into())?;
    let streams = [inward.into(), outward.into(), errors.into()];
    let (control, walls, listener) = tokio::task::spawn_blocking(move || talk(control, &order, streams))
        .await
        .map_err(|_| CageError::Silent)??;
    control.set_nonblocking(true)?;
    if let Some(listener) = &listener {
        listener.set_nonblocking(true)?;
    }
    Ok(Caged {
        stdin: Some(Sender::from_owned_fd(stdin.into())?),
        stdout: Some(Receiver::from_owned_fd(stdout.into())?),
        stderr: Some(Lines::new(Receiver::from_owned_fd(stderr.into())?, ERROR_LINE)),
        listener,
        walls,
        control: tokio::net::UnixStream::from_std(control)?,
        supervisor,
        word: Vec::new(),
    })
}

/// Builds the walls on this machine, as this user, around nothing, and tells which hold.
///
/// # Errors
/// [`CageError::Silent`] and [`CageError::Io`] if not even that could be tried.
pub async fn check(stage: Option<PathBuf>) -> Result<Vec<Wall>, CageError> {
    let plan = Plan { weak: true, stage, ..Plan::new("/bin/sh") };
    let order = order(&plan, true)?;
    let null = || -> io::Result<OwnedFd> {
        Ok(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?.into())
    };
    let streams = [null()?, null()?, null()?];
    let (control, mut supervisor) = spawn(&plan, null()?)?;
    let (_control, walls, _) = tokio::task::spawn_blocking(move || talk(control, &order, streams))
        .await
        .map_err(|_| CageError::Silent)??;
    let _ = supervisor.wait().await;
    Ok(walls)
}

fn spawn(plan: &Plan, stderr: OwnedFd) -> Result<(UnixStream, Child), CageError> {
    let (control, theirs) = UnixStream::pair()?;
    control.set_read_timeout(Some(PATIENCE))?;
    control.set_write_timeout(Some(PATIENCE))?;
    let stage = plan.stage.as_deref().unwrap_or(Path::new(stage::MYSELF));
    let supervisor = Command::new(stage)
        .arg(stage::WORD)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::from(stderr))
        .spawn()?;
    Ok((control, supervisor))
}

type Talked = (UnixStream, Vec<Wall>, Option<TcpListener>);

fn talk(control: UnixStream, order: &Order, streams: [OwnedFd; 3]) -> Result<Talked, CageError> {
    let [stdin, stdout, stderr] = &streams;
    tell(&control, order, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
    // Ours, so that the ends of the pipes are the cage's only.
    drop(streams);
    let mut built = None;
    loop {
        match hear(&control)? {
            Some((Report::Built(walls), fds)) if built.is_none() => {
                let listener = fds.into_iter().next().map(TcpListener::from);
                if order.check {
                    return Ok((control, walls, listener));
                }
                built = Some((walls, listener));
            }
            Some((Report::Refused(walls), _)) => return Err(CageError::Walls(walls)),
            Some((Report::Failed(why), _)) => return Err(CageError::Failed(why)),
            Some((Report::Started, _)) => {
                let (walls, listener) = built.ok_or(CageError::Silent)?;
                return Ok((control, walls, listener));
            }
            _ => return Err(CageError::Silent),
        }
    }
}

/// Root gives the scratch directory to the user that the cage will be; anybody else is that user.
fn hand_over(path: &Path, user: u32) -> io::Result<()> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let directory = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path)?;
    if directory.metadata()?.uid() == user {
        return Ok(());
    }
    fchown(&directory, Some(user), Some(user))
}
