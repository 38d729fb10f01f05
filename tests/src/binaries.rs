//! The programs under test, as cargo built them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

/// The path of a program of this workspace: `claviger`, `claviger-agent`, `claviger-mcp` or `stand-in-google`. It is
/// beside the folder in which the running test is.
///
/// # Panics
/// When it was not built, or is older than a file that it was built from: `cargo build --workspace --bins` mends both,
/// and `cargo xtask test` does that by itself.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running test has a path");
    let mut folder = test.parent().expect("a running test is in a folder");
    // A test is in target/PROFILE/deps, a program in target/PROFILE itself.
    if folder.ends_with("deps") {
        folder = folder.parent().expect("a test is in target/PROFILE/deps");
    }
    let program = folder.join(name);
    let built = time(&program).unwrap_or_else(|| {
        panic!("{} is not there: run `cargo build --workspace --bins`", program.display())
    });
    if let Some(newer) =
        sources(&folder.join(format!("{name}.d"))).into_iter().find(|source| newer(source, built))
    {
        panic!(
            "{} is older than {}: run `cargo build --workspace --bins`",
            program.display(),
            newer.display()
        );
    }
    program
}

/// The files a program was built from, of the file that cargo writes beside it: `PROGRAM: FILE FILE…`, with a
/// backslash before each space in a name.
fn sources(list: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(list).unwrap_or_default();
    let Some((_, files)) = text.split_once(": ") else { return Vec::new() };
    files.trim_end().replace("\\ ", "\0").split(' ').map(|file| file.replace('\0', " ").into()).collect()
}

fn newer(source: &Path, built: SystemTime) -> bool {
    time(source).is_some_and(|changed| changed > built)
}

fn time(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}
