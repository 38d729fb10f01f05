//! The socket that agents connect to.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use tokio::net::UnixListener;

/// Why the endpoint was not made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Another process serves there.
    #[error("somebody already listens on {0}")]
    Taken(PathBuf),
    /// What is there is no socket, and so was not made by us.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// The system said no.
    #[error("cannot listen on {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A listening socket, and the file that names it; the file goes with it.
pub(super) struct Endpoint {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file we made: a file that came there since is not ours to remove.
    file: (u64, u64),
}

impl Endpoint {
    /// Listens at `path` with these mode bits, which hold before anybody can connect. Takes the place of a socket that
    /// nobody listens on any more.
    pub(super) fn bind(path: &Path, mode: u32) -> Result<Self, EndpointError> {
        let fault = |source| EndpointError::Io { path: path.to_owned(), source };
        make_room(path)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(|e| fault(e.into()))?;
        let address = UnixAddr::new(path).map_err(|e| fault(e.into()))?;
        bind(socket.as_raw_fd(), &address).map_err(|e| match e {
            nix::errno::Errno::EADDRINUSE => EndpointError::Taken(path.to_owned()),
            e => fault(e.into()),
        })?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(fault)?;
        let file = identity(path).map_err(fault)?;
        let backlog = Backlog::new(64).map_err(|e| fault(e.into()))?;
        listen(&socket, backlog).map_err(|e| fault(e.into()))?;
        let listener = UnixListener::from_std(socket.into()).map_err(fault)?;
        Ok(Self { listener, path: path.to_owned(), file })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Not being able to remove it is no harm: the next start finds nobody listening.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes a socket that nobody listens on; leaves everything else alone.
fn make_room(path: &Path) -> Result<(), EndpointError> {
    let fault = |source| EndpointError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(fault(other)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(EndpointError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match BlockingStream::connect(path) {
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(fault)
        }
        Ok(_) => Err(EndpointError::Taken(path.to_owned())),
        // Not allowed to connect, or its queue is full: there is somebody.
        Err(_) => Err(EndpointError::Taken(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[tokio::test]
    async fn the_mode_is_what_was_asked_for_and_the_file_goes_with_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        for wanted in [0o600, 0o666] {
            let endpoint = Endpoint::bind(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted);
            drop(endpoint);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_stale_socket_gives_way_and_a_live_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = Endpoint::bind(&path, 0o600).unwrap();
        assert!(matches!(Endpoint::bind(&path, 0o600), Err(EndpointError::Taken(_))));
        assert!(path.exists());
        drop(first);
    }

    #[tokio::test]
    async fn other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("s"), dir.path().join("live"));
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Endpoint::bind(&path, 0o600), Err(EndpointError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
        // A link to a socket is no socket: it is not followed.
        let _live = std::os::unix::net::UnixListener::bind(&other).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(matches!(Endpoint::bind(&path, 0o600), Err(EndpointError::NotASocket(_))));
        fs::remove_file(&path).unwrap();
        // What took the place of our socket is not ours to remove.
        let endpoint = Endpoint::bind(&path, 0o600).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        drop(endpoint);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_told() {
        let fault = Endpoint::bind(Path::new("/nonexistent/s"), 0o600).err().unwrap();
        assert!(fault.to_string().starts_with("cannot listen on /nonexistent/s"), "{fault}");
    }
}
