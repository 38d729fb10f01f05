//! Sending: one step of a call, rendered by the vault, judged before anything of the answer is released.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::arg::{ArgKind, ArgValue, Arguments, parse_id};
use claviger_domain::capability::CapabilitySecret;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Ending};
use claviger_domain::id::CapabilityId;
use claviger_domain::name::{AdapterName, Ident, SecretName};
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::render::{Filling, Request, render};
use claviger_domain::scope::{Limit, Scope, judge_probe, refuse};
use claviger_domain::step::{AnswerKind, Probe, Step};
use claviger_domain::tool::{Service, Tool};
use serde_json::Value;

use super::capabilities::Live;
use super::flights::Flight;
use super::look::{changed, is_filled_later};
use super::mint::shown;
use super::pages::{self, Page};
use super::refuse::About;
use super::usage::{Begun, Purposeful, Sending};
use super::view::Sent;
use super::{Broker, json, lock};
use crate::port::Answer;

/// Response headers that may pass to an adapter.
pub(super) const HEADERS: [&str; 1] = ["content-type"];

/// One step of one call, ready to be done.
pub(super) struct Errand {
    /// Its place among the agent's uses under way.
    _flight: Flight,
    pub(super) live: Live,
    pub(super) step: Ident,
    pub(super) params: BTreeMap<Ident, String>,
    pub(super) args: Arguments,
    pub(super) scope: Scope,
    /// Rendered, but where it is made of what is seen right before it is sent, and where nothing is sent.
    pub(super) request: Option<Request>,
    pub(super) purpose: Purposeful,
    pub(super) secret: SecretName,
    pub(super) service: claviger_domain::name::ServiceId,
    pub(super) tool: Ident,
}

/// An answer that was judged.
pub(super) struct Judged {
    pub(super) body: Bytes,
    pub(super) json: Option<Value>,
    /// The id of what was made.
    pub(super) made: Option<String>,
    /// Signs in it that it speaks to the model.
    pub(super) flags: Vec<String>,
}

impl Broker {
    /// Sends one step under a capability.
    ///
    /// Whatever it comes to runs in a task of the vault's: a caller that goes away loses the answer, not the outcome.
    ///
    /// # Errors
    /// The first rule that says no, or what the upstream did.
    pub async fn send(
        self: &Arc<Self>,
        adapter: &AdapterName,
        capability: &[u8],
        step: &str,
        params: BTreeMap<String, String>,
    ) -> Result<Sent, Refusal> {
        let mut about = About { adapter: Some(adapter.clone()), ..About::default() };
        let errand = match self.prepare(adapter, capability, step, &params, &mut about) {
            Ok(errand) => errand,
            Err(denial) => return Err(self.refuse(Actor::Adapter(adapter.clone()), about, denial)),
        };
        let broker = Arc::clone(self);
        let actor = Actor::Adapter(adapter.clone());
        let task = self.tasks.spawn(async move {
            let result = broker.run(&errand).await;
            result.map_err(|denial| broker.refuse(actor, errand.purpose.about.clone(), denial))
        });
        task.await.unwrap_or_else(|_| {
            // The task panicked: what it had sent, if anything, is an intent without an outcome.
            Err(Refusal { class: Class::Unknown, field: None, reference: None, approval: None })
        })
    }

