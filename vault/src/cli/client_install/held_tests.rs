#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::symlink;

use super::*;

fn place() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn refused(path: &Path, what_for: For, why: &str) {
    let failure = Held::open(path, what_for).err().unwrap();
    assert!(failure.message.contains(why), "{failure}");
    assert!(!failure.hints.is_empty());
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_mode() {
    let dir = place();
    let file = dir.path().join("f.json");
    std::fs::write(&file, "old").unwrap();
    set_mode(&file, 0o640);
    let held = Held::open(&file, For::Writing).unwrap();
    assert!(held.exists() && held.text() == "old");
    held.write("new").unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(names(dir.path()), ["f.json"], "nothing lies about");

    let missing = dir.path().join("n.json");
    let held = Held::open(&missing, For::Writing).unwrap();
    assert!(!held.exists() && held.text().is_empty());
    held.write("new").unwrap();
    assert_eq!(std::fs::metadata(&missing).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn what_changed_meanwhile_is_left_alone() {
    let dir = place();
    let file = dir.path().join("f.json");
    std::fs::write(&file, "old").unwrap();
    let held = Held::open(&file, For::Writing).unwrap();
    std::fs::write(&file, "theirs").unwrap();
    assert!(held.write("new").unwrap_err().message.contains("has changed"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "theirs");
    // Neither is one that came or went.
    let other = dir.path().join("o.json");
    let held = Held::open(&other, For::Writing).unwrap();
    std::fs::write(&other, "theirs").unwrap();
    assert!(held.write("new").is_err());
    let held = Held::open(&other, For::Writing).unwrap();
    std::fs::remove_file(&other).unwrap();
    assert!(held.write("new").is_err());
    assert_eq!(names(dir.path()), ["f.json"]);
}

#[test]
fn links_are_followed_and_stay_links() {
    let dir = place();
    let (kept, seen) = (dir.path().join("kept"), dir.path().join("seen"));
    std::fs::create_dir(&kept).unwrap();
    std::fs::create_dir(&seen).unwrap();
    std::fs::write(kept.join("f.json"), "old").unwrap();
    symlink("../kept/f.json", seen.join("f.json")).unwrap();
    let held = Held::open(&seen.join("f.json"), For::Writing).unwrap();
    held.write("new").unwrap();
    assert!(std::fs::symlink_metadata(seen.join("f.json")).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(kept.join("f.json")).unwrap(), "new");

    symlink("loop", seen.join("loop")).unwrap();
    refused(&seen.join("loop"), For::Reading, "a link to a link");
    // A link into a place where others can put something.
    set_mode(&kept, 0o777);
    refused(&seen.join("f.json"), For::Writing, "others can write");
    set_mode(&kept, 0o1777);
    refused(&seen.join("f.json"), For::Reading, "others can write");
}

#[test]
fn places_and_files_that_are_not_believed() {
    let dir = place();
    let file = dir.path().join("f.json");
    std::fs::write(&file, "x").unwrap();
    for mode in [0o777, 0o770, 0o1777, 0o702] {
        set_mode(dir.path(), mode);
        refused(&file, For::Reading, "others can write");
        refused(&file, For::Writing, "others can write");
    }
    set_mode(dir.path(), 0o700);
    let inner = dir.path().join("open/inner");
    std::fs::create_dir_all(&inner).unwrap();
    set_mode(&dir.path().join("open"), 0o777);
    refused(&inner.join("f.json"), For::Writing, "others can write");
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    refused(&dir.path().join("sub"), For::Writing, "no regular file");
    refused(&dir.path().join("none/f.json"), For::Writing, "No such file");
    std::fs::write(&file, b"\xff").unwrap();
    refused(&file, For::Reading, "not UTF-8");
    File::create(&file).unwrap().set_len(MAX + 1).unwrap();
    refused(&file, For::Reading, "longer than 4 MiB");
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    refused(&pipe, For::Reading, "no regular file");
}

#[test]
fn files_of_others_are_refused() {
    // Only root can make a file that belongs to somebody else.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = place();
    let file = dir.path().join("f.json");
    std::fs::write(&file, "x").unwrap();
    std::os::unix::fs::chown(&file, Some(4321), None).unwrap();
    refused(&file, For::Reading, "another user");
    refused(&file, For::Writing, "another user");
    std::os::unix::fs::chown(dir.path(), Some(4321), None).unwrap();
    refused(&dir.path().join("n.json"), For::Writing, "belongs to another user");
}

#[test]
fn a_new_file_is_never_written_over_another() {
    let dir = place();
    let file = dir.path().join("b.age");
    write_new(&file, b"1").unwrap();
    assert!(write_new(&file, b"2").is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"1");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
}
