//! Where each socket stands.

use std::path::PathBuf;

use super::{Config, Mode};

/// The longest path that fits a unix socket address (`sun_path` of unix(7), without the final zero), in bytes.
pub(super) const SOCKET_PATH_MAX: usize = 107;

/// Which kind of peer a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Agents' clients.
    Agent,
    /// Adapters.
    Adapter,
}

impl Config {
    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.home.join(super::FILE)
    }

    /// Where admins are served.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.run_dir.join("admin.sock")
    }

    /// Where the agent of that (already checked) name is served.
    #[must_use]
    pub fn agent_socket(&self, name: &str) -> PathBuf {
        self.peer_socket(Peer::Agent, name)
    }

    /// Where the adapter of that (already checked) name is served by the vault.
    #[must_use]
    pub fn adapter_socket(&self, name: &str) -> PathBuf {
        self.peer_socket(Peer::Adapter, name)
    }

    /// As [`Config::agent_socket`] and [`Config::adapter_socket`].
    #[must_use]
    pub fn peer_socket(&self, peer: Peer, name: &str) -> PathBuf {
        match (&self.mode, peer) {
            (Mode::SingleUser, Peer::Agent) => self.run_dir.join("agents").join(format!("{name}.sock")),
            (Mode::SingleUser, Peer::Adapter) => self.run_dir.join("adapters").join(format!("{name}.sock")),
            (Mode::MultiUser { .. }, Peer::Agent) => self.run_dir.join("agent.sock"),
            (Mode::MultiUser { .. }, Peer::Adapter) => self.run_dir.join("adapter.sock"),
        }
    }

    /// Where an adapter serves MCP, unless it was registered with another endpoint.
    #[must_use]
    pub fn mcp_endpoint(&self, name: &str) -> PathBuf {
        match self.mode {
            Mode::SingleUser => self.run_dir.join("mcp").join(format!("{name}.sock")),
            // A directory of the adapter's own user, so that a client can tell who serves in it.
            Mode::MultiUser { .. } => PathBuf::from(format!("/run/claviger-mcp-{name}/mcp.sock")),
        }
    }

    /// The directories of sockets that the vault makes itself, outermost first: mode 0700 in single-user mode.
    #[must_use]
    pub fn run_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = vec![self.run_dir.clone()];
        if self.mode == Mode::SingleUser {
            dirs.extend(["agents", "adapters", "mcp"].map(|name| self.run_dir.join(name)));
        }
        dirs
    }

    /// Whether everything runs as one user.
    #[must_use]
    pub fn single_user(&self) -> bool {
        self.mode == Mode::SingleUser
    }
}
