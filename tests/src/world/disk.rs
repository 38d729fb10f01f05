//! What lies on the disk, for those who look for secrets in it.

use std::path::{Path, PathBuf};

/// Every file below `dir` in which one of `needles` occurs as it is, with that needle. Sockets are passed over.
#[must_use]
pub fn find<'n>(dir: &Path, needles: &'n [String]) -> Vec<(PathBuf, &'n str)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let held = needles.iter().filter(|needle| contains(&bytes, needle.as_bytes()));
            found.extend(held.map(|needle| (path.clone(), needle.as_str())));
        }
    }
    found
}

/// Whether `needle` occurs in `bytes`.
///
/// # Panics
/// The needle is empty, and would occur everywhere.
#[must_use]
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let first = *needle.first().expect("a needle has at least one byte");
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Copies a directory of files, without its sockets.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
