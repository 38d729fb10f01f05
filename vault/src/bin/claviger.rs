//! `claviger`: the vault and its command line.

use std::alloc::System;
use std::process::ExitCode;

use claviger_vault::cli::{DaemonOptions, Hooks, Serving};
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back. Our own types wipe themselves; the buffers of TLS, HTTP and gRPC do not, and each
/// credential passes through them, as does the key that unseals.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    claviger_vault::cli::main(Hooks { serve })
}

fn serve(options: DaemonOptions) -> Serving {
    Box::pin(claviger_vault::daemon::serve(options))
}
