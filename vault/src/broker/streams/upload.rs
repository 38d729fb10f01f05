//! Uploading: one step of a call whose body comes piece by piece, bound by its size and SHA-256 in the arguments.
//!
//! ```text
//! looked at ─ bytes charged ─ session begun (or found again) ─ intent durable ─ checked again ─ go ─ pieces, all but the last
//!   ─ size and hash fit ─ looked at again ─ last piece ─ answer judged ─ outcome durable ─ done
//! ```
//!
//! Until the last piece is handed to the connection, nothing was made: whatever cuts an upload before that leaves none.
//!
//! A file that stands in a mail goes out within it: the mail is rendered here, of the arguments, and only the file comes
//! from outside. Such an upload does not go on after a cut: what the upstream has kept of a mail ends in the middle of a
//! line, and what was hashed does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::arg::ArgValue;
use claviger_domain::codec::rfc5322::Around;
use claviger_domain::event::Actor;
use claviger_domain::name::AdapterName;
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::render::Request;
use claviger_domain::step::Step;
use claviger_domain::tool::{Service, Tool};
use claviger_domain::upload::Upload;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Uploading;
use super::hash::Running;
use super::session::{Key, Session};
use super::transfer::{From, mismatch};
use crate::broker::errand::Errand;
use crate::broker::refuse::About;
use crate::broker::send::Read;
use crate::broker::usage::Begun;
use crate::broker::view::Sent;
use crate::broker::{Broker, lock};
use crate::port::Answer;

/// An upload under way: what it is of, and what is known of its call.
pub(super) struct Course<'a> {
    pub(super) errand: &'a Errand,
    pub(super) service: &'a Service,
    pub(super) tool: &'a Tool,
    pub(super) step: &'a Step,
    pub(super) file: &'a Upload,
    /// Under which it is found again.
    key: Option<Key>,
    /// The request of its step, without a body.
    pub(super) request: Request,
}

impl Course<'_> {
    /// How many bytes go upstream: the file's own, or those of the mail it stands in.
    pub(super) fn length(&self) -> u64 {
        self.request.around.as_ref().map_or(self.file.size(), Around::length)
    }

    /// Whether it can go on from what the upstream has kept of it.
    pub(super) fn goes_on(&self) -> bool {
        self.request.around.is_none()
    }
}

/// Whoever waits to be told from where on the body is wanted, and then what became of it.
pub(super) type Waiting =
    Option<(oneshot::Sender<Result<Uploading, Refusal>>, oneshot::Receiver<Result<Sent, Refusal>>)>;

impl Broker {
    /// Sends one step under a capability, whose body comes piece by piece. `until` cuts it: the vault seals or stops.
    ///
    /// Whatever it comes to runs in a task of the vault's: a caller that goes away once all came loses the answer, not the
    /// outcome.
    ///
    /// # Errors
    /// The first rule that says no, or what the upstream did, before the first byte is wanted.
    pub async fn upload(
        self: &Arc<Self>,
        adapter: &AdapterName,
        capability: &[u8],
        step: &str,
        params: BTreeMap<String, String>,
        until: CancellationToken,
    ) -> Result<Uploading, Refusal> {
        let mut about = About { adapter: Some(adapter.clone()), ..About::default() };
        let actor = Actor::Adapter(adapter.clone());
        let errand = match self.prepare(adapter, capability, step, &params, &mut about) {
            Ok(errand) => errand,
            Err(denial) => return Err(self.refuse(actor, about, denial)),
        };
        let (go, going) = oneshot::channel();
        let broker = Arc::clone(self);
        self.tasks.spawn(async move {
            let (done, told) = oneshot::channel();
            let mut waiting = Some((go, told));
            let sent = broker.run_upload(&errand, until, &mut waiting).await;
            let sent = sent.map_err(|denial| broker.refuse(actor, errand.purpose.about.clone(), denial));
            match (waiting, sent) {
                // Not a byte was wanted of it.
                (Some((go, _)), Err(refusal)) => drop(go.send(Err(refusal))),
                (_, sent) => drop(done.send(sent)),
            }
        });
        going.await.unwrap_or(Err(Refusal {
            class: Class::Unknown,
            field: None,
            reference: None,
            approval: None,
        }))
    }

