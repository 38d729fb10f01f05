//! How many calls in how much time: the generic cell rate algorithm (ITU-T I.371), as a pure function.

use std::fmt;
use std::str::FromStr;

/// So many calls in so many seconds. All may come at once; then they return evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per_seconds: u64,
}

/// The text or the numbers are not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is COUNT/TIME, such as 60/1h: 1 to 1000000 calls in 1 second to 366 days")]
pub struct BadRate;

/// The theoretical arrival time, in microseconds of the vault's time; 0 for a counter that was never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Arrival(pub u64);

/// The counter is used up for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// How long until one more call would pass, in milliseconds, rounded up.
    pub retry_after_ms: u64,
}

impl Rate {
    /// A rate of `count` calls in `per_seconds` seconds.
    ///
    /// # Errors
    /// Outside 1 to 1 000 000 calls, or 1 second to 366 days.
    pub fn new(count: u32, per_seconds: u64) -> Result<Self, BadRate> {
        if (1..=1_000_000).contains(&count) && (1..=366 * 86_400).contains(&per_seconds) {
            Ok(Self { count, per_seconds })
        } else {
            Err(BadRate)
        }
    }

    /// How many calls.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// In how many seconds.
    #[must_use]
    pub fn per_seconds(self) -> u64 {
        self.per_seconds
    }

    /// The time one call takes up, in microseconds, rounded up so that the bound is never exceeded.
    #[must_use]
    pub fn interval_us(self) -> u64 {
        (self.per_seconds * 1_000_000).div_ceil(u64::from(self.count))
    }

    /// Charges one call at that time.
    ///
    /// # Errors
    /// The counter is used up; nothing was charged.
    pub fn charge(self, last: Arrival, now_us: u64) -> Result<Arrival, Exceeded> {
        let interval = self.interval_us();
        let next = last.0.max(now_us).saturating_add(interval);
        let latest = now_us.saturating_add(interval.saturating_mul(u64::from(self.count)));
        if next > latest {
            Err(Exceeded { retry_after_ms: (next - latest).div_ceil(1000) })
        } else {
            Ok(Arrival(next))
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per_seconds;
        let (number, unit) = match seconds {
            s if s % 86_400 == 0 => (s / 86_400, "d"),
            s if s % 3600 == 0 => (s / 3600, "h"),
            s if s % 60 == 0 => (s / 60, "m"),
            s => (s, "s"),
        };
        write!(f, "{}/{number}{unit}", self.count)
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (count, time) = text.split_once('/').ok_or(BadRate)?;
        let unit = time.chars().last().ok_or(BadRate)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(BadRate),
        };
        let number: u64 = digits(&time[..time.len() - 1])?;
        let count = u32::try_from(digits(count)?).map_err(|_| BadRate)?;
        Self::new(count, number.checked_mul(factor).ok_or(BadRate)?)
    }
}

fn digits(text: &str) -> Result<u64, BadRate> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadRate);
    }
    text.parse().map_err(|_| BadRate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn texts() {
        for (text, count, seconds) in
            [("60/1h", 60, 3600), ("1/1s", 1, 1), ("5/2d", 5, 172_800), ("7/90s", 7, 90)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count(), rate.per_seconds()), (count, seconds));
            assert_eq!(rate.to_string(), text);
        }
        for bad in
            ["", "60", "60/", "/1h", "0/1h", "60/0s", "60/1w", "+6/1h", "6 /1h", "6/1h ", "6/é", "9999999/1s"]
        {
            assert_eq!(bad.parse::<Rate>(), Err(BadRate), "{bad:?}");
        }
    }

    #[test]
    fn a_burst_and_then_evenly() {
        let rate = Rate::new(3, 30).unwrap();
        let start = 1_000_000_000;
        let mut arrival = Arrival::default();
        for _ in 0..3 {
            arrival = rate.charge(arrival, start).unwrap();
        }
        assert_eq!(rate.charge(arrival, start), Err(Exceeded { retry_after_ms: 10_000 }));
        assert_eq!(rate.charge(arrival, start + 9_999_999), Err(Exceeded { retry_after_ms: 1 }));
        arrival = rate.charge(arrival, start + 10_000_000).unwrap();
        assert!(rate.charge(arrival, start + 10_000_000).is_err());
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let rate = Rate::new(2, 2).unwrap();
        let mut arrival = Arrival::default();
        for _ in 0..2 {
            arrival = rate.charge(arrival, 10_000_000).unwrap();
        }
        assert!(rate.charge(arrival, 5_000_000).is_err());
    }
}
