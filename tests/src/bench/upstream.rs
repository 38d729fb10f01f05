//! The service behind the vault, as little of it as can be: TLS, a token endpoint, one mail. And the same request sent
//! to it direct.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::program::{Program, beside};

/// The one mail's id.
pub(crate) const MESSAGE: &str = "18c0ffee18c0ffee";
const TOKEN: &str = "bench-access-token-0123456789abcdef0123456789abcdef";

/// Serves until killed. The first line of its output is the address, what follows the certificate of its authority.
///
/// # Errors
/// No port, no certificate.
pub(crate) async fn serve(http1: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (config, authority) = certificates(http1)?;
    println!("{}\n{authority}", listener.local_addr()?);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A connection that fails is the caller's to notice.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = TokioIo::new(stream);
            let answering = service_fn(answer);
            let _ = if http2 {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(stream, answering)
                    .await
            } else {
                hyper::server::conn::http1::Builder::new().serve_connection(stream, answering).await
            };
        });
    }
}

fn certificates(http1: bool) -> anyhow::Result<(ServerConfig, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    if !http1 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok((config, authority.pem()))
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let authorized =
        request.headers().get(AUTHORIZATION).is_some_and(|value| value == format!("Bearer {TOKEN}").as_str());
    let path = request.uri().path().to_owned();
    // Read to its end, so that the connection can be used again.
    request.into_body().collect().await?;
    let (status, body) = match path.as_str() {
        "/token" => (200, token()),
        path if authorized && path.starts_with("/gmail/") => (200, mail()),
        _ => (401, r#"{"error":"unauthorized"}"#.to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json; charset=UTF-8"));
    Ok(response)
}

fn token() -> String {
    format!(r#"{{"access_token":"{TOKEN}","expires_in":3600,"token_type":"Bearer"}}"#)
}

/// A mail as Gmail answers it with `format=full`: some headers, a short text and the same as HTML; about 2.5 KB.
fn mail() -> String {
    let text = "U2VlIHlvdSBvbiBUdWVzZGF5LiBUaGUgYWdlbmRhIGlzIGJlbG93Lg".repeat(12);
    let header = |name: &str, value: &str| format!(r#"{{"name":"{name}","value":"{value}"}}"#);
    let headers = [
        header("From", "Ada Example <ada@example.com>"),
        header("To", "Bob Example <bob@example.org>"),
        header("Subject", "The meeting on Tuesday"),
        header("Date", "Mon, 2 Nov 2026 10:00:00 +0000"),
        header("Message-ID", "<c0ffee@example.com>"),
    ]
    .join(",");
    let part = |kind: &str| format!(r#"{{"mimeType":"{kind}","body":{{"size":480,"data":"{text}"}}}}"#);
    format!(
        r#"{{"id":"{MESSAGE}","threadId":"{MESSAGE}","labelIds":["INBOX","Label_1"],"snippet":"See you on Tuesday.","sizeEstimate":2400,"internalDate":"1793613600000","historyId":"1","payload":{{"mimeType":"multipart/alternative","headers":[{headers}],"parts":[{},{}]}}}}"#,
        part("text/plain"),
        part("text/html")
    )
}

/// The running service, as seen from the bench.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The certificate of its authority, as PEM.
    pub(crate) authority: String,
    _program: Program,
}

impl Upstream {
    /// Starts it as a process of its own.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) async fn start(http1: bool) -> anyhow::Result<Self> {
        let mut command = tokio::process::Command::new(beside("claviger-bench")?);
        command.arg("upstream").args(http1.then_some("--http1"));
        let mut program = Program::start(&mut command)?;
        let mut output = BufReader::new(program.child.stdout.take().context("it has no output")?);
        let mut address = String::new();
        output.read_line(&mut address).await?;
        let mut authority = String::new();
        while !authority.contains("-----END CERTIFICATE-----") {
            anyhow::ensure!(output.read_line(&mut authority).await? > 0, "the upstream ended");
        }
        // Nothing more is written there.
        tokio::spawn(async move { output.read_to_end(&mut Vec::new()).await });
        Ok(Self { address: address.trim().parse()?, authority, _program: program })
    }
}

/// A client that sends the vault's request itself: the same TLS, a connection that is kept, a token at hand.
#[derive(Clone)]
pub(crate) struct Direct {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: http::Uri,
}

impl Direct {
    /// To that upstream.
    ///
    /// # Errors
    /// Its certificate is none.
    pub(crate) fn new(upstream: &Upstream) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(upstream.authority.as_bytes()).context("the authority")?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_all_versions()
            .wrap_connector(tcp);
        let url = format!("https://{}/gmail/v1/users/me/messages/{MESSAGE}?format=full", upstream.address);
        Ok(Self { http: Client::builder(TokioExecutor::new()).build(connector), url: url.parse()? })
    }

    /// One request, its answer read whole.
    ///
    /// # Errors
    /// Any answer but the mail.
    pub(crate) async fn once(self) -> anyhow::Result<()> {
        let request = Request::get(self.url)
            .header(ACCEPT, "*/*")
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(Full::new(Bytes::new()))?;
        let response = self.http.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == 200 && body.len() > 1000, "the upstream answered {status}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    #[test]
    fn what_it_answers_is_json() {
        for text in [super::mail(), super::token()] {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}
