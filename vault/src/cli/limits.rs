//! Spans, rates and bounds as they are typed. One spelling each; what is not exactly that is refused.

use claviger_domain::date::Date;
use claviger_domain::host::HostPattern;
use claviger_domain::path::RelativePath;
use claviger_proto::v1::argument_bound::Bound;
use claviger_proto::v1::{ArgumentBound, Hosts, Hours, Patterns, Rate};

/// Ten years; longer is a mistyped number.
const MAX_SECONDS: u64 = 10 * 365 * 86_400;

/// Seconds of `45s`, `90m`, `12h`, `30d` or `2w`.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let bad = || "a span is a number and s, m, h, d or w, such as 30d".to_owned();
    let unit = text.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(bad()),
    };
    let span = number(&text[..text.len() - 1]).ok_or_else(bad)?.checked_mul(seconds);
    span.filter(|span| (1..=MAX_SECONDS).contains(span)).ok_or("a span is from 1s to 10 years".to_owned())
}

/// When a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// After so many seconds.
    In(u64),
    /// At that moment, in milliseconds since 1970.
    At(u64),
    /// Never.
    Never,
}

/// How long a grant lives: a span, a moment, or `never`.
pub(super) fn expires(text: &str) -> Result<Ends, String> {
    if text == "never" {
        return Ok(Ends::Never);
    }
    if text.contains('-') {
        return moment(text).map(Ends::At);
    }
    duration(text).map(Ends::In).map_err(|error| format!("{error}, a moment such as 2026-01-31, or `never`"))
}

/// Milliseconds since 1970 of `2026-01-31` (the day's beginning in UTC) or `2026-01-31T08:00:00+01:00`.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    let bad = || "a moment is a day such as 2026-01-31, or 2026-01-31T08:00:00+01:00 or …Z".to_owned();
    let whole = if text.parse::<Date>().is_ok() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    // What the parser would take besides, with names of zones or without seconds, has other spellings.
    let plain = |b: u8| b.is_ascii_digit() || b"-+:.TZ".contains(&b);
    if !whole.bytes().all(plain) {
        return Err(bad());
    }
    let at: jiff::Timestamp = whole.parse().map_err(|_| bad())?;
    u64::try_from(at.as_millisecond()).ok().filter(|at| *at > 0).ok_or_else(bad)
}

/// A day, `2026-01-31`.
pub(super) fn day(text: &str) -> Result<String, String> {
    text.parse::<Date>().map(|day| day.to_string()).map_err(|bad| bad.to_string())
}

/// `mon-fri,08:00-18:00,Europe/Berlin`.
pub(super) fn hours(text: &str) -> Result<Hours, String> {
    let hours: claviger_domain::hours::Hours =
        text.parse().map_err(|bad: claviger_domain::hours::BadHours| {
            format!("{bad}; such as mon-fri,08:00-18:00,Europe/Berlin")
        })?;
    Ok(Hours {
        zone: hours.zone().to_owned(),
        days: hours.days().iter().copied().map(u32::from).collect(),
        from_minute: hours.from().into(),
        to_minute: hours.to().into(),
    })
}

/// `10MB`: a number of bytes, with B, kB, MB or GB (decimal).
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || "a size is a number and B, kB, MB or GB, such as 10MB".to_owned();
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];
    let (digits, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit))).ok_or_else(bad)?;
    let bytes = number(digits).and_then(|number| number.checked_mul(*unit));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(bad)
}

/// Addresses and patterns between commas. The vault says which of them is none.
pub(super) fn patterns(text: &str) -> Result<Patterns, String> {
    let patterns = list(text).map_err(|error| format!("{error}; such as '*@example.com,me@example.org'"))?;
    Ok(Patterns { patterns })
}

/// Hosts between commas, or `none` for no host at all.
pub(super) fn links(text: &str) -> Result<Hosts, String> {
    let hosts = if text == "none" { Vec::new() } else { hosts(text)? };
    Ok(Hosts { hosts, query: false })
}

fn hosts(text: &str) -> Result<Vec<String>, String> {
    let hosts = list(text)?;
    match hosts.iter().find_map(|host| host.parse::<HostPattern>().err()) {
        None => Ok(hosts),
        Some(bad) => Err(bad.to_string()),
    }
}

/// A path below a service's root; `.` for the root itself.
pub(super) fn path(text: &str) -> Result<String, String> {
    if text == "." {
        return Ok(String::new());
    }
    match text.parse::<RelativePath>() {
        Ok(path) if !path.as_str().is_empty() => Ok(path.to_string()),
        Ok(_) => Err("the path is empty; the root is `.`".to_owned()),
        Err(bad) => Err(bad.to_string()),
    }
}

/// `KIND=NAME`, for whatever a service bounds by.
pub(super) fn resource(text: &str) -> Result<(String, String), String> {
    let (kind, value) = text.split_once('=').ok_or("a resource is KIND=NAME, such as label=AI")?;
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err("a kind of resource is lower-case letters, digits and underscores".to_owned());
    }
    Ok((kind.to_owned(), name(value)?))
}

