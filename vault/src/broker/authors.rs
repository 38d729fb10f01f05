//! Who may have written what a call reads or carries on: told by the answer itself, or asked.

use std::sync::Arc;

use claviger_domain::authors::Authors;
use claviger_domain::step::Step;
use claviger_domain::tool::Service;
use serde_json::Value;

use super::Broker;
use super::errand::{Errand, Judged};

impl Broker {
    /// Of what changes something: whether all who may have written the object are trusted. Once it is done, somebody may
    /// no longer stand among its authors whose words are still in it. `None` for what its answer tells, and for a read,
    /// which asks after its answer came.
    pub(super) async fn asked_before(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        step: &Step,
    ) -> Option<bool> {
        let asks = step.authors.iter().any(|authors| authors.step.is_some());
        if errand.purpose.effect.is_read() || !errand.purpose.taints || !asks {
            return None;
        }
        Some(self.are_trusted(errand, service, &step.authors, None).await)
    }

    /// Whether each of these says that all who may have written it are trusted. What the answer itself tells is looked at
    /// first: where a stranger stands in it, nobody is asked.
    pub(super) async fn are_trusted(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        authors: &[Authors],
        told: Option<&Value>,
    ) -> bool {
        let trusted =
            |one: &Authors, told: &Value| self.is_by_trusted(one, &errand.secret, &errand.args, told);
        let (asking, telling): (Vec<_>, Vec<_>) = authors.iter().partition(|one| one.step.is_some());
        if authors.is_empty() || !telling.into_iter().all(|one| told.is_some_and(|told| trusted(one, told))) {
            return false;
        }
        // Where the answer could not matter, nobody is asked: the agent is tainted whatever it reads, or nobody is trusted.
        let open = errand.purpose.about.agent.as_ref().is_none_or(|name| self.reads_anything(name));
        if !asking.is_empty() && (open || !authors.iter().all(|one| self.may_be_trusted(one, &errand.secret)))
        {
            return false;
        }
        for one in asking {
            let Some(name) = &one.step else { return false };
            match self.ask_authors(errand, service, name).await {
                Some(answer) if trusted(one, &answer) => {}
                _ => return false,
            }
        }
        true
    }
}

/// What an answer tells of its authors. What it holds for that alone is taken out of it.
pub(super) fn told(step: &Step, judged: &mut Judged) -> Option<Value> {
    let mut telling = step.authors.iter().filter(|authors| authors.step.is_none()).peekable();
    // Most answers tell nothing, and may be long.
    telling.peek()?;
    let told = judged.json.clone();
    if let Some(json) = &mut judged.json {
        telling.for_each(|authors| authors.hide(json));
    }
    told
}
