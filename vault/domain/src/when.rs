//! When something is: a day, or a moment with its offset from UTC.

use std::fmt;
use std::str::FromStr;

use crate::date::Date;

/// The text is neither a day nor a moment. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or an offset such as +02:00")]
pub struct BadWhen;

/// A whole day, or a moment to the second.
///
/// A moment is RFC 3339 section 5.6 in its strictest form: capital `T` and `Z`, seconds without fraction, no leap
/// second, an offset of at most 18 hours in whole minutes, and not `-00:00`, which says that the offset is not known.
/// Its one spelling has `Z` for no offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// A day without a time zone.
    Day(Date),
    /// A moment.
    Moment(Moment),
}

/// A second of a day, as clocks with that offset from UTC show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    day: Date,
    /// Seconds after midnight, below 86 400.
    second: u32,
    /// Minutes east of UTC.
    offset: i16,
}

impl When {
    /// The beginning of it as a moment: a day begins at midnight in UTC.
    #[must_use]
    pub fn moment(self) -> Moment {
        match self {
            When::Day(day) => Moment { day, second: 0, offset: 0 },
            When::Moment(moment) => moment,
        }
    }

    /// Whether it is a whole day.
    #[must_use]
    pub fn is_day(self) -> bool {
        matches!(self, When::Day(_))
    }
}

impl FromStr for When {
    type Err = BadWhen;

    fn from_str(text: &str) -> Result<Self, BadWhen> {
        match text.split_once('T') {
            None => text.parse().map(When::Day).map_err(|_| BadWhen),
            Some((day, time)) => {
                let day = day.parse().map_err(|_| BadWhen)?;
                let (second, offset) = clock(time.as_bytes())?;
                Ok(When::Moment(Moment { day, second, offset }))
            }
        }
    }
}

/// Seconds after midnight, and minutes east of UTC, of `hh:mm:ssZ` or `hh:mm:ss+hh:mm`.
fn clock(text: &[u8]) -> Result<(u32, i16), BadWhen> {
    let (&[h1, h2, b':', m1, m2, b':', s1, s2], zone) = text.split_first_chunk().ok_or(BadWhen)? else {
        return Err(BadWhen);
    };
    let second = two(h1, h2, 23)? * 3600 + two(m1, m2, 59)? * 60 + two(s1, s2, 59)?;
    let offset = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = two(h1, h2, 18)? * 60 + two(m1, m2, 59)?;
            let minutes = i16::try_from(minutes).map_err(|_| BadWhen)?;
            match sign {
                _ if minutes > 18 * 60 => return Err(BadWhen),
                b'-' if minutes == 0 => return Err(BadWhen),
                b'-' => -minutes,
                _ => minutes,
            }
        }
        _ => return Err(BadWhen),
    };
    Ok((second, offset))
}

/// Two digits up to that number.
fn two(tens: u8, ones: u8, most: u32) -> Result<u32, BadWhen> {
    let digit = |b: u8| if b.is_ascii_digit() { Ok(u32::from(b - b'0')) } else { Err(BadWhen) };
    let number = digit(tens)? * 10 + digit(ones)?;
    if number <= most { Ok(number) } else { Err(BadWhen) }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        write!(f, "{}T{h:02}:{m:02}:{s:02}", self.day)?;
        match self.offset {
            0 => f.write_str("Z"),
            east => {
                let minutes = east.unsigned_abs();
                let sign = if east < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Day(day) => day.fmt(f),
            When::Moment(moment) => moment.fmt(f),
        }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_and_moments_have_one_spelling() {
        for (text, kept) in [
            ("2026-03-01", "2026-03-01"),
            ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
            ("2026-03-01T09:30:00+00:00", "2026-03-01T09:30:00Z"),
            ("2026-03-01T23:59:59-09:30", "2026-03-01T23:59:59-09:30"),
            ("2026-03-01T00:00:00+05:45", "2026-03-01T00:00:00+05:45"),
            ("2026-03-01T00:00:00+18:00", "2026-03-01T00:00:00+18:00"),
        ] {
            assert_eq!(text.parse::<When>().unwrap().to_string(), kept);
        }
        assert_eq!("2026-03-01".parse::<When>().unwrap().moment().to_string(), "2026-03-01T00:00:00Z");
        assert!("2026-03-01".parse::<When>().unwrap().is_day());
        assert!(!"2026-03-01T00:00:00Z".parse::<When>().unwrap().is_day());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "",
            "T",
            "2026-03-01T",
            "2026-03-01T09:30:00",
            "2026-03-01T09:30Z",
            "2026-03-01t09:30:00Z",
            "2026-03-01T09:30:00z",
            "2026-03-01 09:30:00Z",
            "2026-03-01T09:30:00.5Z",
            "2026-03-01T09:30:00,5Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T23:60:00Z",
            "2026-03-01T23:59:60Z",
            "2026-02-30T09:30:00Z",
            "2026-03-01T09:30:00-00:00",
            "2026-03-01T09:30:00+18:01",
            "2026-03-01T09:30:00+24:00",
            "2026-03-01T09:30:00+0200",
            "2026-03-01T09:30:00+02",
            "2026-03-01T09:30:00 02:00",
            "2026-03-01T09:30:00Z[Europe/Berlin]",
            "2026-03-01T09:30:00ZZ",
            "2026-03-01TT09:30:00Z",
            "2026-03-01T+9:30:00Z",
            " 2026-03-01T09:30:00Z",
            "2026-03-01T09:30:00Z\n",
            "1969-12-31T23:59:59Z",
            "２０２６-03-01T09:30:00Z",
            "2026-03-01T0\u{663}:30:00Z",
        ] {
            assert_eq!(bad.parse::<When>(), Err(BadWhen), "{bad:?}");
        }
    }

    proptest! {
        /// What is kept means the same moment as what was given, by another reader.
        #[test]
        fn agrees_with_another_reader(
            text in "20[0-9]{2}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][0-2][0-9]:[0-6][0-9])"
        ) {
            if let Ok(when) = text.parse::<When>() {
                let theirs = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
                prop_assert_eq!(theirs(&text), theirs(&when.to_string()));
                prop_assert_eq!(when.to_string().parse::<When>(), Ok(when));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,26}") {
            let _ = text.parse::<When>();
        }
    }
}