/// `60/1h`: so many calls in so long.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let bad = || "a rate is a number of calls and a span, such as 60/1h".to_owned();
    let (count, per) = text.split_once('/').ok_or_else(bad)?;
    let count = number(count).and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    Ok(Rate { count: count.ok_or_else(bad)?, per_seconds: duration(per).map_err(|_| bad())? })
}

/// How many calls altogether: at least one.
pub(super) fn calls(text: &str) -> Result<u64, String> {
    number(text).filter(|calls| *calls > 0).ok_or("a number of calls, at least 1".to_owned())
}

/// One bound of an argument: `count.max=10`, `to.each-in=a,b`, `bcc.absent`.
pub(super) fn bound(text: &str) -> Result<ArgumentBound, String> {
    let (path, value) = match text.split_once('=') {
        Some((path, value)) => (path, Some(value)),
        None => (text, None),
    };
    let (argument, rule) = path.rsplit_once('.').ok_or_else(|| {
        "a bound is ARGUMENT.max=N, .min-length=N, .max-length=N, .one-of=a,b, .each-in=a,b, .hosts=a,b, .hosts-with-query=a,b or ARGUMENT.absent"
            .to_owned()
    })?;
    let named = !argument.is_empty()
        && argument.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !named {
        return Err("an argument's name is lower-case letters, digits and underscores".to_owned());
    }
    let bound = match (rule, value) {
        ("absent", None) => Bound::Absent(true),
        ("absent", Some(_)) => return Err("`absent` takes no value".to_owned()),
        ("max", Some(value)) => Bound::Max(integer(value).ok_or("`max` takes a whole number")?),
        ("max-length", Some(value)) => Bound::MaxLength(number(value).ok_or("`max-length` takes a number")?),
        ("min-length", Some(value)) => Bound::MinLength(number(value).ok_or("`min-length` takes a number")?),
        ("one-of", Some(value)) => Bound::OneOf(Patterns { patterns: list(value)? }),
        ("each-in", Some(value)) => Bound::EachIn(Patterns { patterns: list(value)? }),
        ("hosts", Some(value)) => Bound::Hosts(Hosts { hosts: hosts(value)?, query: false }),
        ("hosts-with-query", Some(value)) => Bound::Hosts(Hosts { hosts: hosts(value)?, query: true }),
        ("max" | "max-length" | "min-length" | "one-of" | "each-in" | "hosts" | "hosts-with-query", None) => {
            return Err(format!("`{rule}` takes a value: {argument}.{rule}=…"));
        }
        (other, _) => {
            let known = [
                "absent",
                "max",
                "max-length",
                "min-length",
                "one-of",
                "each-in",
                "hosts",
                "hosts-with-query",
            ];
            let meant = crate::config::nearest::nearest(other, known).map_or_else(
                || format!("known: {}", known.join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            return Err(format!("there is no such bound; {meant}"));
        }
    };
    Ok(ArgumentBound { argument: argument.to_owned(), bound: Some(bound) })
}

/// Values between commas; none of them empty, because an empty list or value is never what was meant.
pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return Err("a value between the commas is empty".to_owned());
    }
    Ok(items)
}

