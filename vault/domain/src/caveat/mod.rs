//! Caveats: typed bounds. The set is closed, a list of them is a conjunction, and each can only take away.

mod argument;
mod links;
mod text;

use crate::address::Pattern;
use crate::arg::{ArgValue, Arguments};
use crate::codec::is_invisible;
use crate::date::Date;
use crate::host::HostPattern;
use crate::hours::Hours;
use crate::moment::{End, day};
use crate::name::{Ident, ToolName};
use crate::path::RelativePath;
use crate::people::stranger;
use crate::rate::Rate;
use crate::refusal::{Class, Denial};
use crate::reserved::Reserved;
use crate::seen::Party;
use crate::step::Span;
use crate::tool::Tool;

pub use argument::Bound;
pub use text::{moment, size};

/// One typed bound of a grant or a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caveat {
    /// So many calls in so much time, charged at Mint.
    Rate(Rate),
    /// So many calls altogether, charged durably at Mint.
    Calls(u64),
    /// Who may be written to: to, cc, bcc and reply-to together. An empty list allows nobody.
    Recipients(Vec<Pattern>),
    /// Bytes sent and received in one day (UTC), together.
    BytesADay(u64),
    /// Until then, in milliseconds since 1970.
    Expires(u64),
    /// Not before then, in milliseconds since 1970.
    NotBefore(u64),
    /// Only at these hours.
    Hours(Hours),
    /// Only these tools of the grant's. An empty list allows none.
    Tools(Vec<ToolName>),
    /// Only objects whose senders, owners or resulting attendees are among these. An empty list allows nobody.
    People(PeopleBound),
    /// Only objects of these days.
    Within(DateBound),
    /// Only under these paths. An empty list allows none.
    Paths(Vec<RelativePath>),
    /// Only what this agent itself created with this secret, by the vault's own record.
    MadeByAgent,
    /// Every URL in a text argument points to one of these hosts; an empty list allows no URL at all.
    Links(Vec<HostPattern>),
    /// Which objects: those that carry one of these ids as that resource. An empty list allows none.
    Resource(ResourceBound),
    /// What an argument may be.
    Argument(Ident, Bound),
}

/// What somebody has to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Who sent it, as it says itself: a bound on what is read, no proof of who wrote it.
    Sender,
    /// Who owns it.
    Owner,
    /// Who would be invited to what results.
    Attendee,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Sender, Role::Owner, Role::Attendee];

    /// The word in a grant and in the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Sender => "sender",
            Role::Owner => "owner",
            Role::Attendee => "attendee",
        }
    }
}

/// A bound on the people of an object: each of them matches one of the patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleBound {
    /// Which people.
    pub role: Role,
    /// Who they may be.
    pub patterns: Vec<Pattern>,
}

/// A bound on the days of an object, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateBound {
    /// From this day on.
    pub after: Option<Date>,
    /// Before this day.
    pub before: Option<Date>,
}

/// A bound on the objects a tool may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceBound {
    /// Which resource of the service: `label`, `folder`.
    pub resource: Ident,
    /// The ids, pinned when the grant was made.
    pub ids: Vec<String>,
    /// What each was called then; for people only.
    pub shown: Vec<String>,
    /// Whether what lies deeper counts too, as in folders of folders.
    pub nested: bool,
}

impl Caveat {
    /// Whether the tool can enforce this at all.
    ///
    /// # Errors
    /// Why it cannot, as a clause for the admin. Such a grant is not made: a caveat is never ignored at use.
    pub fn enforceable(&self, tool: &Tool) -> Result<(), String> {
        match self {
            Caveat::Rate(_)
            | Caveat::Calls(_)
            | Caveat::Expires(_)
            | Caveat::NotBefore(_)
            | Caveat::Hours(_)
            | Caveat::Tools(_) => Ok(()),
            // What an adapter does itself passes the vault by.
            Caveat::BytesADay(_) if tool.steps.iter().any(|step| step.local) => {
                Err(format!("the vault does not see the bytes of {}", tool.name))
            }
            Caveat::BytesADay(_) => Ok(()),
            Caveat::Links(_) => links::enforceable(tool),
            Caveat::People(PeopleBound { role: Role::Attendee, .. }) if tool.tells_attendees() => Ok(()),
            Caveat::People(bound) => tool.checks(bound.role.as_str()),
            Caveat::Within(_) => tool.checks(Reserved::Date.as_str()),
            Caveat::Paths(_) => tool.checks(Reserved::Path.as_str()),
            Caveat::MadeByAgent => tool.checks(Reserved::Made.as_str()),
            Caveat::Recipients(_) => {
                if !tool.tells_attendees() {
                    Err(format!("{} names no recipients", tool.name))
                } else {
                    Ok(())
                }
            }
            Caveat::Resource(bound) => tool.bounds(&bound.resource),
            Caveat::Argument(name, bound) => {
                let Some(arg) = tool.args.get(name) else {
                    return Err(format!("{} has no argument {name}", tool.name));
                };
                if *bound == Bound::Absent && arg.required {
                    Err(format!("{} must be given {name}", tool.name))
                } else if bound.fits(&arg.kind) {
                    Ok(())
                } else {
                    Err(format!("{name} of {} cannot be bounded by {}", tool.name, bound.word()))
                }
            }
        }
    }

