//! Telling how far a transfer is: only to whoever asked, and not too often.

use std::sync::Arc;

use rmcp::model::{NumberOrString, ProgressNotificationParam, ProgressToken};
use tokio::sync::mpsc;

use crate::clock::Clock;

/// The least time between two reports, in milliseconds: four a second.
const APART: u64 = 250;

/// Where reports go, if anybody wants them.
pub(crate) struct Progress {
    to: Option<mpsc::Sender<ProgressNotificationParam>>,
    clock: Arc<dyn Clock>,
    last_ms: u64,
    total: Option<u64>,
}

impl Progress {
    /// Reports to that channel; when it is full they are dropped, nothing waits for it.
    pub(crate) fn new(to: Option<mpsc::Sender<ProgressNotificationParam>>, clock: Arc<dyn Clock>) -> Self {
        Self { to, clock, last_ms: 0, total: None }
    }

    /// How many bytes there will be, where that is known.
    pub(crate) fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// So many bytes have passed, with those of before the transfer was resumed.
    pub(crate) fn at(&mut self, bytes: u64) {
        let Some(to) = &self.to else { return };
        let now_ms = self.clock.now_ms();
        if now_ms.saturating_sub(self.last_ms) < APART {
            return;
        }
        self.last_ms = now_ms;
        // Whoever passes it on puts the host's own token in.
        let token = ProgressToken(NumberOrString::Number(0));
        #[allow(clippy::cast_precision_loss, reason = "it is shown to people")]
        let mut report = ProgressNotificationParam::new(token, bytes as f64);
        #[allow(clippy::cast_precision_loss, reason = "it is shown to people")]
        let total = self.total.map(|total| total as f64);
        report.total = total;
        // A reader that is behind misses some: only the newest counts anyway.
        let _ = to.try_send(report);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn at_most_four_a_second() {
        let clock = Arc::new(Hand(AtomicU64::new(1_000_000)));
        let (sender, mut reports) = mpsc::channel(64);
        let mut progress = Progress::new(Some(sender), clock.clone());
        progress.expect(Some(2000));
        for bytes in 1..=2000 {
            clock.0.fetch_add(1, Ordering::SeqCst);
            progress.at(bytes);
        }
        let mut told = Vec::new();
        while let Ok(report) = reports.try_recv() {
            told.push((report.progress, report.total));
        }
        assert_eq!(told.len(), 8);
        assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 == Some(2000.0)));
        Progress::new(None, clock).at(1);
    }
}
