//! Bytes into the service, from whoever holds the ticket to the vault.

use claviger_proto::bulk::PIECE;
use claviger_proto::v1::put_frame::Frame;
use claviger_proto::v1::put_reply::Reply as Out;
use claviger_proto::v1::upload_reply::Reply;
use claviger_proto::v1::{PutDone, PutFrame, PutReply, SendResponse, UploadGo, UploadReply};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::tickets::Open;
use super::{ANSWER, IDLE};
use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::host::result;
use crate::host::vault::refused;
use crate::service::Shaped;
use crate::transfer::Put;

type Sender = mpsc::Sender<Result<PutReply, Status>>;
type Next<T> = Result<Result<Option<T>, Status>, tokio::time::error::Elapsed>;

/// Passes the bytes on until the service has answered, or one side breaks off. Whatever came of it is told as the tool's
/// result.
pub(super) async fn run(open: Open<Put>, mut incoming: Streaming<PutFrame>, out: Sender) {
    let outcome = tokio::select! {
        biased;
        // The client has gone: the vault's stream ends before all of the body was there, which the vault sees.
        () = out.closed() => return,
        () = open.call.stop().cancelled() => Err(Failure::Cancelled),
        outcome = pass(&open, &mut incoming, &out) => outcome,
    };
    if let Err(Failure::Cancelled) = outcome {
        return;
    }
    let result = result::of(outcome, open.call.untrusted(), &open.call.flags());
    // A result is made of JSON values; if it could not be written there would be nothing to say.
    if let Ok(result) = serde_json::to_vec(&result) {
        let _ = send(&out, Out::Done(PutDone { result })).await;
    }
}

async fn pass(open: &Open<Put>, incoming: &mut Streaming<PutFrame>, out: &Sender) -> Result<Shaped, Failure> {
    let Put { size, step, params, finish, .. } = &open.transfer;
    let params: Vec<(&str, &str)> = params.iter().map(|(key, value)| (&**key, &**value)).collect();
    let (pieces, mut replies) = open.call.upload(step, &params).await?;
    let offset = match reply(&open.call, timeout(ANSWER, replies.message()).await, false)? {
        Reply::Go(UploadGo { offset }) if offset <= *size => offset,
        // The vault may know the answer without the body: an upload that was finished before.
        Reply::Done(answer) => return shape(&open.call, *finish, answer),
        Reply::Go(_) => return Err(Failure::unexpected()),
    };
    send(out, Out::Go(UploadGo { offset })).await?;
    let mut left = size - offset;
    // Before the body has ended the vault speaks only to break off, or because it knows the answer.
    let early = |early| match reply(&open.call, Ok(early), false)? {
        Reply::Done(answer) => shape(&open.call, *finish, answer),
        Reply::Go(_) => Err(Failure::unexpected()),
    };
    // One piece is kept back until the client says that this was all: whatever breaks off before leaves a body that is
    // short, and that is how the vault knows.
    let mut held: Option<Vec<u8>> = None;
    loop {
        let piece = tokio::select! {
            reply = replies.message() => return early(reply),
            piece = timeout(IDLE, incoming.message()) => piece_of(piece)?,
        };
        let Some(piece) = piece else { break };
        left = left.checked_sub(piece.len() as u64).ok_or_else(unfit)?;
        let Some(piece) = held.replace(piece) else { continue };
        tokio::select! {
            reply = replies.message() => return early(reply),
            passed = timeout(IDLE, pieces.send(piece)) => match passed {
                Ok(Ok(())) => {}
                _ => return Err(Failure::Refused(Refused::here(Refused::UNAVAILABLE))),
            },
        }
    }
    if left > 0 {
        return Err(unfit());
    }
    if let Some(last) = held {
        // Where nobody takes it any more, the reply says why.
        let _ = timeout(IDLE, pieces.send(last)).await;
    }
    // From here on nobody but the vault knows whether it was done.
    drop(pieces);
    match reply(&open.call, timeout(ANSWER, replies.message()).await, true)? {
        Reply::Done(answer) => shape(&open.call, *finish, answer),
        Reply::Go(_) => Err(Failure::Refused(Refused::here(Refused::UNKNOWN))),
    }
}

fn shape(
    call: &Call,
    finish: fn(&Call, &crate::call::Answer) -> Result<Shaped, Failure>,
    answer: SendResponse,
) -> Result<Shaped, Failure> {
    let answer = call.answered(answer)?.success()?;
    finish(call, &answer)
}

/// Not as many bytes as the arguments say.
fn unfit() -> Failure {
    Failure::Refused(Refused::here(Refused::BAD_ARGUMENTS))
}

/// The next piece; `None` at the end of the body.
fn piece_of(next: Next<PutFrame>) -> Result<Option<Vec<u8>>, Failure> {
    match next {
        Ok(Ok(Some(PutFrame { frame: Some(Frame::Piece(piece)) }))) if (1..=PIECE).contains(&piece.len()) => {
            Ok(Some(piece))
        }
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(_))) => Err(unfit()),
        // Broken off, or silent for too long.
        Ok(Err(_)) => Err(Failure::Cancelled),
        Err(_) => Err(Failure::Refused(Refused::here(Refused::UNAVAILABLE))),
    }
}

/// What the vault said next. `whole`: it has the whole body, so that silence leaves it open what was done.
fn reply(call: &Call, next: Next<UploadReply>, whole: bool) -> Result<Reply, Failure> {
    let lost = if whole { Refused::UNKNOWN } else { Refused::UNAVAILABLE };
    match next {
        Ok(Ok(Some(UploadReply { reply: Some(reply) }))) => Ok(reply),
        Ok(Err(status)) => Err(call.sorted(refused(&status, lost))),
        Ok(Ok(_)) | Err(_) => Err(Failure::Refused(Refused::here(lost))),
    }
}

async fn send(out: &Sender, reply: Out) -> Result<(), Failure> {
    match timeout(IDLE, out.send(Ok(PutReply { reply: Some(reply) }))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Failure::Cancelled),
    }
}
