//! Bytes that are too many for a tool's result: between a service and the one folder, past the model.
//!
//! The adapter's result carries a ticket ([`claviger_proto::bulk`]). It is taken out here, before anybody sees the result,
//! and redeemed at once on the adapter's bulk socket, which lies beside the socket of the call and is served by the same
//! user: the adapter names no other place.

mod fetch;
mod needs;
mod progress;
mod put;

use std::path::PathBuf;
use std::time::Duration;

use claviger_canonical::base64url;
use claviger_proto::bulk::{FETCH, MESSAGE, PUT, TICKET_BYTES, TICKET_KEY};
use claviger_proto::connect::connect_for_streams;
use claviger_proto::v1::bulk_service_client::BulkServiceClient;
use rmcp::model::CallToolResult;
use serde_json::{Map, Value};
use tonic::Status;
use tonic::transport::Channel;

use crate::error::ClientError;
use crate::grants::Endpoint;
use crate::outcome::Refusal;

pub(crate) use fetch::{Fetched, fetch};
pub(crate) use needs::Needs;
pub(crate) use progress::Progress;
pub(crate) use put::put;

/// How long the adapter may take to accept.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the next piece may take; the vault's own bound is shorter.
const IDLE: Duration = Duration::from_secs(60);
/// How long the vault and the service may take to begin, and to answer to a body that is whole.
const ANSWER: Duration = Duration::from_secs(150);

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Out of the service.
    Fetch,
    /// Into it.
    Put,
}

/// What a result says of the bytes that wait. Not to be shown.
pub(crate) struct Ticket {
    bytes: [u8; TICKET_BYTES],
    socket: String,
    pub(crate) direction: Direction,
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) version: Option<String>,
}

impl Ticket {
    /// Takes the ticket out of a result.
    ///
    /// # Errors
    /// There is one, of another form; or its bytes stand somewhere else in the result too.
    pub(crate) fn take(result: &mut CallToolResult) -> Result<Option<Self>, ClientError> {
        let Some(meta) = result.meta.as_mut() else { return Ok(None) };
        let Some(told) = meta.0.remove(TICKET_KEY) else { return Ok(None) };
        if meta.0.is_empty() {
            result.meta = None;
        }
        let malformed = ClientError::Bulk("a ticket that is none");
        let Some((ticket, text)) = told.as_object().and_then(Self::read) else { return Err(malformed) };
        // A result comes as JSON, and is none that repeats it.
        let rest = serde_json::to_string(&result).map_err(|_| ClientError::Echo)?;
        if rest.contains(&text) { Err(ClientError::Echo) } else { Ok(Some(ticket)) }
    }

    fn read(told: &Map<String, Value>) -> Option<(Self, String)> {
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| match told.get(name) {
            None => Some(None),
            Some(value) => value.as_u64().map(Some),
        };
        let ticket = text("ticket")?;
        let sha256 = text("sha256");
        let is_hex =
            |text: &String| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if sha256.as_ref().is_some_and(|sha256| !is_hex(sha256)) {
            return None;
        }
        let read = Self {
            bytes: base64url::decode(&ticket)?.try_into().ok()?,
            // One segment: it lies where the adapter's own socket lies.
            socket: text("socket").filter(|name| claviger_beneath::is_segment(name))?,
            direction: match text("direction")?.as_str() {
                FETCH => Direction::Fetch,
                PUT => Direction::Put,
                _ => return None,
            },
            name: text("name").unwrap_or_default(),
            size: number("size")?,
            offset: number("offset")?.unwrap_or(0),
            sha256,
            version: text("version"),
        };
        Some((read, ticket))
    }

    /// Connects to the bulk socket, after looking who serves there.
    async fn connect(&self, endpoint: &Endpoint) -> Result<BulkServiceClient<Channel>, ClientError> {
        let socket: PathBuf = endpoint.socket.with_file_name(&self.socket);
        let connecting = connect_for_streams(&socket, endpoint.server, 1);
        let channel = tokio::time::timeout(PATIENCE, connecting)
            .await
            .map_err(|_| ClientError::AdapterHandshake)?
            .map_err(ClientError::Adapter)?;
        Ok(BulkServiceClient::new(channel).max_decoding_message_size(MESSAGE))
    }
}

/// What a status of the bulk socket's means: a refusal, or that the stream was cut.
pub(crate) enum Ended {
    Refused(Refusal),
    Cut,
}

impl Ended {
    fn of(status: &Status) -> Self {
        let refusal = claviger_proto::refusal::from_status(status)
            .and_then(|refusal| Refusal::new(&refusal.class, Some(&refusal.field), Some(&refusal.reference)));
        match refusal {
            // Somebody on the way has gone, and nobody has refused.
            Some(refusal) if refusal.class() == "unavailable" && refusal.reference().is_none() => Self::Cut,
            Some(refusal) => Self::Refused(refusal),
            None => Self::Cut,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    fn result(ticket: Value, text: &str) -> CallToolResult {
        serde_json::from_value(json!({
            "content": [{"type": "text", "text": text}], "_meta": {TICKET_KEY: ticket},
        }))
        .unwrap()
    }

    fn good() -> Value {
        json!({"ticket": "AAECAwQFBgcICQoLDA0ODw", "socket": "a.bulk.sock", "direction": "fetch", "name": "n", "size": 3})
    }

    #[test]
    fn the_ticket_is_taken_out() {
        let mut told = result(good(), "text");
        let ticket = Ticket::take(&mut told).unwrap().unwrap();
        assert_eq!((ticket.size, ticket.offset, ticket.direction), (Some(3), 0, Direction::Fetch));
        assert!(!serde_json::to_string(&told).unwrap().contains("AAEC"));
        assert!(Ticket::take(&mut told).unwrap().is_none());
    }

    #[test]
    fn a_ticket_that_stands_elsewhere_too_is_withheld() {
        let mut told = result(good(), "it is AAECAwQFBgcICQoLDA0ODw.");
        assert!(matches!(Ticket::take(&mut told), Err(ClientError::Echo)));
    }

    #[test]
    fn what_has_another_form_is_no_ticket() {
        for (member, value) in [
            ("ticket", json!("AAECAwQFBgcICQoLDA0OD")),
            ("ticket", json!("")),
            ("ticket", json!(7)),
            ("socket", json!("../agent.sock")),
            ("socket", json!("/run/claviger/agent.sock")),
            ("socket", json!("..")),
            ("socket", json!("a/b")),
            ("direction", json!("both")),
            ("size", json!(-1)),
            ("offset", json!("0")),
            ("sha256", json!("AB")),
        ] {
            let mut ticket = good();
            ticket[member] = value.clone();
            assert!(Ticket::take(&mut result(ticket, "")).is_err(), "{member} {value}");
        }
    }
}
