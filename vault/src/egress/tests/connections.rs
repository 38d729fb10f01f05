//! Who is connected to, with what trust, and how long.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::server::{Authority, Reply};
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn private_addresses_need_a_private_pin() {
    let server = Server::always(OK).await;
    for host in ["127.0.0.1", "localhost"] {
        let origin: claviger_domain::origin::Origin =
            format!("https://{host}:{}", server.port).parse().unwrap();
        let private = Pin { origins: vec![origin.clone()], ..pin(&server) };
        let public = Pin { private: false, ..private.clone() };
        let request = || Outbound { origin: origin.clone(), ..get(&server) };
        let before = server.accepted();
        let fault = egress().send(&name("mail/me"), &public, request()).await.unwrap_err();
        assert!(matches!(fault, UpstreamFault::Address(_)) && fault.nothing_sent(), "{host}: {fault:?}");
        assert_eq!(server.accepted(), before, "{host} was dialled");
        assert_eq!(egress().send(&name("mail/me"), &private, request()).await.unwrap().status, 200, "{host}");
    }
}

#[tokio::test]
async fn an_origin_that_is_not_pinned_is_not_dialled() {
    let (pinned, other) = (Server::always(OK).await, Server::always(OK).await);
    let fault = egress().send(&name("mail/me"), &pin(&pinned), get(&other)).await.unwrap_err();
    assert_eq!(fault, UpstreamFault::NotPinned);
    assert_eq!((pinned.accepted(), other.accepted()), (0, 0));
}

#[tokio::test]
async fn only_pinned_roots_are_trusted() {
    let other = Authority::new();
    let server = Server::always(OK).await;
    let cases = [
        Some(other.pem),
        None,
        Some(String::new()),
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
    ];
    for roots_pem in cases {
        let pin = Pin { roots_pem, ..pin(&server) };
        let fault = egress().send(&name("mail/me"), &pin, get(&server)).await.unwrap_err();
        assert!(matches!(fault, UpstreamFault::Connect(_)) && fault.nothing_sent(), "{fault:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    // The certificate names localhost and 127.0.0.1; 127.0.0.2 is the same machine under no name it has.
    let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let origin: claviger_domain::origin::Origin =
        format!("https://127.0.0.2:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let config = std::sync::Arc::new(authority().config(&[], &rustls::version::TLS13));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tokio_rustls::TlsAcceptor::from(config).accept(stream).await;
    });
    let server = Server::always(OK).await;
    let pin = Pin { origins: vec![origin.clone()], ..pin(&server) };
    let fault = egress().send(&name("mail/me"), &pin, Outbound { origin, ..get(&server) }).await.unwrap_err();
    assert_eq!(fault, UpstreamFault::Connect("the certificate is not to be trusted"));
}

#[tokio::test]
async fn both_tls_versions_and_both_http_versions() {
    for tls in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Server::with(authority().config(&[b"http/1.1"], tls), |_| Reply::Send(OK.into())).await;
        assert_eq!(send(&server, get(&server)).await.unwrap().body, "ok");
    }
    let server = Server::http2("two").await;
    let egress = egress();
    for _ in 0..3 {
        assert_eq!(egress.send(&name("mail/me"), &pin(&server), get(&server)).await.unwrap().body, "two");
    }
    assert_eq!(server.accepted(), 1);
    let seen = format!("HTTP/2.0 https://127.0.0.1:{}/mail?q=1 Bearer {CANARY}", server.port);
    assert_eq!(server.requests(), vec![seen; 3]);
    // And it is looked through just the same.
    let server = Server::http2(CANARY).await;
    assert_eq!(send(&server, get(&server)).await.unwrap_err(), UpstreamFault::Echo);
}

