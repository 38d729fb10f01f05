//! Directories that somebody else has closed to the adapter's user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use super::super::change::{self, WriteMode};
use super::super::look;
use super::super::open::Fault;
use super::{Disk, at};

/// Any user but root.
const NOBODY: u32 = 65534;
/// Modes under which a directory cannot be listed, or nothing in it can be looked at.
const CLOSED: [u32; 4] = [0o000, 0o333, 0o444, 0o666];

fn close(disk: &Disk, path: &str, mode: u32) {
    fs::set_permissions(disk.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

/// A disk whose writable folder holds `sub/inner/old` (90 bytes) and `open/old` (90 bytes), all of one user's.
fn disk() -> Disk {
    let disk = Disk::new();
    for dir in ["drop/sub/inner", "drop/open"] {
        fs::create_dir_all(disk.path(dir)).unwrap();
    }
    for file in ["drop/sub/inner/old", "drop/open/old"] {
        fs::write(disk.path(file), "x".repeat(90)).unwrap();
    }
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(disk.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for path in ["drop", "drop/sub", "drop/sub/inner", "drop/sub/inner/old", "drop/open", "drop/open/old"]
        {
            chown(disk.path(path), Some(NOBODY), None).unwrap();
        }
    }
    disk
}

/// Does it as a user whom permissions bind: root's own thread takes another user's rights on files, and gives them up by
/// ending.
fn as_bound_user(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let bound = scope.spawn(|| {
            if nix::unistd::geteuid().is_root() {
                nix::unistd::setfsuid(nix::unistd::Uid::from_raw(NOBODY));
            }
            work();
        });
        bound.join().unwrap();
    });
}

#[test]
fn what_somebody_closed_stops_no_write_elsewhere() {
    for mode in CLOSED {
        let disk = disk();
        close(&disk, "drop/sub", mode);
        as_bound_user(|| {
            assert!(fs::metadata(disk.path("drop/sub/inner")).is_err() || mode == 0o333, "{mode:o}");
            disk.write("drop/new", "x", WriteMode::Create).unwrap();
            disk.write("drop/open/old", "x", WriteMode::Overwrite).unwrap();
            change::make_directory(&disk.area, &at("drop/made")).unwrap();
            change::move_file(&disk.area, &at("drop/new"), &at("drop/open/new")).unwrap();
            change::delete_file(&disk.area, &at("drop/open/new")).unwrap();
            assert_eq!(disk.list("drop"), ["made", "open", "sub"]);
            let found = look::search(&disk.area, &at("drop"), "old", 10).unwrap();
            let found: Vec<_> = found.nodes.iter().map(|node| node.path.as_str()).collect();
            assert_eq!(found, ["drop/open/old"], "{mode:o}");
        });
        close(&disk, "drop/sub", 0o755);
    }
}

/// The quota's other half: where nothing is counted, nothing is written, so an agent gains no room by what is closed.
#[test]
fn nothing_is_written_into_what_is_not_counted() {
    for mode in CLOSED {
        let disk = disk();
        close(&disk, "drop/sub", mode);
        as_bound_user(|| {
            disk.write("drop/mine", "x", WriteMode::Create).unwrap();
            for path in ["drop/sub/new", "drop/sub/inner/new", "drop/sub/inner/old"] {
                for how in [WriteMode::Create, WriteMode::Overwrite, WriteMode::Append] {
                    assert_eq!(disk.write(path, "x", how), Err(Fault::Absent), "{path} {mode:o}");
                }
                let made = change::make_directory(&disk.area, &at(path));
                assert_eq!(made, Err(Fault::Absent), "{path} {mode:o}");
                let moved = change::move_file(&disk.area, &at("drop/mine"), &at(path));
                assert_eq!(moved, Err(Fault::Absent), "{path} {mode:o}");
                let gone = change::delete_file(&disk.area, &at(path));
                assert_eq!(gone, Err(Fault::Absent), "{path} {mode:o}");
            }
        });
        close(&disk, "drop/sub", 0o755);
        assert_eq!(fs::read_dir(disk.path("drop/sub/inner")).unwrap().count(), 1);
    }
}

#[test]
fn what_can_be_seen_beside_it_counts_and_so_does_the_directory_itself() {
    let disk = disk();
    // 180 of 250 bytes while both are open.
    as_bound_user(|| assert!(disk.write("drop/a", &"x".repeat(80), WriteMode::Create).is_err()));
    close(&disk, "drop/sub", 0o000);
    as_bound_user(|| {
        disk.write("drop/a", &"x".repeat(80), WriteMode::Create).unwrap();
        assert!(matches!(disk.write("drop/b", &"x".repeat(81), WriteMode::Create), Err(Fault::Unfit(_))));
        // sub, open, open/old and a are four of six.
        disk.write("drop/b", "", WriteMode::Create).unwrap();
        disk.write("drop/c", "", WriteMode::Create).unwrap();
        assert!(matches!(disk.write("drop/d", "", WriteMode::Create), Err(Fault::Unfit(_))));
    });
    // Open again, all of it counts again.
    close(&disk, "drop/sub", 0o755);
    as_bound_user(|| assert!(disk.write("drop/a", "", WriteMode::Append).is_err()));
}

#[test]
fn a_closed_top_is_an_error() {
    let disk = disk();
    for mode in CLOSED {
        close(&disk, "drop", mode);
        as_bound_user(|| {
            assert_eq!(disk.write("drop/a", "x", WriteMode::Create), Err(Fault::Absent), "{mode:o}");
            assert_eq!(change::make_directory(&disk.area, &at("drop/a")), Err(Fault::Absent), "{mode:o}");
        });
    }
    close(&disk, "drop", 0o755);
    assert_eq!(fs::read_dir(disk.path("drop")).unwrap().count(), 2);
}
