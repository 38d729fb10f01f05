//! Streams of the adapters' service: domain to wire, and the order in which frames may come.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use claviger_domain::refusal::Class;
use claviger_proto::v1;
use claviger_proto::v1::download_frame::Frame as Down;
use claviger_proto::v1::upload_frame::Frame as Up;
use claviger_proto::v1::upload_reply::Reply;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::convert::answer;
use super::status::{bare, refused};
use crate::broker::{Downloading, Flow, Uploading};
use crate::port::PIECE;

/// What a stream to an adapter is made of.
pub(super) type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// How long the first frame may be waited for.
const FIRST: Duration = Duration::from_secs(30);

/// The head, the pieces, the end. `held` is dropped with the stream.
pub(super) fn download(downloading: Downloading, held: impl Send + 'static) -> Frames<v1::DownloadFrame> {
    let Downloading { status, headers, extent, untrusted, pieces } = downloading;
    let headers = headers.into_iter().map(|(name, value)| v1::Header { name, value });
    let head = v1::DownloadHead {
        status: u32::from(status),
        headers: headers.collect(),
        length: extent.length,
        offset: extent.offset,
        total: extent.total,
        untrusted,
    };
    let rest = ReceiverStream::new(pieces).map(move |flow| {
        let _held = &held;
        match flow {
            Ok(Flow::Piece(piece)) => Ok(down(Down::Piece(piece.into()))),
            Ok(Flow::End { length, sha256 }) => {
                Ok(down(Down::End(v1::DownloadEnd { length, sha256: sha256.to_vec() })))
            }
            Err(refusal) => Err(refused(&refusal)),
        }
    });
    Box::pin(stream::once(async { Ok(down(Down::Head(head))) }).chain(rest))
}

fn down(frame: Down) -> v1::DownloadFrame {
    v1::DownloadFrame { frame: Some(frame) }
}

/// The first frame of an upload: which step of which call.
///
/// # Errors
/// It is another one, or none came in time.
pub(super) async fn begin(frames: &mut Streaming<v1::UploadFrame>) -> Result<v1::SendRequest, Status> {
    let first = tokio::time::timeout(FIRST, frames.message()).await;
    match first.map_err(|_| bare(Class::BadArguments))?? {
        Some(v1::UploadFrame { frame: Some(Up::Begin(begin)) }) => Ok(begin),
        _ => Err(bare(Class::BadArguments)),
    }
}

/// Where the body is wanted from, and then what became of it. Its pieces are handed on meanwhile.
pub(super) fn upload(
    uploading: Uploading,
    frames: Streaming<v1::UploadFrame>,
    held: impl Send + 'static,
) -> Frames<v1::UploadReply> {
    let Uploading { offset, pieces, done } = uploading;
    tokio::spawn(hand_on(frames, pieces));
    let go = reply(Reply::Go(v1::UploadGo { offset }));
    let done = async move {
        let _held = held;
        let sent = done.await.map_err(|_| bare(Class::Unknown))?;
        Ok(reply(Reply::Done(answer::sent(sent.map_err(|refusal| refused(&refusal))?))))
    };
    Box::pin(stream::once(async { Ok(go) }).chain(stream::once(done)))
}

/// Hands pieces on until the peer says that all came. Anything else cuts the upload.
async fn hand_on(mut frames: Streaming<v1::UploadFrame>, pieces: mpsc::Sender<Bytes>) {
    loop {
        let frame = tokio::select! {
            frame = frames.message() => frame,
            () = pieces.closed() => return,
        };
        match frame {
            Ok(Some(v1::UploadFrame { frame: Some(Up::Piece(piece)) }))
                if (1..=PIECE).contains(&piece.len()) =>
            {
                if pieces.send(piece.into()).await.is_err() {
                    return;
                }
            }
            // All of it came.
            Ok(None) => {
                let _ = pieces.send(Bytes::new()).await;
                return;
            }
            // A peer that broke off, or that says what makes no sense.
            _ => return,
        }
    }
}

fn reply(reply: Reply) -> v1::UploadReply {
    v1::UploadReply { reply: Some(reply) }
}
