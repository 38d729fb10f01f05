//! Connections to adapters: one MCP client for each socket, kept, and made anew when it broke.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claviger_proto::connect::{Server, connect_stream};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotificationParam, ClientConfig,
    ClientRequest, Implementation, ProgressNotificationParam, ProgressToken, RequestId, RequestMetaObject,
    ServerResult,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService};
use rmcp::{ClientHandler, Peer, RoleClient, ServiceError, ServiceExt as _};
use tokio::sync::mpsc;

use crate::error::ClientError;
use crate::grants::Endpoint;
use crate::session::CallOptions;

/// How long an adapter may take to accept and to answer the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// One adapter, as far as a client can tell two apart.
type Key = (PathBuf, Option<u32>);
/// A tokio lock, so that calls that arrive together share one connection and one that hangs keeps back only its own.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

/// The adapters that were called so far.
#[derive(Default)]
pub(crate) struct Adapters {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Adapters {
    /// The connection to an adapter: the one there is, or a new one after looking who serves there.
    pub(crate) async fn connection(&self, endpoint: &Endpoint) -> Result<Arc<Connection>, ClientError> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(key(endpoint)).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_broken()) {
            return Ok(connection.clone());
        }
        let connection = tokio::time::timeout(PATIENCE, Connection::new(endpoint))
            .await
            .map_err(|_| ClientError::AdapterHandshake)??;
        Ok(slot.insert(Arc::new(connection)).clone())
    }

    /// Closes the connections to adapters that no grant needs any more; calls in flight keep theirs until they end.
    pub(crate) fn keep<'a>(&self, endpoints: impl Iterator<Item = &'a Endpoint>) {
        let needed: Vec<Key> = endpoints.map(key).collect();
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| needed.contains(key));
    }
}

fn key(endpoint: &Endpoint) -> Key {
    let uid = match endpoint.server {
        Server::Uid(uid) => Some(uid),
        Server::OwnerOfDirectory => None,
    };
    (endpoint.socket.clone(), uid)
}

/// An MCP client on an adapter's socket.
pub(crate) struct Connection {
    client: RunningService<RoleClient, Listener>,
    watchers: Arc<Watchers>,
}

impl Connection {
    async fn new(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let stream = connect_stream(&endpoint.socket, endpoint.server).await.map_err(ClientError::Adapter)?;
        let watchers = Arc::new(Watchers::default());
        let listener = Listener { watchers: watchers.clone() };
        let client = listener.serve(stream).await.map_err(|_| ClientError::AdapterHandshake)?;
        Ok(Self { client, watchers })
    }

    fn is_broken(&self) -> bool {
        self.client.is_closed() || self.client.is_transport_closed()
    }

    /// Calls a tool once. Dropping the future, or the end of its time, tells the adapter to stop.
    pub(crate) async fn call(
        &self,
        params: CallToolRequestParams,
        meta: RequestMetaObject,
        options: &CallOptions,
    ) -> Result<CallToolResult, ClientError> {
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let mut request_options = PeerRequestOptions::no_options().with_meta(meta);
        request_options.timeout = options.timeout;
        // Whoever hands out progress waits for this lock, so none is lost between sending and listening.
        let mut watchers = self.watchers.lock().await;
        let handle =
            self.client.send_request_with_option(request, request_options).await.map_err(|e| failure(&e))?;
        if let Some(progress) = &options.progress {
            watchers.insert(handle.progress_token.clone(), progress.clone());
        }
        drop(watchers);
        let mut flight = Flight {
            peer: self.client.peer().clone(),
            watchers: self.watchers.clone(),
            token: handle.progress_token.clone(),
            id: Some(handle.id.clone()),
        };
        let result = handle.await_response().await;
        flight.id = None;
        match result.map_err(|error| failure(&error))? {
            ServerResult::CallToolResult(result) => Ok(result),
            ServerResult::EmptyResult(_) => Ok(CallToolResult::success(Vec::new())),
            _ => Err(ClientError::AdapterProtocol(rmcp::model::ErrorCode::INVALID_REQUEST.0)),
        }
    }
}

fn failure(error: &ServiceError) -> ClientError {
    match error {
        ServiceError::McpError(error) => ClientError::AdapterProtocol(error.code.0),
        ServiceError::Timeout { .. } => ClientError::TimedOut,
        ServiceError::TransportSend(_) | ServiceError::TransportClosed | ServiceError::Cancelled { .. } => {
            ClientError::AdapterLost
        }
        _ => ClientError::AdapterProtocol(rmcp::model::ErrorCode::INVALID_REQUEST.0),
    }
}

/// A call that was sent. Dropped before its answer, it tells the adapter to stop.
struct Flight {
    peer: Peer<RoleClient>,
    watchers: Arc<Watchers>,
    token: ProgressToken,
    id: Option<RequestId>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (peer, watchers, token, id) =
            (self.peer.clone(), self.watchers.clone(), self.token.clone(), self.id.take());
        runtime.spawn(async move {
            watchers.lock().await.remove(&token);
            if let Some(id) = id {
                let reason = Some("the caller has gone".to_owned());
                // Where it cannot be told, the connection is gone, which says the same.
                let _ = peer.notify_cancelled(CancelledNotificationParam::new(Some(id), reason)).await;
            }
        });
    }
}

/// Who wants to hear of the progress of which call.
type Watchers = tokio::sync::Mutex<HashMap<ProgressToken, mpsc::Sender<ProgressNotificationParam>>>;

/// What an adapter may tell us unasked: progress, and nothing else.
struct Listener {
    watchers: Arc<Watchers>,
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            Default::default(),
            Implementation::new("claviger-agent", env!("CARGO_PKG_VERSION")),
        )
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(watcher) = self.watchers.lock().await.get(&params.progress_token) {
            // A reader that is behind misses some: only the newest counts anyway.
            let _ = watcher.try_send(params);
        }
    }
}
