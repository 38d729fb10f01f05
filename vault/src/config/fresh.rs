//! A new, commented `claviger.toml`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{FILE, MULTI_USER_RUN_DIR, Mode};

/// What a new configuration says besides the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// The mode.
    pub mode: Mode,
    /// Where the sockets go; `None` for the default place.
    pub run_dir: Option<PathBuf>,
    /// Whether an identity may lie on the store's own filesystem.
    pub allow_key_on_disk: bool,
}

/// Writes a commented `claviger.toml` into a home that has none, mode 0600, synced.
///
/// # Errors
/// There is one already, or it cannot be written.
pub fn write_fresh(home: &Path, fresh: &Fresh) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(home.join(FILE))?;
    file.write_all(fresh.to_text().as_bytes())?;
    file.sync_all()
}

impl Fresh {
    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (mode, uids) = match &self.mode {
            Mode::SingleUser => ("single-user", "# admin-uids = [1000]".to_owned()),
            Mode::MultiUser { admin_uids } => {
                let uids: Vec<String> = admin_uids.iter().map(u32::to_string).collect();
                ("multi-user", format!("admin-uids = [{}]", uids.join(", ")))
            }
        };
        let run_dir = match &self.run_dir {
            Some(path) => format!("run-dir = {}", quoted(path)),
            None => "# run-dir = \"run\"".to_owned(),
        };
        let on_disk = if self.allow_key_on_disk { "" } else { "# " };
        let answer = if self.allow_key_on_disk { "true" } else { "false" };
        format!(
            r#"# The configuration of a Claviger vault. No secret belongs here.
# Paths that do not begin with / begin at this directory.

# "single-user": everything runs as one user, and each peer has a socket of its own. Simple, and no isolation.
# "multi-user": agents, adapters and admins are operating-system users of their own.
mode = "{mode}"

# The user ids that may administer. Only, and always, in multi-user mode.
{uids}

# Where the sockets are made: run/ here in single-user mode, {MULTI_USER_RUN_DIR} in multi-user mode.
{run_dir}

# An identity on the same filesystem as the store may unlock it. Then a stolen disk or backup opens the vault.
{on_disk}allow-key-on-disk = {answer}

# error, warn, info, debug or trace. Values are never logged.
# log = "info"

# Catalog files that add services or override built-in ones.
# services-dir = "services"

[audit]
# dir = "audit"
# A full log refuses uses. Old details (who wrote to whom) are erased after so many days; the log itself stays.
# max-bytes = "4 GiB"
# segment-bytes = "64 MiB"
# retention-days = 30

# A service at another place than the catalog says. `private` lets it be on this machine or network; `ca` is a PEM
# file with the only roots trusted for it.
# [service.gmail]
# origin  = "https://127.0.0.1:8443"
# private = true
# ca      = "ca.pem"

# An OAuth provider at another place.
# [provider.google]
# authorize = "https://127.0.0.1:8443/o/oauth2/v2/auth"
# token     = "https://127.0.0.1:8443/token"
# revoke    = "https://127.0.0.1:8443/revoke"
# userinfo  = "https://127.0.0.1:8443/oauth2/v3/userinfo"
# private   = true
# ca        = "ca.pem"
"#
        )
    }
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}
