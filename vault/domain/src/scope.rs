//! What a call may touch: the bounds of its grant and handles on objects, and whether an object lies within.

mod settle;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arg::{ArgValue, Arguments};
use crate::caveat::{Caveat, DateBound, PeopleBound, ResourceBound, Role};
use crate::moment::{days, ends};
use crate::name::Ident;
use crate::path::RelativePath;
use crate::people;
use crate::pointer::Pointer;
use crate::refusal::{Class, Denial};
use crate::reserved::Reserved;
use crate::seen::Party;
use crate::step::{AnswerKind, Check, Probe, Span, Step};

pub use settle::Found;

/// One bound on objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// It carries one of these ids as that resource; or it is one of these, for `file` and `made`.
    Resource(ResourceBound),
    /// Each of its people is among these.
    People(PeopleBound),
    /// It is of these days.
    Within(DateBound),
    /// It lies under one of these paths.
    Paths(Vec<RelativePath>),
    /// It carries none of these ids as that resource, and says what it carries: what a deny grant forbids.
    Not(ResourceBound),
}

impl Limit {
    /// Under what name steps keep to it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Limit::Resource(bound) | Limit::Not(bound) => bound.resource.as_str(),
            Limit::People(bound) => bound.role.as_str(),
            Limit::Within(_) => Reserved::Date.as_str(),
            Limit::Paths(_) => Reserved::Path.as_str(),
        }
    }

    fn caveat(&self) -> Caveat {
        match self.clone() {
            Limit::Resource(bound) if bound.resource.as_str() == Reserved::Made.as_str() => {
                Caveat::MadeByAgent
            }
            Limit::Resource(bound) | Limit::Not(bound) => Caveat::Resource(bound),
            Limit::People(bound) => Caveat::People(bound),
            Limit::Within(bound) => Caveat::Within(bound),
            Limit::Paths(paths) => Caveat::Paths(paths),
        }
    }

    fn outside(&self) -> Denial {
        if let Limit::Not(_) = self {
            return Denial::new(Class::OutOfScope)
                .field(self.name())
                .caveat(format!("deny: {}", self.caveat().to_text()))
                .fix("a deny grant forbids it; `claviger grant ls` shows which");
        }
        Denial::new(Class::OutOfScope)
            .field(self.name())
            .caveat(self.caveat().to_text())
            .fix(format!("grant it with a {} that the object has", self.name()))
    }

    /// Whether what stands there in the object is within. Missing data is not.
    fn holds(&self, object: &Value, at: &Pointer) -> Result<(), Denial> {
        match self {
            Limit::Resource(bound) => self.carries(bound, &belongs(object, at)),
            Limit::Not(bound) => self.lacks(bound, told(object, at)),
            Limit::People(bound) => {
                let all = people::people(object, at).filter(|all| !all.is_empty());
                let all = all.ok_or_else(|| self.outside().value("(nobody that can be read)"))?;
                let all: Vec<Party> = all.into_iter().map(Party::Address).collect();
                match people::stranger(&bound.patterns, &all) {
                    None => Ok(()),
                    Some(Party::Address(address)) => Err(self.outside().value(address.to_string())),
                    Some(Party::Unknown) => Err(self.outside()),
                }
            }
            Limit::Within(bound) => {
                let all = days(object, at).filter(|all| !all.is_empty());
                let all = all.ok_or_else(|| self.outside().value("(no day that can be read)"))?;
                match all.into_iter().find(|day| !bound.holds(*day)) {
                    None => Ok(()),
                    Some(day) => Err(self.outside().value(day.to_string())),
                }
            }
            // A path is an argument; nothing an upstream says is one.
            Limit::Paths(_) => Err(self.outside()),
        }
    }

    /// As [`Limit::holds`]; what takes time is of these days only if all of it is, and if it does not come again.
    fn holds_all(&self, object: &Value, at: &Pointer, span: Option<&Span>) -> Result<(), Denial> {
        self.holds(object, at)?;
        let (Limit::Within(bound), Some(span)) = (self, span) else { return Ok(()) };
        let something = |found: &Value| match found {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        };
        if span.recurs.as_ref().is_some_and(|at| at.select(object).into_iter().any(something)) {
            return Err(self.outside().value("(it comes again on other days)"));
        }
        let Some(until) = &span.until else { return Ok(()) };
        let all = ends(object, until).filter(|all| !all.is_empty());
        let all = all.ok_or_else(|| self.outside().value("(no end that can be read)"))?;
        match all.into_iter().find(|end| !bound.holds_until(*end)) {
            None => Ok(()),
            Some(end) => Err(self.outside().value(format!("until {end}"))),
        }
    }

    /// Whether none of these is forbidden; `None`, or none at all, is an object that does not say. ASCII case does not
    /// count: whether the upstream tells `label_1` from `Label_1` is not known here.
    fn lacks(&self, bound: &ResourceBound, told: Option<Vec<String>>) -> Result<(), Denial> {
        let told =
            told.filter(|told| !told.is_empty()).ok_or_else(|| self.outside().value("(it does not say)"))?;
        match told.iter().find(|id| bound.ids.iter().any(|never| never.eq_ignore_ascii_case(id))) {
            None => Ok(()),
            Some(id) => Err(self.outside().value(id.clone())),
        }
    }

    fn carries(&self, bound: &ResourceBound, belongs: &[String]) -> Result<(), Denial> {
        if belongs.iter().any(|id| bound.ids.contains(id)) {
            Ok(())
        } else {
            let value = if belongs.is_empty() { "(none)".to_owned() } else { belongs.join(", ") };
            Err(self.outside().value(value))
        }
    }
}

