//! `cargo xtask demo`: the whole story with the real binaries and a throw-away vault.

mod stage;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;

use crate::Command;
use stage::Stage;

/// How long the story may take before something is taken to hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// The subcommand.
pub(super) const COMMAND: Command = Command {
    name: "demo",
    usage: "demo [--keep]",
    summary: "build in release and play the whole story with a throw-away vault; --keep leaves it running",
    run,
};

/// The packages whose programs play a part.
const PACKAGES: [&str; 5] =
    ["claviger-vault", "claviger-agent", "claviger-mcp", "stand-in-google", "claviger-tests"];

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let keep = match arguments {
        [] => false,
        [only] if only == "--keep" => true,
        [first, ..] => return Ok(crate::misused(&COMMAND, first)),
    };
    say("Building in release. The first time this takes some minutes.");
    let mut build = crate::run::cargo(["build", "--release", "--bins"]);
    for package in PACKAGES {
        build.args(["-p", package]);
    }
    ensure!(build.status()?.success(), "the build failed");

    let started = crate::steps::now();
    let mut stage = Stage::set()?;
    story::play(&mut stage)?;
    say(&format!(
        "\nThe story took {:.0} s, and every result was the one it should be.",
        started.elapsed().as_secs_f64()
    ));
    if keep {
        stage.keep()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line, at once.
fn say(line: &str) {
    println!("{line}");
}
