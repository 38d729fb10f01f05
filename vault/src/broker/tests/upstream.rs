//! An upstream that records what reached it, and answers as a test says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use claviger_domain::event::Kind;
use claviger_domain::name::SecretName;
use claviger_domain::origin::Pin;
use tokio::sync::{mpsc, watch};

use super::fakes::FakeAudit;
use crate::port::{
    Answer, BoxFuture, Head, Inbound, Inject, Outbound, Outflow, PIECE, Pieces, Streaming, Upstream,
    UpstreamFault,
};

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
    /// All headers that the vault rendered.
    pub(super) headers: Vec<(String, String)>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A field of the form that the credential is, decoded where it needs no decoding.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.credential.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(str::to_owned)
    }

    pub(super) fn is_token(&self) -> bool {
        self.target == "/token"
    }
}

pub(super) type Reply = Result<Answer, UpstreamFault>;

/// An answer that comes piece by piece, as a test sends it.
pub(super) type Flowing = (Head, mpsc::UnboundedReceiver<Result<Bytes, UpstreamFault>>);

type Flows = Box<dyn FnMut(&Seen) -> Option<Flowing> + Send>;

type Answers = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// An upstream that a test answers for.
pub(super) struct FakeUpstream {
    pub(super) seen: Mutex<Vec<Seen>>,
    answer: Mutex<Answers>,
    /// Closed: requests wait before they are answered.
    gate: watch::Sender<bool>,
    audit: Arc<FakeAudit>,
    /// What answers in pieces, if a test says.
    flows: Mutex<Option<Flows>>,
    /// Bodies that came piece by piece, as far as they came, and whether they came to their end.
    pub(super) bodies: Mutex<Vec<(Vec<u8>, bool)>>,
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
            flows: Mutex::default(),
            bodies: Mutex::default(),
            unannounced: AtomicU64::new(0),
            forgotten: Mutex::default(),
        })
    }

    pub(super) fn answer_with(&self, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    pub(super) fn flow_with(&self, flows: impl FnMut(&Seen) -> Option<Flowing> + Send + 'static) {
        *self.flows.lock().unwrap() = Some(Box::new(flows));
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

struct FakePieces(mpsc::UnboundedReceiver<Result<Bytes, UpstreamFault>>);

impl Pieces for FakePieces {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamFault>> {
        Box::pin(async move { self.0.recv().await.transpose() })
    }
}

impl Upstream for FakeUpstream {
    fn stream<'a>(
        &'a self,
        secret: &'a SecretName,
        pin: &'a Pin,
        request: Streaming,
    ) -> BoxFuture<'a, Result<Inbound, UpstreamFault>> {
        Box::pin(async move {
            let Streaming { request, outflow, in_pieces, resumes } = request;
            let mut seen = self.see(secret, pin, request)?;
            self.pass().await;
            if let Some(Outflow { length, mut pieces }) = outflow {
                let at = {
                    let mut bodies = self.bodies.lock().unwrap();
                    bodies.push((Vec::new(), false));
                    bodies.len() - 1
                };
                let mut left = usize::try_from(length).unwrap();
                while left > 0 {
                    let Some(piece) = pieces.recv().await else {
                        return Err(UpstreamFault::Broken("the body was cut"));
                    };
                    assert!(piece.len() <= PIECE, "a piece is a piece");
                    left = left.checked_sub(piece.len()).expect("no more than announced");
                    self.bodies.lock().unwrap()[at].0.extend_from_slice(&piece);
                    // A body that is refused while it comes.
                    if let Some(refused) = self.refuses_early(&seen) {
                        return Ok(Inbound::Whole(refused));
                    }
                }
                let mut bodies = self.bodies.lock().unwrap();
                bodies[at].1 = true;
                seen.body = String::from_utf8_lossy(&bodies[at].0).into_owned();
            }
            let flowing =
                self.flows.lock().unwrap().as_mut().filter(|_| in_pieces).and_then(|flows| flows(&seen));
            if let Some((head, pieces)) = flowing {
                return Ok(Inbound::Pieces(head, Box::new(FakePieces(pieces))));
            }
            let answer = self.answer.lock().unwrap().clone();
            let answer = answer(&seen)?;
            if (300..=399).contains(&answer.status) && !(resumes && answer.status == 308) {
                return Err(UpstreamFault::Redirect(answer.status));
            }
            if !in_pieces || !(200..=299).contains(&answer.status) {
                return Ok(Inbound::Whole(answer));
            }
            let Answer { status, headers, body } = answer;
            let (sender, pieces) = mpsc::unbounded_channel();
            body.chunks(PIECE).for_each(|piece| sender.send(Ok(Bytes::copy_from_slice(piece))).unwrap());
            let head = Head { status, headers, length: u64::try_from(body.len()).ok() };
            Ok(Inbound::Pieces(head, Box::new(FakePieces(pieces))))
        })
    }

    fn send<'a>(&'a self, secret: &'a SecretName, pin: &'a Pin, request: Outbound) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let seen = self.see(secret, pin, request)?;
            self.pass().await;
            let answer = self.answer.lock().unwrap().clone();
            answer(&seen)
        })
    }

    fn forget(&self, secret: &SecretName) {
        self.forgotten.lock().unwrap().push(secret.to_string());
    }
}

impl FakeUpstream {
    async fn pass(&self) {
        let mut gate = self.gate.subscribe();
        let _ = gate.wait_for(|open| *open).await;
        tokio::task::yield_now().await;
    }

    /// What a test answers to `x-early` while the body comes.
    fn refuses_early(&self, seen: &Seen) -> Option<Answer> {
        let early = Seen { method: "EARLY".to_owned(), ..seen.clone() };
        let answer = self.answer.lock().unwrap().clone();
        answer(&early).ok().filter(|answer| answer.headers.iter().any(|(name, _)| name == "x-early"))
    }

    fn see(&self, secret: &SecretName, pin: &Pin, request: Outbound) -> Result<Seen, UpstreamFault> {
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
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        let seen = Seen {
            headers,
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
        Ok(seen)
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
