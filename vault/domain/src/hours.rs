//! Hours of the day, in a place.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// When calls may be made: on these days of the week, from this minute to that, in this time zone.
///
/// Written `mon-fri,08:00-18:00,Europe/Berlin`; without days for every day, and with any of them: `mon,wed,sat-sun`. A
/// span may run over midnight (`22:00-06:00`); then the day that counts is the one on which it began. Where clocks are
/// turned the shorter reading holds: a span that begins in an hour that comes twice, or not at all, begins at the later
/// moment that this can mean, and one that ends there ends at the earlier.
///
/// The zones are those that were built in: no file of the machine decides when a call may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: String,
    days: Vec<u8>,
    from: u16,
    to: u16,
    rules: TimeZone,
}

/// No such hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHours {
    /// No such time zone.
    #[error("there is no such time zone; use an IANA name such as Europe/Berlin")]
    Zone,
    /// A day is not 1 to 7.
    #[error("a day of the week is mon to sun")]
    Day,
    /// A time is not 00:00 to 24:00, or the span is empty.
    #[error("a span of hours runs from one time of the day to another, such as 08:00-18:00")]
    Span,
}

impl Hours {
    /// Hours of these days (1 Monday to 7 Sunday; none, or all seven, for every day) in that zone (an IANA name), in
    /// minutes after midnight: from inclusive, to exclusive, before `from` for a span over midnight.
    ///
    /// # Errors
    /// [`BadHours`].
    pub fn new(zone: &str, mut days: Vec<u8>, from: u16, to: u16) -> Result<Self, BadHours> {
        let rules = TimeZoneDatabase::bundled().get(zone).map_err(|_| BadHours::Zone)?;
        // `Etc/Unknown` is a name too, and no zone.
        let zone = rules.iana_name().filter(|_| !rules.is_unknown()).ok_or(BadHours::Zone)?.to_owned();
        if days.iter().any(|day| !(1..=7).contains(day)) {
            return Err(BadHours::Day);
        }
        if from >= DAY || to > DAY || from == to {
            return Err(BadHours::Span);
        }
        days.sort_unstable();
        days.dedup();
        if days.len() == 7 {
            days.clear();
        }
        Ok(Self { zone, days, from, to, rules })
    }

    /// The zone's IANA name.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The days, 1 Monday to 7 Sunday, in order; empty for every day.
    #[must_use]
    pub fn days(&self) -> &[u8] {
        &self.days
    }

    /// Minutes after midnight, inclusive.
    #[must_use]
    pub fn from(&self) -> u16 {
        self.from
    }

    /// Minutes after midnight, exclusive; before [`Hours::from`] for a span over midnight.
    #[must_use]
    pub fn to(&self) -> u16 {
        self.to
    }

    /// Whether that moment, in milliseconds since 1970, lies within.
    #[must_use]
    pub fn allow(&self, now_ms: u64) -> bool {
        let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(now) = now else { return false };
        let today = self.rules.to_datetime(now).date();
        // A span of today, or one that began yesterday and runs over midnight.
        [Some(today), today.yesterday().ok()].into_iter().flatten().any(|day| self.holds(day, now))
    }

    /// Whether the moment lies in the span that began on that day.
    fn holds(&self, day: Date, now: Timestamp) -> bool {
        let weekday = day.weekday().to_monday_one_offset().unsigned_abs();
        if !self.days.is_empty() && !self.days.contains(&weekday) {
            return false;
        }
        let at = |minutes: u16| at_minute(day, minutes);
        let end = if self.to <= self.from { self.to + DAY } else { self.to };
        let (Some(from), Some(to)) = (at(self.from), at(end)) else { return false };
        let from = self.rules.to_ambiguous_timestamp(from).later();
        let to = self.rules.to_ambiguous_timestamp(to).earlier();
        matches!((from, to), (Ok(from), Ok(to)) if from <= now && now < to)
    }
}

fn at_minute(day: Date, minutes: u16) -> Option<DateTime> {
    let day = day.checked_add(i64::from(minutes / DAY).days()).ok()?;
    let minutes = minutes % DAY;
    let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
    Some(day.at(hour, minute, 0, 0))
}

impl FromStr for Hours {
    type Err = BadHours;

    fn from_str(text: &str) -> Result<Self, BadHours> {
        let (rest, zone) = text.rsplit_once(',').ok_or(BadHours::Zone)?;
        let (days, span) = match rest.rsplit_once(',') {
            Some((days, span)) => (Some(days), span),
            None => (None, rest),
        };
        let (from, to) = span.split_once('-').ok_or(BadHours::Span)?;
        let mut numbers = Vec::new();
        for part in days.into_iter().flat_map(|days| days.split(',')) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            let mut day = first;
            numbers.push(day);
            while day != last {
                day = day % 7 + 1;
                numbers.push(day);
            }
        }
        Self::new(zone, numbers, minute(from)?, minute(to)?)
    }
}

