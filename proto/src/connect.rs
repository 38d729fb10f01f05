//! How every client of ours reaches a server on a unix socket: it looks who is there before it sends a byte.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// Which user must be serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// This one, as trusted configuration says.
    Uid(u32),
    /// The owner of the directory in which the socket stands, which nobody else may be able to write to.
    OwnerOfDirectory,
}

/// Why a socket was not used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there, or the path is not to be reached.
    #[error("no connection to {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else than expected is serving. Not a byte was sent.
    #[error("{path} is served by uid {found}, not by uid {expected}: refusing to talk to it")]
    Impostor {
        /// The socket.
        path: PathBuf,
        /// Who serves.
        found: u32,
        /// Who should.
        expected: u32,
    },
    /// Others could put a socket of theirs there.
    #[error("{directory} can be written to by others (mode {mode:o}): refusing to trust what listens in it")]
    OpenDirectory {
        /// The directory.
        directory: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
}

/// Connects to a unix socket and checks who serves it.
///
/// # Errors
/// Nobody there; another user there; or a directory in which anybody could have put the socket.
pub async fn connect_stream(path: &Path, server: Server) -> Result<UnixStream, ConnectError> {
    let io = |source| ConnectError::Io { path: path.to_owned(), source };
    let expected = match server {
        Server::Uid(uid) => uid,
        Server::OwnerOfDirectory => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            let metadata = tokio::fs::metadata(directory).await.map_err(io)?;
            if metadata.mode() & 0o022 != 0 {
                return Err(ConnectError::OpenDirectory {
                    directory: directory.to_owned(),
                    mode: metadata.mode() & 0o7777,
                });
            }
            metadata.uid()
        }
    };
    let stream = UnixStream::connect(path).await.map_err(io)?;
    let found = stream.peer_cred().map_err(io)?.uid();
    if found != expected {
        return Err(ConnectError::Impostor { path: path.to_owned(), found, expected });
    }
    Ok(stream)
}

/// How many bytes of one stream may be under way to a reader that does not read: four pieces. More would be memory that a
/// slow peer takes up, fewer would stop at each piece.
pub const STREAM_WINDOW: u32 = 4 * 64 * 1024;

/// A gRPC channel to a unix socket: connects now, and again (with the same check) whenever the connection was lost.
///
/// # Errors
/// As [`connect_stream`]. Later reconnects fail as the calls that needed them.
pub async fn connect(path: &Path, server: Server) -> Result<Channel, ConnectError> {
    connect_by(Endpoint::from_static(NOWHERE), path, server).await
}

/// As [`connect`], for long streams: each may have [`STREAM_WINDOW`] bytes under way, and there is room for that many of
/// them beside one another, so that one that is not read stops no other.
///
/// # Errors
/// As [`connect`].
pub async fn connect_for_streams(path: &Path, server: Server, streams: u32) -> Result<Channel, ConnectError> {
    let endpoint = Endpoint::from_static(NOWHERE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW.saturating_mul(streams));
    connect_by(endpoint, path, server).await
}

/// What stands where a host would: the socket says who it is.
const NOWHERE: &str = "http://vault.invalid";

async fn connect_by(endpoint: Endpoint, path: &Path, server: Server) -> Result<Channel, ConnectError> {
    // The first connection is made by hand, so that its error keeps its type; tonic would box it.
    let mut first = Some(connect_stream(path, server).await?);
    let owned = path.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let ready = first.take();
        let path = owned.clone();
        async move {
            let stream = match ready {
                Some(stream) => stream,
                None => connect_stream(&path, server).await.map_err(io::Error::other)?,
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|error| ConnectError::Io { path: path.to_owned(), source: io::Error::other(error) })
}
