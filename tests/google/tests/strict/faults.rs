//! Each misbehaviour reaches the client as ordered.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use stand_in_google::{Config, EchoForm, Fault, Seed};

use crate::client::{Google, demo, start};

const PROFILE: &str = "/gmail/v1/users/me/profile";
const SEND: &str = "/gmail/v1/users/me/messages/send";

async fn both() -> Vec<(Google, String)> {
    let mut all = Vec::new();
    for http2 in [true, false] {
        let google = start(Config { seed: Seed::demo(), http2, ..Config::default() }).await;
        let token = google.stand_in.direct_token(&["https://mail.google.com/"]);
        all.push((google, token));
    }
    all
}

#[tokio::test]
async fn statuses_and_redirects_answer_in_place() {
    for (google, token) in both().await {
        google.stand_in.fault_once("/gmail", Fault::Status(429, Some(7)));
        let busy = google.get(&token, PROFILE).await;
        assert_eq!((busy.status, busy.header("retry-after")), (429, "7"));
        let location = "https://evil.example/".to_owned();
        google.stand_in.fault_once("", Fault::Redirect { status: 307, location });
        let away = google.post(&token, SEND, json!({})).await;
        assert_eq!((away.status, away.header("location")), (307, "https://evil.example/"));
        assert_eq!(google.get(&token, PROFILE).await.status, 200);
        let log = google.stand_in.log();
        assert_eq!(log.iter().map(|entry| entry.faulted).collect::<Vec<_>>(), [true, true, false]);
    }
}

#[tokio::test]
async fn a_fault_can_stay_and_has_a_path() {
    let google = demo().await;
    google.stand_in.fault_always("/token", Fault::Status(500, None));
    assert_eq!(google.form("/token", &[]).await.status, 500);
    assert_eq!(google.form("/token", &[]).await.status, 500);
    assert_eq!(google.form("/revoke", &[]).await.status, 400);
    google.stand_in.clear_faults();
    assert_eq!(google.form("/token", &[]).await.status, 400);
}

#[tokio::test]
async fn closed_connections_give_no_answer_and_have_their_effect() {
    for (google, token) in both().await {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = json!({ "raw": URL_SAFE.encode("To: a@example.com\r\n\r\nx") }).to_string();
        google.stand_in.fault_once("", Fault::Close);
        assert!(google.try_send("POST", SEND, &headers, body.clone()).await.is_err());
        assert!(google.stand_in.outbox().is_empty());
        google.stand_in.fault_once("", Fault::LoseAnswer);
        assert!(google.try_send("POST", SEND, &headers, body).await.is_err());
        assert_eq!(google.stand_in.outbox().len(), 1);
        assert_eq!(google.stand_in.log().iter().map(|entry| entry.status).collect::<Vec<_>>(), [0, 0]);
    }
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    for (google, token) in both().await {
        let bearer = format!("Bearer {token}");
        google.stand_in.fault_once("", Fault::Truncate);
        assert!(google.try_send("GET", PROFILE, &[("authorization", &bearer)], "").await.is_err());
    }
}

/// One HTTP/1.1 exchange byte for byte, which no HTTP client would show.
fn raw_exchange(origin: &str, ca_pem: &str, token: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let address = origin.replace("https://localhost", "127.0.0.1");
    let mut stream = rustls::StreamOwned::new(tls, std::net::TcpStream::connect(address).unwrap());
    write!(stream, "GET {PROFILE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        .unwrap();
    let mut out = String::new();
    stream.read_to_string(&mut out).unwrap();
    out
}

#[tokio::test]
async fn surplus_bytes_follow_the_announced_ones() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    google.stand_in.fault_once("", Fault::TooLong);
    let (origin, pem) = (google.stand_in.origin().to_owned(), google.stand_in.ca_pem().to_owned());
    let text = tokio::task::spawn_blocking(move || raw_exchange(&origin, &pem, &token)).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(body.len() > length.parse::<usize>().unwrap(), "{text}");
    assert!(body.ends_with("not announced\"}"));
}

#[tokio::test]
async fn surplus_bytes_break_an_http2_stream() {
    let google = demo().await;
    let bearer = format!("Bearer {}", google.stand_in.direct_token(&["gmail.readonly"]));
    google.stand_in.fault_once("", Fault::TooLong);
    assert!(google.try_send("GET", PROFILE, &[("authorization", &bearer)], "").await.is_err());
}

#[tokio::test]
async fn the_bearer_is_echoed_in_every_form() {
    for (google, token) in both().await {
        let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        let url: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let forms = [
            (EchoForm::Raw, token.clone()),
            (EchoForm::Base64 { skip: 0 }, STANDARD.encode(&token)),
            (EchoForm::Base64 { skip: 2 }, STANDARD.encode(format!("--{token}"))),
            (EchoForm::Url, url),
            (EchoForm::Hex, hex),
            (EchoForm::Json, "\\u0079\\u0061\\u0032\\u0039".to_owned()),
        ];
        for (form, expected) in forms {
            google.stand_in.fault_once("", Fault::EchoAuthorization(form));
            let answer = google.get(&token, PROFILE).await;
            assert_eq!(answer.status, 200);
            assert!(String::from_utf8_lossy(&answer.body).contains(&expected), "{form:?}");
        }
        google.stand_in.fault_once("", Fault::EchoAuthorization(EchoForm::Json));
        assert_eq!(google.get(&token, PROFILE).await.json()["id"], token);
        google.stand_in.fault_once("", Fault::EchoInHeader);
        assert!(google.get(&token, PROFILE).await.header("etag").contains(&token));
    }
}

#[tokio::test]
async fn encodings_cookies_and_sizes_come_as_ordered() {
    for (google, token) in both().await {
        google.stand_in.fault_once("", Fault::Gzip);
        let packed = google.get(&token, PROFILE).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.starts_with(&[0x1f, 0x8b, 8]));
        google.stand_in.fault_once("", Fault::SetCookie);
        assert!(google.get(&token, PROFILE).await.header("set-cookie").starts_with("SID="));
        google.stand_in.fault_once("", Fault::HugeBody(3_000_000));
        let huge = google.get(&token, PROFILE).await;
        assert_eq!((huge.body.len(), huge.headers.get("content-length")), (3_000_000, None));
    }
}

#[tokio::test]
async fn huge_headers_arrive_or_are_too_much_for_the_client() {
    for (google, token) in both().await {
        let bearer = format!("Bearer {token}");
        google.stand_in.fault_once("", Fault::HugeHeaders);
        if let Ok(answer) = google.try_send("GET", PROFILE, &[("authorization", &bearer)], "").await {
            assert_eq!(answer.headers.get_all("x-stand-in-filler").iter().count(), 64);
        }
        assert!(google.stand_in.log()[0].faulted);
        assert_eq!(google.get(&token, PROFILE).await.status, 200);
    }
}

#[tokio::test]
async fn a_slow_answer_comes_late() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    google.stand_in.fault_once("", Fault::Slow(Duration::from_millis(80)));
    #[allow(clippy::disallowed_methods, reason = "the slowness is real, and so is this")]
    let before = Instant::now();
    assert_eq!(google.get(&token, PROFILE).await.status, 200);
    assert!(before.elapsed() >= Duration::from_millis(80));
}
