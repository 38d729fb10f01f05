//! What a hostile server reaches for: the network, sockets, files, other processes.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};

use crate::rig::{PYTHON, open, rigs, said};

/// Answers every connection with what it sent.
fn echo<S: Read + Write>(mut stream: S) {
    let mut byte = [0];
    if stream.read_exact(&mut byte).is_ok() {
        let _ = stream.write_all(&byte);
    }
}

#[test]
fn no_network() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    std::thread::spawn(move || tcp.incoming().flatten().for_each(echo));
    std::thread::spawn(move || {
        let mut byte = [0];
        while let Ok((_, from)) = udp.recv_from(&mut byte) {
            let _ = udp.send_to(&byte, from);
        }
    });
    for rig in rigs() {
        rig.only_outside(&["tcp", "127.0.0.1", &tcp_port.to_string()], "ECONNREFUSED");
        rig.only_outside(&["udp", "127.0.0.1", &udp_port.to_string()], "ECONNREFUSED");
        rig.not_inside(&["tcp", "1.1.1.1", "443"], "ENETUNREACH");
        rig.not_inside(&["udp", "1.1.1.1", "53"], "ENETUNREACH");
        rig.not_inside(&["resolve", "example.com"], "");
        // The one way out: there is somebody, who hangs up.
        let way_out = rig.inside(&["tcp", "127.0.0.1", "3128"]);
        assert!(way_out == "GOT b''" || way_out.starts_with("NO ECONNRESET"), "{way_out}");
    }
}

#[test]
fn no_unix_socket_of_the_outside() {
    for rig in rigs() {
        let path = rig.place.path().join("adapter.sock");
        let listener = UnixListener::bind(&path).unwrap();
        open(&path, 0o777);
        let name = format!("claviger-test-{}-{}", std::process::id(), rig.who());
        let hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for listener in [listener, hidden] {
            std::thread::spawn(move || listener.incoming().flatten().for_each(echo));
        }
        let path = path.to_str().unwrap();
        rig.only_outside(&["unix", path], "EPERM");
        rig.only_outside(&["abstract", &name], "EPERM");
        // Not by a name in what is shown either: a read-only mount does not close a socket.
        let shown = rig.inside_with(&["--code", path], &["unix", path]);
        assert!(shown.starts_with("NO EPERM"), "{shown}");
        let datagrams = rig.place.path().join("log.sock");
        let _log = std::os::unix::net::UnixDatagram::bind(&datagrams).unwrap();
        open(&datagrams, 0o777);
        rig.only_outside(&["pair_elsewhere", datagrams.to_str().unwrap()], "EPERM");
    }
}

#[test]
fn no_files_of_others() {
    for rig in rigs() {
        let secret = rig.own_directory("secret");
        let file = secret.join("id_ed25519");
        fs::write(&file, "terces-yrecnac").unwrap();
        open(&file, 0o666);
        let file = file.to_str().unwrap();
        rig.only_outside(&["read", file], "ENOENT");
        rig.only_outside(&["write", file], "ENOENT");
        for path in ["/etc/hostname", "/proc/sys/kernel/hostname", "/sys/kernel/uevent_seqnum"] {
            if rig.outside(&["read", path]).starts_with("GOT") {
                rig.not_inside(&["read", path], "ENOENT");
            }
        }
        for path in ["/etc/shadow", "/root", "/home", "/run", "/var", "/run/claviger", "/sys"] {
            rig.not_inside(&["names", path], "ENOENT");
        }
        let names = rig.inside(&["names", "/"]);
        for odd in ["home", "root", "run", "var", "sys", "old", "new", "empty"] {
            assert!(!names.contains(&format!("'{odd}'")), "{names}");
        }
        for path in
            ["/usr/hostile", "/etc/hostile", "/hostile", "/dev/hostile", "/proc/hostile", "/bin/sh", PYTHON]
        {
            let written = rig.inside(&["write", path]);
            assert!(written.starts_with("NO "), "{path}: {written}");
        }
        for path in ["/scratch/mine", "/tmp/mine", "/dev/shm/mine"] {
            assert_eq!(rig.inside(&["write", path]), "GOT None");
        }
    }
}

/// Everything that can be read is read, and what is a secret outside is not in it.
#[test]
fn no_secret_is_anywhere() {
    for rig in rigs() {
        let mine = rig.own_directory("scratch");
        let other = rig.own_directory("scratch-of-another");
        fs::write(other.join("token"), "CANARY-7f3a").unwrap();
        let found = rig.outside(&["canary", "a3f7-YRANAC", rig.place.path().to_str().unwrap()]);
        assert!(found.starts_with("GOT"), "{found}");
        let mut command = rig.hostile(
            &["--scratch", mine.to_str().unwrap()],
            &[
                "canary",
                "a3f7-YRANAC",
                "/proc",
                "/scratch",
                "/tmp",
                "/etc",
                "/dev/shm",
                rig.place.path().to_str().unwrap(),
            ],
        );
        // Also in the environment of who starts it, who is its parent in spirit.
        let found =
            said(command.env("SECRET", "CANARY-7f3a").env("CLAVIGER_X", "CANARY-7f3a").output().unwrap());
        assert!(found.starts_with("NO ENOENT"), "{found}");
    }
}

