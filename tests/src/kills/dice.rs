//! Chance that can be had again: what a run does is a function of its seed, but for what the machine's own clock decides.

use std::time::Duration;

/// A generator of numbers (SplitMix64, Steele, Lea and Flood 2014): small, seeded, and no secret.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins at that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own, for whoever throws beside this one.
    #[must_use]
    pub fn another(&mut self) -> Self {
        Self(self.throw())
    }

    /// A number of 64 bits.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.throw() % end }
    }

    /// One of several, each as likely as its weight among all of them.
    pub fn pick<T: Copy>(&mut self, choices: &[(T, u64)]) -> T {
        let mut left = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        choices[choices.len() - 1].0
    }

    /// A time below that many microseconds.
    pub fn micros(&mut self, end: u64) -> Duration {
        Duration::from_micros(self.below(end))
    }

    /// So many bytes.
    pub fn bytes(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            bytes.extend_from_slice(&self.throw().to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        assert!((0..100).all(|_| one.throw() == two.throw()));
        assert_eq!(one.another().bytes(13), two.another().bytes(13));
    }

    #[test]
    fn what_weighs_nothing_is_never_picked() {
        let mut dice = Dice::new(1);
        let picked: Vec<u8> = (0..200).map(|_| dice.pick(&[(1, 1), (2, 0), (3, 3)])).collect();
        assert!(picked.contains(&1) && picked.contains(&3) && !picked.contains(&2));
        assert!((0..1000).all(|_| dice.below(3) < 3));
    }
}
