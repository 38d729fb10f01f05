//! An MCP server for any host: the tools of all grants, over one stream, or for many hosts over [`http`].
//!
//! It serves whether the vault is there or not. While it is not, the list of tools is empty and calls say why; when it
//! is back, or grants have changed, the host is told that the list has changed.

pub(crate) mod asking;
mod children;
mod describe;
pub mod http;
mod link;
mod own;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claviger_proto::connect::Server;
use rmcp::ServiceExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::folder::Folder;

/// What the bridge needs of the world.
#[derive(Clone)]
pub struct Settings {
    /// The vault's agent socket.
    pub socket: PathBuf,
    /// Who must be serving it.
    pub server: Server,
    /// These handles alone, children too; all grants where there is none. A bridge for a child never reaches its parent:
    /// it opens, calls and narrows nothing else.
    pub handles: Vec<String>,
    /// When presentations are made.
    pub clock: Arc<dyn Clock>,
    /// How long to wait before the vault is tried again: the first time, and at most. Doubled in between.
    pub backoff: (Duration, Duration),
    /// How long one call may take; bytes that pass afterwards have a bound of their own.
    pub patience: Duration,
    /// Where tools save files, and from where they send them.
    pub folder: Option<Arc<Folder>>,
}

impl Settings {
    /// The usual ones: the system's clock, a quarter of a second to five, five minutes for a call.
    #[must_use]
    pub fn new(socket: PathBuf, server: Server) -> Self {
        Self {
            socket,
            server,
            handles: Vec::new(),
            clock: Arc::new(SystemClock),
            backoff: (Duration::from_millis(250), Duration::from_secs(5)),
            patience: Duration::from_secs(300),
            folder: None,
        }
    }
}

/// Why the bridge ended early.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The host did not begin as MCP says.
    #[error("the host did not speak MCP")]
    Handshake,
    /// The task that served it ended by a fault of ours.
    #[error("the server has failed")]
    Failed,
}

/// Serves one host over `stream` until it closes its side or `shutdown` is cancelled.
///
/// # Errors
/// A host that does not speak MCP. Never because the vault is away.
pub async fn serve<R, W>(
    settings: Settings,
    (reader, writer): (R, W),
    shutdown: CancellationToken,
) -> Result<(), BridgeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let patience = settings.patience;
    // Ends what was started for this host, however this function is left.
    let stop = shutdown.child_token();
    let _stop_at_end = stop.clone().drop_guard();
    let link = link::keep(settings, stop.clone());
    let server = server::Bridge::new(link, patience, stop.clone());
    let running = match server.serve_with_ct((reader, writer), stop.clone()).await {
        Ok(running) => running,
        Err(_) if shutdown.is_cancelled() => return Ok(()),
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(_) => return Err(BridgeError::Handshake),
    };
    running.waiting().await.map(|_| ()).map_err(|_| BridgeError::Failed)
}
