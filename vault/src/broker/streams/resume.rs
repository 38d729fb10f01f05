//! Where an upload goes: a session that the upstream begins, is asked about after a cut, and is told to end. Each is a use
//! of its own. A session makes nothing until its last byte has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::event::{Detail, Ending};
use claviger_domain::name::Ident;
use claviger_domain::range;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::{Filling, Request, render};
use claviger_domain::step::{Method, Segment, Step};

use super::exchange::{How, Lease, Version};
use super::hash::Running;
use super::session::{Session, SessionUrl};
use super::transfer::From;
use super::upload::Course;
use crate::broker::Broker;
use crate::broker::perform::require_success;
use crate::broker::usage::{Begun, Purposeful};
use crate::port::{Answer, Inbound, UpstreamFault};

impl Broker {
    /// The session of a call that was cut before, as far as the upstream has kept it; else a new one.
    pub(super) async fn find_session(
        self: &Arc<Self>,
        course: &Course<'_>,
        start: &Ident,
    ) -> Result<From, Denial> {
        let current = self.read().secrets.get(&course.errand.secret).map(|entry| Version::of(entry));
        let known = self.take_session(course).filter(|session| Some(session.version) == current);
        if let Some(session) = known
            && let Some(from) = self.ask_session(course, session).await?
        {
            return Ok(from);
        }
        self.charge_upload(course, course.length()).await?;
        self.start_session(course, start).await.map(From::Session)
    }

    /// Begins a session, and keeps what the upstream says of where it is.
    async fn start_session(self: &Arc<Self>, course: &Course<'_>, start: &Ident) -> Result<Session, Denial> {
        let step = course.service.steps.get(start).ok_or_else(|| Denial::new(Class::ToolChanged))?;
        let none = BTreeMap::new();
        let filling = Filling { args: &course.errand.args, params: &none, page_token: None };
        let mut request = render(step, filling)?;
        request.headers.push(("x-upload-content-length".into(), course.length().to_string()));
        if let Some(kind) = &course.request.content_type {
            request.headers.push(("x-upload-content-type".into(), kind.clone()));
        }
        let (begun, lease, answer) = self.aside(course, "start", &request, How::default).await?;
        let bounded = !course.errand.scope.is_unbounded();
        let begun_there = require_success(&answer, bounded).and_then(|()| {
            let mut named = answer.headers.iter().filter(|(name, _)| name == "location");
            let url = match (named.next(), named.next()) {
                (Some((_, location)), None) => {
                    SessionUrl::parse(location, &lease.entry().pin, &below(course.step))
                }
                _ => None,
            };
            url.ok_or_else(|| {
                Denial::new(Class::Upstream).field("answer").fix(
                    "the upstream did not say where the upload goes, or named a place where it may not go",
                )
            })
        });
        let ending = if begun_there.is_ok() { Ending::Released } else { Ending::Withheld };
        self.end_aside(begun, ending, &answer).await?;
        Ok(Session { url: begun_there?, version: lease.version(), hash: Running::new(), handed_over: false })
    }

