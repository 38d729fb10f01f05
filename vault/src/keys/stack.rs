//! Stacks on which a key was worked with.
//!
//! Cryptographic code keeps what it makes of a key in variables that it does not wipe: `ring` the padded key and the
//! state of a keyed hash, `age` the identity. When a function returns, they stay on the stack until other calls happen to
//! write over them. These two see to it that nothing stays.

/// How much of the stack below a call is written over, in bytes: more than what deriving a key takes.
const DEPTH: usize = 8 << 10;

/// Runs something on a stack of its own, which is gone when this returns. `None` if it panicked. Blocks.
///
/// The C library gives the pages of a thread's stack back when the thread ends (`madvise(2)`, or `munmap(2)`).
#[must_use]
pub fn apart<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| scope.spawn(run).join().ok())
}

/// Runs something small, and writes over the stack that it had. What it returns must hold no key by value.
pub(super) fn wiped<T>(run: impl FnOnce() -> T) -> T {
    let result = deeper(run);
    write_over();
    result
}

/// Not inlined, so that all it does lies below whoever calls [`write_over`] next.
#[inline(never)]
fn deeper<T>(run: impl FnOnce() -> T) -> T {
    run()
}

#[inline(never)]
fn write_over() {
    let mut below = [0_u8; DEPTH];
    // Whoever optimises must take it that somebody reads these zeros.
    std::hint::black_box(&mut below);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_pass_and_a_panic_is_told() {
        assert_eq!(apart(|| 7), Some(7));
        assert_eq!(apart::<u8>(|| panic!("a test")), None);
        assert_eq!(wiped(|| 7), 7);
    }
}
