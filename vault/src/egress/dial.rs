//! TCP to checked addresses, TLS to pinned roots, within one deadline.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{future, io};

use claviger_domain::origin::Pin;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tower::Service;

use super::resolve::resolve;
use crate::port::{BoxFuture, UpstreamFault};

/// How long one address may keep the next one waiting (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// An object that connects for one client: resolves, checks, dials, and speaks TLS.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: HttpsConnector<Tcp>,
    deadline: Duration,
}

impl Dialer {
    /// For one pin. `deadline` bounds resolving, dialling and the TLS handshake together.
    pub(super) fn new(
        pin: &Pin,
        system: &Arc<RootCertStore>,
        deadline: Duration,
    ) -> Result<Self, UpstreamFault> {
        let config = tls(pin, system)?;
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_all_versions()
            .wrap_connector(Tcp { private: pin.private });
        Ok(Self { tls, deadline })
    }
}

/// TLS 1.2 and 1.3 by ring; session tickets stay in this configuration, so two secrets never share one.
fn tls(pin: &Pin, system: &Arc<RootCertStore>) -> Result<ClientConfig, UpstreamFault> {
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| UpstreamFault::Connect("TLS cannot be configured"))?
        .with_root_certificates(roots(pin, system)?)
        .with_no_client_auth())
}

/// The roots to trust: the pin's and no others if it has some, else the machine's.
fn roots(pin: &Pin, system: &Arc<RootCertStore>) -> Result<Arc<RootCertStore>, UpstreamFault> {
    const BAD_ROOTS: UpstreamFault = UpstreamFault::Connect("the pinned roots are not certificates");
    let Some(pem) = &pin.roots_pem else {
        if system.is_empty() {
            return Err(UpstreamFault::Connect("this machine has no trusted roots"));
        }
        return Ok(Arc::clone(system));
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|_| BAD_ROOTS)?).map_err(|_| BAD_ROOTS)?;
    }
    if roots.is_empty() { Err(BAD_ROOTS) } else { Ok(Arc::new(roots)) }
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = UpstreamFault;
    type Future = BoxFuture<'static, Result<Self::Response, UpstreamFault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamFault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tls.call(uri);
        let deadline = self.deadline;
        Box::pin(async move {
            match timeout(deadline, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(why(&*error)),
                Err(_) => Err(UpstreamFault::Connect("it took too long")),
            }
        })
    }
}

/// Says why a connection failed, in words of our own: a peer's certificate and alerts are not repeated.
fn why(error: &(dyn Error + 'static)) -> UpstreamFault {
    let mut error = Some(error);
    while let Some(here) = error {
        if let Some(fault) = here.downcast_ref::<UpstreamFault>() {
            return fault.clone();
        }
        if let Some(tls) = here.downcast_ref::<rustls::Error>() {
            return UpstreamFault::Connect(match tls {
                rustls::Error::InvalidCertificate(_) => "the certificate is not to be trusted",
                _ => "TLS failed",
            });
        }
        // An io::Error shows the source of what it wraps, not what it wraps.
        error = match here.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => here.source(),
        };
    }
    UpstreamFault::Connect("the connection closed before TLS was done")
}

/// An object that dials TCP, to checked addresses only.
#[derive(Clone)]
struct Tcp {
    private: bool,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = UpstreamFault;
    type Future = BoxFuture<'static, Result<Self::Response, UpstreamFault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamFault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let private = self.private;
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let addresses = resolve(host, uri.port_u16().unwrap_or(443), private).await?;
            let stream = race(addresses).await?;
            // Requests are small and waited for.
            stream.set_nodelay(true).map_err(|_| UpstreamFault::Connect("the connection closed at once"))?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// Dials the addresses in their order, each a little after the one before or as soon as that failed; the first that
/// connects wins.
async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, UpstreamFault> {
    let mut waiting = VecDeque::from(interleaved(addresses));
    let mut dialling = FuturesUnordered::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            dialling.push(TcpStream::connect(address));
        }
        let more = !waiting.is_empty();
        #[allow(
            clippy::disallowed_methods,
            reason = "the head start of one address before the next; nothing else is decided by it"
        )]
        let stagger = async { if more { sleep(STAGGER).await } else { future::pending().await } };
        tokio::select! {
            result = dialling.next() => match result {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(_)) if more || !dialling.is_empty() => {}
                Some(Err(_)) | None => return Err(UpstreamFault::Connect("nobody answers at its addresses")),
            },
            () = stagger => {}
        }
    }
}

/// IPv6 and IPv4 in turns, so that a broken one of the two costs one pause only.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::new();
    loop {
        let before = mixed.len();
        mixed.extend(first.next());
        mixed.extend(second.next());
        if mixed.len() == before {
            return mixed;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn pinned_roots_replace_the_machines() {
        let root = || {
            let key = rcgen::KeyPair::generate().unwrap();
            rcgen::CertificateParams::new(vec!["root".to_owned()]).unwrap().self_signed(&key).unwrap()
        };
        let (machines, pinned) = (root(), root());
        let mut system = RootCertStore::empty();
        system.add(machines.der().clone()).unwrap();
        let system = Arc::new(system);
        let pin = |roots_pem| Pin { origins: vec![], private: false, roots_pem };
        let mut only = RootCertStore::empty();
        only.add(pinned.der().clone()).unwrap();
        assert_eq!(roots(&pin(Some(pinned.pem())), &system).unwrap().roots, only.roots);
        assert_eq!(roots(&pin(None), &system).unwrap().roots, system.roots);
        assert!(roots(&pin(Some(String::new())), &system).is_err());
        assert!(roots(&pin(None), &Arc::new(RootCertStore::empty())).is_err());
    }

    #[test]
    fn families_take_turns() {
        let parse = |all: &[&str]| all.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(interleaved(given), parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(interleaved(vec![]), vec![]);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let living = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let there = living.local_addr().unwrap();
        assert_eq!(race(vec![dead, dead, there]).await.unwrap().peer_addr().unwrap(), there);
        assert!(matches!(race(vec![dead, dead]).await, Err(UpstreamFault::Connect(_))));
    }
}