/// A value that is not empty, as for a label.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("the name is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Digits alone; `u64::from_str` would take a `+` as well.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Digits with an optional minus, within what canonical arguments carry exactly (±(2^53−1)).
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = i64::try_from(number(digits)?).ok().filter(|value| *value < 1 << 53)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let good = |text: &str, seconds: u64| assert_eq!(duration(text), Ok(seconds), "{text}");
        good("1s", 1);
        good("90m", 5400);
        good("12h", 43_200);
        good("30d", 2_592_000);
        good("2w", 1_209_600);
        for bad in [
            "",
            "d",
            "30",
            "30 d",
            "+1d",
            "-1d",
            "1.5h",
            "0d",
            "30D",
            "30days",
            "1e3s",
            "99999999999999999999s",
            "9999999d",
            "1ä",
        ] {
            assert!(duration(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(expires("never"), Ok(Ends::Never));
        assert_eq!(expires("30d"), Ok(Ends::In(2_592_000)));
        assert_eq!(expires("2027-01-15T08:00:00Z"), Ok(Ends::At(1_800_000_000_000)));
        assert!(expires("Never").is_err() && expires("0").is_err() && expires("").is_err());
        assert!(expires("-1d").is_err() && expires("2027-02-30").is_err());
    }

    #[test]
    fn rates_and_calls() {
        assert_eq!(rate("60/1h"), Ok(Rate { count: 60, per_seconds: 3600 }));
        for bad in
            ["", "60", "60/", "/1h", "60/h", "0/1h", "60/0h", "-1/1h", "60/1h/1h", "60 / 1h", "4294967296/1h"]
        {
            assert!(rate(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(calls("20"), Ok(20));
        for bad in ["", "0", "-1", "+1", "1.0", "x"] {
            assert!(calls(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn moments_days_and_hours() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment("2027-01-15T09:00:00+01:00"), Ok(1_800_000_000_000));
        assert_eq!(moment("2027-01-15T08:00:00.001Z"), Ok(1_800_000_000_001));
        for bad in [
            "",
            "1970-01-01",
            "1969-12-31",
            "tomorrow",
            "2027-01-15T08:00",
            "2027-01-15T08:00:00",
            "2027-02-29",
            "27-01-15",
        ] {
            assert!(moment(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(day("2027-01-15"), Ok("2027-01-15".to_owned()));
        assert!(day("2027-1-15").is_err() && day("").is_err());
        let expected = Hours {
            zone: "Europe/Berlin".into(),
            days: vec![1, 2, 3, 4, 5],
            from_minute: 480,
            to_minute: 1080,
        };
        assert_eq!(hours("mon-fri,08:00-18:00,Europe/Berlin"), Ok(expected));
        for bad in
            ["", "08:00-18:00", "08:00-18:00,Nowhere/Else", "monday,08:00-18:00,UTC", "08:00-08:00,UTC"]
        {
            assert!(hours(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn sizes_hosts_paths_and_resources() {
        for (text, bytes) in [("10MB", 10_000_000), ("1GB", 1_000_000_000), ("500kB", 500_000), ("7B", 7)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "10", "MB", "0MB", "10mb", "10 MB", "1.5MB", "10MiB", "-1MB", "99999999999999GB"] {
            assert!(size(bad).is_err(), "{bad:?} was taken");
        }
        let hosts = |items: &[&str]| Hosts {
            hosts: items.iter().map(|item| (*item).to_owned()).collect(),
            query: false,
        };
        assert_eq!(links("none"), Ok(hosts(&[])));
        assert_eq!(links("example.org,*.example.com"), Ok(hosts(&["example.org", "*.example.com"])));
        for bad in ["", "none,example.org", "https://example.org", "example.org/", "a,,b", "1.2.3.4"] {
            assert!(links(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!((path("."), path("a/b c")), (Ok(String::new()), Ok("a/b c".to_owned())));
        for bad in ["", "/", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\nb"] {
            assert!(path(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(resource("board=a=b"), Ok(("board".to_owned(), "a=b".to_owned())));
        for bad in ["", "board", "board=", "=x", "Board=x", "a b=x"] {
            assert!(resource(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn bounds() {
        let good = |text: &str, argument: &str, expected: Bound| {
            let expected = ArgumentBound { argument: argument.into(), bound: Some(expected) };
            assert_eq!(bound(text), Ok(expected), "{text}");
        };
        let patterns =
            |items: &[&str]| Patterns { patterns: items.iter().map(|item| (*item).to_owned()).collect() };
        good("limit.max=10", "limit", Bound::Max(10));
        good("limit.max=-10", "limit", Bound::Max(-10));
        good("subject.max-length=80", "subject", Bound::MaxLength(80));
        good("subject.min-length=1", "subject", Bound::MinLength(1));
        good("kind.one-of=a, b", "kind", Bound::OneOf(patterns(&["a", "b"])));
        good("to.each-in=*@example.com,x=y", "to", Bound::EachIn(patterns(&["*@example.com", "x=y"])));
        good("bcc.absent", "bcc", Bound::Absent(true));
        let hosts = |query| Bound::Hosts(Hosts { hosts: vec!["a.org".into(), "*.b.org".into()], query });
        good("url.hosts=a.org,*.b.org", "url", hosts(false));
        good("url.hosts-with-query=a.org,*.b.org", "url", hosts(true));
        for bad in [
            "",
            "limit",
            "limit.",
            ".max=1",
            "limit.max",
            "limit.max=",
            "limit.max=ten",
            "limit.max=+1",
            "limit.max=1.5",
            "limit.max=9007199254740992",
            "limit.min=1",
            "bcc.absent=true",
            "bcc.absent=false",
            "kind.one-of=",
            "kind.one-of=a,,b",
            "Kind.max=1",
            "a.b.max=1",
            "a b.max=1",
            "x.max-length=-1",
            "x.maxlength=3",
            "url.hosts",
            "url.hosts=",
            "url.hosts=none",
            "url.hosts=https://example.org",
        ] {
            assert!(bound(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(bound("x.maxlength=3"), Err("there is no such bound; did you mean `max-length`?".into()));
    }

    #[test]
    fn lists_have_no_empty_value() {
        assert_eq!(list("a,b"), Ok(vec!["a".into(), "b".into()]));
        for bad in ["", ",", "a,", ",a", "a,,b", " "] {
            assert!(list(bad).is_err(), "{bad:?} was taken");
        }
        assert!(name(" ").is_err());
    }
}
