//! The foreign programs in `tests/peers`.

use std::path::PathBuf;

/// Set by `cargo xtask test` where there is no Node to run them, and only there: their tests then pass without doing
/// anything, and the summary says so.
const NO_PEERS: &str = "CLAVIGER_NO_PEERS";

/// The folder with the installed programs; `None` where this run goes without them.
///
/// # Panics
/// When they are wanted, but not installed.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "the one variable that tests of peers read")]
    if std::env::var_os(NO_PEERS).is_some() {
        return None;
    }
    let folder = crate::repository::root().join("tests/peers");
    assert!(
        folder.join("node_modules").is_dir(),
        "the peers are not installed: run `npm ci` in tests/peers, or set {NO_PEERS}=1 to go without"
    );
    Some(folder)
}
