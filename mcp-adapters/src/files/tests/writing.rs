//! What is written, by how many, and how much.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::super::change::{self, WriteMode};
use super::super::open::Fault;
use super::{Disk, at};

#[test]
fn writing_is_for_the_writable_folder_and_creates_unless_told_otherwise() {
    let disk = Disk::new();
    for path in ["nas/new", "nas/docs/plan.txt", "nas/nowhere/new"] {
        for mode in [WriteMode::Create, WriteMode::Overwrite, WriteMode::Append] {
            assert!(matches!(disk.write(path, "x", mode), Err(Fault::Unfit(_))), "{path}");
        }
        assert!(change::delete_file(&disk.area, &at(path)).is_err());
        assert!(change::make_directory(&disk.area, &at(path)).is_err());
        assert!(change::move_file(&disk.area, &at(path), &at("drop/x")).is_err());
    }
    disk.write("drop/a.txt", "one", WriteMode::Create).unwrap();
    assert!(matches!(disk.write("drop/a.txt", "two", WriteMode::Create), Err(Fault::Unfit(_))));
    assert_eq!(disk.read("drop/a.txt").unwrap(), b"one");
    fs::set_permissions(disk.path("drop/a.txt"), fs::Permissions::from_mode(0o4640)).unwrap();
    disk.write("drop/a.txt", " two", WriteMode::Append).unwrap();
    assert_eq!(disk.read("drop/a.txt").unwrap(), b"one two");
    disk.write("drop/a.txt", "three", WriteMode::Overwrite).unwrap();
    assert_eq!(disk.read("drop/a.txt").unwrap(), b"three");
    assert_eq!(fs::metadata(disk.path("drop/a.txt")).unwrap().permissions().mode() & 0o7777, 0o640);
    disk.write("drop/b.txt", "new", WriteMode::Append).unwrap();
    change::make_directory(&disk.area, &at("drop/sub")).unwrap();
    assert!(change::make_directory(&disk.area, &at("drop/sub")).is_err());
    assert!(disk.write("drop/sub", "x", WriteMode::Overwrite).is_err());
    assert_eq!(
        change::move_file(&disk.area, &at("drop/b.txt"), &at("drop/sub/c")).unwrap().path,
        "drop/sub/c"
    );
    assert!(change::move_file(&disk.area, &at("drop/sub/c"), &at("drop/a.txt")).is_err());
    assert!(change::move_file(&disk.area, &at("drop/sub"), &at("drop/sub2")).is_err());
    for denied in ["drop/.env", "drop/x.pem", "drop/.claviger-x", "drop/.ssh/x"] {
        assert_eq!(disk.write(denied, "x", WriteMode::Create), Err(Fault::Absent));
        assert_eq!(change::make_directory(&disk.area, &at(denied)), Err(Fault::Absent));
        assert_eq!(change::move_file(&disk.area, &at("drop/a.txt"), &at(denied)), Err(Fault::Absent));
    }
    assert!(change::delete_file(&disk.area, &at("drop/sub")).is_err());
    change::delete_file(&disk.area, &at("drop/sub/c")).unwrap();
    assert_eq!(change::delete_file(&disk.area, &at("drop/sub/c")), Err(Fault::Absent));
    assert!(change::make_directory(&disk.area, &at("drop")).is_err());
    assert!(disk.write("drop", "x", WriteMode::Overwrite).is_err());
    assert_eq!(disk.list("drop"), ["a.txt", "sub"]);
    assert_eq!(fs::read_dir(disk.path("drop")).unwrap().count(), 2);
}

#[test]
fn a_file_of_two_names_is_not_written_to() {
    let disk = Disk::new();
    fs::hard_link(disk.path("outside/secret.txt"), disk.path("drop/other")).unwrap();
    for mode in [WriteMode::Create, WriteMode::Overwrite, WriteMode::Append] {
        assert!(matches!(disk.write("drop/other", "x", mode), Err(Fault::Unfit(_))));
    }
    assert_eq!(fs::read(disk.path("outside/secret.txt")).unwrap(), b"CANARY");
}

#[test]
fn quotas_hold() {
    let disk = Disk::new();
    let text = |size: usize| "x".repeat(size);
    assert!(disk.write("drop/a", &text(101), WriteMode::Create).is_err());
    disk.write("drop/a", &text(100), WriteMode::Create).unwrap();
    assert!(disk.write("drop/a", "x", WriteMode::Append).is_err());
    disk.write("drop/b", &text(100), WriteMode::Create).unwrap();
    assert!(disk.write("drop/c", &text(51), WriteMode::Create).is_err());
    disk.write("drop/c", &text(50), WriteMode::Create).unwrap();
    assert!(disk.write("drop/c", "x", WriteMode::Append).is_err());
    // What takes the place of something needs only the difference.
    disk.write("drop/c", &text(49), WriteMode::Overwrite).unwrap();
    disk.write("drop/c", "x", WriteMode::Append).unwrap();
    for name in ["drop/d", "drop/d/e", "drop/d/e/f"] {
        change::make_directory(&disk.area, &at(name)).unwrap();
    }
    assert!(change::make_directory(&disk.area, &at("drop/g")).is_err());
    assert!(disk.write("drop/g", "", WriteMode::Create).is_err());
    assert_eq!(disk.list("drop"), ["a", "b", "c", "d"]);
}

#[test]
fn what_a_killed_writer_left_is_taken_away() {
    let disk = Disk::new();
    let left = disk.path(&format!("drop/.claviger-{}.tmp", "0a".repeat(16)));
    let other = disk.path("drop/.claviger-notes");
    fs::write(&left, "half").unwrap();
    fs::write(&other, "mine").unwrap();
    assert_eq!(disk.list("drop"), Vec::<String>::new());
    disk.write("drop/a", "x", WriteMode::Create).unwrap();
    assert!(!left.exists() && other.exists());
}

#[test]
fn one_of_many_writers_creates() {
    let disk = Arc::new(Disk::new());
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let disk = Arc::clone(&disk);
            std::thread::spawn(move || disk.write("drop/a", &n.to_string(), WriteMode::Create).is_ok())
        })
        .collect();
    let made = writers.into_iter().filter(|_| true).map(|writer| writer.join().unwrap()).filter(|made| *made);
    assert_eq!(made.count(), 1);
}
