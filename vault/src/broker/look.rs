//! Looking before deciding: what a call would do, seen in the object and not only in its arguments.
//!
//! A call is looked at twice: before it is decided, and right before each request of it that may change something. Both
//! must have seen the same, so what was decided, and what a person agreed to, is what is done. What is left is the time
//! between the second look's answer and the request that follows it at once: whoever changes the object in that moment,
//! from elsewhere, is not seen, but where the upstream offers `If-Match`, with which it refuses then.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use claviger_domain::address::Address;
use claviger_domain::arg::Arguments;
use claviger_domain::capability::PROBES;
use claviger_domain::effect::Effect;
use claviger_domain::event::Actor;
use claviger_domain::look::{filled, needs_looks, see};
use claviger_domain::name::{Ident, SecretName, ServiceId};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::{Filling, Request, render};
use claviger_domain::scope::{Scope, judge_probe, refuse};
use claviger_domain::seen::Seen;
use claviger_domain::step::{ParamSource, Step};
use claviger_domain::tool::Tool;
use serde_json::Value;

use super::errand::{Errand, Judged};
use super::mint::{Calling, shown};
use super::perform::parse;
use super::probe::objects;
use super::refuse::About;
use super::usage::Purposeful;
use super::{Broker, lock};

/// Whoever looks: under which call, with which secret.
#[derive(Clone)]
pub(super) struct Looker {
    /// Under which call, as a read.
    pub(super) purpose: Purposeful,
    pub(super) secret: SecretName,
    pub(super) service: ServiceId,
    pub(super) tool: Ident,
    pub(super) args: Arguments,
    /// What was seen for the same call under another grant; nothing where the call is decided already.
    pub(super) glances: Glances,
}

/// What the vault saw while it decided one call. Where a grant was used up by a faster call after all this was looked
/// at, the next grant decides on the same sight: the service is asked once. For one call at its mint, and no longer: what
/// is done is looked at anew.
#[derive(Clone, Default)]
pub(super) struct Glances(Arc<Mutex<Kept>>);

/// What was seen under the grants before, and under this one.
#[derive(Default)]
struct Kept {
    before: BTreeMap<Asked, Value>,
    now: Option<BTreeMap<Asked, Value>>,
}

/// What was asked for: the step, which says the method; the target, and the body.
type Asked = (Ident, String, Vec<u8>);

impl Glances {
    /// The next grant's turn. What is seen under the last is kept for nobody.
    pub(super) fn begin(&self, last: bool) {
        let mut kept = lock(&self.0);
        let now = kept.now.take().unwrap_or_default();
        kept.before.extend(now);
        kept.now = (!last).then(BTreeMap::new);
    }

    fn seen(&self, asked: &Asked) -> Option<Value> {
        lock(&self.0).before.get(asked).cloned()
    }

    fn keep(&self, asked: Asked, value: &Value) {
        if let Some(now) = &mut lock(&self.0).now {
            now.insert(asked, value.clone());
        }
    }
}

impl Looker {
    /// The looker of a call that is being decided.
    pub(super) fn of(calling: &Calling<'_>) -> Self {
        let grant = &calling.presented.grant.grant;
        // A call is recorded whole once, at its mint; it may cause many looks.
        let about = About { arguments: Some(shown(calling.tool, calling.args)), ..calling.about.clone() };
        Self {
            purpose: Purposeful {
                actor: Actor::Adapter(calling.adapter.clone()),
                about,
                effect: Effect::Read,
                ancestors: calling.presented.handle.handle.ancestors.clone(),
                digest: None,
                taints: false,
            },
            secret: grant.secret.clone(),
            service: calling.service.id.clone(),
            tool: calling.tool.name.tool().clone(),
            args: calling.args.clone(),
            glances: calling.glances.clone(),
        }
    }
}

