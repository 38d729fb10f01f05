//! One tool call under way: the capability, and what a service may do with it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use claviger_proto::v1;
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::failure::{Failure, Refused};
use crate::host::vault::Vault;
use crate::text::clean;

/// What the vault minted, without the means to use it: that stays in [`Call`].
#[derive(Debug, Clone)]
pub struct Minted {
    /// The tool's full name, `gmail.get_message`.
    pub tool: String,
    /// The call's identifier in the audit log, `call_…`.
    pub call: String,
    /// `read`, `write`, `send` or `delete`.
    pub effect: String,
    /// Whether answers are written by strangers.
    pub untrusted: bool,
    /// How many steps may be sent.
    pub requests: u32,
    /// For each bounded resource: the ids in scope.
    pub choices: HashMap<String, Vec<String>>,
}

/// One tool call: knows the capability, sends steps, stops when the caller cancels.
///
/// The capability is wiped when the call is dropped. A copy of it passes through the buffers of the connection to the
/// vault, as it must; it dies there with the call, seconds later.
pub struct Call {
    vault: Arc<Vault>,
    capability: SecretSlice<u8>,
    minted: Minted,
    arguments: Map<String, Value>,
    stop: CancellationToken,
    untrusted: AtomicBool,
    flags: Mutex<BTreeSet<String>>,
}

/// Names the tool only: neither arguments nor the capability belong in logs.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({})", self.minted.tool)
    }
}

impl Call {
    /// A call that was minted, and the token that ends it early.
    pub(crate) fn new(
        vault: Arc<Vault>,
        capability: SecretSlice<u8>,
        minted: Minted,
        arguments: Map<String, Value>,
        stop: CancellationToken,
    ) -> Self {
        let untrusted = AtomicBool::new(minted.untrusted);
        Self { vault, capability, minted, arguments, stop, untrusted, flags: Mutex::default() }
    }

    /// What the vault said when it minted.
    #[must_use]
    pub fn minted(&self) -> &Minted {
        &self.minted
    }