    /// Decides what can be decided on the arguments alone. Counters and objects are decided elsewhere.
    ///
    /// # Errors
    /// A denial of class `out-of-scope`, with the offending value for the owner.
    pub fn decide(&self, tool: &Tool, args: &Arguments, now_ms: u64) -> Result<(), Denial> {
        let no = || Denial::new(Class::OutOfScope).caveat(self.to_text());
        match self {
            Caveat::Rate(_) | Caveat::Calls(_) | Caveat::BytesADay(_) => Ok(()),
            Caveat::Expires(end) if now_ms < *end => Ok(()),
            Caveat::NotBefore(start) if now_ms >= *start => Ok(()),
            Caveat::Expires(_) | Caveat::NotBefore(_) => {
                Err(Denial::new(Class::Revoked).field("expires").caveat(self.to_text()))
            }
            Caveat::Hours(hours) if hours.allow(now_ms) => Ok(()),
            Caveat::Hours(_) => Err(no()
                .field("hours")
                .value(moment(now_ms))
                .fix("call again at these hours, or make a grant with others")),
            Caveat::Tools(tools) if tools.contains(&tool.name) => Ok(()),
            Caveat::Tools(_) => Err(no().field("tool").value(tool.name.to_string())),
            Caveat::Links(hosts) => links::decide(hosts, tool, args).map_err(|(name, value)| {
                no().field(name)
                    .fix(format!("leave {value} out, or make a grant whose --links has its host"))
                    .value(value)
            }),
            // What is seen of the object is decided by whoever looks: by [`Caveat::reaches`], and by the scope.
            Caveat::Recipients(_) | Caveat::People(_) => self.reaches(tool, args, None),
            Caveat::Within(bound) => bound.decide(tool, args).map_err(|(field, value)| {
                no().field(field).value(value).fix("name days that lie within, or make a grant with others")
            }),
            Caveat::MadeByAgent => Ok(()),
            Caveat::Paths(paths) => decide_paths(paths, tool, args).map_err(|(name, value)| {
                no().field(name).value(value).fix("grant it with a path above that one")
            }),
            Caveat::Resource(bound) => bound.decide(tool, args),
            Caveat::Argument(name, bound) => bound.decide(name, args.get(name), args.is_given(name)),
        }
    }

    /// Decides whom the call would reach: those that its arguments name, and those that a look has seen (`None` before
    /// anybody looked). Adding is not replacing: who is there already counts too. Other caveats say nothing of it.
    ///
    /// # Errors
    /// A denial of class `out-of-scope`, with the person for the owner.
    pub fn reaches(&self, tool: &Tool, args: &Arguments, seen: Option<&[Party]>) -> Result<(), Denial> {
        let (patterns, word) = match self {
            Caveat::Recipients(patterns) => (patterns, "recipients"),
            Caveat::People(PeopleBound { role: Role::Attendee, patterns }) => (patterns, "attendee"),
            _ => return Ok(()),
        };
        let denial = |field: &str| Denial::new(Class::OutOfScope).field(field).caveat(self.to_text());
        let mut any = false;
        for name in tool.recipient_args() {
            let given = match args.get(name) {
                None => Vec::new(),
                Some(ArgValue::Addresses(addresses)) => {
                    addresses.iter().cloned().map(Party::Address).collect()
                }
                Some(_) => return Err(denial(name.as_str())),
            };
            any |= !given.is_empty();
            if let Some(Party::Address(address)) = stranger(patterns, &given) {
                return Err(denial(name.as_str())
                    .value(address.to_string())
                    .fix(format!("add {address} to the {word} of a new grant")));
            }
        }
        let seen_all = seen.unwrap_or_default();
        any |= !seen_all.is_empty();
        match stranger(patterns, seen_all) {
            None => {}
            Some(Party::Address(address)) => {
                let fix = match self {
                    // To be taken off is told too, by a mail or by what is gone: it is a change like any other.
                    Caveat::People(_) => format!(
                        "{address} is on it already and would learn of any change, of being taken off too: take them \
                         off yourself, or add them to the {word} of a new grant"
                    ),
                    _ => format!("add {address} to the {word} of a new grant"),
                };
                return Err(denial("object").value(address.to_string()).fix(fix));
            }
            Some(Party::Unknown) => {
                return Err(denial("object").value("(somebody who cannot be read, or everybody)"));
            }
        }
        // A mail to nobody is none; an event without guests is the owner's own. What is still to be seen may name some.
        let needed = matches!(self, Caveat::Recipients(_)) && (seen.is_some() || !tool.sees_people());
        if any || !needed { Ok(()) } else { Err(denial("recipients").fix("name at least one recipient")) }
    }
}