impl Broker {
    /// Looks at whatever decides the call's effect and its recipients besides its arguments, and decides anew on whom it
    /// would reach.
    ///
    /// # Errors
    /// What cannot be seen is refused, like what is not there; and class `out-of-scope` where somebody would be reached
    /// whom a bound does not allow.
    pub(super) async fn look(self: &Arc<Self>, calling: &Calling<'_>, scope: &Scope) -> Result<Seen, Denial> {
        let Calling { presented, tool, args, .. } = calling;
        let seen = if tool.looks.iter().any(|look| look.is_due(args)) {
            let _flight = self.flights.begin(&presented.grant.grant.agent)?;
            let looker = Looker::of(calling);
            let own = self.own_address(&looker.secret);
            let (broker, scope) = (Arc::clone(self), scope.clone());
            // In a task of the vault's: an adapter that goes away does not lose an outcome.
            let task = self.tasks.spawn(async move {
                broker.probe_first(&looker, &scope).await?;
                broker.look_at(&looker).await
            });
            let answers = task.await.unwrap_or_else(|_| Err(Denial::new(Class::Unavailable)))?;
            see(&tool.looks, &answers, args, tool.effect_of(args), own.as_ref())
        } else {
            Seen::nothing(tool.effect_of(args))
        };
        let inherited = presented.ancestors.iter().flat_map(|above| &above.handle.caveats);
        let caveats =
            presented.grant.grant.caveats.iter().chain(inherited).chain(&presented.handle.handle.caveats);
        for caveat in caveats {
            caveat.reaches(tool, args, Some(&seen.people))?;
        }
        Ok(seen)
    }

    /// The request of a step, ready to be sent: where it may change something, or is made of what a look has seen, the
    /// looks are done again, and must have seen what the call was decided on.
    ///
    /// # Errors
    /// Class `out-of-scope` where the object has changed since, as for one that is not there.
    pub(super) async fn ready(
        self: &Arc<Self>,
        errand: &Errand,
        tool: &Tool,
        step: &Step,
    ) -> Result<Request, Denial> {
        let due = tool.looks.iter().filter(|look| look.is_due(&errand.args)).count();
        if due == 0 || !needs_looks(step) {
            return errand.request.clone().ok_or_else(changed);
        }
        for _ in 0..due {
            lock(&errand.live).spend_probe()?;
        }
        let mut purpose = errand.purpose.clone();
        purpose.effect = Effect::Read;
        purpose.taints = false;
        let looker = Looker {
            purpose,
            secret: errand.secret.clone(),
            service: errand.service.clone(),
            tool: errand.tool.clone(),
            args: errand.args.clone(),
            glances: Glances::default(),
        };
        let answers = self.look_at(&looker).await?;
        let own = self.own_address(&errand.secret);
        let seen = see(&tool.looks, &answers, &errand.args, tool.effect_of(&errand.args), own.as_ref());
        if seen.digest != lock(&errand.live).minted().seen {
            return Err(changed());
        }
        let mut request = match &errand.request {
            Some(request) => request.clone(),
            None => {
                let args = errand.args.with(filled(step, &answers).ok_or_else(changed)?);
                render(step, Filling { args: &args, params: &errand.params, page_token: None })?
            }
        };
        if let Some(look) = step.if_match.as_ref().and_then(|name| tool.look(name))
            && let Some(answer) = answers.get(&look.name)
        {
            request.if_match = Some(look.etag(answer).ok_or_else(changed)?);
        }
        Ok(request)
    }