fn day(word: &str) -> Result<u8, BadHours> {
    (1..).zip(DAYS).find(|(_, day)| *day == word).map(|(number, _)| number).ok_or(BadHours::Day)
}

/// `HH:MM`, 00:00 to 24:00.
fn minute(text: &str) -> Result<u16, BadHours> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(BadHours::Span) };
    if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
        return Err(BadHours::Span);
    }
    let two = |tens: u8, ones: u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    let (hours, minutes) = (two(h1, h2), two(m1, m2));
    // That it is within a day is for [`Hours::new`] to say.
    if minutes < 60 { Ok(hours * 60 + minutes) } else { Err(BadHours::Span) }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.days.as_slice();
        while let Some(first) = rest.first() {
            let run = rest.iter().zip(*first..).take_while(|(day, expected)| **day == *expected).count();
            let (these, others) = rest.split_at(run);
            let name = |day: &u8| DAYS[usize::from(day - 1)];
            match these {
                [first, .., last] if run > 2 => write!(f, "{}-{},", name(first), name(last))?,
                several => several.iter().try_for_each(|day| write!(f, "{},", name(day)))?,
            }
            rest = others;
        }
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02},{}", from / 60, from % 60, to / 60, to % 60, self.zone)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn hours_have_one_spelling() {
        for (text, kept) in [
            ("mon-fri,08:00-18:00,Europe/Berlin", "mon-fri,08:00-18:00,Europe/Berlin"),
            ("08:00-18:00,Europe/Berlin", "08:00-18:00,Europe/Berlin"),
            ("mon-sun,00:00-24:00,utc", "00:00-24:00,UTC"),
            ("fri-mon,22:00-06:00,america/new_york", "mon,fri-sun,22:00-06:00,America/New_York"),
            ("wed,mon,wed,09:30-09:31,Asia/Kolkata", "mon,wed,09:30-09:31,Asia/Kolkata"),
            ("00:59-24:00,UTC", "00:59-24:00,UTC"),
            ("sat-sun,09:30-12:00,Asia/Tokyo", "sat,sun,09:30-12:00,Asia/Tokyo"),
        ] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!(hours.to_string(), kept);
            assert_eq!(kept.parse::<Hours>().unwrap(), hours);
        }
        for (bad, why) in [
            ("", BadHours::Zone),
            ("08:00-18:00", BadHours::Zone),
            ("08:00-18:00,", BadHours::Zone),
            ("08:00-18:00,Berlin", BadHours::Zone),
            ("08:00-18:00,Europe/Berlin ", BadHours::Zone),
            ("08:00-18:00,Etc/Unknown", BadHours::Zone),
            ("08:00-18:00,../../etc/passwd", BadHours::Zone),
            ("08:00-18:00,/etc/localtime", BadHours::Zone),
            ("08:00-18:00,CET-1CEST", BadHours::Zone),
            ("Mon,08:00-18:00,UTC", BadHours::Day),
            ("monday,08:00-18:00,UTC", BadHours::Day),
            (",08:00-18:00,UTC", BadHours::Day),
            ("mon-,08:00-18:00,UTC", BadHours::Day),
            ("mon-tue-wed,08:00-18:00,UTC", BadHours::Day),
            ("8:00-18:00,UTC", BadHours::Span),
            ("08:00-24:01,UTC", BadHours::Span),
            ("08:00-99:59,UTC", BadHours::Span),
            ("24:00-08:00,UTC", BadHours::Span),
            ("08:60-18:00,UTC", BadHours::Span),
            ("08:00-08:00,UTC", BadHours::Span),
            ("0é:0-18:00,UTC", BadHours::Span),
            ("+8:00-18:00,UTC", BadHours::Span),
            ("08:00,UTC", BadHours::Span),
        ] {
            assert_eq!(bad.parse::<Hours>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn hours_are_kept_as_they_were_given() {
        let hours = Hours::new("europe/berlin", vec![7, 1, 1], 2, 1440).unwrap();
        assert_eq!(
            (hours.zone(), hours.days(), hours.from(), hours.to()),
            ("Europe/Berlin", &[1, 7][..], 2, 1440)
        );
        assert_eq!(Hours::new("UTC", (1..=7).collect(), 0, 1).unwrap().days(), [0; 0]);
        for (days, from, to, why) in [
            (vec![0], 0, 1, BadHours::Day),
            (vec![1, 8], 0, 1, BadHours::Day),
            (vec![], 1440, 1, BadHours::Span),
            (vec![], 0, 1441, BadHours::Span),
            (vec![], 5, 5, BadHours::Span),
        ] {
            assert_eq!(Hours::new("UTC", days, from, to), Err(why));
        }
    }

    #[test]
    fn days_and_spans() {
        let check = |hours: &str, at: &str, expected: bool| {
            assert_eq!(hours.parse::<Hours>().unwrap().allow(ms(at)), expected, "{hours} at {at}");
        };
        let office = "mon-fri,08:00-18:00,Europe/Berlin";
        // 2026-11-23 is a Monday.
        check(office, "2026-11-23T08:00:00+01:00", true);
        check(office, "2026-11-23T07:59:59.999+01:00", false);
        check(office, "2026-11-23T17:59:59.999+01:00", true);
        check(office, "2026-11-23T18:00:00+01:00", false);
        check(office, "2026-11-22T12:00:00+01:00", false);
        check(office, "2026-07-20T08:00:00+02:00", true);
        check(office, "2026-07-20T07:00:00Z", true);
        check(office, "2026-07-20T05:59:59Z", false);
        // Over midnight: the day is the one on which it began.
        let night = "fri,22:00-06:00,Europe/Berlin";
        check(night, "2026-11-27T22:00:00+01:00", true);
        check(night, "2026-11-28T05:59:00+01:00", true);
        check(night, "2026-11-28T06:00:00+01:00", false);
        check(night, "2026-11-27T05:00:00+01:00", false);
        check(night, "2026-11-28T22:30:00+01:00", false);
        // A whole day, and to midnight.
        check("sun,00:00-24:00,UTC", "2026-11-22T23:59:59.999Z", true);
        check("sun,00:00-24:00,UTC", "2026-11-23T00:00:00Z", false);
        check("sun,00:00-24:00,UTC", "2026-11-21T23:59:59Z", false);
        check("22:00-00:00,UTC", "2026-11-21T23:59:59Z", true);
        check("22:00-00:00,UTC", "2026-11-21T00:00:00Z", false);
        assert!(!office.parse::<Hours>().unwrap().allow(u64::MAX));
    }

    /// Berlin turns from 03:00 back to 02:00 on 2026-10-25, and from 02:00 on to 03:00 on 2026-03-29.
    #[test]
    fn where_clocks_are_turned_the_shorter_reading_holds() {
        let check = |hours: &str, at: &str, expected: bool| {
            let hours = format!("{hours},Europe/Berlin").parse::<Hours>().unwrap();
            assert_eq!(hours.allow(ms(at)), expected, "{hours} at {at}");
        };
        // It begins in the hour that comes twice: at its second coming.
        check("02:30-05:00", "2026-10-25T02:45:00+02:00", false);
        check("02:30-05:00", "2026-10-25T02:15:00+01:00", false);
        check("02:30-05:00", "2026-10-25T02:30:00+01:00", true);
        // It ends there: at its first.
        check("01:00-02:30", "2026-10-25T02:29:00+02:00", true);
        check("01:00-02:30", "2026-10-25T02:30:00+02:00", false);
        check("01:00-02:30", "2026-10-25T02:15:00+01:00", false);
        check("02:10-02:50", "2026-10-25T02:30:00+02:00", false);
        check("02:10-02:50", "2026-10-25T02:30:00+01:00", false);
        // Over it, nothing is lost.
        check("01:00-05:00", "2026-10-25T02:30:00+02:00", true);
        check("01:00-05:00", "2026-10-25T02:30:00+01:00", true);
        // In the hour that never comes.
        check("02:30-05:00", "2026-03-29T03:15:00+02:00", false);
        check("02:30-05:00", "2026-03-29T03:30:00+02:00", true);
        check("00:00-02:30", "2026-03-29T01:29:00+01:00", true);
        check("00:00-02:30", "2026-03-29T01:30:00+01:00", false);
        check("02:10-02:50", "2026-03-29T03:10:00+02:00", false);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(days in prop::collection::vec(1_u8..=7, 0..9), from in 0_u16..DAY, to in 0_u16..=DAY, zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu"])) {
            if let Ok(hours) = Hours::new(zone, days, from, to) {
                prop_assert_eq!(hours.to_string().parse::<Hours>().unwrap(), hours);
            }
        }

        /// What is allowed is within by the clock on the wall, too.
        #[test]
        fn the_clock_on_the_wall_agrees(days in prop::collection::vec(1_u8..=7, 0..4), from in 0_u16..DAY, to in 0_u16..=DAY, at in 1_700_000_000_u64..1_900_000_000) {
            let Ok(hours) = Hours::new("Europe/Berlin", days, from, to) else { return Ok(()) };
            if hours.allow(at * 1000) {
                let wall = hours.rules.to_datetime(Timestamp::from_second(i64::try_from(at).unwrap()).unwrap());
                let now = u16::try_from(i16::from(wall.hour()) * 60 + i16::from(wall.minute())).unwrap();
                let today = wall.date().weekday().to_monday_one_offset().unsigned_abs();
                let yesterday = if today == 1 { 7 } else { today - 1 };
                let on = |day: u8| hours.days.is_empty() || hours.days.contains(&day);
                let within = if from < to {
                    on(today) && (from..to).contains(&now)
                } else {
                    (now >= from && on(today)) || (now < to && on(yesterday))
                };
                prop_assert!(within, "{hours} at {wall}");
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}|[a-z,-]{0,9},?[0-9:-]{0,12},?(UTC|Europe/Berlin)") {
            let _ = text.parse::<Hours>();
        }
    }
}
