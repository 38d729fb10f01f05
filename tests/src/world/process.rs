//! Programs that run beside the test.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::PATIENCE;

/// A program that runs until it is told to end, or dropped.
pub(super) struct Program {
    child: Child,
    pid: u32,
    log: std::path::PathBuf,
}

impl Program {
    /// Starts it, with what it says going to `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap();
        let pid = child.id().expect("it was just started");
        Self { child, pid, log: log.to_owned() }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, and waits.
    pub(super) async fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_raw(self.pid.cast_signed()).unwrap(), Signal::TERM).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.said())).unwrap()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

/// Waits until somebody serves that socket.
#[allow(clippy::disallowed_methods, reason = "another process that starts gives no event to wait for")]
pub(super) async fn wait_for_socket(path: &Path, program: &mut Program) {
    let started = tokio::time::Instant::now();
    while UnixStream::connect(path).is_err() {
        if let Some(status) = program.ended() {
            panic!("it ended ({status}) before {} was served:\n{}", path.display(), program.said());
        }
        assert!(
            started.elapsed() < PATIENCE,
            "nobody serves {} in time:\n{}",
            path.display(),
            program.said()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The processes that a process has started and that still run.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    for task in tasks.flatten() {
        let listed = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(listed.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    all
}

/// Kills a process that this world started; one that has ended is left alone.
pub(super) fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
}
