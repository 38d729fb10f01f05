//! Probes: the vault's own looks at what a step is about, before it is sent and after.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::arg::{ArgValue, Arguments};
use claviger_domain::effect::Effect;
use claviger_domain::event::{Detail, Ending};
use claviger_domain::name::Ident;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::{Filling, render};
use claviger_domain::scope::{Limit, judge_probe, refuse};
use claviger_domain::step::{Probe, Step};
use claviger_domain::tool::Service;
use serde_json::Value;

use super::errand::{Errand, Judged};
use super::perform::parse;
use super::{Broker, lock};

impl Broker {
    /// The vault's own look at the object, for each bound that this step keeps to by looking.
    pub(super) async fn probe(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        step: &Step,
        wanted: impl Fn(&Probe) -> bool,
    ) -> Result<(), Denial> {
        for (bound, check) in errand.scope.checks(step)? {
            let probe = check.probe.as_ref().filter(|probe| probe.of.is_none() && wanted(probe));
            let Some(probe) = probe else { continue };
            for params in objects(probe, &errand.args, &errand.params)? {
                self.probe_one(errand, service, bound, probe, &params).await?;
            }
        }
        Ok(())
    }

    /// The vault's own look at one object.
    async fn probe_one(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        bound: &Limit,
        probe: &Probe,
        params: &BTreeMap<Ident, String>,
    ) -> Result<(), Denial> {
        lock(&errand.live).spend_probe()?;
        let judge = |value: &Value| judge_probe(bound, probe, &errand.args, value);
        self.look_once(errand, service, &probe.step, params, &judge, false).await
    }

    /// One request of the vault's own at an object. As an element of a list, what cannot be read counts as not there: that
    /// it is too long, or odd, or that the upstream will not tell of it, says that it is.
    pub(super) async fn look_once(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        step: &Ident,
        params: &BTreeMap<Ident, String>,
        judge: &(dyn Fn(&Value) -> Result<(), Denial> + Sync),
        element: bool,
    ) -> Result<(), Denial> {
        let look = service.steps.get(step).ok_or_else(|| Denial::new(Class::ToolChanged))?;
        let filling = Filling { args: &errand.args, params, page_token: None };
        let request = render(look, filling)?;
        let mut purpose = errand.purpose.clone();
        purpose.effect = Effect::Read;
        purpose.taints = false;
        purpose.about.step = Some(format!("probe {}", look.name));
        let performed = self.perform(&errand.secret, &look.scope, &purpose, request).await;
        let (begun, answer) =
            performed.map_err(|denial| if element { unlisted(denial, 0) } else { elsewhere(denial) })?;
        let judged = parse(&answer, true)
            .and_then(|value| look.named(value))
            .and_then(|mut value| refuse(look, &mut value).map(|()| value))
            .and_then(|value| judge(&value))
            .map(|()| Judged::default())
            .map_err(|denial| if element { unlisted(denial, answer.status) } else { denial });
        self.conclude(begun, &answer, judged).await.map(drop)
    }

    /// Another look, at who may have written it; where it fails, strangers did.
    pub(super) async fn ask_authors(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        name: &Ident,
    ) -> Option<Value> {
        lock(&errand.live).spend_probe().ok()?;
        let look = service.steps.get(name)?;
        let filling = Filling { args: &errand.args, params: &errand.params, page_token: None };
        let request = render(look, filling).ok()?;
        let mut purpose = errand.purpose.clone();
        purpose.effect = Effect::Read;
        purpose.taints = false;
        purpose.about.step = Some(format!("probe {}", look.name));
        let (begun, answer) = self.perform(&errand.secret, &look.scope, &purpose, request).await.ok()?;
        let value = parse(&answer, true).and_then(|value| look.named(value));
        let ending = if value.is_ok() { Ending::Released } else { Ending::Withheld };
        let ended = self.end(begun, ending, Some(answer.status), answer.body.len(), Detail::default()).await;
        ended.ok().and(value.ok())
    }
}

/// The parameters of a probe, for each object that it looks at. Of no object nothing can be said, so it is refused.
pub(super) fn objects(
    probe: &Probe,
    args: &Arguments,
    params: &BTreeMap<Ident, String>,
) -> Result<Vec<BTreeMap<Ident, String>>, Denial> {
    let Some(each) = &probe.each else { return Ok(vec![params.clone()]) };
    let ids = args.get(&each.arg).map(ArgValue::texts).unwrap_or_default();
    if ids.is_empty() {
        return Err(Denial::new(Class::OutOfScope).field(each.arg.as_str()).fix("name at least one"));
    }
    let one = |id: String| {
        let mut params = params.clone();
        params.insert(each.param.clone(), id);
        params
    };
    Ok(ids.into_iter().map(one).collect())
}

/// What is no longer where it was looked for is not there: where it went to, or that it once was, is not told.
fn elsewhere(denial: Denial) -> Denial {
    match (denial.class, denial.field.as_deref()) {
        (Class::Upstream, Some("redirect")) => Denial { class: Class::OutOfScope, ..denial.field("object") },
        _ => denial,
    }
}

/// An element that cannot be looked at is told like one that is not there. An upstream in trouble (500 and up), or in a
/// hurry, is told as it is: that says nothing of the element.
fn unlisted(denial: Denial, status: u16) -> Denial {
    let hidden = match denial.field.as_deref() {
        Some("answer" | "redirect") => true,
        Some("status") => status < 500,
        _ => false,
    };
    if denial.class == Class::Upstream && hidden {
        Denial { class: Class::OutOfScope, ..denial.field("object") }
    } else {
        denial
    }
}
