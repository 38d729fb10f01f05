//! Opening a browser: our own https address, as one argument, through no shell.

use std::process::{Command, Stdio};

use url::Url;

/// Asks the desktop to show the address; tells whether that was begun. Anything but https is not shown.
pub(super) fn browse(url: &Url) -> bool {
    if url.scheme() != "https" {
        return false;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    Command::new(program)
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok()
}
