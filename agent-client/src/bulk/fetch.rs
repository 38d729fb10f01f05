//! Bytes out of a service, into a part of a file, and then under its name.

use claviger_proto::bulk::PIECE;
use claviger_proto::v1::fetch_frame::Frame;
use claviger_proto::v1::{DownloadHead, FetchEnd, FetchFrame, FetchRequest};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Streaming;

use super::{ANSWER, Ended, IDLE, Progress, Ticket};
use crate::error::ClientError;
use crate::folder::FolderError;
use crate::folder::part::{Expected, Part, Saved};
use crate::grants::Endpoint;
use crate::outcome::Refusal;

/// What became of the bytes.
pub(crate) enum Fetched {
    /// They are in the folder.
    Saved(Saved),
    /// They were refused, or the stream was cut by somebody's decision.
    Refused(Refusal),
}

/// What the writing thread is told.
enum Step {
    Piece(Vec<u8>),
    Finish(FetchEnd),
    /// What came is not what was asked for.
    Discard,
}

/// Fetches into a part that has the ticket's `offset` bytes.
pub(crate) async fn fetch(
    endpoint: &Endpoint,
    ticket: &Ticket,
    part: Part,
    kept: bool,
    mut progress: Progress,
) -> Result<Fetched, ClientError> {
    let mut client = ticket.connect(endpoint).await?;
    let request = FetchRequest { ticket: ticket.bytes.to_vec() };
    let mut stream = match timeout(ANSWER, client.fetch(request)).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return ended(Ended::of(&status), kept),
        Err(_) => return Err(ClientError::Cut { kept }),
    };
    let head = match next(&mut stream, ANSWER).await {
        Ok(Frame::Head(head)) => head,
        Ok(_) => return Err(ClientError::Bulk("no head")),
        Err(how) => return ended(how, kept),
    };
    let DownloadHead { status, headers: _, length, offset, total, untrusted: _ } = head;
    if !(200..300).contains(&status) || offset != ticket.offset {
        return Err(ClientError::Bulk("another answer than was asked for"));
    }
    let whole = ticket.size.or(total).or_else(|| length.map(|length| offset.saturating_add(length)));
    if whole.is_some_and(|whole| length.is_some_and(|length| offset.checked_add(length) != Some(whole))) {
        return Err(ClientError::OtherContent);
    }
    progress.expect(whole);
    let expected = Expected { size: ticket.size.or(total), sha256: ticket.sha256.clone() };
    let (steps, received) = mpsc::channel(2);
    let name = ticket.name.clone();
    let writing = tokio::task::spawn_blocking(move || write(part, received, &expected, &name));
    let mut at = offset;
    loop {
        let step = match next(&mut stream, IDLE).await {
            Ok(Frame::Piece(piece)) if (1..=PIECE).contains(&piece.len()) => {
                at = at.saturating_add(piece.len() as u64);
                match whole.is_some_and(|whole| at > whole) {
                    true => Step::Discard,
                    false => Step::Piece(piece),
                }
            }
            Ok(Frame::End(end)) => Step::Finish(end),
            Ok(_) => {
                let _ = steps.send(Step::Discard).await;
                let _ = writing.await;
                return Err(ClientError::Bulk("frames out of order"));
            }
            Err(how) => {
                // The part is closed before anybody is told that it is kept.
                drop(steps);
                let _ = writing.await;
                return ended(how, kept);
            }
        };
        let last = !matches!(step, Step::Piece(_));
        let taken = steps.send(step).await.is_ok();
        if last || !taken {
            drop(steps);
            let written = writing.await.map_err(|_| ClientError::Folder(FolderError::Changed))?;
            return match written.map_err(ClientError::Folder)? {
                Some(saved) => Ok(Fetched::Saved(saved)),
                None if taken => Err(ClientError::OtherContent),
                None => Err(ClientError::Cut { kept }),
            };
        }
        progress.at(at);
    }
}

/// The disk's side. Where the steps stop before the end, the part is left as it is, for its own end to decide.
fn write(
    mut part: Part,
    mut steps: mpsc::Receiver<Step>,
    expected: &Expected,
    name: &str,
) -> Result<Option<Saved>, FolderError> {
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Piece(bytes) => part.write(&bytes)?,
            Step::Discard => {
                part.discard();
                return Ok(None);
            }
            Step::Finish(FetchEnd { length, sha256 }) => return part.finish(length, &sha256, expected, name),
        }
    }
    Ok(None)
}

async fn next(stream: &mut Streaming<FetchFrame>, patience: std::time::Duration) -> Result<Frame, Ended> {
    match timeout(patience, stream.message()).await {
        Ok(Ok(Some(FetchFrame { frame: Some(frame) }))) => Ok(frame),
        Ok(Err(status)) => Err(Ended::of(&status)),
        // Without its end it was cut.
        Ok(Ok(_)) | Err(_) => Err(Ended::Cut),
    }
}

fn ended(how: Ended, kept: bool) -> Result<Fetched, ClientError> {
    match how {
        Ended::Refused(refusal) => Ok(Fetched::Refused(refusal)),
        Ended::Cut => Err(ClientError::Cut { kept }),
    }
}
