#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use ring::digest::{SHA256, digest};

use super::part::{Expected, PartName, Saved, short};
use super::*;

const ASKED: &str = "0123456789abcdef";
const DAY: u64 = 24 * 60 * 60 * 1000;

struct Here {
    dir: tempfile::TempDir,
    folder: Folder,
}

fn here() -> Here {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("folder");
    fs::create_dir(&inside).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(dir.path().join("secret"), "canary").unwrap();
    let folder = Folder::open(&inside).unwrap();
    Here { dir, folder }
}

impl Here {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("folder").join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn part(&self) -> PartName {
        PartName::new(ASKED, b"version 1")
    }

    /// Saves these bytes in two pieces.
    fn save(&self, name: &str, bytes: &[u8]) -> Result<Option<Saved>, FolderError> {
        let mut part = self.folder.part(&self.part(), 0, true)?;
        let (one, two) = bytes.split_at(bytes.len() / 2);
        part.write(one)?;
        part.write(two)?;
        part.finish(bytes.len() as u64, digest(&SHA256, bytes).as_ref(), &Expected::default(), name)
    }
}

fn now_ms() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "files on a disk have the real time")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[test]
fn only_files_below_the_folder_are_read() {
    let here = here();
    fs::create_dir(here.path("sub")).unwrap();
    fs::write(here.path("sub/a.txt"), "hello").unwrap();
    symlink("../secret", here.path("link")).unwrap();
    symlink(here.dir.path(), here.path("out")).unwrap();
    symlink("sub/a.txt", here.path("inner")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, here.path("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    let upload = Upload::open(&here.folder, "sub/a.txt").unwrap();
    assert_eq!(upload.argument()["name"], "a.txt");
    assert_eq!(upload.argument()["size"], 5);
    assert_eq!(upload.argument()["sha256"], hex(digest(&SHA256, b"hello").as_ref()));
    let absolute = here.path("sub/a.txt").to_str().unwrap().to_owned();
    for path in [
        "",
        "/",
        "..",
        "../secret",
        "sub/../../secret",
        "./sub/a.txt",
        "sub//a.txt",
        "sub/",
        "a\0b",
        &absolute,
    ] {
        assert!(matches!(Upload::open(&here.folder, path), Err(FolderError::BadPath)), "{path}");
    }
    for path in ["link", "out/secret", "inner", "nothing", "sub/a.txt/x"] {
        assert!(matches!(Upload::open(&here.folder, path), Err(FolderError::Absent)), "{path}");
    }
    for path in ["sub", "pipe"] {
        assert!(matches!(Upload::open(&here.folder, path), Err(FolderError::NotAFile)), "{path}");
    }
}

#[test]
fn a_folder_that_others_can_write_to_is_none() {
    let here = here();
    let path = here.path("");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Folder::open(&path), Err(FolderError::OpenToAll { mode: 0o777, .. })));
    assert!(matches!(Folder::open(&here.path("nothing")), Err(FolderError::Unusable { .. })));
    assert!(matches!(Folder::open(&here.dir.path().join("secret")), Err(FolderError::Unusable { .. })));
}

/// Gives all pieces from `offset` on.
fn sent(upload: &Upload, offset: u64) -> Result<(Vec<u8>, usize), FolderError> {
    let (mut bytes, mut pieces) = (Vec::new(), 0);
    upload.send(offset, |piece, at| {
        assert_eq!(at, offset + bytes.len() as u64);
        bytes.extend_from_slice(&piece);
        pieces += 1;
        Ok::<(), FolderError>(())
    })?;
    Ok((bytes, pieces))
}

