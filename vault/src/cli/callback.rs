//! Where the browser comes back to: a listener on 127.0.0.1 for one OAuth answer (RFC 8252, section 7.3).
//!
//! Anything on this machine, and any web page by way of the browser, can send it requests. So it takes only a GET
//! of one path, with its own address as `Host` (against DNS rebinding), with the state of this attempt. Whatever else
//! comes is answered and forgotten; it cannot end the attempt.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use url::form_urlencoded;

/// The longest request head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How long a browser may take to send its request.
const SLOW: Duration = Duration::from_secs(10);
/// How many connections are served at once.
const MAX_CONNECTIONS: usize = 16;
/// The one path.
const PATH: &str = "/callback";

/// What the provider sent back.
#[derive(Debug)]
pub(super) enum Answer {
    /// A code to be exchanged for a token.
    Code(SecretString),
    /// An error, by its fixed name (RFC 6749, 4.1.2.1).
    Error(String),
}

/// Why a request or a pasted address is not the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotIt {
    /// Not a request that a browser sends there.
    #[error("not the callback")]
    Request,
    /// Another method.
    #[error("only GET is taken")]
    Method,
    /// Not sent to this listener by its own address.
    #[error("the host is not this listener")]
    Host,
    /// Another path.
    #[error("there is nothing at this address")]
    Path,
    /// Of another attempt, or forged.
    #[error("the state is not that of this attempt")]
    State,
    /// Neither code nor error, or both, or one twice.
    #[error("there is neither a code nor an error in it")]
    Empty,
}

impl NotIt {
    fn status(self) -> &'static str {
        match self {
            NotIt::Request | NotIt::State | NotIt::Empty => "400 Bad Request",
            NotIt::Method => "405 Method Not Allowed",
            NotIt::Host => "403 Forbidden",
            NotIt::Path => "404 Not Found",
        }
    }
}

/// The listener.
pub(super) struct Callback {
    listener: TcpListener,
    address: SocketAddr,
}

impl Callback {
    /// Listens on a port that the system chooses.
    pub(super) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address the provider is told to send the browser to.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits for the answer that has this state. Everything else is refused, and the waiting goes on.
    pub(super) async fn answer(self, state: String) -> io::Result<Answer> {
        let (sender, mut receiver) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let expected: Arc<(String, String)> = Arc::new((self.address.to_string(), state));
        loop {
            let accepted = tokio::select! {
                Some(answer) = receiver.recv() => return Ok(answer),
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, or the peer was gone already: let others finish first.
                tokio::task::yield_now().await;
                continue;
            };
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
            let (expected, sender) = (Arc::clone(&expected), sender.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let served = tokio::time::timeout(SLOW, serve(stream, &expected.0, &expected.1)).await;
                if let Ok(Some(answer)) = served {
                    let _ = sender.try_send(answer);
                }
            });
        }
    }
}

/// The answer in an address that was copied from the browser.
pub(super) fn from_pasted(text: &str, redirect_uri: &str, state: &str) -> Result<Answer, NotIt> {
    let query =
        text.trim().strip_prefix(redirect_uri).and_then(|rest| rest.strip_prefix('?')).ok_or(NotIt::Path)?;
    from_query(query.split('#').next().unwrap_or_default(), state)
}

async fn serve(mut stream: TcpStream, host: &str, state: &str) -> Option<Answer> {
    let head = read_head(&mut stream).await?;
    let (answer, status, text) = match parse(&head, host, state) {
        Ok(answer) => (Some(answer), "200 OK", "Claviger has received the answer. Go back to the terminal."),
        Err(error) => (None, error.status(), "This is not what Claviger is waiting for."),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Claviger</title><p>{text}</p></html>\n"
    );
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // Whether the browser still listens does not change what it brought.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
    answer
}

