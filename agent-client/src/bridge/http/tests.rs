//! What clients may do on a connection, seen on the wire. The vault is away: nothing here gets as far.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use claviger_proto::connect::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connections::{MAX_CONNECTIONS, Pace};
use super::{Listener, MAX_MESSAGE, serve_at};
use crate::bridge::Settings;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const TYPES: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

struct Port {
    authority: String,
    _stop: DropGuard,
}

async fn port(pace: Pace) -> Port {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let authority = listener.address.to_string();
    let stop = CancellationToken::new();
    let settings = Settings::new("/nowhere/agent.sock".into(), Server::OwnerOfDirectory);
    tokio::spawn(serve_at(pace, settings, listener, stop.clone()));
    Port { authority, _stop: stop.drop_guard() }
}

impl Port {
    async fn dial(&self) -> TcpStream {
        TcpStream::connect(&self.authority).await.unwrap()
    }

    /// Sends that, with `HOST` made ours, and returns what comes until the connection ends.
    async fn send(&self, request: &str) -> String {
        let mut stream = self.dial().await;
        let request = request.replace("HOST", &self.authority);
        // Whoever is refused early may find the connection closed.
        let _ = stream.write_all(request.as_bytes()).await;
        rest(stream).await
    }

    async fn status(&self, request: &str) -> String {
        let answer = self.send(request).await;
        let line = answer.lines().next().unwrap_or("nothing");
        line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")).unwrap_or(line).to_owned()
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(answer).unwrap()
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: HOST\r\n{TYPES}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn what_is_not_let_in_is_told_nothing_else() {
    let port = port(Pace::default()).await;
    for (head, expected) in [
        ("POST /mcp HTTP/1.1\r\nHost: evil.example\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: localhost\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.0\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: user@HOST\r\n", "403 Forbidden"),
        ("POST http://evil.example/mcp HTTP/1.1\r\nHost: HOST\r\n", "403 Forbidden"),
        ("POST http://user@HOST/mcp HTTP/1.1\r\nHost: HOST\r\n", "403 Forbidden"),
        ("POST https://HOST/mcp HTTP/1.1\r\nHost: HOST\r\n", "403 Forbidden"),
        ("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nOrigin: https://HOST\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST.nip.io\r\n", "403 Forbidden"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nOrigin: http://e\r\n", "403 Forbidden"),
        ("GET /mcp HTTP/1.1\r\nHost: HOST\r\nSec-Fetch-Site: cross-site\r\n", "403 Forbidden"),
        ("OPTIONS * HTTP/1.1\r\nHost: HOST\r\n", "404 Not Found"),
        ("POST / HTTP/1.1\r\nHost: HOST\r\n", "404 Not Found"),
        ("GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: HOST\r\n", "404 Not Found"),
        ("OPTIONS /mcp HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\n", "405 Method Not Allowed"),
        ("PUT /mcp HTTP/1.1\r\nHost: HOST\r\n", "405 Method Not Allowed"),
        // Let in, and then not understood: by the library.
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\n", "406 Not Acceptable"),
        ("POST /mcp HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\n", "406 Not Acceptable"),
        ("POST http://HOST/mcp HTTP/1.1\r\nHost: HOST\r\n", "406 Not Acceptable"),
        ("GET /mcp HTTP/1.1\r\nHost: HOST\r\nAccept: text/event-stream\r\n", "400 Bad Request"),
        ("DELETE /mcp HTTP/1.1\r\nHost: HOST\r\n", "400 Bad Request"),
    ] {
        let request = format!("{head}Connection: close\r\n\r\n");
        assert_eq!(port.status(&request).await, expected, "{head}");
        let answer = port.send(&request).await.to_lowercase();
        for absent in ["set-cookie", "access-control-", "server:", "evil"] {
            assert!(!answer.contains(absent), "{absent} in {answer}");
        }
        for present in ["cache-control: no-store", "x-content-type-options: nosniff"] {
            assert!(answer.contains(present), "{answer}");
        }
        assert_eq!(answer.contains("allow: get, post, delete"), expected.starts_with("405"), "{answer}");
    }
}

/// Another protocol on the same port gets nowhere.
#[tokio::test]
async fn only_http_1_is_spoken() {
    let port = port(Pace::default()).await;
    for bytes in
        ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01", "HELO\r\n\r\n", "{}\n\r\n\r\n"]
    {
        let answer = port.send(bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn a_message_is_as_long_as_it_may_be_and_no_longer() {
    let port = port(Pace::default()).await;
    let padded = |length: usize| format!("{PING}{}", " ".repeat(length - PING.len()));
    // The ping is understood, and lacks a session.
    assert_eq!(port.status(&post(PING)).await, "400 Bad Request");
    assert_eq!(port.status(&post(&padded(MAX_MESSAGE))).await, "400 Bad Request");
    assert_eq!(port.status(&post(&padded(MAX_MESSAGE + 1))).await, "413 Payload Too Large");
    // And without a word of how long it will be.
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let head = format!("POST /mcp HTTP/1.1\r\nHost: HOST\r\n{TYPES}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(port.status(&format!("{head}{}", chunk.repeat(3))).await, "413 Payload Too Large");
    // Nested so deep that a parser might fall.
    let deep = "[".repeat(1 << 20);
    assert_eq!(port.status(&post(&deep)).await, "415 Unsupported Media Type");
}

#[tokio::test]
async fn a_head_is_bounded() {
    let port = port(Pace::default()).await;
    let long = format!("GET /mcp HTTP/1.1\r\nHost: HOST\r\nX: {}\r\n\r\n", "x".repeat(128 << 10));
    let many = format!("GET /mcp HTTP/1.1\r\nHost: HOST\r\n{}\r\n", "X: y\r\n".repeat(200));
    for request in [long, many] {
        let status = port.status(&request).await;
        assert!(["431 Request Header Fields Too Large", "nothing"].contains(&status.as_str()), "{status}");
    }
}

#[tokio::test]
async fn who_is_slow_is_left() {
    let short = Duration::from_millis(50);
    let long = Duration::from_secs(3600);
    let head = port(Pace { head: short, body: long }).await;
    // Nothing, half a head, and a second request that does not come.
    assert_eq!(head.send("").await, "");
    assert!(!head.send("POST /mcp HTTP/1.1\r\nHost: ").await.contains("200"));
    let answer = head.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let body = port(Pace { head: long, body: short }).await;
    let half = post(PING).replace(PING, &PING[..10]);
    assert_eq!(body.status(&half).await, "408 Request Timeout");
}

#[tokio::test]
async fn connections_are_so_many_and_one_that_ends_makes_room() {
    let port = port(Pace::default()).await;
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = port.dial().await;
        // Until it is answered, it might not have been counted.
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", port.authority);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    assert_eq!(port.status(&post(PING)).await, "nothing");
    let ended = held.pop().unwrap();
    drop(ended);
    // It is seen to have ended soon.
    while port.status(&post(PING)).await == "nothing" {}
    drop(held);
}
