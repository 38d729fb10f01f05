//! Whose process is at the other end of a connection.
//!
//! A unix socket tells its peer's user; a TCP connection does not. But both its ends are on this machine, and the kernel's
//! table names the user of each. The same user as this process is let in and nobody else, root neither: what root has to
//! do here it can do as that user.
//!
//! What it is not: a wall between processes of one user. Any of them can also open the vault's socket.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream};

use super::HttpError;
use super::sockets::owner;

/// How many strangers' connections may come before our own when it is tried out whether users can be told apart.
const CROWD: usize = 256;

/// The user that stands for all whom a user namespace has no number for.
const OVERFLOW: &str = "/proc/sys/kernel/overflowuid";

/// The kernel's tables, and who may come in.
#[derive(Debug, Clone)]
pub(super) struct Owners {
    /// That of IPv4, and that of IPv6.
    tables: [PathBuf; 2],
    uid: u32,
}

/// Why a connection is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    /// Another user's.
    Other(u32),
    /// Nobody's that the kernel knows of: it has ended, or comes from elsewhere.
    Unknown,
}

impl Owners {
    /// Those of this system; the user of this process may come in.
    pub(super) fn system() -> Result<Self, HttpError> {
        let uid = rustix::process::geteuid().as_raw();
        let overflow = std::fs::read_to_string(OVERFLOW).map_err(|_| HttpError::NoOwners)?;
        if overflow.trim().parse() == Ok(uid) {
            return Err(HttpError::Overflow);
        }
        Ok(Self { tables: ["/proc/net/tcp".into(), "/proc/net/tcp6".into()], uid })
    }

    /// Connects to ourselves and looks whether that is seen to be us: who cannot be told from others is not served.
    pub(super) async fn try_out(&self, listener: &TcpListener, address: SocketAddr) -> Result<(), HttpError> {
        let failed = |error| HttpError::Bind(address, error);
        let probe = TcpStream::connect(address).await.map_err(failed)?;
        let own = probe.local_addr().map_err(failed)?;
        for _ in 0..CROWD {
            // Whoever was quicker is sent away: nobody is served yet.
            let (stream, peer) = listener.accept().await.map_err(failed)?;
            if peer == own {
                return self.check(&stream, peer).await.map_err(|_| HttpError::NoOwners);
            }
        }
        Err(HttpError::NoOwners)
    }

    /// Whether the other end is the same user's. Nothing has been read of it.
    pub(super) async fn check(&self, stream: &TcpStream, peer: SocketAddr) -> Result<(), Stranger> {
        let ours = stream.local_addr().map_err(|_| Stranger::Unknown)?;
        let [four, six] = self.tables.clone();
        let found = tokio::task::spawn_blocking(move || {
            if peer.ip().to_canonical().is_ipv4() {
                // Each table costs some milliseconds; most are found in the first. A process that came by an IPv6 socket
                // is in the other, where there is IPv6.
                match owner(&read(&four)?, peer, ours) {
                    None => Ok(owner(&read_if_there(&six)?, peer, ours)),
                    found => Ok(found),
                }
            } else {
                Ok::<_, io::Error>(owner(&read(&six)?, peer, ours))
            }
        });
        let uid = found.await.ok().and_then(Result::ok).flatten();
        // The row was that of this connection only if this connection still stands. Somebody could send a request, end
        // the connection, and have a process of ours happen to connect from the same port.
        if stream.peer_addr().ok() != Some(peer) {
            return Err(Stranger::Unknown);
        }
        match uid {
            Some(uid) if uid == self.uid => Ok(()),
            Some(uid) => Err(Stranger::Other(uid)),
            None => Err(Stranger::Unknown),
        }
    }
}

fn read(table: &Path) -> io::Result<String> {
    std::fs::read(table).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn read_if_there(table: &Path) -> io::Result<String> {
    match read(table) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::super::{Listener, Loopback};
    use super::*;
    use tokio::net::TcpSocket;

    fn loopback() -> Loopback {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn the_same_user_is_let_in_and_no_other() {
        let owners = Owners::system().unwrap();
        let Listener { tcp, address, .. } = Listener::bind(loopback()).await.unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        let (stream, peer) = tcp.accept().await.unwrap();
        assert_eq!(owners.check(&stream, peer).await, Ok(()));
        // The same connection, if this process were somebody else: root is nobody special.
        let other = Owners { uid: owners.uid + 1, ..owners.clone() };
        assert_eq!(other.check(&stream, peer).await, Err(Stranger::Other(owners.uid)));
    }

    /// A process may reach an IPv4 address by a socket of IPv6; then its row is in the other table.
    #[tokio::test]
    async fn a_client_that_comes_by_ipv6_is_known() {
        let owners = Owners::system().unwrap();
        let Listener { tcp, address, .. } = Listener::bind(loopback()).await.unwrap();
        let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), address.port());
        let _client = TcpSocket::new_v6().unwrap().connect(mapped).await.unwrap();
        let (stream, peer) = tcp.accept().await.unwrap();
        assert_eq!(owners.check(&stream, peer).await, Ok(()));
    }

    #[tokio::test]
    async fn ipv6_is_served_as_well() {
        let listener = Listener::bind("[::1]:0".parse().unwrap()).await.unwrap();
        assert_eq!(listener.address.ip(), Ipv6Addr::LOCALHOST);
        assert_eq!(listener.url(), format!("http://[::1]:{}/mcp", listener.address.port()));
    }

    /// Somebody sends a request, ends the connection at once, and a process of ours connects from the same port while
    /// the first connection is being looked at. The row is ours; the request is not.
    #[tokio::test]
    async fn a_connection_that_has_ended_is_nobodys_though_its_port_is_ours_again() {
        let owners = Owners::system().unwrap();
        let Listener { tcp, address, .. } = Listener::bind(loopback()).await.unwrap();
        let first = TcpSocket::new_v4().unwrap();
        first.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        first.set_zero_linger().unwrap();
        let first = first.connect(address).await.unwrap();
        let port = first.local_addr().unwrap();
        first.try_write(b"POST /mcp HTTP/1.1\r\n").unwrap();
        let (stale, peer) = tcp.accept().await.unwrap();
        drop(first);
        let second = TcpSocket::new_v4().unwrap();
        second.set_reuseaddr(true).unwrap();
        second.bind(port).unwrap();
        let _second = second.connect(address).await.unwrap();
        let (fresh, again) = tcp.accept().await.unwrap();
        assert_eq!(peer, again);
        assert_eq!(owners.check(&fresh, again).await, Ok(()));
        assert_eq!(owners.check(&stale, peer).await, Err(Stranger::Unknown));
    }

    #[tokio::test]
    async fn where_users_cannot_be_told_apart_nobody_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let uid = Owners::system().unwrap().uid;
        for tables in [
            [dir.path().join("none"), dir.path().join("none")],
            [dir.path().join("none"), "/proc/net/tcp".into()],
            [empty, dir.path().join("none")],
        ] {
            let owners = Owners { tables, uid };
            let bound = Listener::bind_with(loopback(), owners).await;
            assert!(matches!(bound, Err(HttpError::NoOwners)), "{bound:?}");
        }
        // IPv6 need not be there.
        let tables = ["/proc/net/tcp".into(), dir.path().join("none")];
        Listener::bind_with(loopback(), Owners { tables, uid }).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_said_to_be() {
        let listener = Listener::bind(loopback()).await.unwrap();
        let again = listener.address.to_string().parse().unwrap();
        let error = Listener::bind(again).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is taken: another process listens there", listener.address)
        );
    }
}