#[test]
fn what_was_measured_is_what_is_sent() {
    let here = here();
    let whole: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(here.path("a"), &whole).unwrap();
    let upload = Upload::open(&here.folder, "a").unwrap();
    for offset in [0, 1, 65_535, 65_536, 65_537, 199_999, 200_000] {
        let (bytes, pieces) = sent(&upload, offset).unwrap();
        assert!(bytes == whole[usize::try_from(offset).unwrap()..], "{offset}");
        assert!(pieces <= 4);
    }
    // What takes its place in the folder is another file.
    fs::rename(here.path("a"), here.path("b")).unwrap();
    fs::write(here.path("a"), "other").unwrap();
    assert!(sent(&upload, 0).unwrap().0 == whole);
    fs::write(here.path("empty"), "").unwrap();
    assert_eq!(sent(&Upload::open(&here.folder, "empty").unwrap(), 0).unwrap(), (Vec::new(), 0));
}

/// Whoever writes into the file while it is sent: its last piece never goes.
#[test]
fn a_file_that_changes_is_not_sent_whole() {
    let here = here();
    let whole = vec![1; 200_000];
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("one byte", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[100] = 2;
            fs::write(path, bytes).unwrap();
        }),
        ("its last byte", |path| {
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() = 2;
            fs::write(path, bytes).unwrap();
        }),
        ("longer", |path| fs::write(path, vec![1; 200_001]).unwrap()),
        ("shorter", |path| fs::write(path, vec![1; 199_999]).unwrap()),
    ];
    for (what, change) in changes {
        fs::write(here.path("a"), &whole).unwrap();
        let upload = Upload::open(&here.folder, "a").unwrap();
        change(&here.path("a"));
        let mut count = 0;
        let ended = upload.send(0, |piece, _| {
            count += piece.len();
            Ok(())
        });
        assert!(matches!(ended, Err(FolderError::Changed)), "{what}");
        assert!(count < whole.len(), "{what}");
    }
}

