//! The foreign programs in `tests/peers`: installed from their lock file, and their own tests.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{first_line, program, root, run};
use crate::steps::Ending;

/// The oldest Node that they run on.
const OLDEST_NODE: u32 = 20;

/// The oldest Python 3 that the client runs on.
const OLDEST_PYTHON: u32 = 10;

/// Installs them, where there is a Node to run them.
///
/// # Errors
/// When npm fails, and on CI also when Node or npm is missing or too old: there, all tests run.
pub(crate) fn install() -> Result<Ending> {
    if let Some(lack) = lack() {
        if on_ci() {
            bail!("{lack}; on CI the peers must run");
        }
        return Ok(Ending::Skipped(format!("{lack}; nothing was tested against foreign programs")));
    }
    run(there("npm").arg("ci"))?;
    for folder in ["tests/peers/inspector", "tests/peers/conformance"] {
        run(there("npm").arg("ci").current_dir(root().join(folder)))?;
    }
    Ok(Ending::Passed)
}

/// Installs Python's MCP client into an environment of its own, where there is a Python to run it.
///
/// # Errors
/// When pip fails, and on CI also when Python is missing or too old: there, all tests run.
pub(crate) fn python() -> Result<Ending> {
    let version = first_line(program("python3").arg("--version"));
    let new = version.as_deref().and_then(minor).is_some_and(|minor| minor >= OLDEST_PYTHON);
    if !new {
        let found = version.unwrap_or_else(|| "no Python".to_owned());
        let lack = format!("there is {found}, not Python 3.{OLDEST_PYTHON} or newer with venv and pip");
        if on_ci() {
            bail!("{lack}; on CI the peers must run");
        }
        return Ok(Ending::Skipped(format!("{lack}; Python's MCP client was not tried")));
    }
    let folder = root().join("tests/peers/python");
    run(program("python3").args(["-m", "venv", ".venv"]).current_dir(&folder))?;
    // No package that is not in the list with its checksum, and none that runs code while it is installed.
    run(program(folder.join(".venv/bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"])
        .env("PIP_CACHE_DIR", root().join("target/pip"))
        .current_dir(&folder))?;
    Ok(Ending::Passed)
}

fn on_ci() -> bool {
    #[allow(clippy::disallowed_methods, reason = "a program of the repository, not of the vault")]
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
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

/// The second number of what `python3 --version` prints: 11 of `Python 3.11.7`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("Python 3.")?.split('.').next()?.parse().ok()
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
    use super::{major, minor};

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
        for (text, expected) in
            [("Python 3.11.7", Some(11)), ("Python 3.9", Some(9)), ("Python 2.7.18", None), ("3.11", None)]
        {
            assert_eq!(minor(text), expected, "{text:?}");
        }
    }
}
