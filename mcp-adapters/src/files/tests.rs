//! The directories of a machine, attacked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
