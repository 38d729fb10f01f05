//! Randomness from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

use crate::port::Entropy;

/// The kernel's random source.
#[derive(Debug)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// A source that reads from the kernel at each call; it keeps no state of its own.
    #[must_use]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            // A vault that goes on without randomness would repeat salts and nonces; there is nothing to report to.
            tracing::error!("the kernel gives no randomness; stopping");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_all_and_never_the_same() {
        let source = SystemEntropy::new();
        let (mut one, mut two) = ([0; 64], [0; 64]);
        source.fill(&mut one);
        source.fill(&mut two);
        assert_ne!(one, two);
        assert!(one.chunks(16).all(|part| part != [0; 16]), "part of the slice was left as it was");
    }
}
