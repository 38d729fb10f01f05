//! Answer bodies that can end in other ways than they promised.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As announced.
    Whole,
    /// Half of it, then an error that makes the server drop the connection.
    Cut,
    /// All of it and then some.
    Surplus,
    /// All of it, without a `Content-Length`.
    Unannounced,
}

/// What stands behind the announced bytes of a [`Ending::Surplus`] body.
pub(crate) const SURPLUS: &[u8] = b"{\"surplus\": \"these bytes were not announced\"}";

/// The body as hyper sends it.
#[derive(Debug)]
pub(crate) struct StandInBody {
    frames: VecDeque<Bytes>,
    cut: bool,
    exact: Option<u64>,
}

impl StandInBody {
    /// A body; how it ends says `ending`. `http2`: surplus bytes go into the stream, since there hyper sends them.
    pub(crate) fn new(bytes: &Bytes, ending: Ending, http2: bool) -> Self {
        let half = bytes.slice(..bytes.len() / 2);
        let mut frames: VecDeque<Bytes> = match ending {
            Ending::Cut => VecDeque::from([half]),
            Ending::Unannounced => bytes.chunks(16 * 1024).map(Bytes::copy_from_slice).collect(),
            Ending::Whole | Ending::Surplus => VecDeque::from([bytes.clone()]),
        };
        if ending == Ending::Surplus && http2 {
            frames.push_back(Bytes::from_static(SURPLUS));
        }
        frames.retain(|frame| !frame.is_empty());
        let exact = (ending == Ending::Whole).then_some(bytes.len() as u64);
        Self { frames, cut: ending == Ending::Cut, exact }
    }
}

impl Body for StandInBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if std::mem::take(&mut self.cut) {
            return Poll::Ready(Some(Err(std::io::Error::other("cut on order"))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::default, |left| {
            if self.frames.is_empty() { SizeHint::with_exact(0) } else { SizeHint::with_exact(left) }
        })
    }
}
