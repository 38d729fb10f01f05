//! Identifiers of calendars and of their events, which are no plain ids: they hold `@`, `.`, `#`, or are long.

/// A calendar's id: 1 to 256 of `[a-z0-9_.@#+-]`, beginning and ending with a letter or digit (or beginning with `#` or
/// `_`), never with two dots in a row.
///
/// Capital letters are refused, not made small: services compare these ids without regard to case, and a bound that
/// forbids one would be got round by its other spelling. Google writes all of them small.
///
/// # Errors
/// The rule it breaks, as the end of a sentence.
pub fn parse_calendar(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.@#+-".contains(&b);
    let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let fits = (1..=256).contains(&bytes.len())
        && bytes.iter().copied().all(plain)
        && bytes.first().is_some_and(|b| edge(b) || b"_#".contains(b))
        && bytes.last().is_some_and(edge)
        && !text.contains("..");
    if fits {
        Ok(text.to_owned())
    } else {
        Err("is a calendar's id as list_calendars tells it, in small letters".to_owned())
    }
}

/// An event's id: 1 to 1024 of `[a-v0-9_]` (base32hex, RFC 4648 section 7, as Google's), for one of a series followed by
/// its original time: `_20260301`, `_20260301T093000Z`, or with `R` before the digits for the rest of a series.
///
/// # Errors
/// The rule it breaks, as the end of a sentence.
pub fn parse_event(text: &str) -> Result<String, String> {
    let base = match text.rsplit_once('_') {
        Some((base, time)) if is_time(time) => base,
        _ => text,
    };
    // A series that was split, and one of its events.
    let base = match base.rsplit_once('_') {
        Some((base, time)) if time.starts_with('R') && is_time(time) => base,
        _ => base,
    };
    let plain = |b: u8| matches!(b, b'a'..=b'v' | b'0'..=b'9' | b'_');
    if !base.is_empty() && text.len() <= 1024 && base.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("is an event's id as list_events tells it".to_owned())
    }
}

/// `20260301`, `20260301T093000`, `20260301T093000Z`, each perhaps with `R` before it.
fn is_time(text: &str) -> bool {
    let text = text.strip_prefix('R').unwrap_or(text);
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('T') {
        None => digits(text, 8),
        Some((day, time)) => digits(day, 8) && digits(time.strip_suffix('Z').unwrap_or(time), 6),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn calendars() {
        for good in [
            "owner@example.com",
            "first.last+tag@example.org",
            "c_188abcdef0123@group.calendar.google.com",
            "en.usa#holiday@group.v.calendar.google.com",
            "#contacts@group.v.calendar.google.com",
            "primary",
            &"a".repeat(256),
        ] {
            assert_eq!(parse_calendar(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "@",
            "a@",
            "a.",
            "-a",
            "Owner@example.com",
            "PRIMARY",
            "a/b",
            "a%2fb",
            "a b",
            "a?b",
            "a&b",
            "a;b",
            "a:b",
            "ä@example.com",
            "a\n",
            "a\\b",
            &"a".repeat(257),
        ] {
            assert!(parse_calendar(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn events() {
        for good in [
            "a",
            "4t5o3p2q1r0s9n8m7l6k5j4i3h",
            "_60q30c1g60o30e1i60o4ac1g60rj8gpl88rj2c1h84s34h9g60s30c1g60o30c1g",
            "abc_20260301",
            "abc_20260301T093000Z",
            "abc_R20260301T093000",
            "abc_R20260301T093000_20260308T093000Z",
            &"a".repeat(1024),
        ] {
            assert_eq!(parse_event(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "_20260301T093000Z/..",
            "watch",
            "quickAdd",
            "ABC",
            "abc_20260301T",
            "abc_20260301T0930Z",
            "abc_20260301t093000z",
            // Beginnings of a time are none.
            "abc_R",
            "abc_Rx_20260308",
            "abc_2026030x",
            "abc_20260301T09300x",
            "abc-def",
            "a.b",
            "a/b",
            "a@b",
            &"a".repeat(1025),
        ] {
            assert!(parse_event(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// Whatever is taken stays within its segment of a path, with nothing to decode.
        #[test]
        fn nothing_taken_leaves_its_place(text in "\\PC{0,12}|[a-v0-9_TRZ]{0,30}|[a-z0-9_.@#+/%-]{0,20}") {
            for taken in [parse_calendar(&text), parse_event(&text)].into_iter().flatten() {
                prop_assert!(crate::codec::percent::path_segment(&taken).is_ok());
                prop_assert!(!taken.contains(['/', '\\', '%', '?', '&', ';', ' ']));
                prop_assert_eq!(&taken, &text);
            }
        }
    }
}
