//! Where sockets stand, and that nobody else can have put them there.
//!
//! *Single-user*: directories of mode 0700, sockets of mode 0600, one for each peer; they come and go with the peers.
//! *Multi-user*: one socket for each role, mode 0666, in a directory that only the vault's user (or root) can write
//! to: every user can knock, and the accept loop opens to the right ones only. The directory must belong to the
//! vault's own user, because clients take its owner for the one who has to be serving.

use std::collections::HashMap;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use listenfd::ListenFd;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::{PeerStream, Reception};
use super::peer::{Door, Registry};

/// Why nobody can be let in at a place.
#[derive(Debug, thiserror::Error)]
pub enum ListenFault {
    /// The system says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Somebody serves there.
    #[error("{} is served by another process", path.display())]
    Occupied {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket has that name.
    #[error("{} is there, and is not a socket", path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// Others could put a socket of theirs there.
    #[error("{} can be written to by others (mode {mode:o})", path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// Clients would expect somebody else.
    #[error("{} belongs to uid {owner}, and the vault runs as uid {own}: clients would take it for an impostor", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs.
        own: u32,
    },
}

/// The places of all sockets.
#[derive(Debug, Clone)]
pub struct Places {
    /// Whether each peer has a socket of its own.
    pub single_user: bool,
    /// The directories to be made, outermost first.
    pub dirs: Vec<PathBuf>,
    /// The admins' socket.
    pub admin: PathBuf,
    /// The agents' socket; in single-user mode the directory of their sockets.
    pub agents: PathBuf,
    /// The adapters' socket; in single-user mode the directory of their sockets.
    pub adapters: PathBuf,
}

impl Places {
    /// Where the agent of that name connects.
    #[must_use]
    pub fn agent(&self, name: &str) -> PathBuf {
        if self.single_user { self.agents.join(format!("{name}.sock")) } else { self.agents.clone() }
    }

    /// Where the adapter of that name connects.
    #[must_use]
    pub fn adapter(&self, name: &str) -> PathBuf {
        if self.single_user { self.adapters.join(format!("{name}.sock")) } else { self.adapters.clone() }
    }

    /// The doors that there should be now, and where.
    fn doors(&self, registry: &dyn Registry) -> HashMap<Door, PathBuf> {
        if !self.single_user {
            return HashMap::from([
                (Door::Admins, self.admin.clone()),
                (Door::Agents, self.agents.clone()),
                (Door::Adapters, self.adapters.clone()),
            ]);
        }
        let agents = registry.agent_names().into_iter().map(|name| {
            let place = self.agent(name.as_str());
            (Door::OnlyAgent(name), place)
        });
        let adapters = registry.adapter_names().into_iter().map(|name| {
            let place = self.adapter(name.as_str());
            (Door::OnlyAdapter(name), place)
        });
        std::iter::once((Door::OnlyAdmin, self.admin.clone())).chain(agents).chain(adapters).collect()
    }

    /// Makes the directories and checks them.
    ///
    /// # Errors
    /// One cannot be made, or others could write to it, or clients would not believe it.
    pub fn prepare(&self) -> Result<(), ListenFault> {
        let mode = if self.single_user { 0o700 } else { 0o755 };
        let own = rustix::process::geteuid().as_raw();
        for path in &self.dirs {
            let fault = |source| ListenFault::Io { path: path.clone(), source };
            match DirBuilder::new().mode(mode).create(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault(error)),
            }
            let metadata = std::fs::symlink_metadata(path).map_err(fault)?;
            if !metadata.is_dir() {
                return Err(fault(io::ErrorKind::NotADirectory.into()));
            }
            if metadata.uid() != own {
                return Err(ListenFault::Foreign { path: path.clone(), owner: metadata.uid(), own });
            }
            if self.single_user && metadata.mode() & 0o777 != 0o700 {
                std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(fault)?;
            } else if metadata.mode() & 0o022 != 0 {
                return Err(ListenFault::Exposed { path: path.clone(), mode: metadata.mode() & 0o7777 });
            }
        }
        Ok(())
    }
}

/// Listeners that an earlier process, or a service manager, left for this one, by the path they are bound to.
#[derive(Debug, Default)]
pub struct Inherited(HashMap<PathBuf, UnixListener>);

impl Inherited {
    /// Takes them up by the `LISTEN_FDS` protocol (sd_listen_fds(3)), which it removes from the environment. Call it
    /// once, first of all.
    #[must_use]
    pub fn take() -> Self {
        let mut passed = ListenFd::from_env();
        let mut found = HashMap::new();
        for index in 0..passed.len() {
            let Ok(Some(listener)) = passed.take_unix_listener(index) else { continue };
            let path =
                listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
            if let Some(path) = path {
                found.insert(path, listener);
            }
        }
        Self(found)
    }

