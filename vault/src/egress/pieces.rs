//! An answer that is too long to be held: looked through as it comes, and passed on one piece behind.
//!
//! A piece leaves only when at least [`PIECE`] more bytes have been looked through, or the end has come: whatever encoding
//! of a secret is shorter than that, and all are, has been found before its first byte could leave.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::answer::{broken, check_encoding, check_headers, length};
use super::request::Expect;
use super::watch::Watcher;
use crate::port::{BoxFuture, Head, Inbound, PIECE, Pieces, UpstreamFault};

/// Takes the head of an answer of success, or refuses it.
///
/// # Errors
/// [`UpstreamFault::Echo`] if a watched secret is in a header; [`UpstreamFault::Answer`] if it is over a limit or encoded.
pub(super) fn take(response: Response<Incoming>, expect: &Expect) -> Result<Inbound, UpstreamFault> {
    let (head, incoming) = response.into_parts();
    check_headers(&head.headers, expect)?;
    check_encoding(&head.headers)?;
    let length = length(&head.headers)?;
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let head = Head { status: head.status.as_u16(), headers, length };
    let body = Body {
        incoming: Some(incoming),
        watcher: expect.needles.as_ref().map(|needles| Watcher::new(Arc::clone(needles))),
        seen: BytesMut::new(),
        left: length,
        fault: None,
    };
    Ok(Inbound::Pieces(head, Box::new(body)))
}

/// What is still to come.
struct Body {
    /// `None` at the end.
    incoming: Option<Incoming>,
    watcher: Option<Watcher>,
    /// Looked through, and not passed on yet.
    seen: BytesMut,
    /// How much the upstream still owes, if it said how much there is.
    left: Option<u64>,
    /// Why there is nothing more.
    fault: Option<UpstreamFault>,
}

impl Body {
    /// The next bytes of the upstream's.
    async fn fill(&mut self) -> Result<(), UpstreamFault> {
        let Some(incoming) = &mut self.incoming else { return Ok(()) };
        let Some(frame) = incoming.frame().await else {
            self.incoming = None;
            return match self.left {
                None | Some(0) => Ok(()),
                Some(_) => Err(UpstreamFault::Broken("it closed before the answer was complete")),
            };
        };
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { return Ok(()) };
        if let Some(left) = &mut self.left {
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            *left = left.checked_sub(length).ok_or(UpstreamFault::Answer("it is longer than it said"))?;
        }
        if self.watcher.as_mut().is_some_and(|watcher| watcher.feed(&data)) {
            return Err(UpstreamFault::Echo);
        }
        self.seen.extend_from_slice(&data);
        Ok(())
    }
}

impl Pieces for Body {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamFault>> {
        Box::pin(async move {
            if let Some(fault) = &self.fault {
                return Err(fault.clone());
            }
            if self.seen.len() < 2 * PIECE
                && let Err(fault) = self.fill().await
            {
                // What was held back stays here.
                self.seen = BytesMut::new();
                self.incoming = None;
                self.fault = Some(fault.clone());
                return Err(fault);
            }
            if self.incoming.is_some() && self.seen.len() < 2 * PIECE {
                return Ok(Some(Bytes::new()));
            }
            let length = self.seen.len().min(PIECE);
            Ok((length > 0).then(|| self.seen.split_to(length).freeze()))
        })
    }
}