/// The request up to its empty line; `None` if it never comes, or not within the length.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&part[..read]);
        if head.len() > MAX_HEAD {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

fn parse(head: &str, host: &str, state: &str) -> Result<Answer, NotIt> {
    let head = head.split("\r\n\r\n").next().ok_or(NotIt::Request)?;
    let mut lines = head.split("\r\n");
    let mut request = lines.next().ok_or(NotIt::Request)?.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) =
        (request.next(), request.next(), request.next(), request.next())
    else {
        return Err(NotIt::Request);
    };
    let mut hosts =
        lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some((_, value)), None) if value.trim() == host => {}
        _ => return Err(NotIt::Host),
    }
    if method != "GET" {
        return Err(NotIt::Method);
    }
    let query = match target.split_once('?') {
        Some((PATH, query)) => query,
        _ => return Err(NotIt::Path),
    };
    from_query(query, state)
}

/// Code or error of a query that carries the right state. No parameter may stand there twice (RFC 6749, 3.1).
fn from_query(query: &str, state: &str) -> Result<Answer, NotIt> {
    let (mut found, mut code, mut error) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "state" => &mut found,
            "code" => &mut code,
            "error" => &mut error,
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(NotIt::Empty);
        }
    }
    let found = SecretString::from(found.unwrap_or_default());
    // EXPOSE: compared in constant time with the state that the vault made.
    if state.is_empty() || !bool::from(found.expose_secret().as_bytes().ct_eq(state.as_bytes())) {
        return Err(NotIt::State);
    }
    match (code, error) {
        (Some(code), None) if !code.is_empty() => Ok(Answer::Code(SecretString::from(code))),
        (None, Some(error)) if is_error_name(&error) => Ok(Answer::Error(error)),
        _ => Err(NotIt::Empty),
    }
}