/// The bounds of one call on objects. Each must hold; several of one resource too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    limits: Vec<Limit>,
    /// Whom the call would reach was decided before it was minted: steps need not look again.
    attendees_met: bool,
}

impl Scope {
    /// The bounds on objects among these caveats. What the agent made is nothing until [`Scope::settle`] says what.
    #[must_use]
    pub fn of<'a>(caveats: impl IntoIterator<Item = &'a Caveat>) -> Self {
        let made = || Reserved::Made.as_str().parse().ok();
        let limits = caveats.into_iter().filter_map(|caveat| match caveat {
            Caveat::Resource(bound) => Some(Limit::Resource(bound.clone())),
            Caveat::People(bound) => Some(Limit::People(bound.clone())),
            Caveat::Within(bound) => Some(Limit::Within(*bound)),
            Caveat::Paths(paths) => Some(Limit::Paths(paths.clone())),
            Caveat::MadeByAgent => Some(Limit::Resource(ResourceBound {
                resource: made()?,
                ids: Vec::new(),
                shown: Vec::new(),
                nested: false,
            })),
            Caveat::Rate(_)
            | Caveat::Calls(_)
            | Caveat::Recipients(_)
            | Caveat::BytesADay(_)
            | Caveat::Expires(_)
            | Caveat::NotBefore(_)
            | Caveat::Hours(_)
            | Caveat::Tools(_)
            | Caveat::Links(_)
            | Caveat::Argument(..) => None,
        });
        Self { limits: limits.collect(), attendees_met: false }
    }

    /// Takes away what belongs to any of these ids, or does not say what it belongs to. Nothing gives it back.
    pub fn exclude(&mut self, bound: ResourceBound) {
        self.limits.push(Limit::Not(bound));
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether only what the agent itself made is in scope.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.limits.iter().any(|limit| limit.name() == Reserved::Made.as_str())
    }

    /// The ids that every bound of that resource allows; `None` where none bounds it.
    #[must_use]
    pub fn choices(&self, resource: &Ident) -> Option<BTreeSet<String>> {
        let mut sets = self.limits.iter().filter_map(|limit| match limit {
            Limit::Resource(bound) if bound.resource == *resource => {
                Some(bound.ids.iter().cloned().collect::<BTreeSet<_>>())
            }
            _ => None,
        });
        let first = sets.next()?;
        let mut all: BTreeSet<String> =
            sets.fold(first, |all, next| all.intersection(&next).cloned().collect());
        for limit in &self.limits {
            if let Limit::Not(bound) = limit
                && bound.resource == *resource
            {
                all.retain(|id| !bound.ids.iter().any(|never| never.eq_ignore_ascii_case(id)));
            }
        }
        Some(all)
    }

    /// Each bound that the step must keep to, with how it does.
    ///
    /// # Errors
    /// A bound that the step has no check for: what cannot be checked is refused.
    pub fn checks<'a>(&'a self, step: &'a Step) -> Result<Vec<(&'a Limit, &'a Check)>, Denial> {
        let met = |limit: &Limit| {
            self.attendees_met && matches!(limit, Limit::People(PeopleBound { role: Role::Attendee, .. }))
        };
        let mut found = Vec::with_capacity(self.limits.len());
        for limit in &self.limits {
            match step.check(limit.name()) {
                // An upstream's filter says what to bring, not what to leave out.
                Some(check) if matches!(limit, Limit::Not(_)) && !tells(check) => {
                    return Err(limit.outside().fix("this step does not tell what its objects belong to"));
                }
                Some(check) => found.push((limit, check)),
                None if met(limit) => {}
                None => return Err(limit.outside().fix("this step cannot be held to that bound")),
            }
        }
        Ok(found)
    }

    /// Whether a bound may drop elements of the step's list: then how full its pages are tells of what was dropped.
    ///
    /// # Errors
    /// As [`Scope::checks`].
    pub fn drops(&self, step: &Step) -> Result<bool, Denial> {
        let of = |check: &Check| check.probe.as_ref().is_some_and(|probe| probe.of.is_some());
        Ok(self.checks(step)?.iter().any(|(_, check)| check.elements.is_some() || of(check)))
    }

    /// Judges elements of the step's list that an answer had earlier, and that waited since: those that are still within,
    /// as far as they say so themselves.
    ///
    /// # Errors
    /// As [`Scope::checks`].
    pub fn still_within(&self, step: &Step, mut items: Vec<Value>) -> Result<Vec<Value>, Denial> {
        for rule in step.refuse.iter().filter(|rule| rule.elements.is_some()) {
            items.retain(|item| !rule.has(item));
        }
        for (limit, check) in self.checks(step)? {
            if let Some(elements) = &check.elements {
                let span = check.span.as_ref();
                items.retain(|item| limit.holds_all(item, &elements.at, span).is_ok());
            }
        }
        Ok(items)
    }

    /// Judges a JSON answer: what it says it belongs to must be in scope; elements out of scope are dropped; only the
    /// step's fields stay. A list that is left out altogether is an empty one, as some upstreams write it.
    ///
    /// # Errors
    /// Class `out-of-scope` where the object is not within, or does not say, where the list to be judged is not where the
    /// catalog says it is, where nothing remains of a list that must not be empty, or where the catalog refuses such an
    /// object; `upstream` where a JSON answer is no object.
    pub fn judge(&self, step: &Step, mut answer: Value) -> Result<Value, Denial> {
        refuse(step, &mut answer)?;
        let checks = self.checks(step)?;
        for (limit, check) in &checks {
            if let Some(pointer) = &check.response {
                limit.holds_all(&answer, pointer, check.span.as_ref())?;
            }
            if let Some(elements) = &check.elements {
                let left_out = elements.list.is_left_out(&answer);
                match elements.list.get_mut(&mut answer) {
                    Some(Value::Array(items)) => {
                        let span = check.span.as_ref();
                        items.retain(|item| limit.holds_all(item, &elements.at, span).is_ok());
                    }
                    None if left_out => {}
                    // Something else where a list was declared, or on the way to it: nothing of it can be judged.
                    _ => return Err(limit.outside()),
                }
            }
        }
        // Only now, because each bound may have dropped what another left.
        for (limit, check) in &checks {
            if let Some(elements) = check.elements.as_ref().filter(|elements| elements.nonempty)
                && elements
                    .list
                    .get_mut(&mut answer)
                    .and_then(|list| list.as_array())
                    .is_none_or(Vec::is_empty)
            {
                return Err(limit.outside().value("(nothing of it)"));
            }
        }
        if let AnswerKind::Json { fields } = &step.answer {
            match &mut answer {
                answer @ Value::Object(_) => keep(answer, fields),
                _ => {
                    return Err(
                        Denial::new(Class::Upstream).fix("the upstream did not answer with a JSON object")
                    );
                }
            }
        }
        Ok(answer)
    }
}

