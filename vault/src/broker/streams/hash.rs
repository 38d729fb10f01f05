//! The SHA-256 of a body as it comes, and as it was a while ago: an upload that was cut goes on from what the upstream
//! has kept of it, and what is hashed must be what the upstream has.

use std::collections::VecDeque;

use ring::digest::{Context, SHA256};

/// Every so many bytes the hash is remembered: what Google keeps of an upload that was cut is a multiple of it.
const EVERY: u64 = 256 * 1024;
/// How many of them: the last 64 MiB. What lies in buffers on the way is less.
const REMEMBERED: usize = 256;

/// A hash that goes on, and can be taken back.
#[derive(Clone)]
pub(super) struct Running {
    context: Context,
    length: u64,
    marks: VecDeque<(u64, Context)>,
}

impl Running {
    /// Of nothing yet.
    pub(super) fn new() -> Self {
        Self { context: Context::new(&SHA256), length: 0, marks: VecDeque::new() }
    }

    /// How many bytes were hashed.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Hashes more.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(EVERY - self.length % EVERY).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.context.update(now);
            self.length += now.len() as u64;
            bytes = rest;
            if self.length.is_multiple_of(EVERY) {
                self.marks.push_back((self.length, self.context.clone()));
                if self.marks.len() > REMEMBERED {
                    self.marks.pop_front();
                }
            }
        }
    }

    /// As it was after so many bytes; `None` where that is not remembered.
    pub(super) fn back_to(mut self, length: u64) -> Option<Self> {
        if length == 0 {
            return Some(Self::new());
        }
        if length == self.length {
            return Some(self);
        }
        self.marks.retain(|(mark, _)| *mark <= length);
        let (mark, context) = self.marks.back()?;
        (*mark == length).then(|| Self { context: context.clone(), length, marks: self.marks.clone() })
    }

    /// SHA-256 of all of it.
    pub(super) fn finish(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.context.clone().finish().as_ref());
        hash
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use claviger_canonical::Digest;
    use proptest::prelude::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn only_what_is_remembered_comes_back() {
        let every = usize::try_from(EVERY).unwrap();
        let all = bytes(3 * every + 5);
        let mut running = Running::new();
        running.update(&all);
        assert_eq!(running.finish(), *Digest::of(&all).as_bytes());
        for length in [0, every, 2 * every, 3 * every, 3 * every + 5] {
            let mut back = running.clone().back_to(length as u64).expect("remembered");
            assert_eq!(back.finish(), *Digest::of(&all[..length]).as_bytes(), "{length}");
            back.update(&all[length..]);
            assert_eq!(back.finish(), running.finish(), "{length}");
        }
        for length in [1, every - 1, every + 1, 3 * every + 4, 3 * every + 6, 4 * every] {
            assert!(running.clone().back_to(length as u64).is_none(), "{length}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut running = Running::new();
        let piece = bytes(1 << 20);
        for _ in 0..80 {
            running.update(&piece);
        }
        assert_eq!(running.marks.len(), REMEMBERED);
        assert!(running.clone().back_to(EVERY).is_none());
        assert!(running.back_to((80 << 20) - EVERY).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn pieces_make_no_difference(lengths in prop::collection::vec(0usize..200_000, 0..8)) {
            let all = bytes(lengths.iter().sum());
            let mut running = Running::new();
            let mut rest = &all[..];
            for length in lengths {
                let (now, later) = rest.split_at(length);
                running.update(now);
                rest = later;
            }
            prop_assert_eq!(running.finish(), *Digest::of(&all).as_bytes());
            prop_assert_eq!(running.length(), all.len() as u64);
            // And so wherever an upload may go on, it is known how.
            let every = usize::try_from(EVERY).unwrap();
            for mark in (every..=all.len()).step_by(every) {
                let back = running.clone().back_to(mark as u64);
                prop_assert!(back.is_some_and(|back| back.finish() == *Digest::of(&all[..mark]).as_bytes()));
            }
        }
    }
}
