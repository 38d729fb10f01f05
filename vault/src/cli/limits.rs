//! Spans, rates and bounds as they are typed. One spelling each; what is not exactly that is refused.

use claviger_proto::v1::argument_bound::Bound;
use claviger_proto::v1::{ArgumentBound, Patterns, Rate};

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

/// How long a grant lives: a span, or `never` for 0, which is no end.
pub(super) fn expires(text: &str) -> Result<u64, String> {
    if text == "never" {
        return Ok(0);
    }
    duration(text).map_err(|error| format!("{error}, or `never`"))
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
        "a bound is ARGUMENT.max=N, .min-length=N, .max-length=N, .one-of=a,b, .each-in=a,b or ARGUMENT.absent"
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
        ("max" | "max-length" | "min-length" | "one-of" | "each-in", None) => {
            return Err(format!("`{rule}` takes a value: {argument}.{rule}=…"));
        }
        (other, _) => {
            let known = ["absent", "max", "max-length", "min-length", "one-of", "each-in"];
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
        assert_eq!(expires("never"), Ok(0));
        assert_eq!(expires("30d"), Ok(2_592_000));
        assert!(expires("Never").is_err() && expires("0").is_err() && expires("").is_err());
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
