//! A TLS server that reads real requests and answers with exactly the bytes a test wants.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use claviger_domain::origin::Origin;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate authority and what it signed for the loopback.
pub(super) struct Authority {
    pub(super) pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let leaf_key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
        Self { pem: root.pem(), chain: vec![leaf.der().clone()], key }
    }

    pub(super) fn config(
        &self,
        alpn: &[&[u8]],
        tls: &'static rustls::SupportedProtocolVersion,
    ) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[tls])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

/// The authority of all tests of this process.
pub(super) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

/// What a server does when it has read a request.
pub(super) enum Reply {
    /// Sends these bytes, and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes, and closes.
    SendAndClose(Vec<u8>),
    /// Sends these bytes, and then nothing more.
    SendAndHang(Vec<u8>),
}

/// A running server and what it saw.
pub(super) struct Server {
    pub(super) port: u16,
    /// Connections accepted, TLS or not.
    pub(super) accepted: Arc<AtomicUsize>,
    /// Connections open now.
    pub(super) open: Arc<AtomicUsize>,
    /// Whenever a connection has closed.
    pub(super) closed: Arc<Notify>,
    /// Whole requests, as they came.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn origin(&self) -> Origin {
        format!("https://127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Answers each request by what `answer` makes of the whole request's text.
    pub(super) async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(authority().config(&[b"http/1.1"], &rustls::version::TLS13), answer).await
    }

    /// Answers every request with these bytes.
    pub(super) async fn always(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_| Reply::Send(bytes.clone())).await
    }

    /// Answers as soon as a request's head is there, whatever body it announces.
    pub(super) async fn hasty(bytes: &'static str) -> Self {
        let config = authority().config(&[b"http/1.1"], &rustls::version::TLS13);
        let (port, accepted, open, closed) = listen(config, move |mut stream| async move {
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            while !String::from_utf8_lossy(&seen).contains("\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
                    _ => return,
                }
            }
            if stream.write_all(bytes.as_bytes()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        })
        .await;
        Self { port, accepted, open, closed, requests: Arc::default() }
    }

    pub(super) async fn with(
        config: ServerConfig,
        answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let (port, accepted, open, closed) = listen(config, move |stream| {
            let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
            async move { serve(stream, &*answer, &seen).await.unwrap_or_default() }
        })
        .await;
        Self { port, accepted, open, closed, requests }
    }

    /// An HTTP/2 server that answers every request with its `:authority` and `authorization` switched to `answer`.
    pub(super) async fn http2(answer: &'static str) -> Self {
        use http_body_util::Full;
        use hyper_util::rt::{TokioExecutor, TokioIo};
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let config = authority().config(&[b"h2"], &rustls::version::TLS13);
        let (port, accepted, open, closed) = listen(config, move |stream| {
            let seen = Arc::clone(&seen);
            async move {
                let service =
                    hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
                        seen.lock().unwrap().push(format!(
                            "{:?} {} {authorization}",
                            request.version(),
                            request.uri()
                        ));
                        async move {
                            Ok::<_, std::convert::Infallible>(http::Response::new(
                                Full::<bytes::Bytes>::from(answer),
                            ))
                        }
                    });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await;
        Self { port, accepted, open, closed, requests }
    }
}

type Counters = (u16, Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<Notify>);

async fn listen<F>(
    config: ServerConfig,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> Counters
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (accepted, open): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let closed = Arc::new(Notify::new());
    let counters = (port, Arc::clone(&accepted), Arc::clone(&open), Arc::clone(&closed));
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::SeqCst);
            open.fetch_add(1, Ordering::SeqCst);
            let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
            let (open, closed) = (Arc::clone(&open), Arc::clone(&closed));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
                open.fetch_sub(1, Ordering::SeqCst);
                closed.notify_waiters();
            });
        }
    });
    counters
}

async fn serve(
    mut stream: TlsStream<TcpStream>,
    answer: &(impl Fn(&str) -> Reply + Sync),
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        seen.lock().unwrap().push(request.clone());
        match answer(&request) {
            Reply::Send(bytes) => stream.write_all(&bytes).await?,
            Reply::SendAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::SendAndHang(bytes) => {
                stream.write_all(&bytes).await?;
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(())
}

/// One request: head, and as many bytes as its content-length says.
async fn read(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Ok(Some(text));
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