#[test]
fn what_is_saved_replaces_nothing() {
    let here = here();
    fs::write(here.path("a.pdf"), "precious").unwrap();
    symlink("../secret", here.path("a (2).pdf")).unwrap();
    let saved = here.save("a.pdf", b"new").unwrap().unwrap();
    assert_eq!((saved.name.as_str(), saved.size), ("a (3).pdf", 3));
    assert_eq!(here.save("a.pdf", b"newer").unwrap().unwrap().name, "a (4).pdf");
    assert_eq!(fs::read(here.path("a.pdf")).unwrap(), b"precious");
    assert_eq!(fs::read(here.dir.path().join("secret")).unwrap(), b"canary");
    assert_eq!(fs::read(here.path("a (3).pdf")).unwrap(), b"new");
    assert_eq!(fs::metadata(here.path("a (3).pdf")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(here.names(), ["a (2).pdf", "a (3).pdf", "a (4).pdf", "a.pdf"]);
}

#[test]
fn names_of_strangers_stay_in_the_folder() {
    let here = here();
    for name in ["../../evil", "/etc/evil", ".bashrc", "..", "", "a/b", "\0", "x\u{202e}gpj.exe"] {
        let saved = here.save(name, name.as_bytes()).unwrap().unwrap();
        assert!(here.names().contains(&saved.name), "{name:?}");
        assert!(!saved.name.starts_with('.'), "{name:?}");
    }
    assert_eq!(here.names().len(), 8);
    assert_eq!(fs::read_dir(here.dir.path()).unwrap().count(), 2);
}

#[test]
fn bytes_that_are_not_what_was_told_are_removed() {
    let here = here();
    let sha256 = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
    let (right, wrong) = (hex(&sha256(b"hello")), hex(&sha256(b"other")));
    for (length, came, size, whole) in [
        (4, sha256(b"hello"), None, None),
        (5, sha256(b"other"), None, None),
        (5, Vec::new(), None, None),
        (5, sha256(b"hello"), Some(6), None),
        (5, sha256(b"hello"), None, Some(wrong)),
    ] {
        let mut part = here.folder.part(&here.part(), 0, true).unwrap();
        part.write(b"hello").unwrap();
        let expected = Expected { size, sha256: whole };
        assert_eq!(part.finish(length, &came, &expected, "a").unwrap(), None);
        assert!(here.names().is_empty());
    }
    let mut part = here.folder.part(&here.part(), 0, true).unwrap();
    part.write(b"hello").unwrap();
    let expected = Expected { size: Some(5), sha256: Some(right) };
    assert!(part.finish(5, &sha256(b"hello"), &expected, "a").unwrap().is_some());
}

#[test]
fn a_part_that_was_kept_is_gone_on_with() {
    let here = here();
    let name = here.part();
    let mut part = here.folder.part(&name, 0, true).unwrap();
    part.write(b"hel").unwrap();
    // While somebody writes, nobody else does.
    assert!(matches!(here.folder.part(&name, 3, true), Err(FolderError::Busy)));
    assert!(matches!(here.folder.part(&name, 0, true), Err(FolderError::Busy)));
    drop(part);
    assert_eq!(here.folder.kept(ASKED, now_ms()).unwrap(), Some((name.clone(), 3)));
    assert_eq!(here.folder.kept(&short(b"another call"), now_ms()).unwrap(), None);
    assert!(matches!(here.folder.part(&name, 2, true), Err(FolderError::Changed)));
    let mut part = here.folder.part(&name, 3, true).unwrap();
    part.write(b"lo").unwrap();
    let expected = Expected { size: Some(5), sha256: Some(hex(digest(&SHA256, b"hello").as_ref())) };
    let saved = part.finish(2, digest(&SHA256, b"lo").as_ref(), &expected, "a").unwrap().unwrap();
    assert_eq!((saved.size, fs::read(here.path("a")).unwrap()), (5, b"hello".to_vec()));
    assert_eq!(here.names(), ["a"]);
}

#[test]
fn parts_go_when_they_are_of_no_use() {
    let here = here();
    let name = here.part();
    // Nothing came.
    drop(here.folder.part(&name, 0, true).unwrap());
    assert!(here.names().is_empty());
    // It cannot be gone on with.
    let mut part = here.folder.part(&name, 0, false).unwrap();
    part.write(b"hel").unwrap();
    drop(part);
    assert!(here.names().is_empty());
    // It is too old; but not while somebody writes into it.
    let mut part = here.folder.part(&name, 0, true).unwrap();
    part.write(b"hel").unwrap();
    assert_eq!(here.folder.kept("ffffffffffffffff", now_ms() + 2 * DAY).unwrap(), None);
    assert_eq!(here.names().len(), 1);
    drop(part);
    assert!(here.folder.kept(ASKED, now_ms() + DAY / 2).unwrap().is_some());
    assert!(here.folder.kept(ASKED, now_ms() + 2 * DAY).unwrap().is_none());
    assert!(here.names().is_empty());
    // Other files that look a little like it stay.
    for other in ["claviger-x-y.part", "mine.part", "claviger-0123456789abcdef-0123456789ABCDEF.part"] {
        fs::write(here.path(other), "mine").unwrap();
    }
    here.folder.kept(ASKED, now_ms() + 100 * DAY).unwrap();
    assert_eq!(here.names().len(), 3);
}

/// Whoever can write into the folder puts something of the agent's in the place of a part.
#[test]
fn nothing_else_is_written_through_a_part() {
    let here = here();
    let name = here.part();
    let mut part = here.folder.part(&name, 0, true).unwrap();
    part.write(b"hel").unwrap();
    drop(part);
    let file = here.path(&here.names()[0]);
    fs::remove_file(&file).unwrap();
    fs::write(here.dir.path().join("mine"), "abc").unwrap();
    fs::hard_link(here.dir.path().join("mine"), &file).unwrap();
    assert!(matches!(here.folder.part(&name, 3, true), Err(FolderError::Changed)));
    fs::remove_file(&file).unwrap();
    symlink("../mine", &file).unwrap();
    assert_eq!(here.folder.kept(ASKED, now_ms()).unwrap(), None);
    assert!(here.folder.part(&name, 3, true).is_err());
    assert!(here.folder.part(&name, 0, true).is_err());
    assert_eq!(fs::read(here.dir.path().join("mine")).unwrap(), b"abc");
}