#[test]
fn no_process_of_the_outside() {
    for rig in rigs() {
        // One of the same user, so that outside there is nothing between them.
        let mut victim = rig.cage(&[], &["/bin/cat"]).stdin(Stdio::piped()).spawn().unwrap();
        let pid = victim.id().to_string();
        rig.only_outside(&["kill", &pid], "ESRCH");
        rig.only_outside(&["processes"], "ESRCH");
        // Yama or a container may forbid these outside as well.
        rig.not_inside(&["ptrace", &pid], "EPERM");
        rig.not_inside(&["memory", &pid], "EPERM");
        rig.not_inside(&["kill", &std::process::id().to_string()], "ESRCH");
        rig.not_inside(&["read", &format!("/proc/{pid}/environ")], "ENOENT");
        // The first process of its own cage is closed, too: it knew descriptors of the outside.
        rig.not_inside(&["look_at_first"], "EACCES");
        rig.not_inside(&["ptrace", "1"], "EPERM");
        drop(victim.stdin.take());
        victim.wait().unwrap();
    }
}

#[test]
fn no_descriptor_but_three_pipes() {
    for rig in rigs() {
        let secret = rig.place.path().join("open");
        fs::write(&secret, "x").unwrap();
        let secret = secret.to_str().unwrap();
        // A careless parent leaves files open: the shell does here.
        let program = rig.place.path().join("claviger-mcp");
        let inherit = |what: &str| {
            let script = format!("exec 7<{secret} 19<{secret} 200<{secret}; exec \"$@\"");
            let mut shell = Command::new("/bin/bash");
            shell.args(["-c", &script, "bash"]);
            if what == "inside" {
                shell.arg(&program).args(["cage", "--"]);
            }
            said(shell.args([PYTHON, "-c", crate::rig::HOSTILE, "descriptors"]).output().unwrap())
        };
        let outside = inherit("outside");
        assert!(outside.starts_with("GOT") && outside.contains("200"), "{outside}");
        let inside = inherit("inside");
        assert!(inside.starts_with("NO EBADF") && inside.matches("pipe:").count() == 3, "{inside}");
    }
}

#[test]
fn nothing_is_executed_that_was_written() {
    for rig in rigs() {
        let place = rig.own_directory("programs");
        let outside = place.join("x");
        assert!(rig.outside(&["program_from_scratch", outside.to_str().unwrap()]).starts_with("GOT"));
        for path in ["/scratch/x", "/tmp/x", "/dev/shm/x"] {
            rig.not_inside(&["program_from_scratch", path], "EACCES");
        }
        // By way of the loader, which may be executed.
        let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
        let Some(loader) = loader.into_iter().find(|path| fs::exists(path).unwrap_or(false)) else {
            continue;
        };
        let script = format!("cp /bin/true /scratch/t && {loader} /bin/true && exec {loader} /scratch/t");
        let output = rig.cage(&[], &["/bin/sh", "-c", &script]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("/scratch/t"), "{told}");
    }
}

/// A set-user-id program gives nothing. Only root can make one.
#[test]
fn no_rights_by_a_program() {
    for rig in rigs().into_iter().filter(|rig| rig.who() == "a user") {
        let program = rig.place.path().join("id");
        fs::copy("/usr/bin/id", &program).unwrap();
        open(&program, 0o4755);
        let program = program.to_str().unwrap();
        let outside = rig.outside(&["run", program, "-u"]);
        assert!(outside.contains('0') && !outside.contains("54321"), "{outside}");
        let inside = rig.inside_with(&["--code", program], &["run", program, "-u"]);
        assert_eq!(inside, "GOT '1000\\n'");
    }
}

#[test]
fn nobody_it_is_and_nothing_it_can() {
    for rig in rigs() {
        let status = rig.inside(&["user"]);
        for part in [
            "'CapEff:': ['0000000000000000']",
            "'CapBnd:': ['0000000000000000']",
            "'CapAmb:': ['0000000000000000']",
            "'CapPrm:': ['0000000000000000']",
            "'CapInh:': ['0000000000000000']",
            "'NoNewPrivs:': ['1']",
            "'Seccomp:': ['2']",
            "'Uid:': ['1000', '1000', '1000', '1000']",
        ] {
            assert!(status.contains(part), "{part} is missing in {status}");
        }
        let output =
            rig.cage(&[], &["/bin/cat", "/proc/self/uid_map", "/proc/sys/kernel/hostname"]).output().unwrap();
        let map = String::from_utf8(output.stdout).unwrap();
        assert_eq!(map.lines().count(), 1, "{map}");
        let numbers: Vec<_> = map.split_whitespace().collect();
        assert!(
            numbers.first() == Some(&"1000") && numbers.get(1) != Some(&"0") && numbers.get(2) == Some(&"1"),
            "{map}"
        );
    }
}

/// Of the starter's environment nothing comes in, and of the cage's own only what is documented.
#[test]
fn the_environment_is_what_was_given() {
    for rig in rigs() {
        let mut command = rig.cage(&["--env", "GIVEN=yes", "--env", "LANG=C"], &["/usr/bin/env"]);
        let output =
            command.env("LD_PRELOAD", "").env("SECRET", "1").env("NODE_OPTIONS", "").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<_> = text.lines().collect();
        names.sort_unstable();
        let expected = [
            "GIVEN=yes",
            "HOME=/scratch",
            "LANG=C",
            "LOGNAME=cage",
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "TMPDIR=/tmp",
            "USER=cage",
        ];
        assert_eq!(names, expected);
    }
}