    /// What each due look of a tool answers, by its name.
    async fn look_at(self: &Arc<Self>, looker: &Looker) -> Result<BTreeMap<Ident, Value>, Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let catalog = self.catalog();
        let service = catalog.service(&looker.service).ok_or_else(gone)?;
        let tool = service.tools.get(&looker.tool).ok_or_else(gone)?;
        let mut answers = BTreeMap::new();
        for look in tool.looks.iter().filter(|look| look.is_due(&looker.args)) {
            let step = service.steps.get(&look.step).ok_or_else(gone)?;
            let none = BTreeMap::new();
            let word = format!("look {}", look.name);
            let answer = match self.read_object(looker, step, &word, &none, None, &|_| Ok(())).await {
                // Nothing is known of it then: whom it reaches is unknown, and that is a send.
                Err(denial)
                    if look.optional && matches!(denial.class, Class::OutOfScope | Class::NeedsLogin) =>
                {
                    Value::Null
                }
                answer => answer?,
            };
            answers.insert(look.name.clone(), answer);
        }
        Ok(answers)
    }

    /// Makes the probes of all steps that the arguments are enough for, before a look: what is out of scope is refused
    /// here like what is not there, before its effect is told or a person is asked about it. Each step probes again.
    async fn probe_first(self: &Arc<Self>, looker: &Looker, scope: &Scope) -> Result<(), Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let catalog = self.catalog();
        let service = catalog.service(&looker.service).ok_or_else(gone)?;
        let tool = service.tools.get(&looker.tool).ok_or_else(gone)?;
        let mut left = PROBES;
        for step in &tool.steps {
            for (limit, check) in scope.checks(step)? {
                let Some(probe) = check.probe.as_ref().filter(|probe| probe.of.is_none()) else { continue };
                let own = service.steps.get(&probe.step).ok_or_else(gone)?;
                for params in objects(probe, &looker.args, &BTreeMap::new())? {
                    let known = |name: &&Ident| looker.args.get(name).is_some() || params.contains_key(*name);
                    if !own.path_names().iter().all(known) {
                        continue;
                    }
                    left = left.checked_sub(1).ok_or_else(|| {
                        Denial::new(Class::BadCapability).fix("the call caused too many probes")
                    })?;
                    let judge = |answer: &Value| judge_probe(limit, probe, &looker.args, answer);
                    let word = format!("probe {}", own.name);
                    self.read_object(looker, own, &word, &params, None, &judge).await?;
                }
            }
        }
        Ok(())
    }

    /// One look of the vault's own at an object: a use like any other, with its intent and its outcome. What cannot be
    /// read is told like what is not there.
    pub(super) async fn read_object(
        self: &Arc<Self>,
        looker: &Looker,
        step: &Step,
        word: &str,
        params: &BTreeMap<Ident, String>,
        page_token: Option<&str>,
        judge: &(dyn Fn(&Value) -> Result<(), Denial> + Sync),
    ) -> Result<Value, Denial> {
        let request = render(step, Filling { args: &looker.args, params, page_token })?;
        let asked: Asked = (step.name.clone(), request.path_and_query.clone(), request.body.clone());
        if let Some(value) = looker.glances.seen(&asked) {
            return judge(&value).and_then(|()| step.with_letter(value)).map_err(unseen);
        }
        let mut purpose = looker.purpose.clone();
        purpose.about.step = Some(word.to_owned());
        // Looks are no calls, but they fill the log as calls do.
        let agent = purpose.about.agent.as_ref();
        let now_us = self.ports.clock.mono_us();
        if !agent.is_some_and(|agent| lock(&self.budgets).spend(agent, 0, now_us)) {
            return Err(Denial::new(Class::Busy)
                .field("audit")
                .fix("the agent has used up its room in the log"));
        }
        // A call that is refused, or waits for a person, is charged to no grant; one that is minted has its probes.
        if let Some(agent) = agent.filter(|_| purpose.about.call.is_none()) {
            if !lock(&self.looks).spend(agent, now_us) {
                return Err(Denial::new(Class::Busy)
                    .field("looks")
                    .fix("too much was looked at for calls that came to nothing; wait some minutes"));
            }
            purpose.about.looked.fetch_add(1, Ordering::SeqCst);
        }
        let scopes = &step.scope;
        let performed = self.perform(&looker.secret, scopes, &purpose, request).await;
        let (begun, answer) = performed.map_err(unseen)?;
        let judged = parse(&answer, true)
            .and_then(|value| step.named(value))
            .and_then(|mut value| refuse(step, &mut value).map(|()| value))
            .inspect(|value| looker.glances.keep(asked, value))
            .and_then(|value| judge(&value).map(|()| value))
            .and_then(|value| step.with_letter(value))
            .map(Judged::of)
            .map_err(unseen);
        let judged = self.conclude(begun, &answer, judged).await?;
        judged.json.ok_or_else(|| unseen(Denial::new(Class::Upstream).field("answer")))
    }

    /// The call stands and was charged: what was looked at for it does not count on its own.
    pub(super) fn looks_stand(&self, calling: &Calling<'_>) {
        if let Some(agent) = &calling.about.agent {
            lock(&self.looks).give_back(agent, calling.about.looked.swap(0, Ordering::SeqCst));
        }
    }

    /// The address that the account of a secret says is its own.
    fn own_address(&self, secret: &SecretName) -> Option<Address> {
        self.read().secrets.get(secret)?.record.email.as_ref()?.parse().ok()
    }
}

/// Whether the request of a step can only be rendered once the vault has looked again.
pub(super) fn is_filled_later(step: &Step) -> bool {
    step.params.values().any(|source| matches!(source, ParamSource::Look { .. }))
}

/// The object is not what the call was decided on. It is told like one that is not there.
pub(super) fn changed() -> Denial {
    Denial::new(Class::OutOfScope).field("object").fix("the object changed; ask again")
}

/// What cannot be seen is not there: that an object is too long, or odd, says that it is.
fn unseen(denial: Denial) -> Denial {
    match (denial.class, denial.field.as_deref()) {
        (Class::Upstream, Some("status" | "answer" | "redirect")) => {
            Denial { class: Class::OutOfScope, ..denial.field("object") }
        }
        _ => denial,
    }
}
