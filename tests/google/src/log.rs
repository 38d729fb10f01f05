//! What reached the stand-in.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::random::sha256_hex;
use crate::wire::Call;
use crate::world::bearer;

/// One request, as it arrived, and the status it got.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// The verb.
    pub method: String,
    /// The path, percent-encoded as it came.
    pub path: String,
    /// The query as it came, without the question mark; `""` if there is none.
    pub query: String,
    /// The host the client named: the `Host` header, or HTTP/2's authority.
    pub host: String,
    /// The bearer's [`LoggedRequest::token_id`]; `None` if there was no bearer.
    pub authorization: Option<String>,
    /// The other headers in order, names in lower case. `authorization`, `proxy-authorization` and `cookie` are named
    /// but their values left out.
    pub headers: Vec<(String, String)>,
    /// The body's bytes; empty for `/token` and `/revoke`, whose forms are secret.
    pub body: Bytes,
    /// The status that went back; 0 if the connection was closed without an answer.
    pub status: u16,
    /// Whether an ordered fault was applied.
    pub faulted: bool,
    /// When, in milliseconds since 1970 by the stand-in's clock.
    pub at_ms: i64,
}

impl LoggedRequest {
    /// How the log names a token: the first 16 hex digits of its SHA-256. Compare with the token a test holds.
    #[must_use]
    pub fn token_id(token: &str) -> String {
        let mut id = sha256_hex(token.as_bytes());
        id.truncate(16);
        id
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn new(call: &Call, query: &str, host: &str) -> Self {
        const HIDDEN: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
        let shown = |name: &str, value: &http::HeaderValue| {
            let hidden = HIDDEN.contains(&name);
            if hidden { String::new() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() }
        };
        let secret = call.path == "/token" || call.path == "/revoke";
        Self {
            method: call.method.to_string(),
            path: call.path.clone(),
            query: query.to_owned(),
            host: host.to_owned(),
            authorization: bearer(call).map(Self::token_id),
            headers: call
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), shown(name.as_str(), value)))
                .collect(),
            body: if secret { Bytes::new() } else { call.body.clone() },
            status: 0,
            faulted: false,
            at_ms: call.now_ms,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "at": crate::clock::rfc3339(self.at_ms), "method": self.method, "path": self.path, "query": self.query,
            "host": self.host, "authorization": self.authorization, "status": self.status, "faulted": self.faulted,
            "body_length": self.body.len(),
        })
    }
}
