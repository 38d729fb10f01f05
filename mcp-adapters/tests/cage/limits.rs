//! What takes the machine away: processes, memory, files, output.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::rig::{rigs, said};

#[test]
fn a_fork_bomb_is_a_small_one() {
    for rig in rigs() {
        assert_eq!(rig.outside(&["forkbomb", "0"]), "GOT 0");
        let output = rig.hostile(&["--processes", "40"], &["forkbomb", "1000"]).output().unwrap();
        let made = String::from_utf8_lossy(&output.stdout).into_owned();
        // The first process, the server and the rest; without root, the supervisor is of that user, too.
        assert!(made.contains("made 38") || made.contains("made 37"), "{made}");
        assert!(said(output).starts_with("NO EAGAIN"));
        // What bombs in one cage leaves room in another, of the same user.
        let mut bomb = rig.hostile(&["--processes", "40"], &["forkbomb", "30"]).spawn().unwrap();
        assert_eq!(rig.inside_with(&["--processes", "40"], &["forkbomb", "30"]), "GOT 30");
        bomb.kill().unwrap();
        bomb.wait().unwrap();
    }
}

#[test]
fn a_memory_bomb_hits_itself() {
    for rig in rigs() {
        assert_eq!(rig.outside(&["eat", "300"]), "GOT 300");
        // One process by its own limit.
        assert_eq!(rig.inside_with(&["--memory", "200"], &["eat", "300"]), "NO MemoryError");
        // Several, each within it, by the sum.
        let output = rig.hostile(&["--memory", "200"], &["eat_apart", "120", "3"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{told}");
        assert!(told.contains("too much memory"), "{told}");
    }
}

#[test]
fn files_are_bounded() {
    for rig in rigs() {
        assert!(rig.inside(&["fill", "/scratch/big", "300"]).starts_with("NO EFBIG"));
        assert!(rig.inside(&["many_files", "/scratch", "100000"]).starts_with("NO ENOSPC"));
        assert!(rig.inside(&["fill", "/dev/shm/big", "20"]).starts_with("NO ENOSPC"));
        let script = "for n in 1 2; do head -c 200M /dev/zero > $n || exit 3; done";
        let output = rig.cage(&[], &["/bin/sh", "-c", script]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "two files are more than the scratch directory");
    }
}

/// Nobody reads, so the writer waits: the program that holds the pipes does not grow.
#[test]
#[allow(clippy::disallowed_methods, reason = "a process that waits gives no event to wait for")]
fn endless_output_waits() {
    for rig in rigs() {
        for number in ["1", "2"] {
            let mut child = rig.hostile(&[], &["endless", number]).stderr(Stdio::piped()).spawn().unwrap();
            let mut some = [0; 4096];
            if number == "1" {
                child.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
            }
            let begin = Instant::now();
            let mut most = 0;
            while begin.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(50));
                let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
                let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
                most = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
            }
            assert!(most < 64 << 10, "{most} KiB");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
