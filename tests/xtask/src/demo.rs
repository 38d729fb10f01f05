//! `cargo xtask demo`: the whole story with the real binaries and a throw-away vault.

mod stage;
mod story;

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::sh;
use stage::Stage;

/// How long the story may take before something is taken to hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Builds in release and plays the story. `--keep` leaves everything running at the end.
///
/// # Errors
/// A build that fails, or a command whose result is not the one the story tells.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let keep = match arguments {
        [] => false,
        [only] if only == "--keep" => true,
        _ => bail!("usage: cargo xtask demo [--keep]"),
    };
    sh::say("Building in release. The first time this takes some minutes.");
    let packages = ["claviger-vault", "claviger-agent", "claviger-mcp", "stand-in-google", "claviger-tests"];
    let mut build = vec!["build", "--release", "--bins"];
    packages.iter().for_each(|package| build.extend(["-p", package]));
    sh::cargo(&build)?;

    let started = Instant::now();
    let mut stage = Stage::set()?;
    story::play(&mut stage)?;
    sh::say(&format!("\nThe story took {:.0} s, and every result was the one it should be.", started.elapsed().as_secs_f64()));
    if keep {
        stage.keep()?;
    }
    Ok(())
}