impl DateBound {
    /// Whether that day is one of these.
    #[must_use]
    pub fn holds(&self, day: Date) -> bool {
        self.after.is_none_or(|after| after <= day) && self.before.is_none_or(|before| day < before)
    }

    /// Whether what ends then, exclusively, has ended before these days have.
    #[must_use]
    pub fn holds_until(&self, end: End) -> bool {
        let End { day, midnight } = end;
        self.after.is_none_or(|after| after <= day)
            && self.before.is_none_or(|before| day < before || day == before && midnight)
    }

    /// Decides what a call would make, where its arguments alone tell when that begins and ends.
    fn decide(&self, tool: &Tool, args: &Arguments) -> Result<(), (String, String)> {
        for step in &tool.steps {
            if let Some(check) = step.check(Reserved::Date.as_str())
                && let Some(span) = check.span.as_ref().filter(|_| check.probe.is_none())
            {
                self.decide_given(span, args, true)?;
            }
        }
        Ok(())
    }

    /// Decides the beginning and the end that the arguments give, where they give any or must; the error is which does
    /// not lie within, and its value.
    pub(crate) fn decide_given(
        &self,
        span: &Span,
        args: &Arguments,
        must: bool,
    ) -> Result<(), (String, String)> {
        let Some((begins, ends)) = &span.given else { return Ok(()) };
        for (name, is_end) in [(begins, false), (ends, true)] {
            let text = match args.get(name) {
                None if !must => continue,
                None => String::new(),
                Some(ArgValue::DateTime(when)) => when.to_string(),
                Some(other) => other.texts().join(", "),
            };
            let within = match is_end {
                false => day(&text).is_some_and(|day| self.holds(day)),
                true => End::of(&text).is_some_and(|end| self.holds_until(end)),
            };
            if !within {
                return Err((name.to_string(), text));
            }
        }
        Ok(())
    }
}

impl ResourceBound {
    /// What the ids were called when they were pinned, or the ids themselves, with every control and invisible
    /// character made visible: strangers can name a shared folder, and these names stand in what an owner reads.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let shown = |c: char| if is_invisible(c) { c.escape_unicode().to_string() } else { c.to_string() };
        let name = |(at, id): (usize, &String)| self.shown.get(at).unwrap_or(id).chars().map(shown).collect();
        self.ids.iter().enumerate().map(name).collect()
    }

    /// Decides the arguments that name such an object outright. No ids at all allow no call, whatever its arguments.
    pub(crate) fn decide(&self, tool: &Tool, args: &Arguments) -> Result<(), Denial> {
        if self.ids.is_empty() {
            return Err(Denial::new(Class::OutOfScope)
                .field(self.resource.as_str())
                .caveat(Caveat::Resource(self.clone()).to_text())
                .fix(format!("the grant names no {}, which allows nothing; make another", self.resource)));
        }
        for arg in tool.resource_args(&self.resource) {
            let given = args.get(arg).map(ArgValue::texts).unwrap_or_default();
            // What lies below is known only once the vault has looked; then this is decided again.
            if given.is_empty() || !(self.nested || given.iter().all(|id| self.ids.contains(id))) {
                return Err(Denial::new(Class::OutOfScope)
                    .field(arg.as_str())
                    .caveat(Caveat::Resource(self.clone()).to_text())
                    .value(given.join(", "))
                    .fix(format!("grant it with --{} for that {}", self.resource, self.resource)));
            }
        }
        Ok(())
    }
}

/// Every path that a call names lies under one of these; the error is which argument does not, and its value.
fn decide_paths(paths: &[RelativePath], tool: &Tool, args: &Arguments) -> Result<(), (String, String)> {
    let names = tool.steps.iter().filter_map(|step| step.check(Reserved::Path.as_str())?.arg.as_ref());
    let mut any = false;
    for name in names {
        any = true;
        match args.get(name) {
            Some(ArgValue::Path(path)) if paths.iter().any(|above| path.is_within(above)) => {}
            other => {
                let value = other.map(ArgValue::texts).unwrap_or_default().join(", ");
                return Err((name.to_string(), value));
            }
        }
    }
    if any { Ok(()) } else { Err((Reserved::Path.as_str().to_owned(), String::new())) }
}
