//! `claviger-bench`: the figures of Claviger as ratios within one run; started by `cargo xtask bench`.
//!
//! It plays every other part itself: started with `echo` it is the floor, with `upstream` the service behind the vault.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks")]

#[path = "../bench/mod.rs"]
mod bench;

fn main() -> std::process::ExitCode {
    match bench::main(std::env::args().skip(1).collect()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("claviger-bench: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
