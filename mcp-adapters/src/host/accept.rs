//! Takes connections up to their bounds, and lets the last calls end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::service::serve_server_with_ct;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Clients;
use super::endpoint::Endpoint;
use super::handler::{Handler, Peer, Shared};
use super::transport::Patient;

/// What a connection too many is told before it is closed.
const BUSY: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"busy\"}}\n";
/// How long a connection may take to end after it was told to.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The pause after the system could not accept (no file descriptors, most likely).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `shutdown` is cancelled, then ends as [`super::run`] describes.
pub(super) async fn serve(
    endpoint: Endpoint,
    clients: Arc<Clients>,
    shared: Shared,
    shutdown: CancellationToken,
) {
    let seats = Arc::new(Seats::new(clients.connections, clients.connections_per_user));
    let calls = Arc::new(Semaphore::new(clients.calls));
    let ended = CancellationToken::new();
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = endpoint.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(fault) => {
                tracing::warn!(%fault, "cannot accept");
                #[allow(clippy::disallowed_methods, reason = "a pause until there may be descriptors again")]
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // No credentials, no connection.
        let Ok(peer) = stream.peer_cred() else { continue };
        let Some(seat) = Seats::take(&seats, peer.uid()) else {
            tracing::warn!(uid = peer.uid(), "too many connections");
            turn_away(stream);
            continue;
        };
        // Ends with the connection, and so do the transfers that its calls began.
        let gone = ended.child_token();
        let peer = Peer { uid: peer.uid(), gone: gone.clone() };
        let own = clients.calls_per_connection;
        let handler = Handler::new(shared.clone(), Arc::clone(&calls), own, peer, shutdown.clone());
        let (clients, ended) = (Arc::clone(&clients), ended.child_token());
        connections.spawn(async move {
            let _gone = gone.drop_guard();
            connection(stream, handler, &clients, ended).await;
            drop(seat);
        });
    }
    // The file goes now, so that nobody connects to what is ending.
    drop(endpoint);
    connections.close();
    let all = u32::try_from(clients.calls).unwrap_or(u32::MAX);
    if tokio::time::timeout(clients.grace, calls.acquire_many(all)).await.is_err() {
        tracing::warn!("calls were still under way; the vault ends what it began");
    }
    ended.cancel();
    if tokio::time::timeout(LAST_WORDS, connections.wait()).await.is_err() {
        tracing::warn!("connections did not end in time");
    }
}

async fn connection(stream: UnixStream, handler: Handler, clients: &Clients, ended: CancellationToken) {
    let (read, write) = stream.into_split();
    let transport =
        Patient::new(AsyncRwTransport::new_server(read, write).with_max_line_length(clients.line));
    let served = serve_server_with_ct(handler, transport, ended);
    match tokio::time::timeout(clients.handshake, served).await {
        Ok(Ok(service)) => {
            // However it ended, it ended.
            let _ = service.waiting().await;
        }
        Ok(Err(_)) => tracing::debug!("a connection did not become MCP"),
        Err(_) => tracing::debug!("a connection did not say who it is in time"),
    }
}

/// Says "busy" if that needs no waiting, and closes.
fn turn_away(mut stream: UnixStream) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(PAUSE, stream.write_all(BUSY)).await;
    });
}

/// The seats for connections, or for tickets, altogether and by user.
pub(super) struct Seats {
    all: Arc<Semaphore>,
    per_user: usize,
    users: Mutex<HashMap<u32, usize>>,
}

/// One seat; free again when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    uid: u32,
    _one: OwnedSemaphorePermit,
}

impl Seats {
    pub(super) fn new(all: usize, per_user: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), per_user, users: Mutex::new(HashMap::new()) }
    }

    pub(super) fn take(seats: &Arc<Self>, uid: u32) -> Option<Seat> {
        let one = Arc::clone(&seats.all).try_acquire_owned().ok()?;
        let mut users = seats.users.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = users.entry(uid).or_insert(0);
        if *taken >= seats.per_user {
            return None;
        }
        *taken += 1;
        Some(Seat { seats: Arc::clone(seats), uid, _one: one })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.seats.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = users.get_mut(&self.uid) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                users.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn one_user_cannot_take_all_seats() {
        let seats = Arc::new(Seats::new(3, 2));
        let first = Seats::take(&seats, 1).unwrap();
        let _second = Seats::take(&seats, 1).unwrap();
        assert!(Seats::take(&seats, 1).is_none());
        let _other = Seats::take(&seats, 2).unwrap();
        assert!(Seats::take(&seats, 3).is_none());
        drop(first);
        assert!(Seats::take(&seats, 3).is_some());
    }
}
