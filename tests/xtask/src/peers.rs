//! The foreign programs in `tests/peers`: installed from their lock file, and their own tests.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{first_line, program, root, run};
use crate::steps::Ending;

/// The oldest Node that they run on.
const OLDEST_NODE: u32 = 20;

/// Installs them, where there is a Node to run them.
///
/// # Errors
/// When npm fails, and on CI also when Node or npm is missing or too old: there, all tests run.
pub(crate) fn install() -> Result<Ending> {
    if let Some(lack) = lack() {
        #[allow(clippy::disallowed_methods, reason = "a program of the repository, not of the vault")]
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        if ci {
            bail!("{lack}; on CI the peers must run");
        }
        return Ok(Ending::Skipped(format!("{lack}; nothing was tested against foreign programs")));
    }
    run(there("npm").arg("ci"))?;
    Ok(Ending::Passed)
}

/// Runs the tests that are written in their own language.
///
/// # Errors
/// When one of them fails.
pub(crate) fn test() -> Result<Ending> {
    run(there("node").arg("--test"))?;
    Ok(Ending::Passed)
}

/// What is missing to run them, if anything is.
fn lack() -> Option<String> {
    let Some(version) = first_line(program("node").arg("--version")) else {
        return Some(format!("there is no Node (node {OLDEST_NODE} or newer, with npm)"));
    };
    match major(&version) {
        Some(major) if major >= OLDEST_NODE => {}
        _ => return Some(format!("Node is {version}, not {OLDEST_NODE} or newer")),
    }
    match first_line(program("npm").arg("--version")) {
        Some(npm) => {
            println!("node {version}, npm {npm}");
            None
        }
        None => Some("there is no npm beside Node".to_owned()),
    }
}

/// The first number of what `node --version` prints: 20 of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn there(name: &str) -> Command {
    let mut command = program(name);
    command
        .current_dir(root().join("tests/peers"))
        // npm's cache stays in the repository, too.
        .env("npm_config_cache", root().join("target/npm"));
    command
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read_strictly() {
        for (text, expected) in [
            ("v20.20.2", Some(20)),
            ("v24.0.0", Some(24)),
            ("v9", Some(9)),
            ("20.1.0", None),
            ("vx.1", None),
            ("", None),
        ] {
            assert_eq!(major(text), expected, "{text:?}");
        }
    }
}
