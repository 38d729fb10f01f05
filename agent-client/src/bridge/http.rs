//! Serving hosts over streamable HTTP, on a loopback address, to processes of the same user.
//!
//! A loopback port can be reached by every user of the machine and by every page in a browser, which a socket in a
//! directory cannot. So there are three walls, each before a byte of a request's body is read:
//!
//! - [`address`]: nothing but a loopback address is bound.
//! - [`peer`]: a connection is kept only if the kernel says that its other end is a process of this same user.
//! - [`gate`]: `Host` and `Origin` are this server's own, so no page that a name was bent for gets in.
//!
//! [`connections`] holds the bounds of what remains, and [`sessions`] those of hosts that speak an older version of MCP;
//! the newest knows no sessions. The protocol itself is the library's.
//!
//! Deliberately absent: TLS, cookies, CORS, HTTP/2, any address that another machine could reach, and a way to trust a
//! proxy in front.

mod address;
mod connections;
mod gate;
mod peer;
mod sessions;
mod sockets;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use address::{Loopback, NotLoopback};

use super::{BridgeError, Settings, link, server};
use connections::{Pace, Served};
use gate::Gate;
use peer::Owners;
use sessions::Sessions;

/// The one path that is served.
const PATH: &str = "/mcp";

/// The most bytes of one message. Arguments have at most 256 KiB in their canonical form; written in full, with every
/// character escaped, the same can be several times as long.
const MAX_MESSAGE: usize = 2 << 20;

/// How often it is looked for sessions that nobody uses.
const SWEEP: Duration = Duration::from_secs(60);

/// Why it cannot be served there.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Somebody else listens there.
    #[error("{0} is taken: another process listens there")]
    Taken(SocketAddr),
    /// The system refuses the address.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// Users cannot be told apart.
    #[error("cannot tell by /proc whose a connection is, so no port can be served")]
    NoOwners,
    /// This process runs as the user that stands for all who have no number here.
    #[error("the user of this process stands for every unknown one, so no port can be served")]
    Overflow,
}

/// A port that is bound, and on which nobody is served yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    owners: Owners,
}

impl Listener {
    /// Binds it, and tries out that the kernel tells whose a connection is.
    ///
    /// # Errors
    /// A port that is taken or not to be had; a system without `/proc/net/tcp`.
    pub async fn bind(address: Loopback) -> Result<Self, HttpError> {
        Self::bind_with(address, Owners::system()?).await
    }

    async fn bind_with(address: Loopback, owners: Owners) -> Result<Self, HttpError> {
        let wanted = address.socket();
        let tcp = TcpListener::bind(wanted).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => HttpError::Taken(wanted),
            _ => HttpError::Bind(wanted, error),
        })?;
        let address = tcp.local_addr().map_err(|error| HttpError::Bind(wanted, error))?;
        owners.try_out(&tcp, address).await?;
        Ok(Self { tcp, address, owners })
    }

    /// Where hosts find it: `http://127.0.0.1:PORT/mcp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", address::authority(self.address))
    }
}

/// Serves any number of hosts until `shutdown` is cancelled; then calls are ended in order. They share one link to the
/// vault.
///
/// # Errors
/// None today. Never because the vault is away.
pub async fn serve(
    settings: Settings,
    listener: Listener,
    shutdown: CancellationToken,
) -> Result<(), BridgeError> {
    serve_at(Pace::default(), settings, listener, shutdown).await;
    Ok(())
}

async fn serve_at(pace: Pace, settings: Settings, listener: Listener, shutdown: CancellationToken) {
    let Listener { tcp, address, owners } = listener;
    let (patience, clock) = (settings.patience, settings.clock.clone());
    let stop = shutdown.child_token();
    let _stop_at_end = stop.clone().drop_guard();
    let link = link::keep(settings, stop.clone());
    let gate = Gate::new(address);

    let sessions = Arc::new(Sessions::new(clock));
    let swept = (sessions.clone(), stop.clone());
    tokio::spawn(async move {
        let (sessions, stop) = swept;
        // A pause, not a decision: what is idle, the session's clock says.
        while tokio::time::timeout(SWEEP, stop.cancelled()).await.is_err() {
            sessions.end_idle().await;
        }
    });

    // The library looks at both headers once more.
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(gate.hosts())
        .with_allowed_origins(gate.origins())
        .enforce_origin_validation()
        .with_max_request_body_bytes(MAX_MESSAGE)
        .with_cancellation_token(stop.clone());
    let each = {
        let stop = stop.clone();
        move || Ok(server::Bridge::new(link.clone(), patience, stop.clone()))
    };
    let service = StreamableHttpService::new(each, sessions, config);
    connections::serve(tcp, owners, Arc::new(Served { gate, pace, service }), stop).await;
}
