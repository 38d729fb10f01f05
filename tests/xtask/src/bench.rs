//! `cargo xtask bench`: builds in release and prints figures as ratios within one run.

use std::process::ExitCode;

use crate::run::{cargo, run};
use crate::{Command, misused};

/// The subcommand.
pub(crate) const COMMAND: Command = Command {
    name: "bench",
    usage: "bench [--quick] [--json] [--http1] | bench --instructions|--compare FILE|--profile FILE [--json]",
    summary: "builds in release and prints a table of ratios; --quick: short; --json: for programs; \
              --compare: drift of instruction counts against FILE, which --instructions --json printed",
    run: bench,
};

/// Whose programs are measured, or measure.
const PACKAGES: [&str; 4] = ["claviger-vault", "claviger-agent", "claviger-mcp", "claviger-tests"];

fn bench(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let understood = match word.as_str() {
            "--quick" | "--json" | "--http1" | "--instructions" => true,
            "--compare" | "--profile" => words.next().is_some(),
            _ => false,
        };
        if !understood {
            return Ok(misused(&COMMAND, word));
        }
    }
    let mut build = cargo(["build", "--release", "--bins", "--locked"]);
    for package in PACKAGES {
        build.args(["-p", package]);
    }
    // With --json, nothing but JSON goes to standard output.
    anyhow::ensure!(build.status()?.success(), "the build failed");
    let mut measure =
        cargo(["run", "--release", "--quiet", "-p", "claviger-tests", "--bin", "claviger-bench", "--"]);
    measure.args(arguments);
    if arguments.iter().any(|word| word == "--json") {
        anyhow::ensure!(measure.status()?.success(), "the bench failed");
    } else {
        run(&mut measure)?;
    }
    Ok(ExitCode::SUCCESS)
}