    /// Everything before the first byte leaves: the capability, the parameters, the rendered request.
    pub(super) fn prepare(
        &self,
        adapter: &AdapterName,
        capability: &[u8],
        step: &str,
        params: &BTreeMap<String, String>,
        about: &mut About,
    ) -> Result<Errand, Denial> {
        if !self.is_unsealed() {
            return Err(Denial::new(Class::Sealed));
        }
        let unknown = || Denial::new(Class::BadCapability).fix("it is unknown");
        // A connection may outlive its adapter's registration.
        if !self.read().adapters.contains_key(adapter) {
            return Err(Denial::new(Class::BadCapability).fix("the adapter was removed"));
        }
        let (id, secret) = capability.split_at_checked(CapabilityId::BYTES).ok_or_else(unknown)?;
        let id = CapabilityId::from_slice(id).ok_or_else(unknown)?;
        let secret = CapabilitySecret::new(secret.try_into().map_err(|_| unknown())?);
        let live = lock(&self.capabilities).find(id).ok_or_else(unknown)?;

        let mut held = lock(&live);
        held.spend(adapter, &secret, self.ports.clock.mono_us())?;
        let flight = self.flights.begin(&held.minted().agent)?;
        let minted = held.minted().clone();
        about.agent = Some(minted.agent.clone());
        about.secret = Some(minted.secret.clone());
        about.grant = Some(minted.grant);
        about.handle = Some(minted.handle);
        about.call = Some(minted.call);
        about.tool = Some(held.tool().clone());
        about.rules = Some(minted.rules);
        about.opaque = self.is_opaque(&minted.agent);

        let changed = || Denial::new(Class::ToolChanged).field("tool");
        let service = self.catalog.service_of(&minted.secret).ok_or_else(changed)?;
        let tool = service.tools.get(held.tool().tool()).ok_or_else(changed)?;
        let step = named_step(tool, step)?;
        about.step = Some(step.name.to_string());
        let mut params = held.params(step, params)?;
        let args = held.arguments().clone();
        about.arguments = Some(shown(tool, &args));
        about.args = Some(Arc::new(args.clone()));
        let scope = held.scope().clone();
        scope.checks(step)?;
        let page_token = self.turn_page(minted.handle, tool, step, &args, &mut params)?;
        let filling = Filling { args: &args, params: &params, page_token: page_token.as_deref() };
        let request = match step.local || is_filled_later(step) {
            true => None,
            false => Some(render(step, filling)?),
        };
        let effect = minted.effect;
        drop(held);

        // Whatever it does to the account: what is released of strangers' text taints.
        let taints = tool.untrusted;
        let purpose = Purposeful {
            actor: Actor::Adapter(adapter.clone()),
            about: about.clone(),
            effect,
            ancestors: minted.ancestors,
            digest: Some(minted.digest),
            taints,
        };
        Ok(Errand {
            _flight: flight,
            live,
            step: step.name.clone(),
            params,
            args,
            scope,
            request,
            purpose,
            secret: minted.secret,
            service: service.id.clone(),
            tool: tool.name.tool().clone(),
        })
    }

    /// The upstream's token for the page that the arguments name. What bounded the first page bounds the next: its
    /// parameters are taken over, and checked against today's scope.
    fn turn_page(
        &self,
        handle: claviger_domain::id::HandleId,
        tool: &Tool,
        step: &Step,
        args: &Arguments,
        params: &mut BTreeMap<Ident, String>,
    ) -> Result<Option<String>, Denial> {
        if step.page.is_none() {
            return Ok(None);
        }
        let mark =
            tool.args.iter().find(|(_, arg)| arg.kind == ArgKind::Page).and_then(|(name, _)| args.get(name));
        let Some(ArgValue::Text(mark)) = mark else { return Ok(None) };
        let page = lock(&self.pages).find(handle, mark, &tool.name, &step.name);
        let page = page.ok_or_else(|| {
            Denial::new(Class::OutOfScope).field("page").fix("the page is gone; search again from the first")
        })?;
        if page.terms != terms(tool, args) {
            return Err(Denial::new(Class::OutOfScope)
                .field("page")
                .fix("the page belongs to a search with other arguments; give the same ones again"));
        }
        for (name, value) in &page.params {
            if params.get(name).is_some_and(|given| given != value) {
                return Err(Denial::new(Class::OutOfScope)
                    .field("page")
                    .fix("the page belongs to another list"));
            }
        }
        *params = page.params;
        Ok(Some(page.token))
    }

