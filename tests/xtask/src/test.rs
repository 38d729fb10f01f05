//! `cargo xtask test`: everything that must hold, in one command.

use std::process::{Command as Program, ExitCode};

use anyhow::Result;

use crate::run::{cargo, run};
use crate::steps::{Ending, Steps};
use crate::{Command, misused, peers, tools};

pub(crate) const COMMAND: Command = Command {
    name: "test",
    usage: "test [--quick]",
    summary: "installs what the tests need and runs all; --quick: only what needs neither network nor Node",
    run: test,
};

fn test(arguments: &[String]) -> Result<ExitCode> {
    let quick = match arguments {
        [] => false,
        [word] if word == "--quick" => true,
        [word, ..] => return Ok(misused(&COMMAND, word)),
    };
    let mut steps = Steps::default();
    if !quick {
        steps.step("tools", || tools::ensure().map(|()| Ending::Passed));
        steps.step("peers: install", peers::install);
        steps.step("peers: python", peers::python);
    }
    steps.step("format", || done(cargo(["fmt", "--all", "--check"])));
    steps.step("lints", || {
        done(cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    });
    // The tests of the crate `tests` run the programs of other crates; cargo does not build those for them.
    steps.step("programs", || done(cargo(["build", "--workspace", "--bins", "--locked"])));
    let with_peers = steps.passed("peers: install");
    steps.after("programs", "tests", || {
        let mut nextest = cargo(["nextest", "run", "--workspace", "--no-fail-fast", "--locked"]);
        if !with_peers {
            nextest.env("CLAVIGER_NO_PEERS", "1");
        }
        done(nextest)
    });
    steps.step("examples in the docs", || done(cargo(["test", "--workspace", "--doc", "--locked"])));
    if !quick {
        if with_peers {
            steps.step("peers: own tests", peers::test);
        }
        steps.step("dependencies", || done(cargo(["deny", "check", "bans", "licenses", "sources"])));
    }
    Ok(steps.finish())
}

fn done(mut program: Program) -> Result<Ending> {
    run(&mut program)?;
    Ok(Ending::Passed)
}