/// Refresh tokens and what comes for them shall not wait in the buffers of a connection that is kept.
#[tokio::test]
async fn a_request_that_is_answered_with_secrets_has_a_connection_for_itself() {
    let one = Server::with(authority().config(&[b"http/1.1"], &rustls::version::TLS13), |_| {
        Reply::Send(OK.replace("2\r\n\r\nok", "3\r\n\r\ntwo").into())
    })
    .await;
    for server in [one, Server::http2("two").await] {
        let egress = egress();
        for before in 0..3 {
            // The kept connection of other requests is not used either, nor ended.
            assert_eq!(egress.send(&name("mail/me"), &pin(&server), get(&server)).await.unwrap().body, "two");
            assert_eq!(server.accepted(), 1 + before);
            let request = Outbound { answers_with_secrets: true, ..get(&server) };
            assert_eq!(egress.send(&name("mail/me"), &pin(&server), request).await.unwrap().body, "two");
            assert_eq!(server.accepted(), 2 + before);
        }
    }
}

#[tokio::test]
async fn nobody_there_is_nothing_sent() {
    let server = Server::always(OK).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let gone = Server { port: gone, ..server };
    let fault = send(&gone, get(&gone)).await.unwrap_err();
    assert!(matches!(fault, UpstreamFault::Connect(_)) && fault.nothing_sent(), "{fault:?}");
}

