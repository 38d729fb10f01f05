//! The cage ends with everything in it: when it is told to, when its command ends, and when anybody above it is killed.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{Rig, rigs};

/// A cage in which a daemon beats in `/scratch/heart`, away from its parent, session and group.
fn beating(rig: &Rig, name: &str) -> (Child, std::path::PathBuf) {
    let scratch = rig.own_directory(name);
    let mut command = rig.hostile(&["--scratch", scratch.to_str().unwrap()], &["survive", "/scratch/heart"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut word = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"daemon");
    (child, scratch.join("heart"))
}

#[allow(clippy::disallowed_methods, reason = "that something does not happen gives no event to wait for")]
fn beats(heart: &Path) -> bool {
    let before = fs::metadata(heart).unwrap().len();
    std::thread::sleep(Duration::from_millis(300));
    fs::metadata(heart).unwrap().len() > before
}

#[allow(
    clippy::disallowed_methods,
    reason = "the end of a process that is not ours gives no event to wait for"
)]
fn stops(heart: &Path) {
    let begin = Instant::now();
    while beats(heart) {
        assert!(begin.elapsed() < Duration::from_secs(10), "a daemon survived its cage");
    }
}

fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
    }
    found
}

#[test]
fn nothing_survives() {
    for rig in rigs() {
        // Its command ends: standard input closes.
        let (mut child, heart) = beating(&rig, "by-itself");
        assert!(beats(&heart), "it has to survive its parent as long as the cage lives");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert!(!beats(&heart), "what the command left is gone when its end is told");
        // Told to end.
        let (mut child, heart) = beating(&rig, "told");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(!beats(&heart));
        // The starter is killed.
        let (mut child, heart) = beating(&rig, "starter");
        child.kill().unwrap();
        child.wait().unwrap();
        stops(&heart);
        // The supervisor is killed.
        let (mut child, heart) = beating(&rig, "supervisor");
        for supervisor in children(child.id()) {
            kill(Pid::from_raw(supervisor.cast_signed()), Signal::SIGKILL).unwrap();
        }
        stops(&heart);
        assert_eq!(child.wait().unwrap().code(), Some(125));
        // The first process is killed.
        let (mut child, heart) = beating(&rig, "first");
        for supervisor in children(child.id()) {
            for first in children(supervisor) {
                kill(Pid::from_raw(first.cast_signed()), Signal::SIGKILL).unwrap();
            }
        }
        stops(&heart);
        assert_eq!(child.wait().unwrap().code(), Some(125));
    }
}

/// The heartbeat does go on outside: the probe itself is one that survives.
#[test]
fn outside_it_would_survive() {
    let rig = Rig::new(None);
    let heart = rig.place.path().join("heart");
    let pid = rig.place.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}; while :; do echo x >> {1}; sleep 0.05; done' & sleep 1",
        pid.display(),
        heart.display()
    );
    assert!(std::process::Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
    let alive = beats(&heart);
    let pid: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert!(alive);
}

#[test]
fn the_commands_end_is_told() {
    for rig in rigs() {
        for (script, code) in
            [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 -1; exit 1", 1)]
        {
            let output = rig.cage(&[], &["/bin/sh", "-c", script]).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{script}");
        }
        // The first process does not take signals of the cage.
        let output = rig
            .cage(&[], &["/bin/sh", "-c", "kill -9 1; kill -STOP 1; kill -TERM 1; echo on"])
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"on\n");
        let missing = rig.cage(&[], &["no-such-program"]).output().unwrap();
        assert_eq!(missing.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&missing.stderr).contains("no program no-such-program"));
        // A script whose interpreter is not shown says so.
        let script = rig.place.path().join("script");
        fs::write(&script, format!("#!{}/python\n", rig.place.path().display())).unwrap();
        crate::rig::open(&script, 0o755);
        let refused = rig.cage(&[], &[script.to_str().unwrap()]).output().unwrap();
        assert_eq!(refused.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("is its interpreter"), "{refused:?}");
    }
}
