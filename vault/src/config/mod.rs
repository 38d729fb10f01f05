//! The configuration: one file, `claviger.toml` in the vault's home.
//!
//! It is read raw, then checked, and all faults are told at once.
//!
//! No secret ever stands in it, nor in the environment.

mod check;
pub mod env;
mod fresh;
pub mod nearest;
mod paths;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use claviger_domain::origin::Origin;
use url::Url;

pub use fresh::{Fresh, write_fresh};
pub use paths::Peer;

/// The name of the file in the home directory.
pub const FILE: &str = "claviger.toml";

/// Where a multi-user vault puts its sockets unless told otherwise: a place that only root can make.
pub const MULTI_USER_RUN_DIR: &str = "/run/claviger";

/// Everything that is configured, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The vault's own directory; absolute.
    pub home: PathBuf,
    /// Whether peers are told apart by user or by socket.
    pub mode: Mode,
    /// Where the sockets are made.
    pub run_dir: PathBuf,
    /// The embedded store's file.
    pub store_path: PathBuf,
    /// The audit log.
    pub audit: AuditConfig,
    /// Where the wrapped root keys lie.
    pub keys_dir: PathBuf,
    /// Whether an identity on the store's own filesystem may unlock it.
    pub allow_key_on_disk: bool,
    /// Catalog files that add to, or override, the built-in ones; `None` where there is no such directory.
    pub services_dir: Option<PathBuf>,
    /// Services that are reached elsewhere than the catalog says, by service id.
    pub services: BTreeMap<String, ServiceOverride>,
    /// OAuth providers that are reached elsewhere than the catalog says, by provider name.
    pub providers: BTreeMap<String, ProviderOverride>,
    /// How much is logged. `CLAVIGER_LOG` goes before the file.
    pub log: tracing::Level,
}

/// How peers are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Everything runs as one user; each peer is known by a socket of its own. This does not isolate.
    SingleUser,
    /// Each peer is an operating-system user of its own.
    MultiUser {
        /// Who may administer: at least one, never the overflow uid.
        admin_uids: Vec<u32>,
    },
}

/// How the audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// The most it may take on disk, in bytes. Full means that uses are refused.
    pub max_bytes: u64,
    /// The size of one segment file, in bytes.
    pub segment_bytes: u64,
    /// How long the readable details (the sealed sidecar) are kept, in days.
    pub retention_days: u32,
}

/// A service at another place than the catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceOverride {
    /// Where it is.
    pub origin: Origin,
    /// Whether it may resolve to private or special addresses.
    pub private: bool,
    /// PEM file of the only roots trusted for it; `None` means the system's.
    pub ca: Option<PathBuf>,
}

/// An OAuth provider at another place than the catalog says. It replaces all endpoints, so that no token meant for
/// one provider can reach another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOverride {
    /// Authorization endpoint (RFC 6749, 3.1), opened by the admin's browser.
    pub authorize: Url,
    /// Token endpoint (RFC 6749, 3.2).
    pub token: Url,
    /// Revocation endpoint (RFC 7009); `None` where the provider has none.
    pub revoke: Option<Url>,
    /// Who the account is (OpenID Connect Core, 5.3).
    pub userinfo: Url,
    /// Whether it may resolve to private or special addresses.
    pub private: bool,
    /// PEM file of the only roots trusted for it; `None` means the system's.
    pub ca: Option<PathBuf>,
}

/// One thing that is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, with its tables: `audit.max-bytes`.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)?;
        if let Some(hint) = &self.hint { write!(f, " ({hint})") } else { Ok(()) }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no vault.
    #[error("there is no vault in {}: {FILE} is missing", home.display())]
    Missing {
        /// Where it was looked for.
        home: PathBuf,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could have written it.
    #[error("{} can be written to by others (mode {mode:o}): refusing to believe it", path.display())]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to uid {owner}, who is neither root nor the one who reads it", path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// It is no TOML.
    #[error("{} is not TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// Faults, all of them.
    #[error("{} has {} fault{}:{}", path.display(), faults.len(), if faults.len() == 1 { "" } else { "s" }, list(faults))]
    Faults {
        /// The file.
        path: PathBuf,
        /// Each of them.
        faults: Vec<Fault>,
    },
    /// Neither a flag nor the environment says where the home is.
    #[error(
        "no home directory: neither --home nor CLAVIGER_HOME, XDG_DATA_HOME or HOME says where the vault is"
    )]
    NoHome,
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

impl Config {
    /// Reads and checks `claviger.toml` in that home.
    ///
    /// # Errors
    /// No vault there; a file that others could have written; no TOML; or every fault that it has.
    pub fn load(home: &Path) -> Result<Self, ConfigError> {
        let home = std::path::absolute(home)
            .map_err(|source| ConfigError::Read { path: home.to_owned(), source })?;
        let path = home.join(FILE);
        let read = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                ConfigError::Missing { home: home.clone() }
            }
            _ => ConfigError::Read { path: path.clone(), source },
        };
        let own = rustix::process::geteuid().as_raw();
        for trusted in [&home, &path] {
            let metadata = std::fs::metadata(trusted).map_err(read)?;
            if metadata.mode() & 0o022 != 0 {
                return Err(ConfigError::Writable { path: trusted.clone(), mode: metadata.mode() & 0o7777 });
            }
            // Root may read anybody's configuration, such as that of a vault whose user it manages.
            if own != 0 && metadata.uid() != own && metadata.uid() != 0 {
                return Err(ConfigError::Foreign { path: trusted.clone(), owner: metadata.uid() });
            }
        }
        let text = std::fs::read_to_string(&path).map_err(read)?;
        let mut config = Self::parse(&home, &text, overflow_uid())?;
        if config.services_dir.is_none() {
            let default = home.join("services");
            config.services_dir = default.is_dir().then_some(default);
        }
        if let Some(level) =
            env::log_level().map_err(|fault| ConfigError::Faults { path, faults: vec![fault] })?
        {
            config.log = level;
        }
        Ok(config)
    }

    /// Checks the text of a configuration, without looking at any file or the environment.
    ///
    /// `home` is absolute; `overflow_uid` is the uid that stands for users the kernel cannot name here.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], or [`ConfigError::Faults`] with every fault.
    pub fn parse(home: &Path, text: &str, overflow_uid: u32) -> Result<Self, ConfigError> {
        let path = home.join(FILE);
        let table = text.parse::<toml::Table>().map_err(|error| ConfigError::Syntax {
            path: path.clone(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        check::check(home, table, overflow_uid).map_err(|faults| ConfigError::Faults { path, faults })
    }
}

/// The uid by which the kernel shows users that have none here; it can be anybody.
#[must_use]
pub fn overflow_uid() -> u32 {
    std::fs::read_to_string("/proc/sys/fs/overflowuid")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(65534)
}
