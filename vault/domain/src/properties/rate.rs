//! How many calls a rate lets through, whatever their times.

use proptest::prelude::*;

use crate::rate::{Arrival, Rate};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// In any stretch of time `w`, at most `count + floor(w / interval)` calls pass: the burst, and what has returned
    /// meanwhile. So at most `count` at one instant, and at most `2 * count` within the rate's own time.
    #[test]
    fn no_window_lets_more_through(
        count in 1_u32..8,
        seconds in 1_u64..20,
        gaps in prop::collection::vec(prop_oneof![Just(0_u64), 1..2_000_000_u64, 0..30_000_000_u64], 1..80),
        start in 0_u64..2_000_000_000_000_000,
    ) {
        let rate = Rate::new(count, seconds).unwrap();
        let (mut now, mut last) = (start, Arrival::default());
        let mut passed: Vec<u64> = Vec::new();
        for gap in gaps {
            now += gap;
            if let Ok(next) = rate.charge(last, now) {
                prop_assert!(next > last);
                last = next;
                passed.push(now);
            }
        }
        for (first, from) in passed.iter().enumerate() {
            for (at, to) in passed.iter().enumerate().skip(first) {
                let calls = u64::try_from(at - first + 1).unwrap();
                let within = to - from;
                prop_assert!(calls <= u64::from(count) + within / rate.interval_us());
                prop_assert!(within > seconds * 1_000_000 || calls <= 2 * u64::from(count));
            }
        }
    }

    /// Who waits as long as it was told gets through, and not a millisecond too late.
    #[test]
    fn the_wait_is_right(count in 1_u32..50, seconds in 1_u64..5_000, calls in 1_usize..60, now in 0_u64..1 << 50) {
        let rate = Rate::new(count, seconds).unwrap();
        let mut last = Arrival::default();
        for _ in 0..calls {
            match rate.charge(last, now) {
                Ok(next) => last = next,
                Err(full) => {
                    let wait = full.retry_after_ms;
                    prop_assert!(rate.charge(last, now + wait * 1000).is_ok());
                    prop_assert!(wait > 0 && rate.charge(last, now + (wait - 1) * 1000).is_err());
                }
            }
        }
    }

    #[test]
    fn a_rate_reads_back(count in 1_u32..=1_000_000, seconds in 1_u64..=366 * 86_400) {
        let rate = Rate::new(count, seconds).unwrap();
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,4}/?[0-9]{0,25}\\PC?") {
        let _ = text.parse::<Rate>();
    }
}

/// The bound above is met: the burst at one end of the rate's time, and all that returned at the other.
#[test]
fn the_bound_is_tight() {
    let rate: Rate = "3/30s".parse().unwrap();
    let (mut last, mut passed) = (Arrival::default(), 0);
    for second in [0_u64, 0, 0, 10, 20, 30, 30] {
        if let Ok(next) = rate.charge(last, 1_000_000_000 + second * 1_000_000) {
            (last, passed) = (next, passed + 1);
        }
    }
    assert_eq!(passed, 6);
}