    async fn run_upload(
        self: &Arc<Self>,
        errand: &Errand,
        until: CancellationToken,
        waiting: &mut Waiting,
    ) -> Result<Sent, Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let catalog = self.catalog();
        let service = catalog.service(&errand.service).ok_or_else(gone)?;
        let tool = service.tools.get(&errand.tool).ok_or_else(gone)?;
        let step = tool.step(errand.step.as_str()).ok_or_else(gone)?;
        let not_one = || Denial::new(Class::BadStep).field("step").fix("the step is no upload: send it");
        let upload = step.upload.as_ref().ok_or_else(not_one)?;
        let Some(ArgValue::Upload(file)) = errand.args.get(&upload.arg) else {
            return Err(Denial::new(Class::BadArguments).field(upload.arg.as_str()).fix("no file is named"));
        };
        // Of no bytes at all none can be held back.
        if file.size() == 0 && Running::new().finish() != *file.sha256() {
            return Err(*mismatch(upload.arg.as_str()).denial);
        }
        let about = &errand.purpose.about;
        let _place = self.places.begin(about.agent.as_ref().ok_or_else(gone)?)?;
        let _reading = self.begin_reading(&errand.purpose, step, &errand.secret).await?;
        self.probe(errand, service, step, |_| true).await?;
        let request = self.ready(errand, tool, step).await?;
        let key = match (about.handle, &about.tool, errand.purpose.digest) {
            (Some(handle), Some(tool), Some(digest)) => Some((handle, tool.clone(), digest)),
            _ => None,
        };
        let course = Course { errand, service, tool, step, file, key, request };
        let from = match &upload.start {
            None => {
                self.charge_upload(&course, course.length()).await?;
                From::Plain
            }
            Some(start) => self.find_session(&course, start).await?,
        };
        let (begun, answer, session) = self.transfer(&course, from, until, waiting).await?;
        // What became of it can be asked there.
        let open = answer.status == 308 || answer.status >= 500;
        if let Some(session) = session.filter(|_| open) {
            self.keep_session(&course, session);
        }
        self.conclude_upload(&course, begun, answer).await
    }

    /// Bytes that are about to be sent count against the day, before the first.
    pub(super) async fn charge_upload(&self, course: &Course<'_>, bytes: u64) -> Result<(), Denial> {
        self.bytes_out(&course.errand.purpose, usize::try_from(bytes).unwrap_or(usize::MAX)).await
    }

    /// The upstream's answer, judged as any other.
    async fn conclude_upload(
        self: &Arc<Self>,
        course: &Course<'_>,
        begun: Begun,
        answer: Answer,
    ) -> Result<Sent, Denial> {
        let Course { errand, service, tool, step, .. } = course;
        let judged = match self.judge(errand, step, &answer) {
            Ok(judged) => self.sift(errand, service, step, judged).await,
            refused => refused,
        };
        self.hand_out(errand, service, tool, step, Read { begun, answer, judged }, None).await
    }

    /// Where an upload of this very call was cut, if it may go on.
    pub(super) fn take_session(&self, course: &Course<'_>) -> Option<Session> {
        let key = course.key.as_ref()?;
        lock(&self.uploads).take(key, self.ports.clock.mono_us())
    }

    /// Leaves an upload whose last piece was not handed over: the same call goes on there, or it is ended for good. Where
    /// nothing may be sent any more, it is left to the upstream's clock: without its last piece it makes nothing.
    pub(super) async fn leave_session(self: &Arc<Self>, course: &Course<'_>, session: Session) {
        if course.goes_on() {
            self.keep_session(course, session);
        } else if self.still_allowed(&course.errand.purpose).is_ok() {
            self.end_session(course, &session.url).await;
        }
    }

    /// Keeps where it was cut: the same call goes on there, or asks there what became of it.
    pub(super) fn keep_session(&self, course: &Course<'_>, session: Session) {
        if let (Some(key), Some(agent)) = (&course.key, &course.errand.purpose.about.agent) {
            let now_us = self.ports.clock.mono_us();
            lock(&self.uploads).keep(key.clone(), agent.clone(), session, now_us);
        }
    }
}
