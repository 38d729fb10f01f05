//! Caveats as owners read them.

use std::fmt::Display;

use super::{Bound, Caveat};

impl Caveat {
    /// The caveat as an owner reads it in a refusal.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Caveat::Rate(rate) => format!("rate = {rate}"),
            Caveat::Calls(calls) => format!("calls = {calls}"),
            Caveat::Recipients(patterns) => format!("recipients = {}", list(patterns)),
            Caveat::BytesADay(bytes) => format!("bytes_a_day = {}", size(*bytes)),
            Caveat::Expires(at_ms) => format!("expires = {}", moment(*at_ms)),
            Caveat::NotBefore(at_ms) => format!("not_before = {}", moment(*at_ms)),
            Caveat::Hours(hours) => format!("hours = {hours}"),
            Caveat::Tools(tools) => format!("tools = {}", list(tools)),
            Caveat::People(bound) => format!("{}s = {}", bound.role.as_str(), list(&bound.patterns)),
            Caveat::Within(bound) => {
                let side =
                    |word: &str, day: Option<crate::date::Date>| day.map(|day| format!("{word} = {day}"));
                let sides = [side("after", bound.after), side("before", bound.before)];
                sides.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
            Caveat::Paths(paths) => {
                // The root is the empty path, and an empty text between commas would not show.
                let text = |path: &crate::path::RelativePath| match path.as_str() {
                    "" => ".".to_owned(),
                    path => path.to_owned(),
                };
                format!("paths = {}", paths.iter().map(text).collect::<Vec<_>>().join(", "))
            }
            Caveat::MadeByAgent => "made_by_agent".to_owned(),
            Caveat::Links(hosts) if hosts.is_empty() => "links = none".to_owned(),
            Caveat::Links(hosts) => format!("links = {}", list(hosts)),
            Caveat::Resource(bound) => {
                let below = if bound.nested { " and all below" } else { "" };
                format!("resource.{} = {}{below}", bound.resource, bound.names().join(", "))
            }
            Caveat::Argument(name, bound) => match bound {
                Bound::EachIn(words) | Bound::OneOf(words) => {
                    format!("{name}.{} = {}", bound.word(), words.join(", "))
                }
                Bound::Max(number) => format!("{name}.max = {number}"),
                Bound::Absent => format!("{name}.absent"),
                Bound::Hosts { hosts, .. } => format!("{name}.{} = {}", bound.word(), list(hosts)),
                Bound::MaxLength(length) | Bound::MinLength(length) => {
                    format!("{name}.{} = {length}", bound.word())
                }
            },
        }
    }
}

fn list(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A moment in milliseconds since 1970 as RFC 3339 in UTC: `2026-12-31T12:00:00Z`.
#[must_use]
pub fn moment(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{at_ms} ms after 1970"), |at| at.to_string())
}

/// A number of bytes in the largest decimal unit that has no remainder: `10MB`, `1500kB`, `7B`.
#[must_use]
pub fn size(bytes: u64) -> String {
    for (unit, name) in [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}