#[tokio::test]
async fn a_server_that_never_finishes_tls_is_nothing_sent() {
    // Accepted by the kernel, and answered by nobody.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { port: listener.local_addr().unwrap().port(), ..Server::always(OK).await };
    let hurried = Egress::new(Options { connect_timeout: Duration::from_millis(100), ..Options::default() });
    let patient = egress();
    for (egress, timeout_ms) in [(&hurried, 20_000), (&patient, 100)] {
        let request = Outbound { timeout_ms, ..get(&server) };
        let fault = egress.send(&name("mail/me"), &pin(&server), request).await.unwrap_err();
        assert!(matches!(fault, UpstreamFault::Connect(_)) && fault.nothing_sent(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_request_on_a_used_connection_is_not_sent_again() {
    // The second request is read and then the connection closes: hyper's default would send it once more.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Send(OK.into()),
        _ => Reply::SendAndClose(vec![]),
    })
    .await;
    let egress = egress();
    egress.send(&name("mail/me"), &pin(&server), post(&server)).await.unwrap();
    let fault = egress.send(&name("mail/me"), &pin(&server), post(&server)).await.unwrap_err();
    assert!(matches!(fault, UpstreamFault::Broken(_)) && !fault.nothing_sent(), "{fault:?}");
    assert_eq!((server.requests().len(), server.accepted()), (2, 1));
}

#[test]
fn a_connection_that_closed_while_unused_got_nothing_and_is_not_replaced() {
    // The server lives on other threads, so that it can close while nothing of ours runs and notices.
    let elsewhere =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = elsewhere.block_on(Server::always(OK));
    // Looks at its sockets after every task.
    let here = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build().unwrap();
    here.block_on(async {
        let egress = egress();
        egress.send(&name("mail/me"), &pin(&server), post(&server)).await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await; // the connection goes back to the pool
        }
        std::thread::spawn(move || drop(elsewhere)).join().unwrap();
        // This task runs between handing the request over and the connection's own task, which then sees both at
        // once: the request and the end.
        tokio::spawn(async {});
        let fault = egress.send(&name("mail/me"), &pin(&server), post(&server)).await.unwrap_err();
        // A retry would have failed to connect, for the server is gone.
        assert_eq!(fault, UpstreamFault::Connect("the connection had closed while it was unused"));
        assert!(fault.nothing_sent());
        assert_eq!((server.requests().len(), server.accepted()), (1, 1));
    });
}

#[tokio::test]
async fn secrets_and_pins_never_share_a_connection() {
    let server = Server::always(OK).await;
    let egress = egress();
    let pin = pin(&server);
    for _ in 0..2 {
        for secret in ["mail/me", "mail/work", "drive/me"] {
            egress.send(&name(secret), &pin, get(&server)).await.unwrap();
        }
    }
    assert_eq!((server.requests().len(), server.accepted()), (6, 3));
    let changed = Pin { origins: vec![server.origin(), "https://other.example".parse().unwrap()], ..pin };
    egress.send(&name("mail/me"), &changed, get(&server)).await.unwrap();
    assert_eq!(server.accepted(), 4);
}

/// Waits until that many connections are open.
async fn until_open(server: &Server, count: usize) {
    let waiting = async {
        loop {
            let closed = server.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if server.open.load(Ordering::SeqCst) == count {
                return;
            }
            closed.await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("connections stay open");
}

#[tokio::test]
async fn forgetting_closes_the_pool_of_that_secret_only() {
    for server in [Server::always(OK).await, Server::http2("ok").await] {
        let egress = egress();
        for secret in ["mail/me", "mail/work"] {
            egress.send(&name(secret), &pin(&server), get(&server)).await.unwrap();
        }
        assert_eq!(server.open.load(Ordering::SeqCst), 2);
        egress.forget(&name("mail/me"));
        until_open(&server, 1).await;
        egress.send(&name("mail/work"), &pin(&server), get(&server)).await.unwrap();
        assert_eq!(server.accepted(), 2, "the other secret's connection was to stay");
        egress.send(&name("mail/me"), &pin(&server), get(&server)).await.unwrap();
        assert_eq!(server.accepted(), 3);
    }
}

#[tokio::test]
async fn forgetting_lets_a_request_in_flight_end_and_then_closes() {
    let server = Server::always(OK).await;
    let egress = egress();
    let (secret, pin) = (name("mail/me"), pin(&server));
    let (answer, ()) = tokio::join!(egress.send(&secret, &pin, get(&server)), async {
        while server.accepted() == 0 {
            tokio::task::yield_now().await;
        }
        egress.forget(&secret);
    });
    assert_eq!(answer.unwrap().status, 200);
    until_open(&server, 0).await;
}

#[tokio::test]
async fn clients_are_bounded() {
    let server = Server::always(OK).await;
    let egress = Egress::new(Options { max_clients: 2, ..Options::default() });
    for secret in ["mail/a", "mail/b", "mail/a", "mail/c"] {
        egress.send(&name(secret), &pin(&server), get(&server)).await.unwrap();
    }
    assert_eq!(server.accepted(), 3);
    until_open(&server, 2).await;
    // The one unused for longest went; the others are still there.
    for secret in ["mail/c", "mail/a"] {
        egress.send(&name(secret), &pin(&server), get(&server)).await.unwrap();
        assert_eq!(server.accepted(), 3);
    }
    egress.send(&name("mail/b"), &pin(&server), get(&server)).await.unwrap();
    assert_eq!(server.accepted(), 4);
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "how this test talks to its own child")]
async fn proxy_variables_are_not_read() {
    const TARGET: &str = "EGRESS_TEST_TARGET";
    const ROOTS: &str = "EGRESS_TEST_ROOTS";
    if let (Ok(port), Ok(roots)) = (std::env::var(TARGET), std::env::var(ROOTS)) {
        // The child, whose environment names a proxy.
        let unused = Server::always(OK).await;
        let server = Server { port: port.parse().unwrap(), ..unused };
        let pin = Pin { roots_pem: Some(roots), ..pin(&server) };
        assert_eq!(egress().send(&name("mail/me"), &pin, get(&server)).await.unwrap().body, "ok");
        return;
    }
    let server = Server::always(OK).await;
    let proxy = Server::always(OK).await;
    let url = format!("http://127.0.0.1:{}", proxy.port);
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "egress::tests::connections::proxy_variables_are_not_read"])
        .env(TARGET, server.port.to_string())
        .env(ROOTS, &authority().pem)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .stdin(Stdio::null());
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(variable, &url);
    }
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((server.requests().len(), proxy.accepted()), (1, 0));
}
