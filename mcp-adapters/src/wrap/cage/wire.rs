//! Messages between the processes of a cage: a length, JSON, and the descriptors that go with it.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, send, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::wall::{Ended, Wall};

/// The longest message, in bytes. Orders carry a command line and an environment.
const LONGEST: usize = 1 << 20;
/// The most descriptors that go with one message.
const MOST: usize = 4;

/// What the first process and the supervisor tell the outside.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// The walls stand, and the listener goes with this if it could be made.
    Built(Vec<Wall>),
    /// A wall is missing, and it was not said that this may be. Nothing was started.
    Refused(Vec<Wall>),
    /// The command runs.
    Started,
    /// Nothing was started, and why.
    Failed(String),
    /// All is over.
    Ended(Ended),
}

/// Sends one message and descriptors with it.
///
/// # Errors
/// The socket's, and [`ErrorKind::InvalidInput`] if the message is too long or cannot be written as JSON.
pub(super) fn tell(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    if bytes.len() > LONGEST || fds.len() > MOST {
        return Err(io::Error::from(ErrorKind::InvalidInput));
    }
    let length =
        u32::try_from(bytes.len()).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from(ErrorKind::InvalidInput));
    }
    // Four bytes into an empty or draining stream socket go at once or not at all.
    let sent = again(|| sendmsg(&socket, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL))?;
    if sent != length.len() {
        return Err(io::Error::from(ErrorKind::WriteZero));
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let sent = again(|| send(&socket, rest, SendFlags::NOSIGNAL))?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Waits for one message. `None` if the other end closed before one began.
///
/// # Errors
/// The socket's, and [`ErrorKind::InvalidData`] for what is not such a message.
pub(super) fn hear<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0u8; 4];
    let mut fds = Vec::new();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = again(|| {
        recvmsg(&socket, &mut [IoSliceMut::new(&mut length)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    if let Some(rest) = length.get_mut(got.bytes..) {
        fill(&socket, rest)?;
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::from(ErrorKind::InvalidData));
    }
    let mut bytes = vec![0; length];
    fill(&socket, &mut bytes)?;
    let message = serde_json::from_slice(&bytes).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
    Ok(Some((message, fds)))
}

fn fill(socket: impl AsFd, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        let (got, _) = again(|| recv(&socket, &mut *into, RecvFlags::empty()))?;
        if got == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof));
        }
        into = into.get_mut(got..).unwrap_or_default();
    }
    Ok(())
}

fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}
