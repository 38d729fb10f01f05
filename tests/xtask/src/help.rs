//! `cargo xtask help`.

use std::process::ExitCode;

use crate::{COMMANDS, Command};

pub(crate) const COMMAND: Command = Command {
    name: "help",
    usage: "help",
    summary: "this list",
    run: |_| {
        print();
        Ok(ExitCode::SUCCESS)
    },
};

/// Prints every subcommand with its summary.
pub(crate) fn print() {
    println!("usage: cargo xtask SUBCOMMAND\n");
    let width = COMMANDS.iter().map(|command| command.usage.len()).max().unwrap_or(0);
    for command in &COMMANDS {
        println!("  {:width$}  {}", command.usage, command.summary);
    }
}
