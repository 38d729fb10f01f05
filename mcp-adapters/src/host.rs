//! The host: serves MCP on a unix socket, mints a capability for each tool call, lets the service's module use it.

mod accept;
pub mod bulk;
mod endpoint;
mod handler;
pub mod mark;
pub mod result;
mod ticket;
mod transport;
pub mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use claviger_proto::connect::Server;
use tokio_util::sync::CancellationToken;

pub use endpoint::EndpointError;

use crate::files::Files;
use crate::generic::Generic;
use crate::service::{Service, service};
use vault::Vault;

/// Who may connect, and how much at once. All bounds answer with "busy", not with waiting.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The mode bits of the socket.
    pub socket_mode: u32,
    /// Connections, altogether.
    pub connections: usize,
    /// Connections of one user, so that one agent cannot shut the others out.
    pub connections_per_user: usize,
    /// Requests under way, altogether.
    pub calls: usize,
    /// Requests under way, on one connection.
    pub calls_per_connection: usize,
    /// The longest line, in bytes, that is read as a message.
    pub line: usize,
    /// How long a new connection may take to say who it is.
    pub handshake: Duration,
    /// How long calls under way may take to end when the host shuts down.
    pub grace: Duration,
}

impl Clients {
    /// Agents of other users connect. What authorises a call is its presentation, not the connection.
    #[must_use]
    pub fn any_user() -> Self {
        Self {
            socket_mode: 0o666,
            connections: 64,
            connections_per_user: 16,
            calls: 128,
            calls_per_connection: 16,
            // Arguments of 256 KiB, written in the longest way JSON allows.
            line: 2 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            grace: Duration::from_secs(10),
        }
    }

    /// Everything runs as one user (laptops, the demo).
    #[must_use]
    pub fn single_user() -> Self {
        Self { socket_mode: 0o600, connections_per_user: 64, ..Self::any_user() }
    }
}

/// What a host needs from outside.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The adapter's name, which is its service's id: `gmail`.
    pub name: String,
    /// The vault's socket for this adapter.
    pub vault_socket: PathBuf,
    /// Who must be serving it.
    pub vault: Server,
    /// Where to serve MCP.
    pub endpoint: PathBuf,
    /// Who may connect, and how much at once.
    pub clients: Clients,
    /// The directories of the `files` adapter; any other adapter has none.
    pub files: Option<Files>,
}

/// Serves until `shutdown` is cancelled: then takes no more, lets calls under way end within the grace period, and
/// removes the socket.
///
/// The vault need not be there yet: until it is, calls are refused as `unavailable`, and the host tries again with
/// growing pauses.
///
/// # Errors
/// The endpoint cannot be made: somebody listens there, something else than a socket is there, or the directory does not
/// allow it.
pub async fn run(options: HostOptions, shutdown: CancellationToken) -> Result<(), EndpointError> {
    let HostOptions { name, vault_socket, vault, endpoint, clients, files } = options;
    let beside = bulk_socket(&endpoint);
    // The bulk socket first: whoever can call can also fetch.
    let bulk = endpoint::Endpoint::bind(&beside, clients.socket_mode)?;
    let endpoint = endpoint::Endpoint::bind(&endpoint, clients.socket_mode)?;
    let vault = Arc::new(Vault::new(vault_socket, vault));
    let greeting = tokio::spawn(Arc::clone(&vault).greet());
    let module: Arc<dyn Service> = match files {
        Some(files) => Arc::new(files),
        None => Arc::new(service(&name).unwrap_or(&Generic)),
    };
    tracing::info!(name, "serving");
    let (clients, tickets) = (Arc::new(clients), Arc::new(bulk::Tickets::new()));
    let shared = handler::Shared {
        name: name.into(),
        vault,
        module,
        bulk: beside.file_name().unwrap_or_default().to_string_lossy().into(),
        tickets: Arc::clone(&tickets),
    };
    tokio::join!(
        accept::serve(endpoint, Arc::clone(&clients), shared, shutdown.clone()),
        bulk::serve(bulk, clients, tickets, shutdown),
    );
    greeting.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Where the bulk socket lies: beside the MCP endpoint.
#[must_use]
pub fn bulk_socket(endpoint: &Path) -> PathBuf {
    let name = endpoint.file_name().unwrap_or_default().to_string_lossy();
    endpoint.with_file_name(claviger_proto::bulk::socket_name(&name))
}
