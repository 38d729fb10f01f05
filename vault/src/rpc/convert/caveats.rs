//! Caveats on the wire, both ways.

use std::str::FromStr;

use claviger_domain::caveat::{Bound, Caveat, DateBound, PeopleBound, ResourceBound, Role};
use claviger_domain::date::Date;
use claviger_domain::hours::Hours;
use claviger_domain::name::Ident;
use claviger_domain::rate::Rate;
use claviger_proto::v1;

use super::ask::{Asked, invalid, named, words};

/// Numbers in arguments lie within plus and minus this, which every JSON parser keeps exact.
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// A caveat as a peer asks for it.
///
/// # Errors
/// A kind that is not known; a name, a word or a bound that is none; a bound that nothing can satisfy.
pub(super) fn ask(caveat: v1::Caveat) -> Asked<Caveat> {
    use v1::caveat::Kind;
    let v1::Caveat { kind } = caveat;
    let unknown =
        || invalid("a bound of a kind that this vault does not know", "use a command line of its version");
    Ok(match kind.ok_or_else(unknown)? {
        Kind::Rate(v1::Rate { count, per_seconds }) => Caveat::Rate(
            Rate::new(count, per_seconds)
                .map_err(|bad| invalid(bad.to_string(), "for example: --rate 60/1h"))?,
        ),
        Kind::Calls(0) => return Err(invalid("0 calls would allow nothing", "leave the grant away")),
        Kind::Calls(calls) => Caveat::Calls(calls),
        Kind::Recipients(v1::Patterns { patterns }) => {
            Caveat::Recipients(parsed(patterns, "recipients", "--recipients '*@example.com'")?)
        }
        Kind::Resource(v1::Resource { name, values, shown, nested }) => {
            if !shown.is_empty() {
                return Err(invalid(
                    "names beside ids stand in answers only",
                    "give names, or ids after `id:`",
                ));
            }
            let resource: Ident = named(&name, "label")?;
            Caveat::Resource(ResourceBound { resource, ids: words(values, &name)?, shown, nested })
        }
        Kind::ExpiresAtMs(0) | Kind::NotBeforeMs(0) => {
            return Err(invalid("a moment is not 1970", "leave the bound away"));
        }
        Kind::ExpiresAtMs(at_ms) => Caveat::Expires(at_ms),
        Kind::NotBeforeMs(at_ms) => Caveat::NotBefore(at_ms),
        Kind::Hours(v1::Hours { zone, days, from_minute, to_minute }) => {
            let small = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
            let days = days.into_iter().map(|day| u8::try_from(day).unwrap_or(u8::MAX)).collect();
            Caveat::Hours(Hours::new(&zone, days, small(from_minute), small(to_minute)).map_err(|bad| {
                invalid(bad.to_string(), "for example: --hours mon-fri,08:00-18:00,Europe/Berlin")
            })?)
        }
        Kind::BytesADay(0) => return Err(invalid("0 bytes would allow nothing", "leave the grant away")),
        Kind::BytesADay(bytes) => Caveat::BytesADay(bytes),
        Kind::Tools(v1::Tools { names }) => {
            let names = words(names, "tools")?;
            let tool = |text: &String| named(text, "gmail.search_messages");
            Caveat::Tools(names.iter().map(tool).collect::<Asked<_>>()?)
        }
        Kind::People(v1::People { role, patterns }) => {
            let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or_else(unknown)?;
            Caveat::People(PeopleBound {
                role,
                patterns: parsed(patterns, "people", "--senders '*@example.com'")?,
            })
        }
        Kind::Within(v1::Within { after, before }) => {
            let day = |text: String| {
                let parse = |text: &str| {
                    text.parse::<Date>().map_err(|bad| invalid(bad.to_string(), "for example: 2026-01-31"))
                };
                (!text.is_empty()).then(|| parse(&text)).transpose()
            };
            let bound = DateBound { after: day(after)?, before: day(before)? };
            match (bound.after, bound.before) {
                (None, None) => {
                    return Err(invalid("neither side of the days is bounded", "leave the bound away"));
                }
                (Some(after), Some(before)) if after >= before => {
                    return Err(invalid("no day lies between the two", "name the earlier day first"));
                }
                _ => Caveat::Within(bound),
            }
        }
        Kind::Paths(v1::Paths { prefixes }) => {
            Caveat::Paths(parsed(prefixes, "paths", "--path documents/work")?)
        }
        Kind::MadeByAgent(true) => Caveat::MadeByAgent,
        Kind::MadeByAgent(false) => {
            return Err(invalid("`made by agent` is said or not said, never denied", "leave the bound away"));
        }
        Kind::Links(v1::Hosts { query: true, .. }) => return Err(unknown()),
        // The one list that may be empty: no URL at all is something that can be meant.
        Kind::Links(v1::Hosts { hosts, query: false }) if hosts.is_empty() => Caveat::Links(Vec::new()),
        Kind::Links(v1::Hosts { hosts, query: false }) => {
            Caveat::Links(parsed(hosts, "hosts", "--links example.org, or --links none")?)
        }
        Kind::Argument(v1::ArgumentBound { argument, bound: limit }) => {
            let name: Ident = named(&argument, "limit")?;
            Caveat::Argument(name, ask_bound(limit.ok_or_else(unknown)?, &argument)?)
        }
    })
}

