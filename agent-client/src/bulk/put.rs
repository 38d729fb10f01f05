//! Bytes of a file of the folder, into a service.

use claviger_proto::v1::put_frame::Frame;
use claviger_proto::v1::put_reply::Reply;
use claviger_proto::v1::{PutDone, PutFrame, PutReply, UploadGo};
use rmcp::model::CallToolResult;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Streaming;

use super::{ANSWER, Ended, Progress, Ticket};
use crate::error::ClientError;
use crate::folder::{FolderError, Upload};
use crate::grants::Endpoint;
use crate::outcome::Refusal;

/// What became of the bytes: the tool's result, or a refusal of the ticket.
pub(crate) async fn put(
    endpoint: &Endpoint,
    ticket: &Ticket,
    upload: Upload,
    progress: Progress,
) -> Result<Result<CallToolResult, Refusal>, ClientError> {
    let mut client = ticket.connect(endpoint).await?;
    let (pieces, frames) = frames(ticket.bytes.to_vec());
    let mut replies = match timeout(ANSWER, client.put(frames)).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return broken(&Ended::of(&status), false),
        Err(_) => return Err(ClientError::UploadCut),
    };
    let offset = match timeout(ANSWER, next(&mut replies)).await {
        Ok(Ok(Reply::Go(UploadGo { offset }))) if offset <= upload.size() => offset,
        Ok(Ok(Reply::Done(done))) => return read(&done).map(Ok),
        Ok(Ok(Reply::Go(_))) => return Err(ClientError::Bulk("an offset behind the end")),
        Ok(Err(how)) => return broken(&how, false),
        Err(_) => return Err(ClientError::UploadCut),
    };
    let mut reading = tokio::task::spawn_blocking(move || send(&upload, offset, &pieces, progress));
    let reply = tokio::select! {
        // Before all has gone, somebody breaks off, or has the answer already.
        early = next(&mut replies) => Ok(early),
        read = &mut reading => Err(read),
    };
    match reply {
        Ok(Ok(Reply::Done(done))) => read(&done).map(Ok),
        Ok(Ok(Reply::Go(_))) => Err(ClientError::Bulk("frames out of order")),
        Ok(Err(how)) => {
            let all = reading.is_finished() && matches!(reading.await, Ok(Ok(())));
            broken(&how, all)
        }
        // The stream ends without its last piece: to the vault that is a body broken off.
        Err(Ok(Err(Stopped::Folder(error)))) => Err(ClientError::Folder(error)),
        Err(Err(_)) => Err(ClientError::Folder(FolderError::Changed)),
        // All was handed over, or nobody takes it any more, which the replies explain.
        Err(Ok(sent)) => match timeout(ANSWER, next(&mut replies)).await {
            Ok(Ok(Reply::Done(done))) => read(&done).map(Ok),
            Ok(Ok(Reply::Go(_))) => Err(ClientError::Bulk("frames out of order")),
            Ok(Err(how)) => broken(&how, sent.is_ok()),
            Err(_) => broken(&Ended::Cut, sent.is_ok()),
        },
    }
}

/// Why the reading thread stopped.
enum Stopped {
    /// The file.
    Folder(FolderError),
    /// Nobody takes the bytes.
    Nobody,
}

impl From<FolderError> for Stopped {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

/// The disk's side.
fn send(
    upload: &Upload,
    offset: u64,
    pieces: &mpsc::Sender<Vec<u8>>,
    mut progress: Progress,
) -> Result<(), Stopped> {
    progress.expect(Some(upload.size()));
    upload.send(offset, |piece, at| {
        let end = at + piece.len() as u64;
        pieces.blocking_send(piece).map_err(|_| Stopped::Nobody)?;
        progress.at(end);
        Ok(())
    })
}

/// The ticket, then what is put into the channel; it ends when the sender goes. A body that is shorter than its arguments
/// say is one that was broken off, so the last piece is what makes it whole.
fn frames(ticket: Vec<u8>) -> (mpsc::Sender<Vec<u8>>, impl Stream<Item = PutFrame> + Send + 'static) {
    let (sender, pieces) = mpsc::channel(2);
    let pieces = ReceiverStream::new(pieces).map(Frame::Piece);
    let frames = tokio_stream::once(Frame::Ticket(ticket)).chain(pieces);
    (sender, frames.map(|frame| PutFrame { frame: Some(frame) }))
}

async fn next(replies: &mut Streaming<PutReply>) -> Result<Reply, Ended> {
    match replies.message().await {
        Ok(Some(PutReply { reply: Some(reply) })) => Ok(reply),
        Ok(_) => Err(Ended::Cut),
        Err(status) => Err(Ended::of(&status)),
    }
}

/// `whole`: all bytes have been handed over, so that it is open what was done.
fn broken(how: &Ended, whole: bool) -> Result<Result<CallToolResult, Refusal>, ClientError> {
    match how {
        Ended::Refused(refusal) => Ok(Err(refusal.clone())),
        Ended::Cut if whole => Err(ClientError::AdapterLost),
        Ended::Cut => Err(ClientError::UploadCut),
    }
}

fn read(done: &PutDone) -> Result<CallToolResult, ClientError> {
    serde_json::from_slice(&done.result).map_err(|_| ClientError::Bulk("a result that is none"))
}
