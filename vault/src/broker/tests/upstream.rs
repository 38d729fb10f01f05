//! An upstream that records what reached it, and answers as a test says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use claviger_domain::event::Kind;
use claviger_domain::name::SecretName;
use claviger_domain::origin::Pin;
use tokio::sync::watch;

use super::fakes::FakeAudit;
use crate::port::{Answer, BoxFuture, Inject, Outbound, Upstream, UpstreamFault};

/// A request as it reached the upstream.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) secret: String,
    pub(super) method: String,
    pub(super) origin: String,
    pub(super) target: String,
    pub(super) body: String,
    /// The value of `If-Match`.
    pub(super) if_match: Option<String>,
    /// The bearer token, or the form of a token request.
    pub(super) credential: String,
}

impl Seen {
    /// A field of the form that the credential is, decoded where it needs no decoding.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.credential.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(str::to_owned)
    }

    pub(super) fn is_token(&self) -> bool {
        self.target == "/token"
    }
}

pub(super) type Reply = Result<Answer, UpstreamFault>;

type Answers = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// An upstream that a test answers for.
pub(super) struct FakeUpstream {
    pub(super) seen: Mutex<Vec<Seen>>,
    answer: Mutex<Answers>,
    /// Closed: requests wait before they are answered.
    gate: watch::Sender<bool>,
    audit: Arc<FakeAudit>,
    /// How many requests came for which no intent was durable.
    pub(super) unannounced: AtomicU64,
    pub(super) forgotten: Mutex<Vec<String>>,
}

impl FakeUpstream {
    pub(super) fn new(
        audit: Arc<FakeAudit>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            answer: Mutex::new(Arc::new(answer)),
            gate: watch::Sender::new(true),
            audit,
            unannounced: AtomicU64::new(0),
            forgotten: Mutex::default(),
        })
    }

    pub(super) fn answer_with(&self, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    pub(super) fn gate(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// Requests to services, token requests left out.
    pub(super) fn calls(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| !seen.is_token()).cloned().collect()
    }

    pub(super) fn token_requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.is_token()).cloned().collect()
    }

    /// Waits until that many requests have come.
    pub(super) async fn wait_for(&self, requests: usize) {
        for _ in 0..1_000_000 {
            if self.seen.lock().unwrap().len() >= requests {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("only {} of {requests} requests came", self.seen.lock().unwrap().len());
    }
}

impl Upstream for FakeUpstream {
    fn send<'a>(&'a self, secret: &'a SecretName, pin: &'a Pin, request: Outbound) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            if !pin.origins.contains(&request.origin) {
                return Err(UpstreamFault::NotPinned);
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let if_match = request
                .headers
                .iter()
                .find(|(name, _)| *name == http::header::IF_MATCH)
                .map(|(_, value)| text(value.as_bytes()));
            let credential = match &request.inject {
                Inject::Nothing => String::new(),
                Inject::Bearer(token) | Inject::Form(token) | Inject::Header(_, token) => {
                    // EXPOSE: the upstream is who it is for.
                    text(token.expose_secret())
                }
                // EXPOSE: as above.
                Inject::Basic { user, password } => format!("{user}:{}", text(password.expose_secret())),
            };
            let seen = Seen {
                secret: secret.to_string(),
                method: request.method.to_string(),
                origin: request.origin.to_string(),
                target: request.path_and_query,
                body: text(&request.body),
                if_match,
                credential,
            };
            {
                let mut all = self.seen.lock().unwrap();
                all.push(seen.clone());
                if self.audit.count(Kind::Intent) < all.len() {
                    self.unannounced.fetch_add(1, Ordering::SeqCst);
                }
            }
            let mut gate = self.gate.subscribe();
            let _ = gate.wait_for(|open| *open).await;
            tokio::task::yield_now().await;
            let answer = self.answer.lock().unwrap().clone();
            answer(&seen)
        })
    }

    fn forget(&self, secret: &SecretName) {
        self.forgotten.lock().unwrap().push(secret.to_string());
    }
}

/// A JSON answer.
#[allow(clippy::unnecessary_wraps, reason = "an upstream's reply is a result")]
pub(super) fn json(status: u16, value: &serde_json::Value) -> Reply {
    let headers = vec![
        ("content-type".to_owned(), b"application/json".to_vec()),
        ("set-cookie".to_owned(), b"session=1".to_vec()),
    ];
    Ok(Answer { status, headers, body: value.to_string().into() })
}
