//! How caveats are written to the store.

use claviger_domain::caveat::{Bound, Caveat, DateBound, PeopleBound, ResourceBound, Role};
use claviger_domain::date::BadDate;
use claviger_domain::hours::Hours;
use claviger_domain::rate::Rate;
use prost::{Message, Oneof};

use super::Unreadable;

/// A caveat. One that this version does not know leaves `kind` empty, and the record is refused whole.
#[derive(Clone, PartialEq, Message)]
pub(in crate::broker) struct CaveatRecord {
    #[prost(
        oneof = "CaveatKind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21"
    )]
    kind: Option<CaveatKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum CaveatKind {
    #[prost(message, tag = "1")]
    Rate(RateRecord),
    #[prost(uint64, tag = "2")]
    Calls(u64),
    #[prost(message, tag = "3")]
    Recipients(Words),
    #[prost(message, tag = "4")]
    Resource(ResourceRecord),
    #[prost(message, tag = "5")]
    EachIn(WordsBound),
    #[prost(message, tag = "6")]
    OneOf(WordsBound),
    #[prost(message, tag = "7")]
    Max(NumberBound),
    #[prost(string, tag = "8")]
    Absent(String),
    #[prost(message, tag = "9")]
    MaxLength(NumberBound),
    #[prost(message, tag = "10")]
    MinLength(NumberBound),
    #[prost(message, tag = "11")]
    Hosts(HostsBound),
    #[prost(uint64, tag = "12")]
    BytesADay(u64),
    #[prost(uint64, tag = "13")]
    Expires(u64),
    #[prost(uint64, tag = "14")]
    NotBefore(u64),
    #[prost(message, tag = "15")]
    Hours(HoursRecord),
    #[prost(message, tag = "16")]
    Tools(Words),
    #[prost(message, tag = "17")]
    People(WordsBound),
    #[prost(message, tag = "18")]
    Within(DaysRecord),
    #[prost(message, tag = "19")]
    Paths(Words),
    #[prost(bool, tag = "20")]
    MadeByAgent(bool),
    #[prost(message, tag = "21")]
    Links(Words),
}

#[derive(Clone, PartialEq, Message)]
struct HostsBound {
    #[prost(string, tag = "1")]
    argument: String,
    #[prost(string, repeated, tag = "2")]
    hosts: Vec<String>,
    #[prost(bool, tag = "3")]
    query: bool,
}

#[derive(Clone, PartialEq, Message)]
struct HoursRecord {
    #[prost(string, tag = "1")]
    zone: String,
    #[prost(uint32, repeated, tag = "2")]
    days: Vec<u32>,
    #[prost(uint32, tag = "3")]
    from: u32,
    #[prost(uint32, tag = "4")]
    to: u32,
}

