//! `cargo xtask`: what this repository does to itself.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks")]

mod bench;
mod demo;
mod generate;
mod help;
mod peers;
mod run;
mod steps;
mod test;
mod tools;

use std::process::ExitCode;

/// One subcommand. A new one is a file of its own and a line in [`COMMANDS`].
struct Command {
    name: &'static str,
    /// How its arguments are written.
    usage: &'static str,
    summary: &'static str,
    /// Takes what follows the name. An error is a failure to do it; `Ok` carries the exit code.
    run: fn(&[String]) -> anyhow::Result<ExitCode>,
}

/// Every subcommand, in the order of the help text.
const COMMANDS: [Command; 5] =
    [demo::COMMAND, test::COMMAND, bench::COMMAND, generate::COMMAND, help::COMMAND];

/// The exit code for arguments that are not understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        help::print();
        return ExitCode::from(USAGE);
    };
    let name = if matches!(name.as_str(), "-h" | "--help") { "help" } else { name };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("xtask: no subcommand {name:?}; `cargo xtask help` lists them");
        return ExitCode::from(USAGE);
    };
    match (command.run)(rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code for arguments that a subcommand does not know, after saying so.
fn misused(command: &Command, argument: &str) -> ExitCode {
    eprintln!("xtask {}: {argument:?} is not understood; usage: cargo xtask {}", command.name, command.usage);
    ExitCode::from(USAGE)
}
