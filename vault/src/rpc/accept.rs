//! The one accept loop: no credentials, no connection; and no peer takes another's room.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::peer::{Door, Peer, Registry, Users};
use crate::port::{BoxFuture, Clock};

/// What begins every HTTP/2 connection (RFC 9113, 3.4), in bytes.
const PREFACE: usize = 24;
/// How long a connection may be silent before it has sent that, in milliseconds.
const HELLO_MS: u64 = 5_000;
/// How long the loop rests when the system has no more descriptors, in milliseconds.
const REST_MS: u64 = 100;
/// How often strangers are worth a line in the log, in microseconds.
const COMPLAIN_US: u64 = 10_000_000;

/// The most connections that one peer has at once.
#[must_use]
pub fn most_connections(peer: &Peer) -> usize {
    match peer {
        Peer::Admin(_) | Peer::Adapter(..) => 16,
        // Each host that runs an agent opens one.
        Peer::Agent(..) => 32,
    }
}

/// Knows every connection, and ends those whose peer is gone.
pub struct Reception {
    users: Users,
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    next: u64,
    connections: HashMap<u64, Connection>,
    complained_at_us: Option<u64>,
    not_told: u64,
}

struct Connection {
    door: Door,
    peer: Peer,
    uid: u32,
    end: CancellationToken,
}

impl Reception {
    /// One without connections.
    #[must_use]
    pub fn new(users: Users, registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { users, registry, clock, present: Mutex::default() })
    }

    /// Accepts at one door until `stop`, and hands on who may come in.
    pub async fn accept(
        self: Arc<Self>,
        listener: UnixListener,
        door: Door,
        inside: mpsc::Sender<PeerStream>,
        stop: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(fault) => {
                    // Mostly: no descriptors left. What is open goes on, and closes in its time.
                    self.complain(&door, &format!("a connection could not be accepted: {fault}"));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.clock.sleep_ms(REST_MS) => continue,
                    }
                }
            };
            let Some(stream) = self.receive(stream, &door) else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                sent = inside.send(stream) => if sent.is_err() { return },
            }
        }
    }

    /// Whoever the kernel says it is, if they may come in; else the connection is dropped without a byte.
    fn receive(self: &Arc<Self>, stream: UnixStream, door: &Door) -> Option<PeerStream> {
        let Ok(credentials) = stream.peer_cred() else {
            self.complain(door, "a connection without credentials was dropped");
            return None;
        };
        let uid = credentials.uid();
        // Recognised and entered under one lock: a peer that is removed meanwhile is found by the next sweep.
        let mut present = self.lock();
        let Some(peer) = door.admit(uid, &self.users, &*self.registry) else {
            drop(present);
            self.complain(door, &format!("a connection of uid {uid} was dropped: not a peer here"));
            return None;
        };
        let open = present.connections.values().filter(|connection| connection.peer == peer).count();
        if open >= most_connections(&peer) {
            drop(present);
            self.complain(door, &format!("a connection of {peer:?} was dropped: it has {open} open"));
            return None;
        }
        let end = CancellationToken::new();
        let number = present.next;
        present.next += 1;
        let connection = Connection { door: door.clone(), peer: peer.clone(), uid, end: end.clone() };
        present.connections.insert(number, connection);
        drop(present);
        end_with_process(&stream, &end);
        Some(PeerStream {
            stream,
            peer,
            ended: Box::pin(end.cancelled_owned()),
            hello: Some(self.clock.sleep_ms(HELLO_MS)),
            heard: 0,
            _place: Place { number, reception: Arc::clone(self) },
        })
    }

    /// Ends every connection whose peer is no longer who it was at accept. Call it whenever the registry changed.
    pub fn sweep(&self) {
        for connection in self.lock().connections.values() {
            let now = connection.door.admit(connection.uid, &self.users, &*self.registry);
            if now.as_ref() != Some(&connection.peer) {
                connection.end.cancel();
            }
        }
    }

    /// Ends every connection of that door.
    pub fn end_door(&self, door: &Door) {
        self.lock().connections.values().filter(|open| open.door == *door).for_each(|open| open.end.cancel());
    }

    /// Ends every connection.
    pub fn end_all(&self) {
        self.lock().connections.values().for_each(|connection| connection.end.cancel());
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().connections.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line in the log, but not one for each knock.
    fn complain(&self, door: &Door, what: &str) {
        let now = self.clock.mono_us();
        let mut present = self.lock();
        if present.complained_at_us.is_some_and(|last| now < last.saturating_add(COMPLAIN_US)) {
            present.not_told += 1;
            return;
        }
        present.complained_at_us = Some(now);
        let not_told = std::mem::take(&mut present.not_told);
        drop(present);
        tracing::warn!(?door, not_told, "{what}");
    }
}

/// Ends the connection when the process that made it dies, even if it left the socket to another one. Where the kernel
/// has no `SO_PEERPIDFD` (before 6.5), the connection ends with the socket alone.
fn end_with_process(stream: &UnixStream, end: &CancellationToken) {
    let Ok(process) = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerPidfd) else {
        return;
    };
    #[allow(
        deprecated,
        reason = "its owner is the only one who has this descriptor; the successor is unsafe"
    )]
    let Ok(process) = AsyncFd::with_interest(process, Interest::READABLE) else { return };
    let end = end.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = end.cancelled() => {}
            _ = process.readable() => end.cancel(),
        }
    });
}

/// A connection's place among its peer's; given back when it is dropped.
struct Place {
    number: u64,
    reception: Arc<Reception>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(connection) = self.reception.lock().connections.remove(&self.number) {
            connection.end.cancel();
        }
    }
}

/// A connection of a known peer.
pub struct PeerStream {
    stream: UnixStream,
    peer: Peer,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until it has said who speaks HTTP/2.
    hello: Option<BoxFuture<'static, ()>>,
    heard: usize,
    _place: Place,
}

impl PeerStream {
    /// Whether it must end now.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Some(hello) = &mut self.hello
            && hello.as_mut().poll(cx).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.hello.is_some() {
            self.heard += buf.filled().len() - before;
            if self.heard >= PREFACE {
                self.hello = None;
            }
        }
        polled
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
