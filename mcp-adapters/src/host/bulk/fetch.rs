//! Bytes out of the service, from the vault to whoever holds the ticket.

use claviger_proto::bulk::PIECE;
use claviger_proto::v1::download_frame::Frame;
use claviger_proto::v1::fetch_frame::Frame as Out;
use claviger_proto::v1::{DownloadEnd, DownloadFrame, DownloadHead, FetchEnd, FetchFrame};
use ring::digest::{SHA256, digest};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::tickets::Open;
use super::{ANSWER, IDLE};
use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::host::vault::refused;
use crate::transfer::{Fetch, Source};

type Sender = mpsc::Sender<Result<FetchFrame, Status>>;

/// Passes the bytes on until they end, are cut, or nobody takes them any more.
pub(super) async fn run(open: Open<Fetch>, out: Sender) {
    let ended = tokio::select! {
        biased;
        // Nobody reads: what the vault still has to say is dropped, and so it stops too.
        () = out.closed() => return,
        () = open.call.stop().cancelled() => Err(Failure::Cancelled),
        ended = pass(&open, &out) => ended,
    };
    if let Err(failure) = ended {
        tracing::debug!(call = open.call.minted().call, ?failure, "a transfer was cut");
        let _ = timeout(IDLE, out.send(Err(status(failure)))).await;
    }
}

async fn pass(open: &Open<Fetch>, out: &Sender) -> Result<(), Failure> {
    match &open.transfer.source {
        Source::Here(bytes) => pass_here(bytes, open.transfer.offset, out).await,
        Source::Step { name, params } => {
            let params: Vec<(&str, &str)> = params.iter().map(|(key, value)| (&**key, &**value)).collect();
            let mut stream = open.call.download(name, &params).await?;
            pass_stream(&open.call, &mut stream, open.transfer.offset, out).await
        }
    }
}

/// What is passed on is held to the order: one head, pieces, one end; not longer than was said.
async fn pass_stream(
    call: &Call,
    stream: &mut Streaming<DownloadFrame>,
    offset: u64,
    out: &Sender,
) -> Result<(), Failure> {
    let first = timeout(ANSWER, stream.message()).await;
    let head = match frame(call, first)? {
        Some(Frame::Head(head)) => head,
        Some(_) => return Err(Failure::unexpected()),
        None => return Err(Failure::Refused(Refused::here(Refused::UNAVAILABLE))),
    };
    let length = head.length;
    match head.status {
        200..=299 if head.offset == offset => {}
        404 | 410 => return Err(call.absent()),
        200..=299 => return Err(Failure::unexpected()),
        status => {
            let status = u16::try_from(status).map_err(|_| Failure::unexpected())?;
            return Err(Failure::Upstream { status, message: None });
        }
    }
    // Headers are for the adapter; the client needs none.
    send(out, Out::Head(DownloadHead { headers: Vec::new(), ..head })).await?;
    let mut passed = 0_u64;
    loop {
        let next = timeout(IDLE, stream.message()).await;
        match frame(call, next)? {
            Some(Frame::Piece(piece)) if (1..=PIECE).contains(&piece.len()) => {
                passed += piece.len() as u64;
                if length.is_some_and(|length| passed > length) {
                    return Err(Failure::unexpected());
                }
                send(out, Out::Piece(piece)).await?;
            }
            Some(Frame::End(DownloadEnd { length: told, sha256 })) => {
                if told != passed || length.is_some_and(|length| passed != length) {
                    return Err(Failure::unexpected());
                }
                return send(out, Out::End(FetchEnd { length: told, sha256 })).await;
            }
            // Without its end it was cut.
            None => return Err(Failure::Refused(Refused::here(Refused::UNAVAILABLE))),
            Some(_) => return Err(Failure::unexpected()),
        }
    }
}

async fn pass_here(bytes: &[u8], offset: u64, out: &Sender) -> Result<(), Failure> {
    let length = bytes.len() as u64;
    let head = DownloadHead {
        status: 200,
        headers: Vec::new(),
        length: Some(length),
        offset,
        total: Some(offset + length),
        untrusted: true,
    };
    send(out, Out::Head(head)).await?;
    for piece in bytes.chunks(PIECE) {
        send(out, Out::Piece(piece.to_vec())).await?;
    }
    let sha256 = digest(&SHA256, bytes).as_ref().to_vec();
    send(out, Out::End(FetchEnd { length, sha256 })).await
}

/// What the vault said next.
fn frame(
    call: &Call,
    next: Result<Result<Option<DownloadFrame>, Status>, tokio::time::error::Elapsed>,
) -> Result<Option<Frame>, Failure> {
    match next {
        Ok(Ok(Some(DownloadFrame { frame: Some(frame) }))) => Ok(Some(frame)),
        Ok(Ok(Some(DownloadFrame { frame: None }))) => Err(Failure::unexpected()),
        Ok(Ok(None)) => Ok(None),
        Ok(Err(status)) => Err(call.sorted(refused(&status, Refused::UNAVAILABLE))),
        Err(_) => Err(Failure::Refused(Refused::here(Refused::UNAVAILABLE))),
    }
}

async fn send(out: &Sender, frame: Out) -> Result<(), Failure> {
    match timeout(IDLE, out.send(Ok(FetchFrame { frame: Some(frame) }))).await {
        Ok(Ok(())) => Ok(()),
        // Gone, or reads nothing for too long.
        Ok(Err(_)) | Err(_) => Err(Failure::Cancelled),
    }
}

fn status(failure: Failure) -> Status {
    match failure {
        Failure::Refused(refused) => refused.into_status(),
        Failure::Upstream { .. } | Failure::Unfit(_) => Refused::here(Refused::UPSTREAM).into_status(),
        Failure::Cancelled => Refused::here(Refused::UNAVAILABLE).into_status(),
    }
}