/// Applies what the catalog refuses, whatever bounds the call: an answer that has it counts as not there, an element that
/// has it is dropped.
///
/// # Errors
/// Class `out-of-scope`, field `object`: the same as for what is absent.
pub fn refuse(step: &Step, answer: &mut Value) -> Result<(), Denial> {
    for rule in &step.refuse {
        match &rule.elements {
            Some(list) => {
                if let Some(Value::Array(items)) = list.get_mut(answer) {
                    items.retain(|item| !rule.has(item));
                }
            }
            None if rule.has(answer) => {
                return Err(Denial::new(Class::OutOfScope)
                    .field("object")
                    .value(format!("{} is {}", rule.at, rule.is))
                    .fix("such an object counts as not there"));
            }
            None => {}
        }
    }
    Ok(())
}

/// Judges what a probe answered: the object must be in scope now, and still be after what the call will change.
///
/// # Errors
/// Class `out-of-scope` where it is not, would not be, or does not say.
pub fn judge_probe(limit: &Limit, probe: &Probe, args: &Arguments, answer: &Value) -> Result<(), Denial> {
    let named = |arg: &Option<Ident>| {
        arg.as_ref().and_then(|arg| args.get(arg)).map(ArgValue::texts).unwrap_or_default()
    };
    if let Limit::Not(bound) = limit {
        // It may neither be there nor be put there; taking it out first would be to touch it.
        limit.lacks(bound, told(answer, &probe.at))?;
        let added = named(&probe.add);
        return if added.is_empty() { Ok(()) } else { limit.lacks(bound, Some(added)) };
    }
    if let (Limit::Within(bound), Some(span)) = (limit, &probe.span) {
        limit.holds_all(answer, &probe.at, Some(span))?;
        // What has no new beginning, or end, keeps the one that was just found within.
        return bound.decide_given(span, args, false).map_err(|(field, value)| {
            let denial = limit.outside().field(field).fix("it would leave the days that bound this grant");
            denial.value(value)
        });
    }
    let Limit::Resource(bound) = limit else { return limit.holds(answer, &probe.at) };
    let before = belongs(answer, &probe.at);
    limit.carries(bound, &before)?;
    let (mut added, mut removed) = (named(&probe.add), named(&probe.remove));
    added.extend(probe.adds.iter().cloned());
    removed.extend(probe.removes.iter().cloned());
    // Case does not count in what is taken away: whether the upstream tells `label_1` from `Label_1` is not known here.
    let taken = |id: &String| removed.iter().any(|removed| removed.eq_ignore_ascii_case(id));
    let after: Vec<String> = before.into_iter().chain(added).filter(|id| !taken(id)).collect();
    limit
        .carries(bound, &after)
        .map_err(|denial| denial.fix(format!("it would leave the {} that bounds this grant", bound.resource)))
}