#[derive(Clone, PartialEq, Message)]
struct DaysRecord {
    #[prost(string, optional, tag = "1")]
    after: Option<String>,
    #[prost(string, optional, tag = "2")]
    before: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct RateRecord {
    #[prost(uint32, tag = "1")]
    count: u32,
    #[prost(uint64, tag = "2")]
    per_seconds: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Words {
    #[prost(string, repeated, tag = "1")]
    words: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceRecord {
    #[prost(string, tag = "1")]
    resource: String,
    #[prost(string, repeated, tag = "2")]
    ids: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    shown: Vec<String>,
    #[prost(bool, tag = "4")]
    nested: bool,
}

#[derive(Clone, PartialEq, Message)]
struct WordsBound {
    #[prost(string, tag = "1")]
    argument: String,
    #[prost(string, repeated, tag = "2")]
    words: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NumberBound {
    #[prost(string, tag = "1")]
    argument: String,
    #[prost(int64, tag = "2")]
    number: i64,
}

impl CaveatRecord {
    pub(in crate::broker) fn of(caveat: &Caveat) -> Self {
        let kind = match caveat {
            Caveat::Rate(rate) => {
                CaveatKind::Rate(RateRecord { count: rate.count(), per_seconds: rate.per_seconds() })
            }
            Caveat::Calls(calls) => CaveatKind::Calls(*calls),
            Caveat::Recipients(patterns) => CaveatKind::Recipients(Words { words: texts(patterns) }),
            Caveat::Resource(bound) => CaveatKind::Resource(ResourceRecord {
                resource: bound.resource.to_string(),
                ids: bound.ids.clone(),
                shown: bound.shown.clone(),
                nested: bound.nested,
            }),
            Caveat::BytesADay(bytes) => CaveatKind::BytesADay(*bytes),
            Caveat::Expires(at_ms) => CaveatKind::Expires(*at_ms),
            Caveat::NotBefore(at_ms) => CaveatKind::NotBefore(*at_ms),
            Caveat::Hours(hours) => CaveatKind::Hours(HoursRecord {
                zone: hours.zone().to_owned(),
                days: hours.days().iter().copied().map(u32::from).collect(),
                from: hours.from().into(),
                to: hours.to().into(),
            }),
            Caveat::Tools(tools) => CaveatKind::Tools(Words { words: texts(tools) }),
            Caveat::People(bound) => CaveatKind::People(WordsBound {
                argument: bound.role.as_str().to_owned(),
                words: texts(&bound.patterns),
            }),
            Caveat::Within(bound) => CaveatKind::Within(DaysRecord {
                after: bound.after.map(|day| day.to_string()),
                before: bound.before.map(|day| day.to_string()),
            }),
            Caveat::Paths(paths) => CaveatKind::Paths(Words { words: texts(paths) }),
            Caveat::MadeByAgent => CaveatKind::MadeByAgent(true),
            Caveat::Links(hosts) => CaveatKind::Links(Words { words: texts(hosts) }),
            Caveat::Argument(argument, bound) => {
                let argument = argument.to_string();
                let length = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                match bound {
                    Bound::EachIn(words) => CaveatKind::EachIn(WordsBound { argument, words: words.clone() }),
                    Bound::OneOf(words) => CaveatKind::OneOf(WordsBound { argument, words: words.clone() }),
                    Bound::Max(number) => CaveatKind::Max(NumberBound { argument, number: *number }),
                    Bound::Absent => CaveatKind::Absent(argument),
                    Bound::MaxLength(number) => {
                        CaveatKind::MaxLength(NumberBound { argument, number: length(*number) })
                    }
                    Bound::MinLength(number) => {
                        CaveatKind::MinLength(NumberBound { argument, number: length(*number) })
                    }
                    Bound::Hosts { hosts, query } => {
                        CaveatKind::Hosts(HostsBound { argument, hosts: texts(hosts), query: *query })
                    }
                }
            }
        };
        Self { kind: Some(kind) }
    }

    pub(in crate::broker) fn to_domain(&self) -> Result<Caveat, Unreadable> {
        let ident = |text: &str| text.parse().map_err(|_| Unreadable);
        let length = |number: i64| u64::try_from(number).map_err(|_| Unreadable);
        Ok(match self.kind.as_ref().ok_or(Unreadable)? {
            CaveatKind::Rate(RateRecord { count, per_seconds }) => {
                Caveat::Rate(Rate::new(*count, *per_seconds).map_err(|_| Unreadable)?)
            }
            CaveatKind::Calls(calls) => Caveat::Calls(*calls),
            CaveatKind::Recipients(Words { words }) => Caveat::Recipients(parsed(words)?),
            CaveatKind::BytesADay(bytes) => Caveat::BytesADay(*bytes),
            CaveatKind::Expires(at_ms) => Caveat::Expires(*at_ms),
            CaveatKind::NotBefore(at_ms) => Caveat::NotBefore(*at_ms),
            CaveatKind::Hours(HoursRecord { zone, days, from, to }) => {
                let small = |number: &u32| u16::try_from(*number).map_err(|_| Unreadable);
                let days = days.iter().map(|day| u8::try_from(*day)).collect::<Result<_, _>>();
                let hours = Hours::new(zone, days.map_err(|_| Unreadable)?, small(from)?, small(to)?);
                Caveat::Hours(hours.map_err(|_| Unreadable)?)
            }
            CaveatKind::Tools(Words { words }) => Caveat::Tools(parsed(words)?),
            CaveatKind::People(WordsBound { argument, words }) => {
                let role = Role::ALL.into_iter().find(|role| role.as_str() == argument).ok_or(Unreadable)?;
                Caveat::People(PeopleBound { role, patterns: parsed(words)? })
            }
            CaveatKind::Within(DaysRecord { after, before }) => {
                let day = |text: &Option<String>| text.as_ref().map(|text| text.parse()).transpose();
                Caveat::Within(DateBound {
                    after: day(after).map_err(|_: BadDate| Unreadable)?,
                    before: day(before).map_err(|_: BadDate| Unreadable)?,
                })
            }
            CaveatKind::Paths(Words { words }) => Caveat::Paths(parsed(words)?),
            CaveatKind::MadeByAgent(true) => Caveat::MadeByAgent,
            CaveatKind::MadeByAgent(false) => return Err(Unreadable),
            CaveatKind::Links(Words { words }) => Caveat::Links(parsed(words)?),
            CaveatKind::Hosts(HostsBound { argument, hosts, query }) => {
                Caveat::Argument(ident(argument)?, Bound::Hosts { hosts: parsed(hosts)?, query: *query })
            }
            CaveatKind::Resource(ResourceRecord { resource, ids, shown, nested }) => {
                Caveat::Resource(ResourceBound {
                    resource: ident(resource)?,
                    ids: ids.clone(),
                    shown: shown.clone(),
                    nested: *nested,
                })
            }
            CaveatKind::EachIn(WordsBound { argument, words }) => {
                Caveat::Argument(ident(argument)?, Bound::EachIn(words.clone()))
            }
            CaveatKind::OneOf(WordsBound { argument, words }) => {
                Caveat::Argument(ident(argument)?, Bound::OneOf(words.clone()))
            }
            CaveatKind::Max(NumberBound { argument, number }) => {
                Caveat::Argument(ident(argument)?, Bound::Max(*number))
            }
            CaveatKind::Absent(argument) => Caveat::Argument(ident(argument)?, Bound::Absent),
            CaveatKind::MaxLength(NumberBound { argument, number }) => {
                Caveat::Argument(ident(argument)?, Bound::MaxLength(length(*number)?))
            }
            CaveatKind::MinLength(NumberBound { argument, number }) => {
                Caveat::Argument(ident(argument)?, Bound::MinLength(length(*number)?))
            }
        })
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn parsed<T: std::str::FromStr>(words: &[String]) -> Result<Vec<T>, Unreadable> {
    words.iter().map(|word| word.parse().map_err(|_| Unreadable)).collect()
}
