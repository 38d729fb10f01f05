//! Moments, as objects write them, and the days they lie on.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::date::Date;
use crate::pointer::Pointer;

/// The day, in UTC, of a moment: milliseconds since 1970 as digits, RFC 3339 with an offset, or a day.
#[must_use]
pub fn day(text: &str) -> Option<Date> {
    if let Ok(day) = text.parse() {
        return Some(day);
    }
    let date = moment(text)?.to_zoned(TimeZone::UTC).date();
    let (year, month, day) = (date.year(), date.month(), date.day());
    Date::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?).ok()
}

/// A moment, but no day.
fn moment(text: &str) -> Option<Timestamp> {
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if digits {
        Timestamp::from_millisecond(text.parse().ok()?).ok()
    } else if is_rfc3339(text) {
        text.parse().ok()
    } else {
        None
    }
}

/// When something ends: the first moment that it does not take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The day of that moment, in UTC.
    pub day: Date,
    /// Whether it is the very beginning of that day: then nothing of the day belongs to it.
    pub midnight: bool,
}

impl End {
    /// The end that a text says, written as for [`day`]: a whole day is the one after the last.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let midnight = match text.parse::<Date>() {
            Ok(_) => true,
            Err(_) => {
                let moment = moment(text)?;
                moment.as_nanosecond().rem_euclid(86_400_000_000_000) == 0
            }
        };
        Some(Self { day: day(text)?, midnight })
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.midnight { "the beginning of " } else { "" }, self.day)
    }
}

/// The ends at that place of an object, read like [`days`]. `None` where any of it is missing or is no moment.
#[must_use]
pub fn ends(object: &Value, at: &Pointer) -> Option<Vec<End>> {
    at.every(object)?.into_iter().map(|found| End::of(&text(found)?)).collect()
}

/// The days at that place of an object: texts, numbers of milliseconds, or objects with one of `dateTime` and `date`, as
/// calendars write when something begins. `None` where any of it is missing or is no moment.
#[must_use]
pub fn days(object: &Value, at: &Pointer) -> Option<Vec<Date>> {
    at.every(object)?.into_iter().map(value).collect()
}

fn value(value: &Value) -> Option<Date> {
    day(&text(value)?)
}

/// What says when; of an object, `date` is a day and nothing else.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.as_u64()?.to_string()),
        Value::Object(members) => match (members.get("dateTime"), members.get("date")) {
            (Some(Value::String(text)), None) => Some(text.clone()),
            (None, Some(Value::String(text))) => text.parse::<Date>().ok().map(|day| day.to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The shape of RFC 3339 section 5.6, with an upper-case T and an offset: other shapes are read differently by others.
fn is_rfc3339(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else { return false };
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(b, s)| if s == b'0' { b.is_ascii_digit() } else { b == s })
    };
    let (clock, offset) = match time.strip_suffix('Z') {
        Some(clock) => (clock, "+00:00"),
        None => match time.len().checked_sub(6).and_then(|at| time.split_at_checked(at)) {
            Some(parts) => parts,
            None => return false,
        },
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    shape(date, "0000-00-00")
        && shape(clock, "00:00:00")
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && (shape(offset, "+00:00") || shape(offset, "-00:00"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn moments_lie_on_days_in_utc() {
        for (text, expected) in [
            ("2026-01-31", Some("2026-01-31")),
            ("0", Some("1970-01-01")),
            ("1767225599999", Some("2025-12-31")),
            ("1767225600000", Some("2026-01-01")),
            ("2026-01-01T00:30:00+01:00", Some("2025-12-31")),
            ("2025-12-31T23:30:00-01:00", Some("2026-01-01")),
            ("2026-01-01T00:00:00Z", Some("2026-01-01")),
            ("2026-01-01T00:00:00.123456Z", Some("2026-01-01")),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01 00:00:00Z", None),
            ("2026-01-01t00:00:00z", None),
            ("2026-01-01T00:00:00+01:00[Europe/Berlin]", None),
            ("2026-01-01T25:00:00Z", None),
            ("2026-01-01T00:00:00+99:00", None),
            ("2026-02-30T00:00:00Z", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1.5", None),
            ("9999999999999999", None),
            ("999999999999999", None),
            ("", None),
            ("yesterday", None),
        ] {
            assert_eq!(day(text).map(|day| day.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_days_of_an_object_are_all_read_or_none() {
        let at = |object: Value, at: &str| {
            days(&object, &at.parse().unwrap())
                .map(|days| days.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(at(json!({ "d": "0" }), "/d").unwrap(), ["1970-01-01"]);
        assert_eq!(at(json!({ "d": 0 }), "/d").unwrap(), ["1970-01-01"]);
        assert_eq!(at(json!({ "s": { "dateTime": "2026-01-01T00:00:00Z" } }), "/s").unwrap(), ["2026-01-01"]);
        assert_eq!(at(json!({ "s": { "date": "2026-01-01" } }), "/s").unwrap(), ["2026-01-01"]);
        for odd in [
            json!({ "s": { "date": "2026-01-01", "dateTime": "2027-01-01T00:00:00Z" } }),
            json!({ "s": { "date": "0" } }),
            json!({ "s": {} }),
            json!({ "s": null }),
            json!({ "s": -1 }),
            json!({ "s": 1.5 }),
            json!({ "s": ["0"] }),
            json!({}),
        ] {
            assert_eq!(at(odd.clone(), "/s"), None, "{odd}");
        }
        assert_eq!(at(json!({ "m": [{ "d": "0" }, {}] }), "/m/*/d"), None);
    }

    #[test]
    fn an_end_is_what_comes_after_the_last() {
        for (text, expected) in [
            ("2026-02-01", Some(("2026-02-01", true))),
            ("2026-02-01T00:00:00Z", Some(("2026-02-01", true))),
            ("2026-02-01T01:00:00+01:00", Some(("2026-02-01", true))),
            ("2026-02-01T00:00:00+01:00", Some(("2026-01-31", false))),
            ("2026-02-01T00:00:00.000000001Z", Some(("2026-02-01", false))),
            ("2026-02-01T00:00:01Z", Some(("2026-02-01", false))),
            ("2026-01-31T23:59:59Z", Some(("2026-01-31", false))),
            ("1769904000000", Some(("2026-02-01", true))),
            ("1769904000001", Some(("2026-02-01", false))),
            ("2026-02-01T00:00:00", None),
            ("", None),
        ] {
            let found = End::of(text).map(|End { day, midnight }| (day.to_string(), midnight));
            assert_eq!(found.as_ref().map(|(day, midnight)| (day.as_str(), *midnight)), expected, "{text}");
        }
        let at = |object: Value| ends(&object, &"/e".parse().unwrap()).map(|all| all.len());
        assert_eq!(at(json!({ "e": { "date": "2026-02-01" } })), Some(1));
        assert_eq!(at(json!({ "e": {} })), None);
        assert_eq!(at(json!({})), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,32}|[0-9T:+Z.-]{0,32}") {
            let _ = (day(&text), End::of(&text));
        }
    }
}
