//! What a call may touch: the resource bounds of its grant and handles, and whether an object lies within.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arg::{ArgValue, Arguments};
use crate::caveat::{Caveat, ResourceBound};
use crate::name::Ident;
use crate::pointer::Pointer;
use crate::refusal::{Class, Denial};
use crate::step::{AnswerKind, Check, Probe, Step};

/// The resource bounds of one call. Several of one resource must each hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    bounds: Vec<ResourceBound>,
}

impl Scope {
    /// The resource bounds among these caveats.
    #[must_use]
    pub fn of<'a>(caveats: impl IntoIterator<Item = &'a Caveat>) -> Self {
        let bounds = caveats.into_iter().filter_map(|caveat| match caveat {
            Caveat::Resource(bound) => Some(bound.clone()),
            _ => None,
        });
        Self { bounds: bounds.collect() }
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.bounds.is_empty()
    }

    /// The ids that every bound of that resource allows; `None` where none bounds it.
    #[must_use]
    pub fn choices(&self, resource: &Ident) -> Option<BTreeSet<String>> {
        let mut sets =
            self.bounds_of(resource).map(|bound| bound.ids.iter().cloned().collect::<BTreeSet<_>>());
        let first = sets.next()?;
        Some(sets.fold(first, |all, next| all.intersection(&next).cloned().collect()))
    }

    /// Each bound of a resource that the step must keep to, with how it does.
    ///
    /// # Errors
    /// A bound that the step has no check for: what cannot be checked is refused.
    pub fn checks<'a>(&'a self, step: &'a Step) -> Result<Vec<(&'a ResourceBound, &'a Check)>, Denial> {
        self.bounds
            .iter()
            .map(|bound| match step.checks.get(&bound.resource) {
                Some(check) => Ok((bound, check)),
                None => Err(outside(bound).fix("this step cannot be held to that bound")),
            })
            .collect()
    }

    /// Judges a JSON answer: what it says it belongs to must be in scope; elements out of scope are dropped; only the
    /// step's fields stay. A list that is left out altogether is an empty one, as some upstreams write it.
    ///
    /// # Errors
    /// Class `out-of-scope` where the object is not within, or does not say, or where the list to be judged is not
    /// where the catalog says it is; `upstream` where a JSON answer is no object.
    pub fn judge(&self, step: &Step, mut answer: Value) -> Result<Value, Denial> {
        for (bound, check) in self.checks(step)? {
            if let Some(pointer) = &check.response {
                require_within(bound, &belongs(&answer, pointer))?;
            }
            if let Some(elements) = &check.elements {
                let left_out = elements.list.is_left_out(&answer);
                match elements.list.get_mut(&mut answer) {
                    Some(Value::Array(items)) => {
                        items.retain(|item| require_within(bound, &belongs(item, &elements.at)).is_ok());
                    }
                    None if left_out => {}
                    // Something else where a list was declared, or on the way to it: nothing of it can be judged.
                    _ => return Err(outside(bound)),
                }
            }
        }
        if let AnswerKind::Json { fields } = &step.answer {
            match &mut answer {
                Value::Object(object) => object.retain(|name, _| fields.iter().any(|field| field == name)),
                _ => {
                    return Err(
                        Denial::new(Class::Upstream).fix("the upstream did not answer with a JSON object")
                    );
                }
            }
        }
        Ok(answer)
    }

    fn bounds_of<'a>(&'a self, resource: &'a Ident) -> impl Iterator<Item = &'a ResourceBound> {
        self.bounds.iter().filter(move |bound| bound.resource == *resource)
    }
}

/// Judges what a probe answered: the object must be in scope now, and still be after what the call will change.
///
/// # Errors
/// Class `out-of-scope` where it is not, would not be, or does not say.
pub fn judge_probe(
    bound: &ResourceBound,
    probe: &Probe,
    args: &Arguments,
    answer: &Value,
) -> Result<(), Denial> {
    let before = belongs(answer, &probe.at);
    require_within(bound, &before)?;
    let named = |arg: &Option<Ident>| {
        arg.as_ref().and_then(|arg| args.get(arg)).map(ArgValue::texts).unwrap_or_default()
    };
    let (added, removed) = (named(&probe.add), named(&probe.remove));
    // Case does not count in what is taken away: whether the upstream tells `label_1` from `Label_1` is not known here.
    let taken = |id: &String| removed.iter().any(|removed| removed.eq_ignore_ascii_case(id));
    let after: Vec<String> = before.into_iter().chain(added).filter(|id| !taken(id)).collect();
    require_within(bound, &after)
        .map_err(|denial| denial.fix(format!("it would leave the {} that bounds this grant", bound.resource)))
}

/// What an object says it belongs to: the text at that place, or each text of the list at that place.
fn belongs(object: &Value, at: &Pointer) -> Vec<String> {
    let mut found = Vec::new();
    for value in at.select(object) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => found.extend(items.iter().filter_map(Value::as_str).map(str::to_owned)),
            _ => {}
        }
    }
    found
}

fn require_within(bound: &ResourceBound, belongs: &[String]) -> Result<(), Denial> {
    if belongs.iter().any(|id| bound.ids.contains(id)) {
        Ok(())
    } else {
        let value = if belongs.is_empty() { "(none)".to_owned() } else { belongs.join(", ") };
        Err(outside(bound).value(value))
    }
}

fn outside(bound: &ResourceBound) -> Denial {
    Denial::new(Class::OutOfScope)
        .field(bound.resource.as_str())
        .caveat(Caveat::Resource(bound.clone()).to_text())
        .fix(format!("grant it with a {} that the object has", bound.resource))
}
