//! Elements of lists that do not say themselves what they belong to: the vault looks at each, and drops what is outside.

use std::collections::VecDeque;
use std::sync::Arc;

use claviger_domain::arg::parse_id;
use claviger_domain::name::Ident;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::scope::{Limit, Scope, judge_probe};
use claviger_domain::step::{Of, Probe, Step};
use claviger_domain::tool::Service;
use futures_util::future::join_all;
use serde_json::Value;

use super::errand::{Errand, Judged};
use super::{Broker, lock};

/// How many elements are looked at, at once. Gmail bears some fifty such requests a second.
const AT_ONCE: usize = 4;

/// One look at each element of a list, and all bounds that it decides.
pub(super) struct ElementLook<'a> {
    step: &'a Ident,
    of: &'a Of,
    bounds: Vec<(&'a Limit, &'a Probe)>,
}

/// What a look at an element came to.
enum Element {
    Within,
    Outside,
    /// The call has no look left for it.
    Unseen,
}

/// The looks that each element of a step's list needs.
pub(super) fn element_looks<'a>(scope: &'a Scope, step: &'a Step) -> Result<Vec<ElementLook<'a>>, Denial> {
    let mut looks: Vec<ElementLook<'_>> = Vec::new();
    for (limit, check) in scope.checks(step)? {
        let Some((probe, of)) = check.probe.as_ref().and_then(|probe| Some((probe, probe.of.as_ref()?)))
        else {
            continue;
        };
        match looks.iter_mut().find(|look| *look.step == probe.step && look.of == of) {
            Some(look) => look.bounds.push((limit, probe)),
            None => looks.push(ElementLook { step: &probe.step, of, bounds: vec![(limit, probe)] }),
        }
    }
    Ok(looks)
}

impl Broker {
    /// Looks at each element of an answer's lists. What is out of scope is dropped, and so is what has no id to look at it
    /// by. Where the call has no look left, the list ends.
    pub(super) async fn sift(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        step: &Step,
        mut judged: Judged,
    ) -> Result<Judged, Denial> {
        for look in element_looks(&errand.scope, step)? {
            let list = &look.of.list;
            let taken = judged.json.as_mut().and_then(|value| list.get_mut(value)).map(Value::take);
            let Some(Value::Array(items)) = taken else { continue };
            let (mut waiting, mut found) = (VecDeque::from(items), Vec::new());
            self.look_at_each(errand, service, &[look], &mut waiting, &mut found, usize::MAX).await?;
            if let Some(place) = judged.json.as_mut().and_then(|value| list.get_mut(value)) {
                *place = Value::Array(found);
            }
        }
        Ok(judged)
    }

    /// Looks at one waiting element after the other until so many are found to be within; returns whether the call has
    /// looks left. Their order stays.
    pub(super) async fn look_at_each(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        looks: &[ElementLook<'_>],
        waiting: &mut VecDeque<Value>,
        found: &mut Vec<Value>,
        wanted: usize,
    ) -> Result<bool, Denial> {
        while found.len() < wanted && !waiting.is_empty() {
            // Never more at once than may be wanted.
            let batch = AT_ONCE.min(wanted - found.len()).min(waiting.len());
            let batch: Vec<Value> = waiting.drain(..batch).collect();
            let seen = batch.iter().map(|item| self.look_at_one(errand, service, looks, item));
            let seen = join_all(seen).await;
            let mut left = true;
            for (item, seen) in batch.into_iter().zip(seen) {
                match seen? {
                    Element::Within => found.push(item),
                    Element::Outside => {}
                    Element::Unseen => left = false,
                }
            }
            if !left {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn look_at_one(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        looks: &[ElementLook<'_>],
        item: &Value,
    ) -> Result<Element, Denial> {
        for look in looks {
            let id = match look.of.id.select(item).as_slice() {
                &[Value::String(id)] => parse_id(id).ok(),
                _ => None,
            };
            let Some(id) = id else { return Ok(Element::Outside) };
            if !lock(&errand.live).spend_look() {
                return Ok(Element::Unseen);
            }
            let mut params = errand.params.clone();
            params.insert(look.of.param.clone(), id);
            let judge = |value: &Value| {
                look.bounds
                    .iter()
                    .try_for_each(|(limit, probe)| judge_probe(limit, probe, &errand.args, value))
            };
            match self.look_once(errand, service, look.step, &params, &judge, true).await {
                Ok(()) => {}
                Err(denial) if denial.class == Class::OutOfScope => return Ok(Element::Outside),
                Err(denial) => return Err(denial),
            }
        }
        Ok(Element::Within)
    }
}
