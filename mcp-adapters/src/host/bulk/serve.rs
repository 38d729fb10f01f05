//! Takes connections to the bulk socket, and knows whose they are.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use claviger_proto::bulk::PIECE;
use claviger_proto::connect::STREAM_WINDOW;
use claviger_proto::v1;
use claviger_proto::v1::bulk_service_server::{BulkService, BulkServiceServer};
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use super::{SHOW, Tickets, fetch, now, put};
use crate::failure::Refused;
use crate::host::Clients;
use crate::host::accept::{Seat, Seats};
use crate::host::endpoint::Endpoint;

/// How many requests of one connection are under way: a client makes one for each ticket.
const PER_CONNECTION: u32 = 4;
/// How often dead tickets are looked for when nobody asks for any.
const SWEEP: Duration = Duration::from_secs(5);
/// The pause after the system could not accept.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a connection may be silent before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(20);
/// A piece, and what stands around it in a message.
const LARGEST: usize = PIECE + 1024;

/// Serves until `shutdown`, and then as long as transfers take that were begun, within the grace period.
pub(in crate::host) async fn serve(
    endpoint: Endpoint,
    clients: Arc<Clients>,
    tickets: Arc<Tickets>,
    shutdown: CancellationToken,
) {
    let grace = clients.grace;
    let sweeping = tokio::spawn(sweep(Arc::clone(&tickets)));
    let service = BulkServiceServer::new(Bulk { tickets })
        .max_decoding_message_size(LARGEST)
        .max_encoding_message_size(claviger_proto::bulk::MESSAGE);
    let server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * PER_CONNECTION)
        .max_concurrent_streams(PER_CONNECTION)
        .http2_keepalive_interval(Some(SILENCE))
        .add_service(service)
        .serve_with_incoming_shutdown(
            accept(endpoint, &clients, shutdown.clone()),
            shutdown.clone().cancelled_owned(),
        );
    let end = async {
        shutdown.cancelled().await;
        #[allow(clippy::disallowed_methods, reason = "the grace period of a program that ends")]
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = server => if let Err(fault) = served {
            tracing::warn!(%fault, "the bulk socket has failed");
        },
        // What is still under way ends with its call.
        () = end => tracing::warn!("transfers were still under way; they are cut"),
    }
    sweeping.abort();
}

async fn sweep(tickets: Arc<Tickets>) {
    loop {
        #[allow(clippy::disallowed_methods, reason = "when memory is given back; nothing is decided by it")]
        tokio::time::sleep(SWEEP).await;
        tickets.sweep(now());
    }
}

/// The connections, as many as there are seats for. The socket's file goes when it ends.
fn accept(
    endpoint: Endpoint,
    clients: &Clients,
    shutdown: CancellationToken,
) -> impl Stream<Item = io::Result<Link>> + use<> {
    let seats = Arc::new(Seats::new(clients.connections, clients.connections_per_user));
    futures_util::stream::unfold((endpoint, seats, shutdown), |(endpoint, seats, shutdown)| async move {
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return None,
                accepted = endpoint.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(fault) => {
                    tracing::warn!(%fault, "cannot accept");
                    #[allow(
                        clippy::disallowed_methods,
                        reason = "a pause until there may be descriptors again"
                    )]
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // No credentials, no connection.
            let Ok(peer) = stream.peer_cred() else { continue };
            match Seats::take(&seats, peer.uid()) {
                Some(seat) => {
                    let link = Link { stream, peer: Peer { uid: peer.uid() }, _seat: seat };
                    return Some((Ok(link), (endpoint, seats, shutdown)));
                }
                None => tracing::warn!(uid = peer.uid(), "too many connections to the bulk socket"),
            }
        }
    })
}

/// Who is at the other end, as the kernel said when the connection was taken.
#[derive(Debug, Clone, Copy)]
struct Peer {
    uid: u32,
}

/// A connection with its seat.
struct Link {
    stream: UnixStream,
    peer: Peer,
    _seat: Seat,
}

impl Connected for Link {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The service.
struct Bulk {
    tickets: Arc<Tickets>,
}

fn peer<T>(request: &Request<T>) -> Result<u32, Status> {
    request.extensions().get::<Peer>().map(|peer| peer.uid).ok_or_else(bad_ticket)
}

fn bad_ticket() -> Status {
    Refused::here(Refused::BAD_TICKET).into_status()
}

/// What a task puts into the channel, as gRPC wants it.
fn frames<T: Send + 'static>(
    mut receiver: mpsc::Receiver<Result<T, Status>>,
) -> BoxStream<'static, Result<T, Status>> {
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

#[tonic::async_trait]
impl BulkService for Bulk {
    type FetchStream = BoxStream<'static, Result<v1::FetchFrame, Status>>;
    type PutStream = BoxStream<'static, Result<v1::PutReply, Status>>;

    async fn fetch(&self, request: Request<v1::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let uid = peer(&request)?;
        let v1::FetchRequest { ticket } = request.into_inner();
        let open = self.tickets.fetch(uid, &ticket, now()).ok_or_else(bad_ticket)?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(fetch::run(open, sender));
        Ok(Response::new(frames(receiver)))
    }

    async fn put(
        &self,
        request: Request<Streaming<v1::PutFrame>>,
    ) -> Result<Response<Self::PutStream>, Status> {
        let uid = peer(&request)?;
        let mut incoming = request.into_inner();
        let first = timeout(SHOW, incoming.message()).await.map_err(|_| bad_ticket())??;
        let Some(v1::PutFrame { frame: Some(v1::put_frame::Frame::Ticket(ticket)) }) = first else {
            return Err(bad_ticket());
        };
        let open = self.tickets.put(uid, &ticket, now()).ok_or_else(bad_ticket)?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(put::run(open, incoming, sender));
        Ok(Response::new(frames(receiver)))
    }
}