/// Whether a step tells what its objects belong to.
pub(crate) fn tells(check: &Check) -> bool {
    check.arg.is_some() || check.response.is_some() || check.elements.is_some() || check.probe.is_some()
}

/// What an object says it belongs to, where it says nothing but ids; `None` where any of it is missing or of another
/// type, for that could be what is looked for.
fn told(object: &Value, at: &Pointer) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for value in at.every(object)? {
        match value {
            Value::Array(items) => {
                for item in items {
                    found.push(id(item)?);
                }
            }
            value => found.push(id(value)?),
        }
    }
    Some(found)
}

/// What an object says it belongs to: the id at that place, or each id of the list at that place.
fn belongs(object: &Value, at: &Pointer) -> Vec<String> {
    let mut found = Vec::new();
    for value in at.select(object) {
        match value {
            Value::Array(items) => found.extend(items.iter().filter_map(id)),
            value => found.extend(id(value)),
        }
    }
    found
}

/// An id as it stands in an answer: a text, or a whole number, which is its digits.
#[must_use]
pub fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// Leaves of an answer what its step releases: of each object the named members, of each list the same of its elements.
fn keep(answer: &mut Value, fields: &[String]) {
    let ways: Vec<Vec<&str>> = fields.iter().map(|field| field.split('.').collect()).collect();
    keep_below(answer, &ways.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

fn keep_below(value: &mut Value, ways: &[&[&str]]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| keep_below(item, ways)),
        Value::Object(members) => members.retain(|name, member| {
            let below: Vec<&[&str]> = ways
                .iter()
                .filter_map(|way| way.split_first().filter(|(first, _)| *first == name).map(|(_, rest)| rest))
                .collect();
            if !below.iter().any(|rest| rest.is_empty()) {
                keep_below(member, &below);
            }
            !below.is_empty()
        }),
        Value::Null => {}
        // A member of what has no members: nothing of it was named.
        other => *other = Value::Null,
    }
}
