//! Opening what lies beneath a directory, and nothing else.
//!
//! The agent client opens files of its one folder, the adapter of local files those of its roots; both take the path from
//! somebody whom they do not trust. Two walls stand behind one another: a path has one form ([`segments`]), and the kernel
//! does the walk ([`beneath`]): it follows no symbolic link and leaves neither the directory nor its file system.
//!
//! Deliberately absent: any way to resolve a path in steps of our own. Between two steps somebody renames.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The longest path, in bytes.
pub const LONGEST: usize = 4096;
/// The longest segment, in bytes.
pub const LONGEST_SEGMENT: usize = 255;
/// How many segments a path has at most.
pub const DEEPEST: usize = 64;

/// How often a walk that a rename disturbed is begun again.
const TRIES: usize = 8;

/// The segments of a path in its one form: relative, single slashes, no segment empty, `.` or `..`, no control or
/// invisible character, no backslash, at most [`LONGEST`] bytes and [`DEEPEST`] segments. `None` for any other form; the
/// empty text has no segments.
#[must_use]
pub fn segments(path: &str) -> Option<Vec<String>> {
    if path.is_empty() {
        return Some(Vec::new());
    }
    if path.len() > LONGEST {
        return None;
    }
    let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    let fine = segments.len() <= DEEPEST && segments.iter().all(|segment| is_segment(segment));
    fine.then_some(segments)
}

/// Whether a name can be a segment. Names on a disk that cannot be are never shown: nobody could ask for them.
#[must_use]
pub fn is_segment(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_SEGMENT
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| matches!(c, '/' | '\\') || is_unseen(c))
}

/// Whether a character does not show, or makes what shows another thing than what is there.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Opens what lies at `below` beneath a directory; the directory itself where that is empty. Never waits for a terminal,
/// never hands the descriptor on to another program.
///
/// # Errors
/// The system's: `LOOP` for a symbolic link on the way, `XDEV` for what leaves the directory or its file system, `NOSYS`
/// where the kernel has no openat2 (Linux 5.6).
pub fn beneath(dir: impl AsFd, below: &[String], flags: OFlags) -> Result<OwnedFd, Errno> {
    beneath_with(dir, below, flags, Mode::empty())
}

/// As [`beneath`]; what `flags` make has these mode bits.
///
/// # Errors
/// As for [`beneath`].
pub fn beneath_with(dir: impl AsFd, below: &[String], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let path = if below.is_empty() { ".".to_owned() } else { below.join("/") };
    // With O_PATH nothing is opened that could become a terminal, and the kernel takes no such flag.
    let tty = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NOCTTY };
    let flags = flags | OFlags::CLOEXEC | tty;
    for _ in 1..TRIES {
        match walk(&dir, &path, flags, mode) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    walk(&dir, &path, flags, mode)
}

#[cfg(target_os = "linux")]
fn walk(dir: impl AsFd, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    openat2(dir, path, flags, mode, resolve)
}

#[cfg(not(target_os = "linux"))]
fn walk(_: impl AsFd, _: &str, _: OFlags, _: Mode) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        let of = |path: &str| segments(path);
        assert_eq!(of("").unwrap(), [] as [&str; 0]);
        assert_eq!(of("a b/ü.txt").unwrap(), ["a b", "ü.txt"]);
        let deep = vec!["a"; DEEPEST + 1].join("/");
        let long = "a".repeat(LONGEST_SEGMENT + 1);
        for bad in ["/", "/etc", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\0", "a\n", "a\u{202e}"]
        {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!((of(&deep), of(&long)), (None, None));
    }
}
