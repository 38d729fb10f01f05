//! Calendar days, as arguments and query languages write them.

use std::fmt;
use std::str::FromStr;

/// The text is not a day between 1970-01-01 and 2999-12-31. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is YYYY-MM-DD, a real day from the year 1970 to 2999")]
pub struct BadDate;

/// A day of the Gregorian calendar, without a time zone; 1970-01-01 to 2999-12-31.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day by its numbers; month and day count from 1.
    ///
    /// # Errors
    /// [`BadDate`] where the calendar has no such day, or the year is outside 1970 to 2999.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, BadDate> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return Err(BadDate),
        };
        if (1970..=2999).contains(&year) && (1..=days).contains(&day) {
            Ok(Self { year, month, day })
        } else {
            Err(BadDate)
        }
    }

    /// Year, month and day with this character between them: `2026/01/31`.
    #[must_use]
    pub fn with(&self, separator: char) -> String {
        format!("{:04}{separator}{:02}{separator}{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        // By hand, because a number parser would take `+026` as a year.
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return Err(BadDate) };
        let digit = |b: u8| if b.is_ascii_digit() { Ok(b - b'0') } else { Err(BadDate) };
        let two = |tens: u8, ones: u8| Ok::<u8, BadDate>(digit(tens)? * 10 + digit(ones)?);
        Self::new(u16::from(two(y1, y2)?) * 100 + u16::from(two(y3, y4)?), two(m1, m2)?, two(d1, d2)?)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with('-'))
    }
}

impl fmt::Debug for Date {
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
    fn real_days_only() {
        for good in ["1970-01-01", "2026-01-31", "2024-02-29", "2000-02-29", "2400-02-29", "2999-12-31"] {
            assert_eq!(good.parse::<Date>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "1969-12-31",
            "3000-01-01",
            "2026-02-29",
            "2100-02-29",
            "2026-02-30",
            "2026-04-31",
            "2026-00-01",
            "2026-13-01",
            "2026-01-00",
            "2026-01-32",
            "2026-1-01",
            "2026-01-1",
            "2026/01/01",
            "20260101",
            "+026-01-01",
            "2026-+1-01",
            " 2026-01-01",
            "2026-01-01 ",
            "2026-01-01\n",
            "2026-01-01T00:00:00Z",
            "２026-01-01",
            "٢٠٢٦-01-01",
            "2026-01-0x",
            "2026‐01‐01",
        ] {
            assert_eq!(bad.parse::<Date>(), Err(BadDate), "{bad:?}");
        }
    }

    #[test]
    fn days_are_ordered_and_written_with_any_separator() {
        let (a, b): (Date, Date) = ("2025-12-31".parse().unwrap(), "2026-01-01".parse().unwrap());
        assert!(a < b);
        assert_eq!(b.with('/'), "2026/01/01");
    }

    proptest! {
        #[test]
        fn one_text_for_one_day(text in "[0-9]{4}-[0-1][0-9]-[0-3][0-9]") {
            if let Ok(date) = text.parse::<Date>() {
                prop_assert_eq!(date.to_string(), text);
            }
        }

        #[test]
        fn agrees_with_a_calendar(year in 1900_i16..3100, month in 0_i8..14, day in 0_i8..33) {
            let known = jiff::civil::Date::new(year, month, day).is_ok() && (1970..=2999).contains(&year);
            let ours = Date::new(year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs());
            prop_assert_eq!(ours.is_ok(), known);
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = text.parse::<Date>();
        }
    }
}
