//! The accept loop and the way of one request.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::body::{Ending, SURPLUS, StandInBody};
use crate::clock::Clock;
use crate::faults::{Faults, Outcome, apply};
use crate::google_error as refuse;
use crate::log::LoggedRequest;
use crate::router;
use crate::wire::{Call, Params, Reply, segments};
use crate::world::{World, bearer};
use crate::{control, uploads};

/// The largest request body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) origin: String,
    pub(crate) clock: Clock,
    pub(crate) control: bool,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) log: Vec<LoggedRequest>,
}

impl Shared {
    pub(crate) fn new(origin: String, control: bool, world: World) -> Self {
        let state = State { world, faults: Faults::default(), log: Vec::new() };
        Self { origin, clock: Clock::default(), control, state: Mutex::new(state) }
    }

    /// The state; a panic of another holder does not take it away.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `stop` changes; then drops every connection.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept (out of descriptors, a vanished peer) concerns no other connection.
                let Ok((tcp, _)) = accepted else { tokio::task::yield_now().await; continue };
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        connection(stream, shared).await;
                    }
                });
            }
            _ = stop.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, shared: Arc<Shared>) {
    let surplus = Arc::new(AtomicBool::new(false));
    let io = SurplusIo { inner: stream, surplus: Arc::clone(&surplus), left: SURPLUS };
    let service = service_fn(move |request| one(request, Arc::clone(&shared), Arc::clone(&surplus)));
    // An error here is the client's doing or an ordered fault; neither concerns the server.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await;
}

/// The connection ends without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on order")
    }
}

impl std::error::Error for Closed {}

async fn one(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    surplus: Arc<AtomicBool>,
) -> Result<Response<StandInBody>, Closed> {
    let http2 = request.version() == Version::HTTP_2;
    let (parts, body) = request.into_parts();
    let fills = uploads::is_put(&parts.method, parts.uri.path());
    let (body, filling) = if fills {
        (Bytes::new(), Some(body))
    } else {
        let whole = Limited::new(body, MAX_BODY).collect().await;
        (whole.map(http_body_util::Collected::to_bytes).unwrap_or_default(), None)
    };
    let host = parts.uri.authority().map(|name| name.as_str().to_owned());
    let named = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = parts.uri.query().unwrap_or("").to_owned();
    let path = parts.uri.path().to_owned();
    let call = Call {
        method: parts.method,
        segments: segments(&path),
        path,
        query: Params::parse(query.as_bytes()),
        headers: parts.headers,
        body,
        now_ms: shared.clock.now_ms(),
        origin: shared.origin.clone(),
    };
    let host = host.or(named).unwrap_or_default();
    let outcome = match filling {
        None => decide(&shared, &call, &query, &host, None),
        Some(body) => fill(&shared, &call, &query, &host, body).await,
    };
    if !outcome.delay.is_zero() {
        #[allow(clippy::disallowed_methods, reason = "the slowness that a test ordered is real")]
        tokio::time::sleep(outcome.delay).await;
    }
    let reply = outcome.reply.ok_or(Closed)?;
    if outcome.ending == Ending::Surplus && !http2 {
        surplus.store(true, Ordering::SeqCst);
    }
    Ok(response(reply, outcome.ending, http2))
}

/// A body that may be long: what came of it stays, however it ends. It is never held, and never logged.
async fn fill(shared: &Shared, call: &Call, query: &str, host: &str, mut body: Incoming) -> Outcome {
    let put = uploads::put(&mut shared.state().world, call);
    let put = match put {
        Ok(put) => put,
        Err(reply) => return decide(shared, call, query, host, Some(Err(reply))),
    };
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => uploads::take(&mut shared.state().world, &put, &data),
            Ok(Err(_)) => {}
            // Cut.
            Err(_) => return Outcome { reply: None, delay: Duration::ZERO, ending: Ending::Whole },
        }
    }
    decide(shared, call, query, host, Some(Ok(put)))
}

/// Runs the request, or the fault in its place, and logs it. `put` is one whose body has come.
fn decide(
    shared: &Shared,
    call: &Call,
    query: &str,
    host: &str,
    put: Option<Result<uploads::Put, Reply>>,
) -> Outcome {
    let mut state = shared.state();
    let state = &mut *state;
    if shared.control
        && let Some(reply) = control::answer(&state.world, &state.log, call)
    {
        return Outcome::plain(reply);
    }
    let mut logged = LoggedRequest::new(call, query, host);
    let fault = state.faults.take(&call.path);
    let runs = fault.as_ref().is_none_or(crate::faults::Fault::lets_it_run);
    let reply = if runs {
        match put {
            None => router::answer(&mut state.world, call),
            Some(Err(reply)) => reply,
            Some(Ok(put)) => uploads::finish_put(&mut state.world, &put, call).unwrap_or_else(|reply| reply),
        }
    } else {
        refuse::error(503, "UNAVAILABLE", "backendError", "Backend Error")
    };
    logged.faulted = fault.is_some();
    let outcome = match fault {
        Some(fault) => apply(&fault, reply, bearer(call).unwrap_or("")),
        None => Outcome::plain(reply),
    };
    logged.status = outcome.reply.as_ref().map_or(0, |reply| reply.status);
    state.log.push(logged);
    outcome
}

fn response(reply: Reply, ending: Ending, http2: bool) -> Response<StandInBody> {
    let mut response = Response::new(StandInBody::new(&reply.body, ending, http2));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        headers.append(name, value);
    }
    headers.insert(header::SERVER, HeaderValue::from_static("stand-in-google"));
    if matches!(ending, Ending::Cut | Ending::Surplus) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
        if !http2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

/// A stream that, when told so, writes some more bytes before it ends: hyper itself never exceeds a
/// `Content-Length` over HTTP/1.1.
struct SurplusIo<S> {
    inner: S,
    surplus: Arc<AtomicBool>,
    left: &'static [u8],
}

impl<S: AsyncRead + Unpin> AsyncRead for SurplusIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SurplusIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        while this.surplus.load(Ordering::SeqCst) && !this.left.is_empty() {
            let written = ready!(Pin::new(&mut this.inner).poll_write(cx, this.left))?;
            this.left = this.left.get(written..).unwrap_or_default();
        }
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