fn is_error_name(error: &str) -> bool {
    (1..=64).contains(&error.len()) && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    fn code(answer: Result<Answer, NotIt>) -> Result<String, NotIt> {
        answer.map(|answer| match answer {
            // EXPOSE: a test looks at its own code.
            Answer::Code(code) => code.expose_secret().to_owned(),
            Answer::Error(error) => format!("error {error}"),
        })
    }

    #[test]
    fn only_the_right_request_is_taken() {
        let check = |line: &str, headers: &str, expected: Result<&str, NotIt>| {
            let head = format!("{line}\r\n{headers}\r\n\r\n");
            let got = code(parse(&head, "127.0.0.1:1234", "s1"));
            assert_eq!(got.as_deref().map_err(|error| *error), expected, "{line} {headers}");
        };
        let host = "Host: 127.0.0.1:1234";
        let good = "GET /callback?state=s1&code=a%2Fb&scope=x HTTP/1.1";
        check(good, host, Ok("a/b"));
        check(good, "hOsT:127.0.0.1:1234\r\nX: y", Ok("a/b"));
        check("GET /callback?state=s1&error=access_denied HTTP/1.1", host, Ok("error access_denied"));
        check(good, "Host: evil.example:1234", Err(NotIt::Host));
        check(good, "Host: localhost:1234", Err(NotIt::Host));
        check(good, "Host: 127.0.0.1", Err(NotIt::Host));
        check(good, "X: y", Err(NotIt::Host));
        check(good, &format!("{host}\r\n{host}"), Err(NotIt::Host));
        check("POST /callback?state=s1&code=a HTTP/1.1", host, Err(NotIt::Method));
        check("HEAD /callback?state=s1&code=a HTTP/1.1", host, Err(NotIt::Method));
        check("GET /callback?state=s2&code=a HTTP/1.1", host, Err(NotIt::State));
        check("GET /callback?code=a HTTP/1.1", host, Err(NotIt::State));
        check("GET /callback?state=s2&error=access_denied HTTP/1.1", host, Err(NotIt::State));
        check("GET /callback?state=s1 HTTP/1.1", host, Err(NotIt::Empty));
        check("GET /callback?state=s1&code= HTTP/1.1", host, Err(NotIt::Empty));
        check("GET /callback?state=s1&code=a&code=b HTTP/1.1", host, Err(NotIt::Empty));
        check("GET /callback?state=s1&state=s1&code=a HTTP/1.1", host, Err(NotIt::Empty));
        check("GET /callback?state=s1&code=a&error=x HTTP/1.1", host, Err(NotIt::Empty));
        check("GET /callback?state=s1&error=%1b[2J HTTP/1.1", host, Err(NotIt::Empty));
        check("GET /favicon.ico HTTP/1.1", host, Err(NotIt::Path));
        check("GET /callback HTTP/1.1", host, Err(NotIt::Path));
        check("GET /x/callback?state=s1&code=a HTTP/1.1", host, Err(NotIt::Path));
        check("GET http://127.0.0.1:1234/callback?state=s1&code=a HTTP/1.1", host, Err(NotIt::Path));
        check("GET /callback?state=s1&code=a HTTP/1.0", host, Err(NotIt::Request));
        check("GET  /callback?state=s1&code=a HTTP/1.1", host, Err(NotIt::Request));
        check("nonsense", host, Err(NotIt::Request));
    }

    #[test]
    fn an_attempt_without_a_state_takes_nothing() {
        assert_eq!(code(from_query("state=&code=a", "")), Err(NotIt::State));
        assert_eq!(code(from_query("code=a", "")), Err(NotIt::State));
    }

    #[test]
    fn pasted_addresses() {
        let uri = "http://127.0.0.1:1234/callback";
        let check = |text: &str, expected: Result<&str, NotIt>| {
            assert_eq!(
                code(from_pasted(text, uri, "s1")).as_deref().map_err(|error| *error),
                expected,
                "{text}"
            );
        };
        check("  http://127.0.0.1:1234/callback?state=s1&code=a#_=_ \n", Ok("a"));
        check("http://127.0.0.1:1234/callback?state=s2&code=a", Err(NotIt::State));
        check("http://127.0.0.1:9999/callback?state=s1&code=a", Err(NotIt::Path));
        check("https://accounts.example/auth?state=s1&code=a", Err(NotIt::Path));
        check("", Err(NotIt::Path));
    }

    async fn send(port: &str, request: &str) -> String {
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_is_not_the_answer_does_not_end_the_attempt() {
        let callback = Callback::bind().await.unwrap();
        let uri = callback.redirect_uri();
        let port = uri.strip_prefix("http://").unwrap().strip_suffix(PATH).unwrap().to_owned();
        let waiting = tokio::spawn(callback.answer("s1".into()));
        let get = |query: &str, host: &str| format!("GET /callback?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let wrong_state = send(&port, &get("state=no&code=a", &port)).await;
        assert!(wrong_state.starts_with("HTTP/1.1 400 "), "{wrong_state}");
        let denied = send(&port, &get("state=no&error=access_denied", &port)).await;
        assert!(denied.starts_with("HTTP/1.1 400 "), "{denied}");
        let rebound = send(&port, &get("state=s1&code=a", "evil.example")).await;
        assert!(rebound.starts_with("HTTP/1.1 403 "), "{rebound}");
        let post =
            format!("POST /callback?state=s1&code=a HTTP/1.1\r\nHost: {port}\r\nContent-Length: 0\r\n\r\n");
        assert!(send(&port, &post).await.starts_with("HTTP/1.1 405 "));
        let long = format!("GET /callback?{} HTTP/1.1\r\nHost: {port}\r\n\r\n", "x".repeat(MAX_HEAD));
        let mut stream = TcpStream::connect(&port).await.unwrap();
        let _ = stream.write_all(long.as_bytes()).await;
        assert!(!waiting.is_finished());
        let good = send(&port, &get("state=s1&code=c0de", &port)).await;
        assert!(good.starts_with("HTTP/1.1 200 OK\r\n"), "{good}");
        assert!(
            good.contains("default-src 'none'") && !good.contains("<script") && !good.contains("c0de"),
            "{good}"
        );
        assert_eq!(code(Ok(waiting.await.unwrap().unwrap())).unwrap(), "c0de");
    }

    #[test]
    fn an_answer_does_not_show_its_code() {
        let answer = from_query("state=s1&code=c0de", "s1").unwrap();
        assert!(!format!("{answer:?}").contains("c0de"));
    }
}
