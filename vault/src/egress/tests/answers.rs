//! What upstreams answer, and what of it is taken.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::server::Reply;
use super::*;

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn an_answer_comes_whole() {
    let server = Server::always(ok("Content-Type: text/plain\r\nSet-Cookie: a=b\r\n", "hello")).await;
    let answer = send(&server, post(&server)).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert!(answer.headers.contains(&("content-type".to_owned(), b"text/plain".to_vec())));
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines().map(str::to_owned).collect::<Vec<_>>();
    lines[1..].sort();
    assert_eq!(
        lines,
        [
            "POST /mail?q=1 HTTP/1.1".to_owned(),
            "accept-encoding: identity".to_owned(),
            format!("authorization: Bearer {CANARY}"),
            "content-length: 7".to_owned(),
            format!("host: 127.0.0.1:{}", server.port),
            format!("user-agent: claviger/{}", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn refusals_of_the_upstream_pass_through() {
    for status in [400, 401, 403, 404, 429, 500, 503, 599] {
        let server = Server::always(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nno")).await;
        let answer = send(&server, get(&server)).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (status, &b"no"[..]));
    }
}

#[tokio::test]
async fn redirects_are_refused_and_nobody_follows() {
    let other = Server::always(ok("", "other")).await;
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    for status in [300, 301, 302, 303, 304, 305, 307, 308, 399] {
        for location in [
            format!("https://127.0.0.1:{}/", other.port),
            format!("https://localhost:{}/", other.port),
            format!("http://127.0.0.1:{plain_port}/"),
            format!("//127.0.0.1:{}/", other.port),
            "/elsewhere".to_owned(),
        ] {
            let bytes = format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
            let server = Server::always(bytes).await;
            let fault = send(&server, post(&server)).await.unwrap_err();
            assert_eq!(fault, UpstreamFault::Redirect(status), "{location}");
            assert!(!fault.nothing_sent());
            assert_eq!(server.requests().len(), 1, "{status} {location}");
        }
    }
    assert_eq!(other.accepted(), 0);
    // The kernel completes connections without us; accepting none of them shows that there was none.
    let accepting = tokio::time::timeout(std::time::Duration::from_millis(50), plain.accept()).await;
    assert!(accepting.is_err(), "somebody followed to http");
}

#[tokio::test]
async fn a_body_shorter_than_it_says_is_broken() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
    ] {
        let server = Server::start(move |_| Reply::SendAndClose(bytes.into())).await;
        let fault = send(&server, post(&server)).await.unwrap_err();
        assert!(matches!(fault, UpstreamFault::Broken(_)), "{bytes:?}: {fault:?}");
        assert!(!fault.nothing_sent());
        // Also the one that closed without a word got the request once only.
        assert_eq!((server.requests().len(), server.accepted()), (1, 1), "{bytes:?}");
    }
}

#[tokio::test]
async fn bytes_beyond_the_length_never_answer_another_request() {
    let poison = format!("{}{}", ok("", "good"), ok("", "evil"));
    let server = Server::always(poison).await;
    let egress = egress();
    for _ in 0..3 {
        let answer = egress.send(&name("mail/me"), &pin(&server), get(&server)).await;
        assert_eq!(answer.unwrap().body, "good");
    }
    assert_eq!((server.requests().len(), server.accepted()), (3, 3));
}

#[tokio::test]
async fn length_has_a_limit_announced_or_not() {
    let limit = |server: &Server, max_answer| Outbound { max_answer, ..get(server) };
    let server = Server::always(ok("", "12345678")).await;
    assert!(send(&server, limit(&server, 8)).await.is_ok());
    assert!(matches!(send(&server, limit(&server, 7)).await, Err(UpstreamFault::Answer(_))));
    // Announced: refused before a byte of it came.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
    let server = Server::start(move |_| Reply::SendAndHang(head.into())).await;
    assert!(matches!(send(&server, get(&server)).await, Err(UpstreamFault::Answer(_))));
    // Not announced, and without end.
    let chunks =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", "8\r\n12345678\r\n".repeat(100));
    let server = Server::start(move |_| Reply::SendAndHang(chunks.clone().into())).await;
    assert!(matches!(send(&server, limit(&server, 799)).await, Err(UpstreamFault::Answer(_))));
}

#[tokio::test]
async fn the_length_of_a_head_answer_is_no_body() {
    let server = Server::always("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await;
    let answer = send(&server, Outbound { method: Method::HEAD, ..get(&server) }).await.unwrap();
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn headers_have_limits() {
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: v\r\n")).collect::<String>();
    let server = Server::always(ok(&many(99), "")).await;
    assert!(send(&server, get(&server)).await.is_ok());
    for headers in
        [many(101), format!("x: {}\r\n", "v".repeat(65 * 1024)), format!("x: {}\r\n", "v".repeat(90_000))]
    {
        let server = Server::always(ok(&headers, "")).await;
        let fault = send(&server, get(&server)).await.unwrap_err();
        assert!(matches!(fault, UpstreamFault::Answer(_)), "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_refused() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x08",
        "HTTP/1.1 200 OK\r\ncontent-encoding: identity, br\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 500 OK\r\ncontent-encoding: deflate\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nxxx",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nxx",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 600 X\r\ncontent-length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ] {
        let server = Server::start(move |_| Reply::SendAndClose(bytes.into())).await;
        let fault = send(&server, get(&server)).await.expect_err(bytes);
        assert!(matches!(fault, UpstreamFault::Answer(_)), "{bytes:?}: {fault:?}");
        assert!(!fault.nothing_sent());
    }
    let server = Server::always(ok("content-encoding: Identity\r\n", "fine")).await;
    assert!(send(&server, get(&server)).await.is_ok());
}

#[tokio::test]
async fn interim_answers_and_trailers_are_passed_over() {
    let server = Server::always(
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\
         trailer: x-late\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n",
    )
    .await;
    let answer = send(&server, get(&server)).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    assert!(!answer.headers.iter().any(|(name, _)| name == "x-late" || name == "link"));
}

#[tokio::test]
async fn slow_is_slow_before_and_within_the_answer() {
    for bytes in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let server = Server::start(move |request| match request.starts_with("GET") {
            true => Reply::Send(ok("", "").into()),
            false => Reply::SendAndHang(bytes.into()),
        })
        .await;
        // Over a connection that is open already, so that the time is not spent on connecting.
        let egress = egress();
        egress.send(&name("mail/me"), &pin(&server), get(&server)).await.unwrap();
        let slow = Outbound { timeout_ms: 200, ..post(&server) };
        let fault = egress.send(&name("mail/me"), &pin(&server), slow).await.unwrap_err();
        assert_eq!(fault, UpstreamFault::Slow, "{bytes:?}");
        assert!(!fault.nothing_sent());
        assert_eq!((server.requests().len(), server.accepted()), (2, 1));
    }
}

fn encodings(secret: &str) -> Vec<(&'static str, String)> {
    let percent = |hex: fn(u8) -> String| secret.bytes().map(hex).collect::<String>();
    vec![
        ("raw", secret.to_owned()),
        (
            "percent",
            percent(|b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("%{b:02X}") }),
        ),
        ("percent, lower", percent(|b| format!("%{b:02x}"))),
        ("hex", percent(|b| format!("{b:02x}"))),
        ("hex, upper", percent(|b| format!("{b:02X}"))),
        ("json", percent(|b| format!("\\u{b:04x}"))),
        ("json, slash", secret.replace('/', "\\/")),
        ("base64", STANDARD.encode(secret)),
        ("base64, second offset", STANDARD.encode(format!("x{secret}y"))),
        ("base64, third offset", STANDARD.encode(format!("xx{secret}yy"))),
        ("base64url", URL_SAFE.encode(secret)),
        ("base64url, second offset", URL_SAFE.encode(format!("x{secret}y"))),
        ("base64url, third offset", URL_SAFE.encode(format!("xx{secret}yy"))),
    ]
}

#[tokio::test]
async fn an_echo_is_withheld_in_body_and_header_in_every_encoding() {
    for (encoding, echo) in encodings(CANARY) {
        let middle = echo.len() / 2;
        let (one, two) = echo.split_at(middle);
        let chunked = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            one.len(),
            two.len()
        );
        for bytes in [
            ok("", &format!("you sent {echo}!")),
            ok(&format!("x-debug: got {echo};\r\n"), "fine"),
            format!("HTTP/1.1 401 No\r\ncontent-length: {}\r\n\r\n{echo}", echo.len()),
            format!("HTTP/1.1 302 No\r\nlocation: /?t={echo}\r\ncontent-length: 0\r\n\r\n"),
            chunked,
        ] {
            let server = Server::always(bytes.clone()).await;
            assert_eq!(
                send(&server, get(&server)).await.unwrap_err(),
                UpstreamFault::Echo,
                "{encoding}: {bytes}"
            );
        }
    }
}

#[tokio::test]
async fn an_echo_of_any_injected_or_watched_secret_is_withheld() {
    let secret = |text: &str| SecretBytes::from_text(text.to_owned());
    let encoded = format!("grant_type=x&token={}", CANARY.replace('+', "%2B").replace('/', "%2f"));
    let injects: [fn(&str, &str) -> Inject; 4] = [
        |secret, _| Inject::Header("x-key".parse().unwrap(), SecretBytes::from_text(secret.to_owned())),
        |secret, _| Inject::Basic {
            user: "me".to_owned(),
            password: SecretBytes::from_text(secret.to_owned()),
        },
        |secret, _| Inject::Bearer(SecretBytes::from_text(secret.to_owned())),
        |_, form| Inject::Form(SecretBytes::from_text(form.to_owned())),
    ];
    let server = Server::always(ok("", CANARY)).await;
    for inject in injects {
        let request = Outbound { inject: inject(CANARY, &encoded), ..get(&server) };
        assert_eq!(send(&server, request).await.unwrap_err(), UpstreamFault::Echo);
    }
    let request = Outbound {
        inject: Inject::Nothing,
        watch: vec![secret("other-one"), secret(CANARY)],
        ..get(&server)
    };
    assert_eq!(send(&server, request).await.unwrap_err(), UpstreamFault::Echo);
    // A token endpoint is expected to answer with secrets.
    let inject = Inject::Form(secret(&encoded));
    let request = Outbound { method: Method::POST, inject, answers_with_secrets: true, ..get(&server) };
    assert_eq!(send(&server, request).await.unwrap().body, CANARY);
    assert!(server.requests().last().unwrap().ends_with(&format!("\r\n\r\n{encoded}")));
    let nothing = Outbound { inject: Inject::Nothing, ..get(&server) };
    assert_eq!(send(&server, nothing).await.unwrap().body, CANARY);
}

#[tokio::test]
async fn the_basic_pair_of_a_short_password_is_watched() {
    let server = Server::always(ok("", &STANDARD.encode("operator:pw"))).await;
    let inject =
        Inject::Basic { user: "operator".to_owned(), password: SecretBytes::from_text("pw".to_owned()) };
    assert_eq!(send(&server, Outbound { inject, ..get(&server) }).await.unwrap_err(), UpstreamFault::Echo);
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let server = Server::always(ok("set-cookie: session=1; Path=/\r\n", "")).await;
    let egress = egress();
    for _ in 0..2 {
        egress.send(&name("mail/me"), &pin(&server), get(&server)).await.unwrap();
    }
    assert_eq!(server.accepted(), 1, "the second request was to go over the same connection");
    assert!(server.requests().iter().all(|request| !request.to_lowercase().contains("cookie")));
}
