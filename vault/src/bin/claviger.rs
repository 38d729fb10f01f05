//! `claviger`: the vault and its command line.

use std::process::ExitCode;

use claviger_vault::cli::{DaemonOptions, Hooks, Serving};

fn main() -> ExitCode {
    claviger_vault::cli::main(Hooks { serve })
}

fn serve(_: DaemonOptions) -> Serving {
    Box::pin(async { anyhow::bail!("the daemon is not in this build") })
}
