//! `claviger`: the vault and its command line.

use std::process::ExitCode;

use claviger_vault::cli::{DaemonOptions, Hooks, Serving};

fn main() -> ExitCode {
    claviger_vault::cli::main(Hooks { serve })
}

fn serve(options: DaemonOptions) -> Serving {
    Box::pin(claviger_vault::daemon::serve(options))
}