fn ask_bound(bound: v1::argument_bound::Bound, argument: &str) -> Asked<Bound> {
    use v1::argument_bound::Bound as Wire;
    Ok(match bound {
        Wire::EachIn(v1::Patterns { patterns }) => Bound::EachIn(words(patterns, argument)?),
        Wire::OneOf(v1::Patterns { patterns }) => Bound::OneOf(words(patterns, argument)?),
        Wire::Max(most) if (-MAX_NUMBER..=MAX_NUMBER).contains(&most) => Bound::Max(most),
        Wire::Max(_) => {
            return Err(invalid(
                format!("the bound of {argument} is too large"),
                "numbers have at most 53 bits",
            ));
        }
        Wire::Absent(true) => Bound::Absent,
        Wire::Absent(false) => {
            return Err(invalid("`absent` is said or not said, never denied", "leave the bound away"));
        }
        Wire::MaxLength(most) => Bound::MaxLength(most),
        Wire::MinLength(least) => Bound::MinLength(least),
        Wire::Hosts(v1::Hosts { hosts, query }) => {
            Bound::Hosts { hosts: parsed(hosts, argument, "--bound url.hosts=example.org")?, query }
        }
    })
}

/// A list that something can satisfy, each word of it in its one form.
fn parsed<T: FromStr<Err: ToString>>(texts: Vec<String>, what: &str, example: &str) -> Asked<Vec<T>> {
    let parse = |text: &String| {
        let bad = |bad: T::Err| format!("`{text}` is none of the {what}: {}", bad.to_string());
        text.parse::<T>().map_err(|fault| invalid(bad(fault), format!("for example: {example}")))
    };
    words(texts, what)?.iter().map(parse).collect()
}

/// A caveat as it stands in a grant or a handle.
pub(super) fn answer(caveat: Caveat) -> v1::Caveat {
    use v1::caveat::Kind;
    let kind = match caveat {
        Caveat::Rate(rate) => Kind::Rate(v1::Rate { count: rate.count(), per_seconds: rate.per_seconds() }),
        Caveat::Calls(calls) => Kind::Calls(calls),
        Caveat::Recipients(patterns) => Kind::Recipients(v1::Patterns { patterns: texts(&patterns) }),
        Caveat::Resource(ResourceBound { resource, ids, shown, nested }) => {
            Kind::Resource(v1::Resource { name: resource.to_string(), values: ids, shown, nested })
        }
        Caveat::Expires(at_ms) => Kind::ExpiresAtMs(at_ms),
        Caveat::NotBefore(at_ms) => Kind::NotBeforeMs(at_ms),
        Caveat::Hours(hours) => Kind::Hours(v1::Hours {
            zone: hours.zone().to_owned(),
            days: hours.days().iter().copied().map(u32::from).collect(),
            from_minute: hours.from().into(),
            to_minute: hours.to().into(),
        }),
        Caveat::BytesADay(bytes) => Kind::BytesADay(bytes),
        Caveat::Tools(tools) => Kind::Tools(v1::Tools { names: texts(&tools) }),
        Caveat::People(bound) => Kind::People(v1::People {
            role: bound.role.as_str().to_owned(),
            patterns: texts(&bound.patterns),
        }),
        Caveat::Within(DateBound { after, before }) => {
            let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
            Kind::Within(v1::Within { after: day(after), before: day(before) })
        }
        Caveat::Paths(paths) => Kind::Paths(v1::Paths { prefixes: texts(&paths) }),
        Caveat::MadeByAgent => Kind::MadeByAgent(true),
        Caveat::Links(hosts) => Kind::Links(v1::Hosts { hosts: texts(&hosts), query: false }),
        Caveat::Argument(argument, limit) => Kind::Argument(v1::ArgumentBound {
            argument: argument.to_string(),
            bound: Some(answer_bound(limit)),
        }),
    };
    v1::Caveat { kind: Some(kind) }
}

fn answer_bound(bound: Bound) -> v1::argument_bound::Bound {
    use v1::argument_bound::Bound as Wire;
    match bound {
        Bound::EachIn(patterns) => Wire::EachIn(v1::Patterns { patterns }),
        Bound::OneOf(patterns) => Wire::OneOf(v1::Patterns { patterns }),
        Bound::Max(most) => Wire::Max(most),
        Bound::Absent => Wire::Absent(true),
        Bound::MaxLength(most) => Wire::MaxLength(most),
        Bound::MinLength(least) => Wire::MinLength(least),
        Bound::Hosts { hosts, query } => Wire::Hosts(v1::Hosts { hosts: texts(&hosts), query }),
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
