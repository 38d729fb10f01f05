//! The body of a request: held whole, or sent piece by piece as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_LENGTH;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::port::{Outflow, UpstreamFault};

/// A body on its way out. Its length is known before its first byte, and stands in the request.
pub(super) enum Outgoing {
    Whole(Full<Bytes>),
    Pieces(Flowing),
}

/// What has not been sent yet.
pub(super) struct Flowing {
    left: u64,
    pieces: mpsc::Receiver<Bytes>,
}

/// The body was cut: what has been sent of it is not all of it, and the connection says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was cut")]
pub(super) struct Cut;

/// Puts a body that comes piece by piece in the place of an empty one.
///
/// # Errors
/// [`UpstreamFault::Connect`] where the request has a body already.
pub(super) fn with(
    request: Request<Full<Bytes>>,
    outflow: Option<Outflow>,
) -> Result<Request<Outgoing>, UpstreamFault> {
    let Some(Outflow { length, pieces }) = outflow else { return Ok(request.map(Outgoing::Whole)) };
    if !request.body().is_end_stream() {
        return Err(UpstreamFault::Connect("the request already has a body"));
    }
    let mut request = request.map(|_| Outgoing::Pieces(Flowing { left: length, pieces }));
    // The body itself says how long it is.
    request.headers_mut().remove(CONTENT_LENGTH);
    Ok(request)
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Outgoing::Whole(body) => match ready!(Pin::new(body).poll_frame(context)) {
                None => Poll::Ready(None),
                Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
                Some(Err(never)) => match never {},
            },
            Outgoing::Pieces(flowing) => flowing.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(body) => body.is_end_stream(),
            Outgoing::Pieces(flowing) => flowing.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(body) => body.size_hint(),
            Outgoing::Pieces(flowing) => SizeHint::with_exact(flowing.left),
        }
    }
}

impl Flowing {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        let fits = piece.and_then(|piece| {
            let length = u64::try_from(piece.len()).ok()?;
            self.left.checked_sub(length).map(|left| (piece, left))
        });
        Poll::Ready(Some(match fits {
            Some((piece, left)) => {
                self.left = left;
                Ok(Frame::data(piece))
            }
            None => Err(Cut),
        }))
    }
}
