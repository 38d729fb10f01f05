//! All three services, each for its own role, on connections that were let in.

use std::sync::Arc;
use std::time::Duration;

use claviger_proto::v1::adapter_service_server::AdapterServiceServer;
use claviger_proto::v1::admin_service_server::AdminServiceServer;
use claviger_proto::v1::agent_service_server::AgentServiceServer;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::Router;

use super::accept::{PeerStream, Reception};
use super::adapter::Adapters;
use super::admin::Admins;
use super::agent::Agents;
use super::listen::Inside;
use crate::port::Clock;

/// The longest message of an agent's client, in bytes: it sends nothing but requests without fields.
const AGENT_MESSAGE: usize = 16 << 10;
/// The longest message of an adapter, in bytes: arguments have at most 256 KiB.
const ADAPTER_MESSAGE: usize = 512 << 10;
/// The longest message of an admin, in bytes.
const ADMIN_MESSAGE: usize = 4 << 20;
/// The longest answer, in bytes: a page of the log with its details.
const ANSWER: usize = 64 << 20;
/// The most calls at once on one connection.
const STREAMS: u32 = 32;
/// All headers of a call, in bytes.
const HEADERS: u32 = 16 << 10;
/// What is received ahead of being read: of one call, and of one connection, in bytes.
const WINDOWS: (u32, u32) = (256 << 10, 1 << 20);
/// How long calls may take to end when the server stops, in milliseconds.
const GRACE_MS: u64 = 10_000;
/// Connections that were let in and wait for their service.
const WAITING: usize = 16;

/// The services.
#[derive(Clone)]
pub struct Services {
    /// For agents.
    pub agents: Agents,
    /// For adapters.
    pub adapters: Adapters,
    /// For admins.
    pub admins: Admins,
}

/// Services that run.
pub struct Serving {
    reception: Arc<Reception>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Starts the services. Returns them, and where connections are handed in.
#[must_use]
pub fn serve(services: Services, reception: Arc<Reception>, clock: Arc<dyn Clock>) -> (Serving, Inside) {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let Services { agents, adapters, admins } = services;
    let agents = AgentServiceServer::new(agents).max_decoding_message_size(AGENT_MESSAGE);
    let adapters = AdapterServiceServer::new(adapters)
        .max_decoding_message_size(ADAPTER_MESSAGE)
        .max_encoding_message_size(ANSWER);
    let admins = AdminServiceServer::new(admins)
        .max_decoding_message_size(ADMIN_MESSAGE)
        .max_encoding_message_size(ANSWER);
    let run = |router: Router| {
        let (inside, connections) = mpsc::channel::<PeerStream>(WAITING);
        let connections = ReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
        let stopped = stop.clone().cancelled_owned();
        tasks.spawn(async move {
            if let Err(fault) = router.serve_with_incoming_shutdown(connections, stopped).await {
                tracing::error!(%fault, "a service ended");
            }
        });
        inside
    };
    let inside = Inside {
        agents: run(builder().add_service(agents)),
        adapters: run(builder().add_service(adapters)),
        admins: run(builder().add_service(admins)),
    };
    tasks.close();
    (Serving { reception, clock, stop, tasks }, inside)
}

fn builder() -> Server {
    let (stream, connection) = WINDOWS;
    Server::builder()
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(stream)
        .initial_connection_window_size(connection)
        .http2_max_header_list_size(HEADERS)
        // A peer that opens and resets calls without end is cut off (CVE-2023-44487).
        .http2_max_pending_accept_reset_streams(Some(2 * STREAMS as usize))
        .http2_max_local_error_reset_streams(Some(2 * STREAMS as usize))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
}

impl Serving {
    /// Lets calls in flight end, for ten seconds at most, and then closes what is still open. Close the gate and the
    /// doors first.
    pub async fn stop(self) {
        self.stop.cancel();
        let in_time = tokio::select! {
            () = self.tasks.wait() => true,
            () = self.clock.sleep_ms(GRACE_MS) => false,
        };
        if !in_time {
            tracing::warn!(
                open = self.reception.open(),
                "calls did not end in time; their connections are closed"
            );
        }
        self.reception.end_all();
        self.tasks.wait().await;
    }
}
