//! Where the programs under test are: beside the test that runs.

use std::path::PathBuf;

/// The path of a program of this workspace, in the same profile as the running test.
///
/// # Panics
/// It was not built; the message says how to build it.
#[must_use]
#[allow(clippy::expect_used, reason = "tests fail by panicking")]
pub fn path(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the running program has a path");
    // Tests lie in target/PROFILE/deps, programs in target/PROFILE.
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no program `{name}`: run cargo build --workspace --bins"))
}
