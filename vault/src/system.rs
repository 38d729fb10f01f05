//! The real clock. Nothing else in the vault looks at one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::port::{BoxFuture, Clock};

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place where the vault learns the time")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the vault learns the time")]
    fn wall_ms(&self) -> u64 {
        // A clock before 1970 counts as 1970: the vault's own high-water mark then refuses uses.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn mono_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    #[allow(clippy::disallowed_methods, reason = "the one place where the vault waits for time")]
    fn sleep_ms(&self, ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clocks_run() {
        let clock = SystemClock::new();
        // The day this was written, and a day nobody will run it on.
        assert!((1_700_000_000_000..10_000_000_000_000).contains(&clock.wall_ms()));
        let before = clock.mono_us();
        clock.sleep_ms(2).await;
        assert!(clock.mono_us() >= before + 2000);
    }
}