    /// Asks how far an upload has come; `None` where it begins anew.
    async fn ask_session(
        self: &Arc<Self>,
        course: &Course<'_>,
        session: Session,
    ) -> Result<Option<From>, Denial> {
        let size = course.length();
        let handed_over = session.handed_over;
        let mut request = to(&session.url, Method::Put)?;
        request.headers.push(("content-range".into(), format!("bytes */{size}")));
        let asked = self.aside(course, "resume", &request, || within(&session.url)).await;
        let (begun, _lease, answer) = match asked {
            Ok(asked) => asked,
            Err(denial) => {
                self.keep_session(course, session);
                return Err(denial);
            }
        };
        match answer.status {
            308 => {
                self.end_aside(begun, Ending::Released, &answer).await?;
                let ranges: Vec<&str> = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| name == "range")
                    .map(|(_, value)| std::str::from_utf8(value).unwrap_or_default())
                    .collect();
                let Session { url, version, hash, .. } = session;
                let kept = range::kept(size, &ranges).ok().filter(|_| course.goes_on());
                // What was hashed must be what the upstream has: else it begins anew.
                let hash = kept.and_then(|kept| hash.back_to(kept));
                let Some(hash) = hash else {
                    let ended = self.end_session(course, &url).await;
                    // All of a mail went there. What is not sent yet might be still, unless the upstream says that it ended.
                    return if course.goes_on() || ended { Ok(None) } else { Err(not_known()) };
                };
                self.charge_upload(course, size - hash.length()).await?;
                Ok(Some(From::Session(Session { url, version, hash, handed_over: false })))
            }
            200 | 201 if handed_over => Ok(Some(From::Done(begun, answer))),
            500..=599 => {
                self.end_aside(begun, Ending::Withheld, &answer).await?;
                self.keep_session(course, session);
                Err(Denial::new(Class::Upstream)
                    .field("status")
                    .fix(format!("the upstream answered {}", answer.status)))
            }
            status => {
                self.end_aside(begun, Ending::Withheld, &answer).await?;
                if handed_over || (200..=299).contains(&status) {
                    return Err(not_known());
                }
                // The session is gone, and with it all that it had.
                Ok(None)
            }
        }
    }

    /// Tells the upstream that nothing more will come; returns whether it said that it ended it, which Google says by 499.
    /// Where the last piece was not handed over, nothing was made, whatever it answers.
    pub(super) async fn end_session(self: &Arc<Self>, course: &Course<'_>, url: &SessionUrl) -> bool {
        let Ok(request) = to(url, Method::Delete) else { return false };
        let asked = self.aside(course, "cancel", &request, || within(url)).await;
        let Ok((begun, _lease, answer)) = asked else { return false };
        let ended = matches!(answer.status, 204 | 499);
        if self.end_aside(begun, Ending::Released, &answer).await.is_err() {
            tracing::warn!("the end of an upload that was cut could not be recorded");
        }
        ended
    }

    /// One request besides the upload's own. What goes wrong with it has made nothing; but it may have arrived, and the log
    /// does not say otherwise.
    async fn aside(
        self: &Arc<Self>,
        course: &Course<'_>,
        word: &str,
        request: &Request,
        how: impl Fn() -> How,
    ) -> Result<(Begun, Lease, Answer), Denial> {
        let errand = course.errand;
        let mut purpose = errand.purpose.clone();
        purpose.about.step = Some(format!("{word} {}", course.step.name));
        let (begun, lease, result) =
            self.converse(&errand.secret, &course.tool.scope, &purpose, request, how).await?;
        match result {
            Ok(Inbound::Whole(answer)) => Ok((begun, lease, answer)),
            Ok(Inbound::Pieces(..)) => {
                self.end(begun, Ending::Unknown, None, 0, Detail::default()).await?;
                Err(Denial::new(Class::Upstream).field("answer"))
            }
            Err(fault) => Err(self.made_nothing(begun, &purpose, &fault, Ending::Unknown).await),
        }
    }

    /// Ends a use of which it is certain that it made nothing, whatever became of it: recorded as `ending`, but for one of
    /// which nothing was sent.
    pub(super) async fn made_nothing(
        &self,
        begun: Begun,
        purpose: &Purposeful,
        fault: &UpstreamFault,
        ending: Ending,
    ) -> Denial {
        if *fault == UpstreamFault::Echo || fault.nothing_sent() {
            return self.fault(begun, purpose, fault).await.unwrap_or_else(|denial| denial);
        }
        let mut detail = Detail::default();
        detail.add("upstream", Some(&fault.to_string()));
        let ended = self.end(begun, ending, None, 0, detail).await;
        let denial = Denial::new(Class::Upstream).field("connection").fix(fault.to_string());
        ended.err().unwrap_or(denial)
    }

    async fn end_aside(&self, begun: Begun, ending: Ending, answer: &Answer) -> Result<(), Denial> {
        self.end(begun, ending, Some(answer.status), answer.body.len(), Detail::default()).await
    }
}

fn not_known() -> Denial {
    Denial::new(Class::Unknown).fix(
        "it is not known whether the upload before this one was made: look at the account before doing it again",
    )
}

/// A request to where an upload goes on, without a body.
pub(super) fn to(url: &SessionUrl, method: Method) -> Result<Request, Denial> {
    // EXPOSE: it becomes the request's own target, which goes to its upstream alone.
    let target = std::str::from_utf8(url.target.expose_secret());
    let target = target.map_err(|_| Denial::new(Class::Unavailable).field("session"))?;
    Ok(Request {
        method,
        path_and_query: target.to_owned(),
        content_type: None,
        if_match: None,
        headers: Vec::new(),
        body: Vec::new(),
        around: None,
    })
}

/// How a request goes to where an upload goes on: that address must not come back.
pub(super) fn within(url: &SessionUrl) -> How {
    How {
        origin: Some(url.origin.clone()),
        watch: vec![url.target.duplicate()],
        resumes: true,
        ..How::default()
    }
}

/// The path at or below which the sessions of a step lie. The catalog has no parameters in it.
fn below(step: &Step) -> String {
    let literal = |segment: &Segment| match segment {
        Segment::Literal(text) => Some(format!("/{text}")),
        Segment::Param(_) | Segment::Rest(_) => None,
    };
    step.path.iter().filter_map(literal).collect()
}
