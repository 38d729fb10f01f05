//! The tools that the tests need: found, or installed.

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, first_line, program, run};

/// Tools that come by `cargo install`: the subcommand, and the version that is installed where there is none.
const INSTALLED: [(&str, &str); 2] = [("nextest", "0.9.143"), ("deny", "0.20.2")];

/// Components of the toolchain: the subcommand, and what rustup calls it.
const COMPONENTS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

/// Sees to it that all of them are there.
///
/// # Errors
/// Naming the first one that is missing and could not be installed.
pub(crate) fn ensure() -> Result<()> {
    for (subcommand, component) in COMPONENTS {
        if !tell(subcommand) {
            run(program("rustup").args(["component", "add", component]))
                .with_context(|| format!("cargo {subcommand} is missing, and rustup could not add it"))?;
        }
    }
    for (subcommand, version) in INSTALLED {
        if tell(subcommand) {
            continue;
        }
        let name = format!("cargo-{subcommand}");
        run(&mut cargo(["install", &name, "--locked", "--version", version]))
            .with_context(|| format!("{name} is missing, and could not be installed"))?;
        if !tell(subcommand) {
            bail!("{name} was installed, but cargo does not find it: is cargo's bin folder in PATH?");
        }
    }
    Ok(())
}

/// Prints the subcommand's version; false where it is missing.
fn tell(subcommand: &str) -> bool {
    let version = first_line(&mut cargo([subcommand, "--version"]));
    match &version {
        Some(version) => println!("cargo {subcommand}: {version}"),
        None => println!("cargo {subcommand}: missing"),
    }
    version.is_some()
}
