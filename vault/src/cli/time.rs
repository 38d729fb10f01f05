//! Moments and spans as people read them: where they are, and how far from now.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Local date and time to the minute, with how long ago or how soon; empty for 0, which means never.
pub(super) fn moment(at_ms: u64, now_ms: u64) -> String {
    if at_ms == 0 {
        return String::new();
    }
    format!("{} ({})", absolute(at_ms), relative(at_ms, now_ms))
}

/// Local date and time to the second, `2026-11-23 02:05:09`.
pub(super) fn absolute(at_ms: u64) -> String {
    let Some(at) = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) else {
        return "at no time".to_owned();
    };
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `3 min ago`, `in 5 d`, `now`.
pub(super) fn relative(at_ms: u64, now_ms: u64) -> String {
    let span = span(at_ms.abs_diff(now_ms) / 1000);
    match at_ms.cmp(&now_ms) {
        _ if at_ms.abs_diff(now_ms) < 1000 => "now".to_owned(),
        std::cmp::Ordering::Greater => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

/// Seconds in the greatest unit that fits, rounded down.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times() {
        let check = |at: u64, now: u64, expected: &str| assert_eq!(relative(at, now), expected);
        check(1_000_000, 1_000_500, "now");
        check(1_000_000, 1_059_000, "59 s ago");
        check(1_000_000, 1_060_000, "1 min ago");
        check(0, 7_200_000, "2 h ago");
        check(86_400_000 * 3, 0, "in 3 d");
        assert_eq!(moment(0, 5), "");
        assert_eq!(absolute(u64::MAX), "at no time");
    }
}
