//! The repository's files.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing written here.
const FOREIGN: [&str; 3] = [".git", "target", "node_modules"];

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate `tests` is in a folder of the repository")
}

/// The text of a file, given by its path from the root.
///
/// # Panics
/// When it cannot be read as UTF-8.
#[must_use]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder (a path from the root) that has one of these extensions, as sorted paths from the root.
/// What git, cargo and npm put there is left out.
///
/// # Panics
/// When a folder cannot be read.
#[must_use]
pub fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(folder), extensions, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder's entry can be read");
        let (path, kind) = (entry.path(), entry.file_type().expect("an entry has a type"));
        if kind.is_dir() {
            if !FOREIGN.iter().any(|foreign| entry.file_name() == *foreign) {
                collect(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|have| extensions.iter().any(|want| have == *want)) {
            found.push(path.strip_prefix(root()).expect("found below the root").to_owned());
        }
    }
}
