//! One client per secret and pin, with connections, roots and session tickets of its own. What may be answered with secrets
//! has a connection for itself.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claviger_domain::name::SecretName;
use claviger_domain::origin::Pin;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tokio::time::timeout;

use super::answer::{self, MAX_HEADER_BYTES, MAX_HEADERS};
use super::dial::Dialer;
use super::outgoing::{self, Outgoing};
use super::pieces;
use super::request::{self, Expect};
use crate::port::{Answer, BoxFuture, Inbound, Outbound, Streaming, Upstream, UpstreamFault};

/// How clients are kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The longest time for resolving, dialling and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an unused connection stays open. Short, because a server that closes one just as it is used costs a
    /// failed call: nothing is ever sent twice.
    pub idle_timeout: Duration,
    /// How many unused connections one client keeps to one origin.
    pub idle_per_origin: usize,
    /// How many clients are kept; the one unused for longest goes first. Requests in flight are not cut.
    pub max_clients: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            idle_per_origin: 4,
            max_clients: 256,
        }
    }
}

/// An object that sends requests with credentials over TLS.
pub struct Egress {
    options: Options,
    /// The machine's roots, read once.
    system: Arc<RootCertStore>,
    /// The clients, the latest used last. Few enough to be searched one by one.
    lanes: Mutex<VecDeque<Lane>>,
}

type Http = Client<Dialer, Outgoing>;

/// One secret's client for one pin.
struct Lane {
    secret: SecretName,
    pin: Pin,
    http: Http,
}

impl Egress {
    /// Without connections yet. Reads the machine's trusted roots (blocking, some milliseconds); roots that cannot be
    /// read are left out, and a service that would need them is refused by [`UpstreamFault::Connect`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut system = RootCertStore::empty();
        system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self { options, system: Arc::new(system), lanes: Mutex::new(VecDeque::new()) }
    }

    /// A client for one request, whose connection ends with it. What a token endpoint is sent and answers is worth more
    /// than any request to a service, and would stay in a connection's buffers for as long as that is kept.
    fn apart(&self, pin: &Pin) -> Result<Http, UpstreamFault> {
        let dialer = Dialer::new(pin, &self.system, self.options.connect_timeout)?;
        Ok(client(dialer, &Options { idle_per_origin: 0, ..self.options }))
    }

    /// How many roots the machine trusts: 0 means that only services with pinned roots can be reached.
    #[must_use]
    pub fn system_roots(&self) -> usize {
        self.system.len()
    }

    /// The client for that secret under that pin. A changed pin gets a new client: connections made under other roots
    /// or other rules are not used on.
    fn lane(&self, secret: &SecretName, pin: &Pin) -> Result<Http, UpstreamFault> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lanes.iter().position(|lane| lane.secret == *secret && lane.pin == *pin);
        let lane = match known.and_then(|at| lanes.remove(at)) {
            Some(lane) => lane,
            None => {
                let dialer = Dialer::new(pin, &self.system, self.options.connect_timeout)?;
                Lane { secret: secret.clone(), pin: pin.clone(), http: client(dialer, &self.options) }
            }
        };
        let http = lane.http.clone();
        lanes.push_back(lane);
        while lanes.len() > self.options.max_clients.max(1) {
            lanes.pop_front();
        }
        Ok(http)
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("options", &self.options).finish_non_exhaustive()
    }
}

fn client(dialer: Dialer, options: &Options) -> Http {
    Client::builder(TokioExecutor::new())
        // The default sends a request again on another connection; that is the broker's to decide, never ours.
        .retry_canceled_requests(false)
        .pool_idle_timeout(options.idle_timeout)
        .pool_max_idle_per_host(options.idle_per_origin)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http1_max_headers(MAX_HEADERS)
        .http1_max_buf_size(MAX_HEADER_BYTES + 4096)
        // What an upstream may send ahead of being read: of one answer, and on one connection.
        .http2_initial_stream_window_size(1 << 20)
        .http2_initial_connection_window_size(4 << 20)
        .http2_max_send_buf_size(256 << 10)
        .http2_max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        // A request that timed out leaves its HTTP/2 connection in the pool; pings find out whether it is dead.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .build(dialer)
}

