//! Egress against servers that misbehave: real TLS on the loopback, through the code that production runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod answers;
mod connections;
mod server;
mod streams;

use bytes::Bytes;
use claviger_domain::name::SecretName;
use claviger_domain::origin::Pin;
use claviger_domain::secret::SecretBytes;
use http::Method;

use self::server::{Server, authority};
use super::{Egress, Options};
use crate::port::{Answer, Inject, Outbound, Upstream, UpstreamFault};

/// Stands in every place a credential can stand; must never be seen again.
const CANARY: &str = "canary+4f/9c~Zk_27-secret";

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn pin(server: &Server) -> Pin {
    Pin { origins: vec![server.origin()], private: true, roots_pem: Some(authority().pem.clone()) }
}

fn get(server: &Server) -> Outbound {
    Outbound {
        method: Method::GET,
        origin: server.origin(),
        path_and_query: "/mail?q=1".to_owned(),
        headers: vec![],
        body: Bytes::new(),
        inject: Inject::Bearer(SecretBytes::from_text(CANARY.to_owned())),
        watch: vec![],
        answers_with_secrets: false,
        max_answer: 1024 * 1024,
        timeout_ms: 20_000,
    }
}

fn post(server: &Server) -> Outbound {
    Outbound { method: Method::POST, body: Bytes::from_static(b"{\"a\":1}"), ..get(server) }
}

fn egress() -> Egress {
    Egress::new(Options::default())
}

/// Sends once with a client of its own, and checks that a fault shows nothing of the credential.
async fn send(server: &Server, request: Outbound) -> Result<Answer, UpstreamFault> {
    let result = egress().send(&name("mail/me"), &pin(server), request).await;
    if let Err(fault) = &result {
        assert!(!format!("{fault} {fault:?}").contains("canary"), "the fault shows the credential");
    }
    result
}
