//! How long a presentation is worth anything.

/// How old a presentation may be, in milliseconds.
pub const WINDOW_MS: u64 = 30_000;

/// How far a client's clock may run ahead, in milliseconds.
pub const FUTURE_MS: u64 = 5_000;

/// Says whether a claim made at `issued_at_ms` still counts at `now_ms` (both in milliseconds since the Unix epoch).
/// `window_ms` is how old it may be, usually [`WINDOW_MS`].
///
/// A nonce must therefore be remembered until `issued_at_ms + window_ms` has passed; that can be up to [`FUTURE_MS`]
/// longer than the window after it was first seen.
///
/// # Errors
/// [`Stale`], with the side on which it lies.
pub fn fresh(issued_at_ms: u64, now_ms: u64, window_ms: u64) -> Result<(), Stale> {
    if issued_at_ms.saturating_sub(now_ms) > FUTURE_MS {
        Err(Stale::FromTheFuture)
    } else if now_ms.saturating_sub(issued_at_ms) > window_ms {
        Err(Stale::TooOld)
    } else {
        Ok(())
    }
}

/// The claim was not made just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// Older than the window.
    #[error("presentation too old")]
    TooOld,
    /// Further ahead than clocks may differ.
    #[error("presentation from the future")]
    FromTheFuture,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_borders() {
        const NOW: u64 = 1_700_000_000_000;
        for (issued_at, now, expected) in [
            (NOW, NOW, Ok(())),
            (NOW - 30_000, NOW, Ok(())),
            (NOW - 30_001, NOW, Err(Stale::TooOld)),
            (NOW + 5_000, NOW, Ok(())),
            (NOW + 5_001, NOW, Err(Stale::FromTheFuture)),
            (0, NOW, Err(Stale::TooOld)),
            (u64::MAX, NOW, Err(Stale::FromTheFuture)),
            (u64::MAX, 0, Err(Stale::FromTheFuture)),
            (0, u64::MAX, Err(Stale::TooOld)),
            (0, 0, Ok(())),
            (u64::MAX, u64::MAX, Ok(())),
        ] {
            assert_eq!(fresh(issued_at, now, WINDOW_MS), expected, "{issued_at} at {now}");
        }
        assert_eq!(fresh(NOW - 1, NOW, 0), Err(Stale::TooOld));
    }
}