    /// Does one errand: looks at the object where it must, sends, looks again where it must, judges, releases.
    async fn run(self: &Arc<Self>, errand: &Errand) -> Result<Sent, Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let service = self.catalog.service(&errand.service).ok_or_else(gone)?;
        let tool = service.tools.get(&errand.tool).ok_or_else(gone)?;
        let step = tool.step(errand.step.as_str()).ok_or_else(gone)?;
        if step.is_streamed() {
            return Err(streamed());
        }
        let _reading = self.begin_reading(&errand.purpose, step, &errand.secret).await?;
        if step.local {
            return self.allow_local(errand, tool).await;
        }
        self.probe(errand, service, step, |_| true).await?;
        let unjudged = |denial| veil(errand, step, denial);
        let request = self.ready(errand, tool, step).await?;
        self.bytes_out(&errand.purpose, request.body.len()).await?;
        let performed = self.perform(&errand.secret, &tool.scope, &errand.purpose, request).await;
        let (begun, answer) = performed.map_err(unjudged)?;
        let looked_again = self.probe(errand, service, step, |probe| probe.again).await;
        let judged = looked_again.and_then(|()| self.judge(errand, step, &answer)).map_err(unjudged);
        let judged = match judged {
            Ok(judged) => self.sift(errand, service, step, judged).await,
            refused => refused,
        };
        let judged = self.counted(errand, judged).await;
        let judged = match judged {
            Ok(judged) => self.weighed(errand, service, step, &answer, judged).await,
            Err(denial) => Err(denial),
        };
        let judged = self.conclude(begun, &answer, judged).await?;
        if let (Some(id), Some(agent)) = (&judged.made, &errand.purpose.about.agent) {
            self.remember_made(agent, &errand.secret, id).await;
        }
        self.release(errand, tool, step, answer, judged)
    }

    /// What is about to be released counts against the day: as released, so that nothing out of scope can be told by it.
    pub(super) async fn counted(
        &self,
        errand: &Errand,
        judged: Result<Judged, Denial>,
    ) -> Result<Judged, Denial> {
        let judged = judged?;
        let length = judged.json.as_ref().map_or(judged.body.len(), |value| value.to_string().len());
        self.bytes_in(&errand.purpose, length).await?;
        Ok(judged)
    }

    /// Decides what an answer that may be released taints, before it is.
    pub(super) async fn weighed(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        step: &Step,
        answer: &Answer,
        judged: Judged,
    ) -> Result<Judged, Denial> {
        let asked = match step.authors.as_ref().and_then(|authors| authors.step.as_ref()) {
            Some(name) if errand.purpose.taints => self.ask_authors(errand, service, name).await,
            _ => judged.json.clone(),
        };
        let content = (judged.json.as_ref(), &*answer.body);
        let flags = self.weigh(&errand.purpose, step, &errand.secret, content, asked.as_ref()).await?;
        Ok(Judged { flags: flags.into_iter().collect(), ..judged })
    }

    /// Another look, at who may have written it; where it fails, strangers did.
    async fn ask_authors(
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
        let value = parse(&answer, true);
        let ending = if value.is_ok() { Ending::Released } else { Ending::Withheld };
        let ended = self.end(begun, ending, Some(answer.status), answer.body.len(), Detail::default()).await;
        ended.ok().and(value.ok())
    }

    /// The judgement becomes the use's outcome; only then is anything released.
    pub(super) async fn conclude(
        &self,
        begun: Begun,
        answer: &Answer,
        judged: Result<Judged, Denial>,
    ) -> Result<Judged, Denial> {
        let ending = if judged.is_ok() { Ending::Released } else { Ending::Withheld };
        // What is not there, what may not be seen and what is out of scope are one, down to the field's name.
        let judged = judged.map_err(|denial| match denial.class {
            Class::OutOfScope => denial.field("object"),
            // What an adapter would try again may have been done: an upstream that refuses says so with 400 to 499.
            Class::Upstream
            | Class::Unavailable
            | Class::Busy
            | Class::NeedsLogin
            | Class::RateLimited
            | Class::Revoked
                if !begun.effect().is_read() && !(400..=499).contains(&answer.status) =>
            {
                Denial { class: Class::Unknown, ..denial }
            }
            _ => denial,
        });
        let mut detail = Detail::default();
        if let Err(denial) = &judged {
            detail.add("value", denial.value.as_deref());
        }
        let ended = self.end(begun, ending, Some(answer.status), answer.body.len(), detail).await;
        match judged {
            Err(denial) if denial.class == Class::Unknown => Err(denial),
            judged => ended.and(judged),
        }
    }

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

    /// The vault's own look at each element of a list that does not say itself what it belongs to. What is out of scope
    /// is dropped, and so is what has no id to look at it by.
    pub(super) async fn sift(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        step: &Step,
        mut judged: Judged,
    ) -> Result<Judged, Denial> {
        for (bound, check) in errand.scope.checks(step)? {
            let Some((probe, of)) = check.probe.as_ref().and_then(|probe| Some((probe, probe.of.as_ref()?)))
            else {
                continue;
            };
            let list = judged.json.as_mut().and_then(|value| of.list.get_mut(value)).map(Value::take);
            let Some(Value::Array(items)) = list else { continue };
            let mut kept = Vec::new();
            for item in items {
                let id = match of.id.select(&item).as_slice() {
                    &[Value::String(id)] => parse_id(id).ok(),
                    _ => None,
                };
                let Some(id) = id else { continue };
                let mut params = errand.params.clone();
                params.insert(of.param.clone(), id);
                match self.probe_one(errand, service, bound, probe, &params).await {
                    Ok(()) => kept.push(item),
                    Err(denial) if denial.class == Class::OutOfScope => {}
                    Err(denial) => return Err(denial),
                }
            }
            if let Some(place) = judged.json.as_mut().and_then(|value| of.list.get_mut(value)) {
                *place = Value::Array(kept);
            }
        }
        Ok(judged)
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
        let look = service.steps.get(&probe.step).ok_or_else(|| Denial::new(Class::ToolChanged))?;
        let filling = Filling { args: &errand.args, params, page_token: None };
        let request = render(look, filling)?;
        let mut purpose = errand.purpose.clone();
        purpose.effect = Effect::Read;
        purpose.taints = false;
        purpose.about.step = Some(format!("probe {}", look.name));
        let (begun, answer) = self.perform(&errand.secret, &look.scope, &purpose, request).await?;
        let judged = parse(&answer, true)
            .and_then(|mut value| refuse(look, &mut value).map(|()| value))
            .and_then(|value| judge_probe(bound, probe, &errand.args, &value))
            .map(|()| Judged { body: Bytes::new(), json: None, made: None, flags: Vec::new() });
        self.conclude(begun, &answer, judged).await.map(drop)
    }

    /// One use, with one more try where an access token turned out to be dead: a 401 means that nothing was done.
    pub(super) async fn perform(
        self: &Arc<Self>,
        name: &SecretName,
        scopes: &[String],
        purpose: &Purposeful,
        request: Request,
    ) -> Result<(Begun, Answer), Denial> {
        let mut last = false;
        loop {
            // A rotation may have put a new version in its place; the newest is always the one to use.
            let leased = self.read().lease(name);
            let (secret, _lease) = leased
                .ok_or_else(|| Denial::new(Class::Revoked).field("secret").fix("the secret was removed"))?;
            let Some(credential) = self.credential(&secret, scopes, purpose).await? else { continue };
            let begun = self.begin(purpose, &secret, request.body.len()).await?;
            let origin = secret.pin.origins.first().cloned();
            let sending = Sending {
                secret: &secret,
                pin: &secret.pin,
                origin: origin.ok_or_else(|| Denial::new(Class::Unavailable).field("secret"))?,
                request: request.clone(),
                inject: credential.inject,
                watch: credential.watch,
                answers_with_secrets: false,
            };
            let (begun, answer) = self.send_begun(begun, purpose, sending).await?;
            match (&credential.token, answer.status) {
                (Some((scope, token)), 401) if !last => {
                    last = true;
                    secret.tokens.drop_token(scope, token);
                    self.end(begun, Ending::Withheld, Some(401), answer.body.len(), Detail::default())
                        .await?;
                }
                _ => return Ok((begun, answer)),
            }
        }
    }

    /// What may be passed on of an answer.
    pub(super) fn judge(&self, errand: &Errand, step: &Step, answer: &Answer) -> Result<Judged, Denial> {
        let bounded = !errand.scope.is_unbounded();
        match &step.answer {
            AnswerKind::Stream(_) => Err(streamed()),
            AnswerKind::Bytes => {
                require_success(answer, bounded)?;
                Ok(Judged { body: answer.body.clone(), json: None, made: None, flags: Vec::new() })
            }
            AnswerKind::Json { .. } => {
                let value = parse(answer, bounded)?;
                let made = step.makes.as_ref().and_then(|at| at.select(&value).first()?.as_str());
                let made = made.map(str::to_owned);
                let released = errand.scope.judge(step, value)?;
                Ok(Judged { body: Bytes::new(), json: Some(released), made, flags: Vec::new() })
            }
        }
    }

    /// Keeps the page token here, remembers the ids, and gives the rest away.
    pub(super) fn release(
        &self,
        errand: &Errand,
        tool: &Tool,
        step: &Step,
        answer: Answer,
        judged: Judged,
    ) -> Result<Sent, Denial> {
        let Judged { mut body, json, made: _, flags } = judged;
        if let Some(mut value) = json {
            self.keep_page(errand, tool, step, &mut value);
            lock(&errand.live).learn(step, &value);
            body = Bytes::from(value.to_string());
        }
        let headers =
            answer.headers.into_iter().filter(|(name, _)| HEADERS.contains(&name.as_str())).collect();
        Ok(Sent { status: answer.status, headers, body, untrusted: tool.untrusted, flags })
    }

    fn keep_page(&self, errand: &Errand, tool: &Tool, step: &Step, value: &mut Value) {
        let Some(paging) = &step.page else { return };
        let Some(slot) = paging.take.get_mut(value) else { return };
        let Value::String(token) = slot.take() else { return };
        if token.len() > pages::LONGEST {
            return;
        }
        let mark = format!(
            "page_{}",
            claviger_domain::id::Ref::from_bytes(self.random()).to_string().trim_start_matches("ref_")
        );
        *slot = Value::String(mark.clone());
        let handle = errand.purpose.about.handle;
        let page = Page {
            tool: tool.name.clone(),
            step: step.name.clone(),
            params: errand.params.clone(),
            terms: terms(tool, &errand.args),
            token,
        };
        if let Some(handle) = handle {
            lock(&self.pages).keep(handle, mark, page);
        }
    }
}

