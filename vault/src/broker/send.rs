//! Sending: one step of a call, rendered by the vault, judged before anything of the answer is released.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::event::Actor;
use claviger_domain::name::AdapterName;
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::step::{AnswerKind, Step};
use claviger_domain::tool::{Service, Tool};

use super::authors::told;
use super::errand::{Errand, Judged};
use super::perform::{parse, require_success, veil};
use super::refuse::About;
use super::usage::Begun;
use super::view::Sent;
use super::{Broker, lock};
use crate::port::Answer;

/// Response headers that may pass to an adapter.
pub(super) const HEADERS: [&str; 1] = ["content-type"];

/// What was read for an errand: the use that stays open until its answer is released or withheld.
pub(super) struct Read {
    pub(super) begun: Begun,
    pub(super) answer: Answer,
    pub(super) judged: Result<Judged, Denial>,
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
        self.send_holding(adapter, capability, step, params, ()).await
    }

    /// The same; what is `held` is let go of when the use has ended, whatever becomes of the caller.
    ///
    /// # Errors
    /// As [`Broker::send`].
    pub async fn send_holding(
        self: &Arc<Self>,
        adapter: &AdapterName,
        capability: &[u8],
        step: &str,
        params: BTreeMap<String, String>,
        held: impl Send + 'static,
    ) -> Result<Sent, Refusal> {
        let mut about = About { adapter: Some(adapter.clone()), ..About::default() };
        let errand = match self.prepare(adapter, capability, step, &params, &mut about) {
            Ok(errand) => errand,
            Err(denial) => return Err(self.refuse(Actor::Adapter(adapter.clone()), about, denial)),
        };
        let broker = Arc::clone(self);
        let actor = Actor::Adapter(adapter.clone());
        // In a box: what a use may have to remember is some kilobytes, which a task would move several times.
        let task = self.tasks.spawn(Box::pin(async move {
            let _held = held;
            let result = broker.run(&errand).await;
            result.map_err(|denial| broker.refuse(actor, errand.purpose.about.clone(), denial))
        }));
        task.await.unwrap_or_else(|_| {
            // The task panicked: what it had sent, if anything, is an intent without an outcome.
            Err(Refusal { class: Class::Unknown, field: None, reference: None, approval: None })
        })
    }

    /// Does one errand: looks at the object where it must, sends, looks again where it must, judges, releases.
    async fn run(self: &Arc<Self>, errand: &Errand) -> Result<Sent, Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let catalog = self.catalog();
        let service = catalog.service(&errand.service).ok_or_else(gone)?;
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
        let asked_before = self.asked_before(errand, service, step).await;
        if asked_before == Some(false) {
            // Whatever comes of the request: what it may have carried on is there.
            self.taint(&errand.purpose).await?;
        }
        let read = match errand.turned(step) {
            Some(list) => self.read_list(errand, service, tool, step, list).await?,
            None => self.read_once(errand, service, tool, step).await?,
        };
        self.hand_out(errand, service, tool, step, read, asked_before).await
    }

    /// The rest of an errand: what was read is counted and weighed, its outcome recorded, and only then is it released.
    ///
    /// `asked_before` says whether all authors are trusted, where that was asked before the request.
    pub(super) async fn hand_out(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        tool: &Tool,
        step: &Step,
        read: Read,
        asked_before: Option<bool>,
    ) -> Result<Sent, Denial> {
        let Read { begun, answer, mut judged } = read;
        let told = judged.as_mut().ok().and_then(|judged| told(step, judged));
        let judged = self.counted(errand, judged).await;
        let judged = match judged {
            Ok(judged) => {
                let trusted = match asked_before {
                    Some(trusted) => trusted,
                    None if errand.purpose.taints => {
                        self.are_trusted(errand, service, &step.authors, told.as_ref()).await
                    }
                    None => true,
                };
                self.weighed(errand, &answer, judged, trusted).await
            }
            Err(denial) => Err(denial),
        };
        let judged = self.conclude(begun, &answer, judged).await?;
        if let (Some(id), Some(agent)) = (&judged.made, &errand.purpose.about.agent) {
            self.remember_made(agent, &errand.secret, id).await;
        }
        self.release(errand, tool, step, answer, judged)
    }

    /// One request, looked at and judged.
    async fn read_once(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        tool: &Tool,
        step: &Step,
    ) -> Result<Read, Denial> {
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
        Ok(Read { begun, answer, judged })
    }

    /// What is about to be released counts against the day: as released, so that nothing out of scope can be told by it.
    async fn counted(&self, errand: &Errand, judged: Result<Judged, Denial>) -> Result<Judged, Denial> {
        let mut judged = judged?;
        if let Some(json) = &judged.json {
            judged.body = Bytes::from(json.to_string());
        }
        self.bytes_in(&errand.purpose, judged.body.len()).await?;
        Ok(judged)
    }

    /// Decides what an answer that may be released taints, before it is.
    async fn weighed(
        &self,
        errand: &Errand,
        answer: &Answer,
        judged: Judged,
        trusted: bool,
    ) -> Result<Judged, Denial> {
        let content = (judged.json.as_ref(), &*answer.body);
        let flags = self.weigh(&errand.purpose, content, trusted).await?;
        Ok(Judged { flags: flags.into_iter().collect(), ..judged })
    }

    /// What may be passed on of an answer.
    pub(super) fn judge(&self, errand: &Errand, step: &Step, answer: &Answer) -> Result<Judged, Denial> {
        let bounded = !errand.scope.is_unbounded();
        match &step.answer {
            AnswerKind::Stream(_) => Err(streamed()),
            AnswerKind::Bytes => {
                require_success(answer, bounded)?;
                Ok(Judged { body: answer.body.clone(), ..Judged::default() })
            }
            AnswerKind::Json { .. } => {
                let value = parse(answer, bounded).and_then(|value| step.named(value))?;
                let made = step.makes.as_ref().and_then(|at| at.select(&value).first()?.as_str());
                let made = made.map(str::to_owned);
                let came = step.page.as_ref().filter(|paging| paging.numbered).and_then(|paging| {
                    paging.list.as_ref()?.select(&value).first()?.as_array().map(Vec::len)
                });
                let released = errand.scope.judge(step, value)?;
                Ok(Judged { json: Some(released), came: came.unwrap_or(0), made, ..Judged::default() })
            }
        }
    }

    /// Keeps the page token here, remembers the ids, and gives the rest away.
    fn release(
        &self,
        errand: &Errand,
        tool: &Tool,
        step: &Step,
        answer: Answer,
        judged: Judged,
    ) -> Result<Sent, Denial> {
        let Judged { mut body, json, came: _, made: _, flags, onward } = judged;
        if let Some(mut value) = json {
            if step.page.is_some() {
                self.keep_page(errand, tool, step, &mut value, onward);
                body = Bytes::from(value.to_string());
            }
            lock(&errand.live).learn(step, &value);
        }
        let (status, headers) = match errand.turned(step) {
            // Whether the upstream was asked for this page at all, and how it answered, depends on what was dropped.
            Some(_) => (200, vec![("content-type".to_owned(), b"application/json".to_vec())]),
            None => {
                let known = |(name, _): &(String, _)| HEADERS.contains(&name.as_str());
                (answer.status, answer.headers.into_iter().filter(known).collect())
            }
        };
        Ok(Sent { status, headers, body, untrusted: tool.untrusted, flags })
    }
}

/// What passes in pieces is asked for by another door.
fn streamed() -> Denial {
    Denial::new(Class::BadStep).field("step").fix("the step is a stream: it is downloaded or uploaded")
}
