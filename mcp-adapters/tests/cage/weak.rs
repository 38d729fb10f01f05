//! Where walls are missing: it is told, nothing is started, and a weak cage still does what it can.

use std::process::{Command, Output};

use crate::rig::{HOSTILE, PYTHON, Rig, rigs, said};

#[test]
fn every_wall_holds_here() {
    for rig in rigs() {
        let output = rig.program().args(["cage", "--check"]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{told}");
        assert_eq!(told.lines().filter(|line| line.contains(" holds ")).count(), 16, "{told}");
    }
}

/// A machine without user namespaces, for whoever has no rights: a user namespace in which there may be no other.
fn without_namespaces(rig: &Rig, arguments: &[&str]) -> Output {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"";
    let program = rig.place.path().join("claviger-mcp");
    Command::new("unshare")
        .args(["-Ur", "/bin/sh", "-c", script, "sh"])
        .arg(program)
        .args(arguments)
        .current_dir("/")
        .output()
        .unwrap()
}

#[test]
fn without_user_namespaces_nothing_is_started() {
    let rig = Rig::new(None);
    let output = without_namespaces(&rig, &["cage", "--", "/bin/echo", "started"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(125), &b""[..]), "{told}");
    assert!(told.contains("no user namespace: ENOSPC") && told.contains("--weak"), "{told}");
    let check = without_namespaces(&rig, &["cage", "--check"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8(check.stdout).unwrap().contains("network            MISSING"));
}

#[test]
fn a_weak_cage_does_what_it_can() {
    let rig = Rig::new(None);
    let secret = rig.own_directory("secret").join("file");
    std::fs::write(&secret, "x").unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for (attempt, reason) in [
        (&["read", &secret][..], "EACCES"),
        (&["write", &secret], "EACCES"),
        (&["names", "/root"], "EACCES"),
        (&["names", "/tmp"], "EACCES"),
        (&["names", "/proc"], "EACCES"),
        (&["read", "/proc/1/environ"], "EACCES"),
        (&["tcp", "127.0.0.1", &port], "EACCES"),
        (&["udp", "127.0.0.1", "53"], "EPERM"),
        (&["unix", "/run/x"], "EPERM"),
        (&["abstract", "x"], "EPERM"),
        (&["pair_elsewhere", "/run/x"], "EPERM"),
        (&["kill", &std::process::id().to_string()], "EPERM"),
        (&["mount"], "EPERM"),
        (&["fill", "big", "300"], "EFBIG"),
    ] {
        let arguments = [&["cage", "--weak", "--", PYTHON, "-c", HOSTILE][..], attempt].concat();
        let output = without_namespaces(&rig, &arguments);
        let missing = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = said(output);
        assert!(told.starts_with(&format!("NO {reason}")), "{attempt:?}: {told}\n{missing}");
        assert!(missing.contains("MISSING"), "{missing}");
    }
    // Its scratch directory is its home and goes with it, and so does a daemon, though there is no namespace to end.
    let script = "pwd; echo x > mine && cat mine; (setsid sh -c 'while :; do sleep 1; done' &) ; echo $HOME";
    let output = without_namespaces(&rig, &["cage", "--weak", "--", "/bin/sh", "-c", script]);
    let told = String::from_utf8(output.stdout).unwrap();
    let home = told.lines().next().unwrap_or_default();
    assert!(home.starts_with("/tmp/claviger-cage-") && told == format!("{home}\nx\n{home}\n"), "{told}");
    assert!(!std::path::Path::new(home).exists());
}
