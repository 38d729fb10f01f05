//! A clock that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::port::{BoxFuture, Clock};

/// Stands still until it is moved.
pub(crate) struct HandClock {
    us: watch::Sender<u64>,
    /// What the wall clock shows at the beginning, in milliseconds since 1970.
    wall_ms: AtomicU64,
}

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { us: watch::Sender::new(1_000_000), wall_ms: AtomicU64::new(1_800_000_000_000) })
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.us.send_modify(|us| *us += ms * 1000);
    }

    /// Somebody sets the wall clock, and no other.
    pub(crate) fn step_ms(&self, ms: i64) {
        let now = self.wall_ms.load(Ordering::SeqCst);
        self.wall_ms.store(now.saturating_add_signed(ms), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst) + self.mono_us() / 1000
    }

    fn mono_us(&self) -> u64 {
        *self.us.borrow()
    }

    fn sleep_ms(&self, ms: u64) -> BoxFuture<'static, ()> {
        let mut now = self.us.subscribe();
        let end = self.mono_us() + ms * 1000;
        Box::pin(async move {
            if now.wait_for(|us| *us >= end).await.is_err() {
                // The clock is gone, and time with it.
                std::future::pending::<()>().await;
            }
        })
    }
}
