//! The supervisor of a cage, and what both stages share.
//!
//! One thread, started by the outside with a socket as its standard input. It makes the user and pid namespaces, starts the
//! first process in them, and then waits for whichever comes first: the end of the first process, the end of the outside,
//! or too much memory. It stays outside of the cage and reads nothing that comes from there.

mod calls;
mod capabilities;
mod files;
mod first;
mod limits;
mod mounts;
mod net;
mod proc;
mod user;
mod watch;

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper, setsid};
use serde::{Deserialize, Serialize};

use super::plan::{Order, Scratch};
use super::wall::Ended;
use super::wire::{Report, hear, tell};

/// The first argument that makes a program of ours a stage.
pub const WORD: &str = "cage-stage";
/// This very program, even if its file was replaced since.
pub(super) const MYSELF: &str = "/proc/self/exe";
/// The second argument of the first process.
const FIRST: &str = "first";
/// How often memory is looked at, in nanoseconds.
const GLANCE: i64 = 200_000_000;

/// From where the walls are built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Footing {
    /// The starter is root and gives that up last.
    Root,
    /// A user namespace of its own.
    Own,
    /// Neither, and why: most walls cannot be built.
    Missing(String),
}

/// What went wrong, where. Paths of the machine are named, contents never.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

trait During<T> {
    fn during(self, what: impl Display) -> Result<T, Fault>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, what: impl Display) -> Result<T, Fault> {
        self.map_err(|fault| Fault(format!("{what}: {fault}")))
    }
}

/// The stages: what `main` calls on [`WORD`], before it starts a thread or opens anything. `rest` is what follows the word.
///
/// # Returns
/// The exit code, when all is over.
pub fn run(rest: &[String]) -> ExitCode {
    if let Err(fault) = close_inherited() {
        return failed(&fault);
    }
    let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let done =
        if rest.first().is_some_and(|word| word == FIRST) { first::run(stdin) } else { supervise(stdin) };
    done.unwrap_or_else(|fault| failed(&fault))
}

fn failed(fault: &Fault) -> ExitCode {
    use std::io::Write;
    // To the one pipe that is read. If nobody reads it, the exit code has to do.
    let _ = writeln!(io::stderr(), "claviger-mcp: cage: {fault}");
    ExitCode::FAILURE
}

/// Descriptors that were open in whoever started this, and not marked to be closed, end here: nothing of ours is open yet.
fn close_inherited() -> Result<(), Fault> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .during("cannot see the open descriptors")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // The directory that was just read is among them, and closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn supervise(control: OwnedFd) -> Result<ExitCode, Fault> {
    let heard = hear::<Order>(&control).during("no order")?;
    let Some((mut order, streams)) = heard else { return Ok(ExitCode::FAILURE) };
    let made = match begin(&control, &mut order, streams) {
        Ok(made) => made,
        Err(fault) => {
            let _ = tell(&control, &Report::Failed(fault.0.clone()), &[]);
            return Err(fault);
        }
    };
    let (mut child, _link) = made;
    let ended = watch(&control, &mut child, order.limits.memory);
    // An end may have come by itself; then these find nobody.
    let _ = child.kill();
    let _ = child.wait();
    watch::sweep();
    if let (Footing::Missing(_), Scratch::Directory(path)) = (&order.footing, &order.scratch)
        && made_here(path)
    {
        let _ = std::fs::remove_dir_all(path);
    }
    let _ = tell(&control, &Report::Ended(ended), &[]);
    Ok(ExitCode::SUCCESS)
}

/// Makes the first process. With it comes the socket between the two, whose end at this side tells it that we live.
fn begin(control: &OwnedFd, order: &mut Order, streams: Vec<OwnedFd>) -> Result<(Child, UnixStream), Fault> {
    let [stdin, stdout, stderr] =
        <[OwnedFd; 3]>::try_from(streams).map_err(|_| Fault("an order without streams".to_owned()))?;
    // No terminal to push characters into, and orphans come to us.
    let _ = setsid();
    set_child_subreaper(Some(getpid())).during("cannot take in orphans")?;
    order.by_root = nix::unistd::Uid::effective().is_root();
    order.footing = user::footing();
    // Whether it worked is seen by the first process, which is the first or is not.
    let _ = unshare(CloneFlags::CLONE_NEWPID);
    if matches!(order.footing, Footing::Missing(_)) && order.scratch == Scratch::Memory {
        order.scratch = Scratch::Directory(make_scratch()?);
    }
    let (ours, theirs) = UnixStream::pair().during("no socket")?;
    let child = Command::new(MYSELF)
        .args([WORD, FIRST])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .during("cannot start the first process")?;
    let told = tell(&ours, order, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), control.as_fd()]);
    told.during("the first process does not listen")?;
    capabilities::keep_to_kill();
    Ok((child, ours))
}

/// Where a weak cage without mounts has its scratch directory: closed to others, and named so that it is known again.
fn make_scratch() -> Result<PathBuf, Fault> {
    let path = PathBuf::from(format!("/tmp/claviger-cage-{}", getpid().as_raw_pid()));
    // Fails if it is there, whoever made it.
    std::fs::DirBuilder::new().mode(0o700).create(&path).during("cannot make a scratch directory in /tmp")?;
    Ok(path)
}

fn made_here(path: &std::path::Path) -> bool {
    path == std::path::Path::new(&format!("/tmp/claviger-cage-{}", getpid().as_raw_pid()))
}

fn watch(control: &OwnedFd, child: &mut Child, memory: u64) -> Ended {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ended::Lost };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ended::Lost };
    let glance = Timespec { tv_sec: 0, tv_nsec: GLANCE };
    loop {
        let mut waits = [
            PollFd::new(&process, PollFlags::IN),
            // The outside sends nothing more: whatever happens here is its end.
            PollFd::new(control, PollFlags::IN | PollFlags::HUP | PollFlags::RDHUP),
        ];
        match poll(&mut waits, Some(&glance)) {
            Err(rustix::io::Errno::INTR) | Ok(0) => {}
            Err(_) => return Ended::Lost,
            Ok(_) => {
                let [process, control] = waits;
                if !process.revents().is_empty() {
                    let code = child.wait().ok().and_then(|status| status.code());
                    // Without a code it was killed, and by none of ours.
                    return code.and_then(|code| u8::try_from(code).ok()).map_or(Ended::Lost, Ended::Code);
                }
                if !control.revents().is_empty() {
                    return Ended::Killed;
                }
            }
        }
        if watch::memory() > memory {
            return Ended::Memory;
        }
    }
}
