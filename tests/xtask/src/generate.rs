//! `cargo xtask generate`: writes anew what is generated and checked in.

use std::process::ExitCode;

use anyhow::Result;

use crate::run::{cargo, run};
use crate::{Command, misused};

pub(crate) const COMMAND: Command = Command {
    name: "generate",
    usage: "generate",
    summary: "writes the code of the .proto files anew",
    run: generate,
};

fn generate(arguments: &[String]) -> Result<ExitCode> {
    if let [word, ..] = arguments {
        return Ok(misused(&COMMAND, word));
    }
    // The test that compares them is the program that writes them, so that both are always of one mind.
    run(
        cargo(["test", "--package", "claviger-proto", "--test", "generated"]).env("CLAVIGER_REGENERATE", "1")
    )?;
    println!("the code in proto/src/generated is what the .proto files give");
    Ok(ExitCode::SUCCESS)
}
