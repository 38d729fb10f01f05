//! Nonces that were presented: each once. Bounded per handle, and full means refuse.

use std::collections::{HashMap, HashSet};

use claviger_canonical::presentation::{FUTURE_MS, WINDOW_MS};
use claviger_domain::id::HandleId;

use super::time::STEP_BACK_MS;

/// How long a nonce must be remembered, in milliseconds: a presentation dated into the future lives longest, and
/// longer yet where the wall clock is stepped back by as much as is borne.
const KEEP_MS: u64 = WINDOW_MS + FUTURE_MS + STEP_BACK_MS;

/// How many nonces one handle may present within [`KEEP_MS`].
const PER_HANDLE: usize = 1 << 18;

/// A nonce was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    /// It was presented before.
    Before,
    /// The handle has presented too many to remember.
    Full,
}

/// Two generations a handle: when the older is older than any nonce can be, it goes as a whole.
#[derive(Default)]
struct Seen {
    now: HashSet<[u8; 12]>,
    before: HashSet<[u8; 12]>,
    since_ms: u64,
}

/// All nonces that could still be presented again.
#[derive(Default)]
pub(super) struct Nonces(HashMap<HandleId, Seen>);

impl Nonces {
    /// Remembers a nonce. `now_ms` is monotonic in milliseconds.
    pub(super) fn spend(&mut self, handle: HandleId, nonce: [u8; 12], now_ms: u64) -> Result<(), Spent> {
        let seen = self.0.entry(handle).or_default();
        seen.turn(now_ms);
        if seen.now.contains(&nonce) || seen.before.contains(&nonce) {
            return Err(Spent::Before);
        }
        if seen.now.len() + seen.before.len() >= PER_HANDLE {
            return Err(Spent::Full);
        }
        seen.now.insert(nonce);
        Ok(())
    }

    /// Drops what cannot be presented again.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        self.0.retain(|_, seen| {
            seen.turn(now_ms);
            !seen.now.is_empty() || !seen.before.is_empty()
        });
    }
}

impl Seen {
    fn turn(&mut self, now_ms: u64) {
        let age = now_ms.saturating_sub(self.since_ms);
        if age > 2 * KEEP_MS {
            self.now.clear();
            self.before.clear();
            self.since_ms = now_ms;
        } else if age > KEEP_MS {
            self.before = std::mem::take(&mut self.now);
            self.since_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(number: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    #[test]
    fn once_each_for_as_long_as_it_could_be_presented() {
        let mut nonces = Nonces::default();
        let handle = HandleId::from_bytes([1; 16]);
        let other = HandleId::from_bytes([2; 16]);
        let start = 1_000_000;
        assert_eq!(nonces.spend(handle, nonce(1), start), Ok(()));
        assert_eq!(nonces.spend(other, nonce(1), start), Ok(()));
        for later in [0, 1, KEEP_MS / 2, KEEP_MS] {
            assert_eq!(nonces.spend(handle, nonce(1), start + later), Err(Spent::Before), "after {later} ms");
        }
        assert_eq!(nonces.spend(handle, nonce(2), start + KEEP_MS), Ok(()));
        assert_eq!(nonces.spend(handle, nonce(2), start + 2 * KEEP_MS), Err(Spent::Before));
    }

    #[test]
    fn full_refuses_and_recovers() {
        let mut nonces = Nonces::default();
        let handle = HandleId::from_bytes([1; 16]);
        for number in 0..PER_HANDLE as u64 {
            assert_eq!(nonces.spend(handle, nonce(number), 10), Ok(()));
        }
        assert_eq!(nonces.spend(handle, nonce(u64::MAX), 10), Err(Spent::Full));
        assert_eq!(nonces.spend(handle, nonce(0), 10), Err(Spent::Before));
        assert_eq!(nonces.spend(handle, nonce(u64::MAX), 10 + 3 * KEEP_MS), Ok(()));
        nonces.sweep(10 + 9 * KEEP_MS);
        assert!(nonces.0.is_empty());
    }
}
