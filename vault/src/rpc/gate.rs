//! Intake that can be closed: once for all, before the vault seals or stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The gate that every call but `Status`, `Unseal` and `Seal` passes.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    /// Ends what would otherwise never end: streams of changes.
    ended: CancellationToken,
    inside: TaskTracker,
}

/// The gate is closed: no new call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Gate {
    /// Enters; one is inside until the answer is dropped.
    ///
    /// # Errors
    /// [`Closed`].
    pub fn enter(&self) -> Result<TaskTrackerToken, Closed> {
        // Counted before it looks: whoever closes then either is seen here, or waits for us.
        let token = self.shared.inside.token();
        if self.shared.closed.load(Ordering::SeqCst) { Err(Closed) } else { Ok(token) }
    }

    /// Lets nobody in any more, and ends the streams.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.ended.cancel();
        self.shared.inside.close();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// Completes when the gate is closed.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        self.shared.ended.clone()
    }

    /// Completes when nobody is inside any more; only after [`Gate::close`].
    pub async fn empty(&self) {
        self.shared.inside.wait().await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[tokio::test]
    async fn whoever_is_inside_is_waited_for_and_nobody_comes_after() {
        let gate = Gate::default();
        let first = gate.enter().unwrap();
        gate.close();
        assert_eq!(gate.enter().err(), Some(Closed));
        let mut empty = Box::pin(gate.empty());
        assert!(futures_util::poll!(&mut empty).is_pending());
        drop(first);
        empty.await;
        assert!(gate.ended().is_cancelled() && gate.is_closed());
    }
}