    /// The presented argument of that name. The vault fills steps from the same bytes; this is for choosing between
    /// steps and for describing a result.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.get(name)
    }

    /// The ids in scope for a resource; `None` where the grant does not bound it.
    #[must_use]
    pub fn choices(&self, resource: &str) -> Option<&[String]> {
        self.minted.choices.get(resource).map(Vec::as_slice)
    }

    /// Whether anything this call has seen may have been written by strangers.
    #[must_use]
    pub fn untrusted(&self) -> bool {
        self.untrusted.load(Ordering::Relaxed)
    }

    /// Signs that what this call has seen speaks to the model: names from the vault's list.
    #[must_use]
    pub fn flags(&self) -> BTreeSet<String> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same call, ended by another token: one that outlives the request it came in.
    pub(crate) fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// What ends this call early.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// What goes to the vault for a step.
    fn request(&self, step: &str, params: &[(&str, &str)]) -> v1::SendRequest {
        v1::SendRequest {
            // EXPOSE: the capability goes back to the vault that minted it, over its own socket.
            capability: self.capability.expose_secret().to_vec(),
            step: step.to_owned(),
            params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    /// Asks the vault to send a step whose answer is long. Nothing is read from the upstream faster than it is taken here.
    ///
    /// # Errors
    /// As for [`Call::send`].
    pub(crate) async fn download(
        &self,
        step: &str,
        params: &[(&str, &str)],
    ) -> Result<Streaming<v1::DownloadFrame>, Failure> {
        let request = self.request(step, params);
        let sent = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Failure::Cancelled),
            sent = self.vault.download(request) => sent,
        };
        sent.map_err(|refused| self.sorted(refused))
    }

    /// Begins a step whose body is long. Its pieces go into what is returned; it ends when that is dropped.
    ///
    /// # Errors
    /// As for [`Call::send`].
    pub(crate) async fn upload(
        &self,
        step: &str,
        params: &[(&str, &str)],
    ) -> Result<(mpsc::Sender<Vec<u8>>, Streaming<v1::UploadReply>), Failure> {
        let request = self.request(step, params);
        let begun = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Failure::Cancelled),
            begun = self.vault.upload(request) => begun,
        };
        begun.map_err(|refused| self.sorted(refused))
    }

    /// The vault's answer to a step.
    pub(crate) fn answered(&self, answer: v1::SendResponse) -> Result<Answer, Failure> {
        let v1::SendResponse { status, headers, body, untrusted, flags } = answer;
        self.flags.lock().unwrap_or_else(PoisonError::into_inner).extend(flags);
        if untrusted {
            self.untrusted.store(true, Ordering::Relaxed);
        }
        let status = u16::try_from(status).map_err(|_| Failure::unexpected())?;
        let headers = headers.into_iter().map(|v1::Header { name, value }| (name, value)).collect();
        Ok(Answer { status, headers, body: body.into(), absence: self.absence() })
    }

    /// A refusal of the vault's, as this call's caller is told it.
    pub(crate) fn sorted(&self, refused: Refused) -> Failure {
        if refused.is(Refused::OUT_OF_SCOPE) { self.out_of_scope(refused) } else { Failure::Refused(refused) }
    }

    /// Asks the vault to send one step.
    ///
    /// `params` are ids from an earlier answer of this call, or one of its choices; everything else the vault fills
    /// itself.
    ///
    /// # Errors
    /// Cancelled (before or during: the vault finishes what it began, nobody waits for it), or refused. Any answer of
    /// the upstream, also a 404, is `Ok`; [`Answer::success`] sorts that.
    pub async fn send(&self, step: &str, params: &[(&str, &str)]) -> Result<Answer, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let request = self.request(step, params);
        let sent = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Failure::Cancelled),
            sent = self.vault.send(request, self.minted.effect == "read") => sent,
        };
        match sent {
            Ok(answer) => self.answered(answer),
            Err(refused) => Err(self.sorted(refused)),
        }
    }

    /// Sends a step and parses its answer as JSON.
    ///
    /// # Errors
    /// As [`Call::send`]; and a status that is no success, or a body that is no JSON.
    pub async fn json(&self, step: &str, params: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(step, params).await?.success()?.json()
    }

    /// After the arguments were accepted, the vault's "out of scope" and the upstream's "not found" must not differ:
    /// whoever could tell them apart could learn what exists. So neither has a field, and both have a reference.
    fn out_of_scope(&self, refused: Refused) -> Failure {
        let reference =
            if refused.reference.is_empty() { self.absence().reference } else { refused.reference };
        Failure::Refused(Refused {
            class: refused.class,
            field: String::new(),
            reference,
            approval: String::new(),
        })
    }

    /// What an object that is not there, or not in scope, is told as.
    #[must_use]
    pub fn absent(&self) -> Failure {
        Failure::Refused(self.absence())
    }

    /// What "not found" is told as. Its reference is the call's id in the shape of a refusal's, so that the admin can
    /// find the call.
    fn absence(&self) -> Refused {
        let digits = self.minted.call.strip_prefix("call_").unwrap_or(&self.minted.call);
        Refused {
            class: Refused::OUT_OF_SCOPE.to_owned(),
            field: String::new(),
            reference: format!("ref_{digits}"),
            approval: String::new(),
        }
    }
}

/// What the upstream answered to one step. Its content is written by others; `Debug` shows sizes only.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that the vault let through.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
    absence: Refused,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// Lets a 2xx answer pass.
    ///
    /// # Errors
    /// 404 and 410 as the refusal that an object out of scope gives; any other status with what the upstream said.
    pub fn success(self) -> Result<Self, Failure> {
        match self.status {
            200..=299 => Ok(self),
            404 | 410 => Err(Failure::Refused(self.absence)),
            status => Err(Failure::Upstream { status, message: self.message() }),
        }
    }

    /// The body as JSON; an empty one (204) is `null`.
    ///
    /// # Errors
    /// [`Failure::unexpected`] if it is none.
    pub fn json(&self) -> Result<Value, Failure> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|_| Failure::unexpected())
    }

    /// Google's `error.message`, if there is one.
    fn message(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let message = body.pointer("/error/message").or_else(|| body.get("message"))?.as_str()?;
        Some(clean::line(message, 200))
    }
}
