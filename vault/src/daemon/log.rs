//! The daemon's own log, on standard error.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::config::env::NO_COLOR;

/// How much is logged; may be changed while the vault runs.
pub(super) struct Loudness(Box<dyn Fn(Level) + Send + Sync>);

impl Loudness {
    /// One that does this when it is changed.
    pub(super) fn of(set: impl Fn(Level) + Send + Sync + 'static) -> Self {
        Self(Box::new(set))
    }

    /// Logs that much from now on.
    pub(super) fn set(&self, level: Level) {
        (self.0)(level);
    }
}

/// Begins to log.
pub(super) fn to_stderr(level: Level) -> Loudness {
    let colour = std::io::stderr().is_terminal() && NO_COLOR.value().is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_filter_reloading();
    let handle = log.reload_handle();
    // Somebody else's log is set up already only where the daemon is part of another program.
    let _ = log.try_init();
    Loudness::of(move |level| {
        let _ = handle.reload(filter(level));
    })
}

/// A filter of our own making, not of the environment's: no library has a voice, since it might say what it carries.
fn filter(level: Level) -> EnvFilter {
    EnvFilter::new(format!("off,claviger_vault={level}"))
}