/// What passes in pieces is asked for by another door.
fn streamed() -> Denial {
    Denial::new(Class::BadStep).field("step").fix("the step is a stream: it is downloaded or uploaded")
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

/// An answer that cannot be taken (too long, too deep) cannot be judged either. Where the answer alone says what the
/// object belongs to, such an object is told like one that is not there: that it is there may be out of scope.
fn veil(errand: &Errand, step: &Step, denial: Denial) -> Denial {
    let judged_by_answer = step.checks.values().any(|check| check.response.is_some());
    let unreadable = denial.class == Class::Upstream && denial.field.as_deref() == Some("answer");
    if unreadable && judged_by_answer && errand.purpose.effect.is_read() && !errand.scope.is_unbounded() {
        Denial { class: Class::OutOfScope, ..denial.field("object") }
    } else {
        denial
    }
}

/// A digest of all arguments but the page's mark: a page belongs to the list it was a page of.
fn terms(tool: &Tool, args: &Arguments) -> [u8; 32] {
    let mut bytes = Vec::new();
    let mut add = |text: &str| {
        bytes.extend_from_slice(&text.len().to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    let is_page = |name: &Ident| tool.args.get(name).is_some_and(|arg| arg.kind == ArgKind::Page);
    for (name, value) in args.iter().filter(|(name, _)| !is_page(name)) {
        let texts = value.texts();
        add(name.as_str());
        add(&texts.len().to_string());
        texts.iter().for_each(|text| add(text));
    }
    *claviger_canonical::Digest::of(&bytes).as_bytes()
}

/// The step of that name. A tool of one step needs no name for it: that is how a generic adapter asks.
fn named_step<'a>(tool: &'a Tool, name: &str) -> Result<&'a Step, Denial> {
    let only = if name.is_empty() && tool.steps.len() == 1 { tool.steps.first() } else { None };
    only.or_else(|| tool.step(name))
        .ok_or_else(|| Denial::new(Class::BadStep).field("step").fix("the tool has no such step"))
}

/// A JSON answer of success.
pub(super) fn parse(answer: &Answer, bounded: bool) -> Result<Value, Denial> {
    require_success(answer, bounded)?;
    json::parse(&answer.body).ok_or_else(|| {
        Denial::new(Class::Upstream)
            .field("answer")
            .fix("the upstream did not answer with JSON of bearable size")
    })
}

/// Nothing of a failed answer's body is released. Where a resource bounds the call, what is absent, what is forbidden
/// and what is out of scope are one.
pub(super) fn require_success(answer: &Answer, bounded: bool) -> Result<(), Denial> {
    let status = answer.status;
    match status {
        200..=299 => Ok(()),
        404 | 410 => {
            Err(Denial::new(Class::OutOfScope).field("object").fix("the upstream has no such object"))
        }
        // The object is no longer the one that the call was decided on.
        412 => Err(changed()),
        403 if bounded => {
            Err(Denial::new(Class::OutOfScope).field("object").fix("the upstream forbids it (403)"))
        }
        401 => Err(Denial::new(Class::NeedsLogin)
            .field("credential")
            .fix("the upstream does not take the credential")),
        429 => Err(Denial::new(Class::Upstream).field("rate").fix("the upstream wants fewer requests (429)")),
        _ => Err(Denial::new(Class::Upstream)
            .field("status")
            .value(excerpt(answer))
            .fix(format!("the upstream answered {status}"))),
    }
}

/// What the owner may read of a failed answer: its beginning, printable.
fn excerpt(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
