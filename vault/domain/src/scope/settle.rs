//! Bounds that speak of more than they name: of all that lies below a folder, of all that the agent made. The vault finds
//! out what that is, and the bounds are settled on it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Limit, Scope};
use crate::arg::{ArgValue, Arguments};
use crate::caveat::ResourceBound;
use crate::name::Ident;
use crate::refusal::Denial;
use crate::reserved::Reserved;
use crate::tool::Tool;

/// What a vault found out to settle bounds that speak of more than they name.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The ids of what the agent itself made, by the vault's own record.
    pub made: Vec<String>,
    /// Per resource and id: the ids of what lies below, as far as it was found. To leave some out only narrows.
    pub below: BTreeMap<Ident, BTreeMap<String, BTreeSet<String>>>,
    /// The same below what is forbidden. An id is here only if all that lies below it was found.
    pub forbidden: BTreeMap<Ident, BTreeMap<String, BTreeSet<String>>>,
}

impl Scope {
    /// The ids of resources whose bounds reach further down, each once.
    #[must_use]
    pub fn roots(&self) -> BTreeMap<Ident, BTreeSet<String>> {
        roots(self.limits.iter().filter_map(|limit| match limit {
            Limit::Resource(bound) => Some(bound),
            _ => None,
        }))
    }

    /// The same of what is forbidden: below these, all must be found.
    #[must_use]
    pub fn forbidden_roots(&self) -> BTreeMap<Ident, BTreeSet<String>> {
        roots(self.limits.iter().filter_map(|limit| match limit {
            Limit::Not(bound) => Some(bound),
            _ => None,
        }))
    }

    /// The same bounds, with all that they speak of named; decided anew on the arguments. Whom a call of that tool would
    /// reach must have been decided by whoever calls this, where the tool's arguments or looks tell.
    ///
    /// # Errors
    /// Class `out-of-scope` where an argument names what is not within after all.
    pub fn settle(&self, found: &Found, tool: &Tool, args: &Arguments) -> Result<Self, Denial> {
        let mut settled = self.clone();
        settled.attendees_met = tool.tells_attendees();
        for limit in &mut settled.limits {
            if let Limit::Not(bound) = limit {
                if bound.nested {
                    below_forbidden(bound, found)?;
                }
                outside_of(bound, tool, args)?;
                continue;
            }
            let Limit::Resource(bound) = limit else { continue };
            if bound.resource.as_str() == Reserved::Made.as_str() {
                bound.ids.clone_from(&found.made);
            } else if bound.nested {
                let below = found.below.get(&bound.resource);
                let more: BTreeSet<String> = bound
                    .ids
                    .iter()
                    .filter_map(|root| below?.get(root))
                    .flatten()
                    .filter(|id| !bound.ids.contains(id))
                    .cloned()
                    .collect();
                bound.ids.extend(more);
                bound.nested = false;
            } else {
                continue;
            }
            bound.decide(tool, args)?;
        }
        Ok(settled)
    }
}

fn roots<'a>(bounds: impl Iterator<Item = &'a ResourceBound>) -> BTreeMap<Ident, BTreeSet<String>> {
    let mut roots: BTreeMap<Ident, BTreeSet<String>> = BTreeMap::new();
    for bound in bounds.filter(|bound| bound.nested) {
        roots.entry(bound.resource.clone()).or_default().extend(bound.ids.iter().cloned());
    }
    roots
}

/// Adds to what is forbidden all that lies below it. All of it must have been found.
fn below_forbidden(bound: &mut ResourceBound, found: &Found) -> Result<(), Denial> {
    let mut more = BTreeSet::new();
    for root in &bound.ids {
        let below = found.forbidden.get(&bound.resource).and_then(|below| below.get(root));
        let below = below.ok_or_else(|| {
            Limit::Not(bound.clone())
                .outside()
                .fix("not all that lies below what is forbidden could be found")
        })?;
        more.extend(below.iter().cloned());
    }
    bound.ids.extend(more.into_iter().filter(|id| !bound.ids.contains(id)).collect::<Vec<_>>());
    bound.nested = false;
    Ok(())
}

/// Whether no argument names what is forbidden.
fn outside_of(bound: &ResourceBound, tool: &Tool, args: &Arguments) -> Result<(), Denial> {
    for name in tool.resource_args(&bound.resource) {
        let given = args.get(name).map(ArgValue::texts).unwrap_or_default();
        if !given.is_empty() {
            Limit::Not(bound.clone()).lacks(bound, Some(given))?;
        }
    }
    Ok(())
}
