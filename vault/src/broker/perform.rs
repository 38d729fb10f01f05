//! One request of a step: sent under its intent, and concluded by what was made of its answer.

use std::sync::Arc;

use claviger_domain::event::{Detail, Ending};
use claviger_domain::name::SecretName;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::Request;
use claviger_domain::step::Step;
use serde_json::Value;

use super::errand::{Errand, Judged};
use super::look::changed;
use super::usage::{Begun, Purposeful, Sending};
use super::{Broker, json};
use crate::port::Answer;

impl Broker {
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
}

/// An answer that cannot be taken (too long, too deep) cannot be judged either. Where the answer alone says what the
/// object belongs to, such an object is told like one that is not there: that it is there may be out of scope.
pub(super) fn veil(errand: &Errand, step: &Step, denial: Denial) -> Denial {
    let judged_by_answer = step.checks.values().any(|check| check.response.is_some());
    let unreadable = denial.class == Class::Upstream && denial.field.as_deref() == Some("answer");
    if unreadable && judged_by_answer && errand.purpose.effect.is_read() && !errand.scope.is_unbounded() {
        Denial { class: Class::OutOfScope, ..denial.field("object") }
    } else {
        denial
    }
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
