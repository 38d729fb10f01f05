//! Connections: how many, from whom, and how slow.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::StreamableHttpService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::MAX_MESSAGE;
use super::gate::{Gate, METHODS};
use super::peer::{Owners, Stranger};
use super::sessions::Sessions;
use crate::bridge::server::Bridge;

/// How many there may be at once. Each carries one request at a time.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// How slow a client may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long a request's head may take, counted from the end of the request before it: an idle connection ends, too.
    pub(super) head: Duration,
    /// How long a request's body may take.
    pub(super) body: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), body: Duration::from_secs(30) }
    }
}

/// The most bytes of a request's head, and the most headers.
const MAX_HEAD: (usize, usize) = (64 << 10, 100);

/// How long the answers under way may take once the program is told to end.
const LAST: Duration = Duration::from_secs(5);

/// A pause after the system had no connection to give, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What is served on each connection.
pub(super) struct Served {
    pub(super) gate: Gate,
    pub(super) pace: Pace,
    pub(super) service: StreamableHttpService<Bridge, Sessions>,
}

/// Serves until `stop`, then until the answers under way are given.
pub(super) async fn serve(
    listener: TcpListener,
    owners: Owners,
    served: Arc<Served>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    let mut turned_away = TurnedAway::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not to be had");
                // A pause between attempts; nothing is decided by it.
                let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            turned_away.full();
            continue;
        };
        // One after the other: a crowd of strangers costs no more than one look at a time.
        match owners.check(&stream, peer).await {
            Ok(()) => tasks.spawn(keep(stream, peer, place, served.clone(), stop.clone())),
            Err(stranger) => {
                turned_away.stranger(stranger);
                continue;
            }
        };
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(LAST, tasks.wait()).await;
}

/// Serves one connection until it ends.
async fn keep(
    stream: TcpStream,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
    served: Arc<Served>,
    stop: CancellationToken,
) {
    // Small messages are not held back until there are more. Where that cannot be set, they are only later.
    let _ = stream.set_nodelay(true);
    let (bytes, headers) = MAX_HEAD;
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(served.pace.head)
        .max_buf_size(bytes)
        .max_headers(headers)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                let served = served.clone();
                async move { Ok::<_, Infallible>(served.answer(request).await) }
            }),
        );
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // What it was, and nothing of what it sent.
        tracing::debug!(port = peer.port(), timeout = error.is_timeout(), "a connection has failed");
    }
}

impl Served {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut answer = match self.admitted(request).await {
            Ok(request) => self.service.handle(request).await,
            Err(status) => refused(status),
        };
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }

    /// The request with its whole body, if it may come in and is not too long or too slow.
    async fn admitted(&self, request: Request<Incoming>) -> Result<Request<Full<Bytes>>, StatusCode> {
        let admitted = self.gate.admit(request.method(), request.uri(), request.headers());
        if admitted == Err(StatusCode::FORBIDDEN) {
            tracing::warn!("a request was refused: its Host or Origin is not this server's");
        }
        admitted?;
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Ok(Request::from_parts(head, Full::default()));
        }
        let whole = tokio::time::timeout(self.pace.body, Limited::new(body, MAX_MESSAGE).collect()).await;
        match whole {
            Ok(Ok(whole)) => Ok(Request::from_parts(head, Full::new(whole.to_bytes()))),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }
}

fn refused(status: StatusCode) -> Answer {
    let words = match status {
        StatusCode::FORBIDDEN => "forbidden: Host and Origin must be this server's own, and no page may ask",
        StatusCode::NOT_FOUND => "not found: MCP is served at /mcp",
        StatusCode::PAYLOAD_TOO_LARGE => "the message is too long",
        StatusCode::REQUEST_TIMEOUT => "the message took too long",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    let mut answer = Response::new(Full::new(Bytes::from_static(words.as_bytes())).boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods = METHODS.map(|method| method.to_string()).join(", ");
        if let Ok(methods) = HeaderValue::from_str(&methods) {
            headers.insert(ALLOW, methods);
        }
    }
    answer
}

/// Counts who was not let in, and says it each time the number has doubled, so that nobody can fill a log.
#[derive(Default)]
struct TurnedAway {
    strangers: u64,
    full: u64,
}

impl TurnedAway {
    fn stranger(&mut self, stranger: Stranger) {
        self.strangers += 1;
        if self.strangers.is_power_of_two() {
            match stranger {
                Stranger::Other(uid) => {
                    tracing::warn!(uid, so_far = self.strangers, "a connection of another user was closed");
                }
                Stranger::Unknown => {
                    tracing::warn!(so_far = self.strangers, "a connection of nobody known was closed");
                }
            }
        }
    }

    fn full(&mut self) {
        self.full += 1;
        if self.full.is_power_of_two() {
            tracing::warn!(so_far = self.full, most = MAX_CONNECTIONS, "a connection too many was closed");
        }
    }
}