    /// These, as an earlier process in this one's place left them.
    #[cfg(test)]
    pub(crate) fn of(listeners: Vec<(PathBuf, OwnedFd)>) -> Self {
        Self(listeners.into_iter().map(|(path, listener)| (path, UnixListener::from(listener))).collect())
    }

    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One socket that is being served.
struct Opened {
    path: PathBuf,
    /// Device and inode of what was bound: only that is ever removed again.
    identity: (u64, u64),
    /// The listener again, for the process that comes after a seal.
    spare: OwnedFd,
    stop: CancellationToken,
}

/// Where connections of each role go.
#[derive(Clone)]
pub struct Inside {
    /// Admins'.
    pub admins: mpsc::Sender<PeerStream>,
    /// Agents'.
    pub agents: mpsc::Sender<PeerStream>,
    /// Adapters'.
    pub adapters: mpsc::Sender<PeerStream>,
}

impl Inside {
    fn of(&self, door: &Door) -> mpsc::Sender<PeerStream> {
        match door {
            Door::Admins | Door::OnlyAdmin => self.admins.clone(),
            Door::Agents | Door::OnlyAgent(_) => self.agents.clone(),
            Door::Adapters | Door::OnlyAdapter(_) => self.adapters.clone(),
        }
    }
}

/// All sockets, as the registry wants them.
pub struct Doors {
    places: Places,
    registry: Arc<dyn Registry>,
    reception: Arc<Reception>,
    inside: Inside,
    inherited: Mutex<Inherited>,
    opened: Mutex<HashMap<Door, Opened>>,
    loops: TaskTracker,
}

impl Doors {
    /// None is open yet.
    #[must_use]
    pub fn new(
        places: Places,
        registry: Arc<dyn Registry>,
        reception: Arc<Reception>,
        inside: Inside,
        inherited: Inherited,
    ) -> Self {
        Self {
            places,
            registry,
            reception,
            inside,
            inherited: Mutex::new(inherited),
            opened: Mutex::default(),
            loops: TaskTracker::new(),
        }
    }

    /// Opens what should be open and is not, closes what should not be, and ends connections of whoever is gone. Call
    /// it at the start and whenever the registry changed; it has to run on the runtime.
    ///
    /// # Errors
    /// The first socket that cannot be opened; the others are, and it is tried again the next time.
    pub fn follow(&self) -> Result<(), ListenFault> {
        let wanted = self.places.doors(&*self.registry);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|door, open| {
            let stays = wanted.contains_key(door);
            if !stays {
                open.stop.cancel();
                open.remove();
                self.reception.end_door(door);
            }
            stays
        });
        let mut first = None;
        for (door, path) in wanted {
            if opened.contains_key(&door) {
                continue;
            }
            match self.open(&door, &path) {
                Ok(open) => drop(opened.insert(door, open)),
                Err(fault) => {
                    tracing::error!(%fault, "a socket cannot be served");
                    first.get_or_insert(fault);
                }
            }
        }
        drop(opened);
        // Of peers that are gone: whoever knocked there is told so by the closed socket.
        self.inherited.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
        self.reception.sweep();
        first.map_or(Ok(()), Err)
    }

    fn open(&self, door: &Door, path: &Path) -> Result<Opened, ListenFault> {
        let fault = |source| ListenFault::Io { path: path.to_owned(), source };
        let inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner).0.remove(path);
        let listener = match inherited.filter(|_| is_socket(path)) {
            Some(listener) => listener,
            None => {
                clear(path)?;
                UnixListener::bind(path).map_err(fault)?
            }
        };
        let mode = if self.places.single_user { 0o600 } else { 0o666 };
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fault)?;
        let metadata = std::fs::symlink_metadata(path).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let spare = OwnedFd::from(listener.try_clone().map_err(fault)?);
        let listener = tokio::net::UnixListener::from_std(listener).map_err(fault)?;
        let stop = CancellationToken::new();
        let accept =
            Arc::clone(&self.reception).accept(listener, door.clone(), self.inside.of(door), stop.clone());
        self.loops.spawn(accept);
        Ok(Opened { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()), spare, stop })
    }

    /// Stops accepting at every door and returns the listeners, with their paths. Who knocks now waits for whoever
    /// serves next.
    pub async fn shut(&self) -> Vec<(PathBuf, OwnedFd)> {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
        for open in opened.values() {
            open.stop.cancel();
        }
        self.loops.close();
        self.loops.wait().await;
        opened.into_values().map(|open| (open.path, open.spare)).collect()
    }

    /// Stops accepting and takes the sockets away: the vault stops.
    pub async fn remove(&self) {
        {
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.values().for_each(Opened::remove);
        }
        drop(self.shut().await);
    }
}

impl Opened {
    /// Takes the socket's name away, if it is still ours.
    fn remove(&self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours {
            // Left behind, it is cleared at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Takes away a socket that nobody serves any more.
fn clear(path: &Path) -> Result<(), ListenFault> {
    let fault = |source| ListenFault::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenFault::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenFault::Occupied { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(fault)
        }
        // A full backlog, or a socket of another kind: somebody is there.
        Err(_) => Err(ListenFault::Occupied { path: path.to_owned() }),
    }
}
