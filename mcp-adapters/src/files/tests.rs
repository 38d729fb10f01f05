//! The directories of a machine, attacked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

mod closed;
mod links;
mod writing;

use super::area::{Area, AreaError};
use super::change::{self, WriteMode};
use super::look::{self, Facts, Node};
use super::open::Fault;
use super::path::FilePath;
use super::settings::{FilesSettings, Quota, RootSettings};

struct Disk {
    dir: tempfile::TempDir,
    area: Area,
}

fn settings(dir: &Path) -> FilesSettings {
    let root = |name: &str, writable| RootSettings { name: name.into(), path: dir.join(name), writable };
    FilesSettings {
        roots: vec![root("nas", false), root("drop", true)],
        deny: vec!["nas/tax/**".into()],
        quota: Quota { file_bytes: 100, total_bytes: 250, files: 6 },
    }
}

impl Disk {
    fn new() -> Self {
        // No part of its path may look like a secret.
        let dir = tempfile::Builder::new().prefix("disk").tempdir_in("/tmp").unwrap();
        for inner in ["nas/docs", "nas/tax", "nas/.ssh", "drop", "outside"] {
            fs::create_dir_all(dir.path().join(inner)).unwrap();
        }
        for (name, text) in [
            ("nas/docs/plan.txt", "the plan"),
            ("nas/tax/2026.txt", "CANARY"),
            ("nas/.ssh/id_rsa", "CANARY"),
            ("nas/docs/CREDENTIALS.txt", "CANARY"),
            ("outside/secret.txt", "CANARY"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let area = Area::new(&settings(dir.path())).unwrap();
        Self { dir, area }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Fault> {
        look::read(&self.area, &at(path), 0, 1000).map(|part| part.bytes)
    }

    fn write(&self, path: &str, content: &str, mode: WriteMode) -> Result<Node, Fault> {
        change::write(&self.area, &at(path), content.as_bytes(), mode)
    }

    fn list(&self, path: &str) -> Vec<String> {
        let found = look::list(&self.area, &at(path), None, 1000).unwrap();
        assert!(!found.cut);
        found.nodes.into_iter().map(|node| node.name).collect()
    }
}

fn at(path: &str) -> FilePath {
    FilePath::parse(path).unwrap()
}

/// All that can be done to a path, each with what it gave.
fn everything(area: &Area, path: &str) -> Vec<Result<(), Fault>> {
    let path = at(path);
    vec![
        look::info(area, &path).map(drop),
        look::read(area, &path, 0, 10).map(drop),
        look::list(area, &path, None, 10).map(drop),
        look::search(area, &path, "a", 10).map(drop),
    ]
}

#[test]
fn what_is_there_is_read() {
    let disk = Disk::new();
    assert_eq!(disk.read("nas/docs/plan.txt").unwrap(), b"the plan");
    let part = look::read(&disk.area, &at("nas/docs/plan.txt"), 4, 2).unwrap();
    assert_eq!(part.bytes, b"pl");
    assert_eq!(look::read(&disk.area, &at("nas/docs/plan.txt"), u64::MAX, 5).unwrap().bytes, b"");
    assert_eq!(disk.list("nas"), ["docs"]);
    assert_eq!(disk.list("nas/docs"), ["plan.txt"]);
    let node = look::info(&disk.area, &at("nas/docs/plan.txt")).unwrap();
    assert!(matches!(node.file, Some(Facts { size: 8, .. })));
    assert_eq!(look::info(&disk.area, &at("nas/docs")).unwrap().file, None);
    let found = look::search(&disk.area, &at("nas"), "PLAN txt", 10).unwrap();
    assert_eq!(found.nodes.iter().map(|node| node.path.as_str()).collect::<Vec<_>>(), ["nas/docs/plan.txt"]);
    assert!(look::search(&disk.area, &at("nas"), "rsa", 10).unwrap().nodes.is_empty());
}

#[test]
fn denied_is_absent_in_every_spelling() {
    let disk = Disk::new();
    let absent = everything(&disk.area, "nas/nothing");
    assert!(absent.iter().all(|result| *result == Err(Fault::Absent)));
    for path in [
        "nas/.ssh",
        "nas/.ssh/id_rsa",
        "nas/.ssh/nothing",
        "nas/.SSH/id_rsa",
        "nas/.ssh./id_rsa",
        "nas/.ssh /id_rsa",
        "nas/.\u{ff53}sh/id_rsa",
        "nas/.s\u{301}sh/id_rsa",
        "nas/tax",
        "nas/TAX/2026.txt",
        "nas/tax/nothing",
        "nas/docs/CREDENTIALS.txt",
        "nas/docs/credentials.txt",
        "nowhere/x",
        "NAS/docs/plan.txt",
    ] {
        assert_eq!(everything(&disk.area, path), absent, "{path}");
    }
}

/// With and without what is hidden, all that can be asked gives the same.
#[test]
fn hidden_files_change_nothing_that_can_be_seen() {
    let (full, bare) = (Disk::new(), Disk::new());
    for name in ["nas/.ssh", "nas/tax"] {
        fs::remove_dir_all(bare.path(name)).unwrap();
    }
    fs::remove_file(bare.path("nas/docs/CREDENTIALS.txt")).unwrap();
    symlink("/etc/passwd", full.path("nas/docs/link")).unwrap();
    fs::write(full.path("drop/big.key"), "x".repeat(10_000)).unwrap();
    (0..20).for_each(|n| fs::write(full.path(&format!("drop/.env{n}")), "x").unwrap());
    let long_ago = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    for disk in [&full, &bare] {
        fs::File::options()
            .write(true)
            .open(disk.path("nas/docs/plan.txt"))
            .unwrap()
            .set_times(long_ago)
            .unwrap();
    }
    for path in [
        "nas",
        "nas/docs",
        "nas/docs/plan.txt",
        "nas/docs/link",
        "nas/tax",
        "nas/.ssh/id_rsa",
        "drop",
        "drop/big.key",
    ] {
        let path = at(path);
        assert_eq!(look::info(&full.area, &path), look::info(&bare.area, &path), "{path:?}");
        assert_eq!(look::read(&full.area, &path, 0, 99), look::read(&bare.area, &path, 0, 99), "{path:?}");
        for most in [1, 2, 100] {
            let list = |disk: &Disk| look::list(&disk.area, &path, None, most);
            assert_eq!(list(&full), list(&bare), "{path:?}");
            let search = |disk: &Disk| look::search(&disk.area, &path, "a", most);
            assert_eq!(search(&full), search(&bare), "{path:?}");
        }
        // Neither the quota nor what stands in the way tells of it.
        let told = |result: Result<Node, Fault>| result.map(|node| (node.path, node.name));
        assert_eq!(
            told(change::delete_file(&full.area, &path)),
            told(change::delete_file(&bare.area, &path)),
            "{path:?}"
        );
    }
    for (name, size) in
        [("drop/a", 90), ("drop/b", 90), ("drop/c", 90), ("drop/big.key", 1), ("drop/.env3", 1)]
    {
        let write =
            |disk: &Disk| disk.write(name, &"x".repeat(size), WriteMode::Create).map(|node| node.path);
        assert_eq!(write(&full), write(&bare), "{name}");
    }
}

/// A thread's directory in `/proc` opens by its number, but is not listed: as a short name on a FAT disk.
#[test]
fn what_opens_by_another_name_than_the_listed_one_is_not_there() {
    std::thread::spawn(|| {
        let task = fs::read_link("/proc/thread-self").unwrap();
        let thread = task.file_name().unwrap().to_str().unwrap().to_owned();
        assert_ne!(thread, std::process::id().to_string());
        assert!(Path::new("/proc").join(&thread).join("status").exists());
        let root = RootSettings { name: "proc".into(), path: "/proc".into(), writable: false };
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let area = Area::new(&FilesSettings { roots: vec![root], ..settings(dir.path()) }).unwrap();
        let process = format!("proc/{}/status", std::process::id());
        assert!(look::info(&area, &at(&process)).is_ok());
        for alias in [format!("proc/{thread}"), format!("proc/{thread}/status")] {
            for result in everything(&area, &alias) {
                assert_eq!(result, Err(Fault::Absent), "{alias}");
            }
        }
    })
    .join()
    .unwrap();
}

#[test]
fn one_root_in_another_is_denied_under_both_names() {
    let disk = Disk::new();
    let mut settings = settings(disk.dir.path());
    settings.roots.push(RootSettings { name: "docs".into(), path: disk.path("nas/docs"), writable: false });
    fs::create_dir(disk.path("nas/docs/private")).unwrap();
    fs::create_dir(disk.path("nas/docs/closed")).unwrap();
    settings.deny = vec!["nas/docs/private/**".into(), "docs/closed/**".into()];
    let area = Area::new(&settings).unwrap();
    for path in [
        "nas/docs/private",
        "docs/private",
        "nas/docs/closed",
        "docs/closed",
        "nas/DOCS/closed",
        "docs/PRIVATE",
    ] {
        for result in everything(&area, path) {
            assert_eq!(result, Err(Fault::Absent), "{path}");
        }
    }
    assert!(look::info(&area, &at("docs/plan.txt")).is_ok());
    assert!(look::info(&area, &at("nas/docs/plan.txt")).is_ok());
}

#[test]
fn a_root_that_is_not_there_or_denied_is_not_served() {
    let disk = Disk::new();
    let with = |path: &str| {
        let mut settings = settings(disk.dir.path());
        settings.roots = vec![RootSettings { name: "r".into(), path: disk.path(path), writable: false }];
        Area::new(&settings).map(drop)
    };
    assert!(matches!(with("nas/.ssh"), Err(AreaError::Denied { .. })));
    symlink(".ssh", disk.path("nas/plain")).unwrap();
    assert!(matches!(with("nas/plain"), Err(AreaError::Denied { .. })));
    assert!(matches!(with("nas/nothing"), Err(AreaError::Root { .. })));
    assert!(matches!(with("nas/docs/plan.txt"), Err(AreaError::Root { .. })));
    assert!(with("nas/docs").is_ok());
}

#[test]
fn a_disk_that_went_away_is_absent() {
    let disk = Disk::new();
    fs::rename(disk.path("nas"), disk.path("gone")).unwrap();
    assert_eq!(disk.read("nas/docs/plan.txt"), Err(Fault::Absent));
    fs::rename(disk.path("gone"), disk.path("nas")).unwrap();
    assert!(disk.read("nas/docs/plan.txt").is_ok());
}

#[test]
fn parts_of_a_text_end_with_whole_characters() {
    for (bytes, offset, size, expected, left) in [
        (&b"ab\xc3"[..], 0, 4, Some("ab"), 2),
        (b"ab\xc3", 0, 3, None, 3),
        (b"a\xffb", 0, 9, None, 3),
        (b"\xef\xbb\xbfhi", 0, 5, Some("hi"), 5),
        (b"a\0b", 0, 3, None, 3),
        (b"", 0, 0, Some(""), 0),
    ] {
        let mut bytes = bytes.to_vec();
        let text = super::cut_to_text(&mut bytes, offset, size);
        assert_eq!((text.as_deref(), bytes.len()), (expected, left), "{bytes:?}");
    }
}
