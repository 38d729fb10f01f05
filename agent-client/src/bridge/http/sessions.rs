//! The sessions of hosts that speak a version of MCP before 2026-07-28: so many, and none for ever.
//!
//! Many hosts never end the sessions they begin; a command line begins one with each call. So there is always room for one
//! more: the one that was unused for longest makes it. One with an open stream is in use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionTransport,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};

use super::connections::MAX_CONNECTIONS;
use crate::clock::Clock;

/// How many there may be. Twice as many as connections: since a connection carries one stream at a time, there is always
/// one without.
pub(super) const MAX_SESSIONS: usize = 2 * MAX_CONNECTIONS;

/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The library's sessions, within bounds.
pub(super) struct Sessions {
    inner: LocalSessionManager,
    clock: Arc<dyn Clock>,
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    known: HashMap<SessionId, Use>,
    /// Counts uses, so that of two in one millisecond the later is known.
    count: u64,
}

struct Use {
    at_ms: u64,
    count: u64,
    /// Held by each open stream.
    streams: Arc<AtomicUsize>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let mut inner = LocalSessionManager::default();
        // The library's own end comes upon a session whose stream is open, too, if only nothing happens in it.
        inner.session_config.keep_alive = None;
        Self { inner, clock, uses: Mutex::default() }
    }

    /// Ends those that nobody has used for long.
    pub(super) async fn end_idle(&self) {
        let before = self.clock.now_ms().saturating_sub(IDLE.as_millis().try_into().unwrap_or(u64::MAX));
        let idle: Vec<SessionId> = {
            let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = uses.known.iter().filter(|(_, used)| used.at_ms < before && used.is_free());
            idle.map(|(id, _)| id.clone()).collect()
        };
        for id in idle {
            tracing::debug!("a session that nobody used has ended");
            // One that has ended by itself meanwhile is no fault.
            let _ = self.close_session(&id).await;
        }
    }

    /// The one to end where there is no room for another.
    fn surplus(&self) -> Option<SessionId> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let full = uses.known.len() >= MAX_SESSIONS;
        let free = uses.known.iter().filter(|(_, used)| full && used.is_free());
        free.min_by_key(|(_, used)| used.count).map(|(id, _)| id.clone())
    }

    /// Notes that one is used, and returns what its streams hold.
    fn touch(&self, id: &SessionId) -> Arc<AtomicUsize> {
        let at_ms = self.clock.now_ms();
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.count += 1;
        let count = uses.count;
        match uses.known.get_mut(id) {
            Some(used) => {
                (used.at_ms, used.count) = (at_ms, count);
                used.streams.clone()
            }
            // It has just ended.
            None => Arc::default(),
        }
    }

    /// The stream, in whose lifetime the session is in use.
    fn held(
        &self,
        id: &SessionId,
        stream: impl Stream<Item = ServerSseMessage> + Send + Sync + 'static,
    ) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
        let open = Open::new(self.touch(id));
        stream.map(move |message| {
            let _held = &open;
            message
        })
    }
}

impl Use {
    fn is_free(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }
}

/// One open stream.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(streams: Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self(streams)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = SessionTransport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        if let Some(id) = self.surplus() {
            tracing::debug!("the session that was unused for longest makes room");
            let _ = self.close_session(&id).await;
        }
        let (id, transport) = self.inner.create_session().await?;
        let at_ms = self.clock.now_ms();
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.count += 1;
        let used = Use { at_ms, count: uses.count, streams: Arc::default() };
        uses.known.insert(id.clone(), used);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).known.remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.held(id, self.inner.create_stream(id, message).await?))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.touch(id);
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.held(id, self.inner.create_standalone_stream(id).await?))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.held(id, self.inner.resume(id, last_event_id).await?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[derive(Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn sessions() -> (Sessions, Arc<Hands>) {
        let clock = Arc::new(Hands(AtomicU64::new(1_700_000_000_000)));
        (Sessions::new(clock.clone()), clock)
    }

    async fn there(sessions: &Sessions, id: &SessionId) -> bool {
        let known = sessions.uses.lock().unwrap().known.contains_key(id);
        assert_eq!(sessions.has_session(id).await.unwrap(), known);
        known
    }

    #[tokio::test]
    async fn there_is_always_room_for_one_more() {
        let (sessions, _) = sessions();
        let mut all = vec![sessions.create_session().await.unwrap()];
        let stream = sessions.held(&all[0].0, futures_util::stream::empty());
        while all.len() < MAX_SESSIONS {
            all.push(sessions.create_session().await.unwrap());
        }
        // The first is in use, the second has just been; so the third makes room.
        sessions.touch(&all[1].0);
        let new = sessions.create_session().await.unwrap();
        assert!(there(&sessions, &all[0].0).await && there(&sessions, &all[1].0).await);
        assert!(!there(&sessions, &all[2].0).await && there(&sessions, &new.0).await);
        assert_eq!(sessions.uses.lock().unwrap().known.len(), MAX_SESSIONS);
        // With its stream, its use ends.
        drop(stream);
        let _next = sessions.create_session().await.unwrap();
        assert!(!there(&sessions, &all[0].0).await);
    }

    #[tokio::test]
    async fn what_nobody_uses_ends() {
        let (sessions, clock) = sessions();
        let (idle, _a) = sessions.create_session().await.unwrap();
        let (streaming, _b) = sessions.create_session().await.unwrap();
        let (used, _c) = sessions.create_session().await.unwrap();
        let stream = sessions.held(&streaming, futures_util::stream::empty());
        let idle_ms = u64::try_from(IDLE.as_millis()).unwrap();
        clock.0.fetch_add(idle_ms, Ordering::Relaxed);
        sessions.end_idle().await;
        assert!(there(&sessions, &idle).await, "not yet");
        sessions.touch(&used);
        clock.0.fetch_add(1, Ordering::Relaxed);
        sessions.end_idle().await;
        assert!(!there(&sessions, &idle).await);
        assert!(there(&sessions, &streaming).await && there(&sessions, &used).await);
        drop(stream);
        sessions.end_idle().await;
        assert!(!there(&sessions, &streaming).await);
    }

    #[tokio::test]
    async fn one_that_is_closed_is_forgotten() {
        let (sessions, _) = sessions();
        let (id, _transport) = sessions.create_session().await.unwrap();
        sessions.close_session(&id).await.unwrap();
        assert!(!there(&sessions, &id).await);
        // A use of it after that makes nothing.
        sessions.touch(&id);
        assert!(!there(&sessions, &id).await);
    }
}