impl Upstream for Egress {
    fn send<'a>(
        &'a self,
        secret: &'a SecretName,
        pin: &'a Pin,
        request: Outbound,
    ) -> BoxFuture<'a, Result<Answer, UpstreamFault>> {
        Box::pin(async move {
            let limit = Duration::from_millis(request.timeout_ms);
            let secrets = request.answers_with_secrets;
            let (mut request, expect) = request::build(pin, request)?;
            let http = if secrets { self.apart(pin)? } else { self.lane(secret, pin)? };
            let connection = capture_connection(&mut request);
            let exchange = async {
                let response = exchange(&http, request.map(Outgoing::Whole), &connection).await?;
                answer::take(response, &expect).await
            };
            in_time(limit, &connection, exchange).await
        })
    }

    fn stream<'a>(
        &'a self,
        secret: &'a SecretName,
        pin: &'a Pin,
        request: Streaming,
    ) -> BoxFuture<'a, Result<Inbound, UpstreamFault>> {
        Box::pin(async move {
            let Streaming { request, outflow, in_pieces, resumes } = request;
            let limit = Duration::from_millis(request.timeout_ms);
            let (request, expect) = request::build(pin, request)?;
            let expect = Expect { resumes, ..expect };
            let mut request = outgoing::with(request, outflow)?;
            let http = self.lane(secret, pin)?;
            let connection = capture_connection(&mut request);
            let exchange = async {
                let response = exchange(&http, request, &connection).await?;
                if in_pieces && response.status().is_success() {
                    pieces::take(response, &expect)
                } else {
                    answer::take(response, &expect).await.map(Inbound::Whole)
                }
            };
            in_time(limit, &connection, exchange).await
        })
    }

    fn forget(&self, secret: &SecretName) {
        // A pool closes its idle connections when its last client goes; requests in flight hold one until they end,
        // and no longer.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).retain(|lane| lane.secret != *secret);
    }
}

async fn exchange(
    http: &Http,
    request: Request<Outgoing>,
    connection: &CaptureConnection,
) -> Result<Response<Incoming>, UpstreamFault> {
    http.request(request).await.map_err(|error| why(&error, handed_over(connection)))
}

async fn in_time<T>(
    limit: Duration,
    connection: &CaptureConnection,
    exchange: impl Future<Output = Result<T, UpstreamFault>>,
) -> Result<T, UpstreamFault> {
    match timeout(limit, exchange).await {
        Ok(result) => result,
        Err(_) if handed_over(connection) => Err(UpstreamFault::Slow),
        Err(_) => Err(UpstreamFault::Connect("it took too long")),
    }
}

/// Whether a connection was given the request. Before that, nothing of it can have been sent.
fn handed_over(connection: &CaptureConnection) -> bool {
    connection.connection_metadata().is_some()
}

fn why(error: &legacy::Error, handed_over: bool) -> UpstreamFault {
    let mut source = error.source();
    while let Some(here) = source {
        if let Some(fault) = here.downcast_ref::<UpstreamFault>().filter(|_| !handed_over) {
            return fault.clone();
        }
        if let Some(error) = here.downcast_ref::<hyper::Error>().filter(|_| handed_over) {
            // Hyper says "canceled" only where it can give the request back untouched.
            return if error.is_canceled() {
                UpstreamFault::Connect("the connection had closed while it was unused")
            } else {
                answer::broken(error)
            };
        }
        source = here.source();
    }
    if handed_over {
        UpstreamFault::Broken("it failed before the answer was complete")
    } else {
        UpstreamFault::Connect("the connection could not be used")
    }
}
