//! What leads elsewhere, and what is neither file nor directory: links, pipes, devices, and races with them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::area::Area;
use super::super::change::{self, WriteMode};
use super::super::look;
use super::super::open::Fault;
use super::super::settings::RootSettings;
use super::{Disk, at, everything, settings};

#[test]
fn links_lead_nowhere() {
    let disk = Disk::new();
    symlink(disk.path("outside"), disk.path("nas/out")).unwrap();
    symlink("../outside/secret.txt", disk.path("nas/file")).unwrap();
    symlink("docs/plan.txt", disk.path("nas/inner")).unwrap();
    symlink("nowhere", disk.path("nas/broken")).unwrap();
    symlink(".ssh", disk.path("nas/friendly")).unwrap();
    for path in
        ["nas/out", "nas/out/secret.txt", "nas/file", "nas/inner", "nas/broken", "nas/friendly/id_rsa"]
    {
        for result in everything(&disk.area, path) {
            assert_eq!(result, Err(Fault::Absent), "{path}");
        }
    }
    assert_eq!(disk.list("nas"), ["docs"]);
    // Neither through a link in the writable folder, nor over one.
    symlink(disk.path("outside"), disk.path("drop/out")).unwrap();
    symlink(disk.path("outside/secret.txt"), disk.path("drop/file")).unwrap();
    for mode in [WriteMode::Create, WriteMode::Overwrite, WriteMode::Append] {
        assert_eq!(disk.write("drop/out/new", "x", mode), Err(Fault::Absent));
        assert!(disk.write("drop/file", "x", mode).is_err());
    }
    assert!(change::delete_file(&disk.area, &at("drop/out/secret.txt")).is_err());
    assert!(change::delete_file(&disk.area, &at("drop/file")).is_err());
    assert!(change::make_directory(&disk.area, &at("drop/out/new")).is_err());
    disk.write("drop/mine", "x", WriteMode::Create).unwrap();
    assert!(change::move_file(&disk.area, &at("drop/mine"), &at("drop/out/mine")).is_err());
    assert!(change::move_file(&disk.area, &at("drop/mine"), &at("drop/file")).is_err());
    assert!(change::move_file(&disk.area, &at("drop/file"), &at("drop/mine2")).is_err());
    assert_eq!(fs::read(disk.path("outside/secret.txt")).unwrap(), b"CANARY");
    assert_eq!(fs::read_dir(disk.path("outside")).unwrap().count(), 1);
}

#[test]
fn magic_links_lead_nowhere() {
    let mut settings = settings(Path::new("/"));
    settings.deny.clear();
    let root =
        |name: &str, path: &str| RootSettings { name: name.into(), path: path.into(), writable: false };
    settings.roots = vec![root("own", &format!("/proc/{}", std::process::id()))];
    let area = Area::new(&settings).unwrap();
    for path in ["own/cwd", "own/root", "own/root/etc/passwd", "own/exe", "own/fd/0", "own/task/self"] {
        for result in everything(&area, path) {
            assert!(result.is_err(), "{path}");
        }
    }
    assert!(look::read(&area, &at("own/status"), 0, 10).is_ok());
}

#[test]
fn only_files_and_directories_are_there() {
    let disk = Disk::new();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::unistd::mkfifo(&disk.path("nas/pipe"), mode).unwrap();
    nix::unistd::mkfifo(&disk.path("drop/pipe"), mode).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(disk.path("nas/socket")).unwrap();
    // A pipe without a writer would hold up whoever opens it; here nobody waits.
    for path in ["nas/pipe", "nas/socket", "drop/pipe"] {
        for result in everything(&disk.area, path) {
            assert_eq!(result, Err(Fault::Absent), "{path}");
        }
    }
    assert_eq!(disk.list("nas"), ["docs"]);
    for mode in [WriteMode::Create, WriteMode::Overwrite, WriteMode::Append] {
        assert_eq!(disk.write("drop/pipe", "x", mode), Err(Fault::Absent));
    }
    assert!(change::delete_file(&disk.area, &at("drop/pipe")).is_err());
    let mut devices = settings(disk.dir.path());
    devices.deny.clear();
    devices.roots = vec![RootSettings { name: "dev".into(), path: "/dev".into(), writable: false }];
    let area = Area::new(&devices).unwrap();
    for path in ["dev/null", "dev/zero", "dev/tty", "dev/stdin", "dev/fd/0", "dev/pts/0"] {
        for result in everything(&area, path) {
            assert!(result.is_err(), "{path}");
        }
    }
}

#[test]
fn names_that_cannot_be_asked_for_are_not_told() {
    let disk = Disk::new();
    for name in ["a\nb", "a\u{202e}b", "a\u{200b}b", "a\\b"] {
        fs::write(disk.path("nas/docs").join(name), "x").unwrap();
    }
    use std::os::unix::ffi::OsStrExt;
    fs::write(disk.path("nas/docs").join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
    assert_eq!(disk.list("nas/docs"), ["plan.txt"]);
}

/// A directory becomes a link and a directory again while it is read from and written to.
#[test]
fn a_race_with_links_wins_nothing() {
    let disk = Arc::new(Disk::new());
    fs::create_dir(disk.path("drop/sub")).unwrap();
    fs::write(disk.path("drop/sub/secret.txt"), "mine").unwrap();
    symlink(disk.path("outside"), disk.path("drop/trap")).unwrap();
    // Denied names hide behind a swap of two directories no better.
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (disk, stop) = (Arc::clone(&disk), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let (a, b) = (disk.path("drop/sub"), disk.path("drop/trap"));
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &a,
                    rustix::fs::CWD,
                    &b,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
                swaps += 1;
            }
            swaps
        })
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..3000 {
        match disk.read("drop/sub/secret.txt") {
            Ok(bytes) => {
                assert_eq!(bytes, b"mine");
                read += 1;
            }
            Err(_) => refused += 1,
        }
        if round % 10 == 0 {
            let _ = disk.write("drop/sub/secret.txt", "mine", WriteMode::Overwrite);
            let _ = disk.write("drop/sub/new.txt", "mine", WriteMode::Create);
            let _ = change::delete_file(&disk.area, &at("drop/sub/new.txt"));
            let _ = look::search(&disk.area, &at("drop"), "x", 10).map(|found| {
                assert!(
                    found.nodes.iter().all(|node| node.path != "drop/trap/secret.txt" || node.file.is_some())
                );
            });
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapper.join().unwrap() > 0 && read + refused == 3000);
    assert_eq!(fs::read(disk.path("outside/secret.txt")).unwrap(), b"CANARY");
    assert_eq!(fs::read_dir(disk.path("outside")).unwrap().count(), 1);
}

/// A file becomes a pipe and a file again: nobody hangs.
#[test]
fn a_race_with_a_pipe_holds_nobody_up() {
    let disk = Arc::new(Disk::new());
    fs::write(disk.path("nas/a"), "file").unwrap();
    nix::unistd::mkfifo(&disk.path("nas/b"), nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (disk, stop) = (Arc::clone(&disk), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let (a, b) = (disk.path("nas/a"), disk.path("nas/b"));
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &a,
                    rustix::fs::CWD,
                    &b,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        })
    };
    for _ in 0..3000 {
        if let Ok(bytes) = disk.read("nas/a") {
            assert_eq!(bytes, b"file");
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}
