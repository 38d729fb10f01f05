//! What the program takes from its command line and environment. Every variable it reads is declared here.
//!
//! Of its environment it uses these variables and no other. It starts no other program, so nothing is passed on; it
//! needs no home directory, no proxy, no locale. A service manager should give it an empty environment but for these.

use std::path::PathBuf;

use clap::Parser;
use claviger_proto::connect::Server;

use crate::files::settings::{FilesSettings, SettingsError};
use crate::files::{self, AreaError, Files};
use crate::host::{Clients, HostOptions};

/// Which user serves the vault, if not the owner of its socket's directory.
pub const VAULT_UID: &str = "CLAVIGER_VAULT_UID";
/// The vault's socket for this adapter.
pub const ADAPTER_SOCKET: &str = "CLAVIGER_ADAPTER_SOCKET";
/// Where to serve MCP.
pub const MCP_ENDPOINT: &str = "CLAVIGER_MCP_ENDPOINT";
/// The settings file of the `files` adapter.
pub const SETTINGS: &str = "CLAVIGER_FILES_SETTINGS";
/// How much to log: off, error, warn, info, debug.
pub const LOG: &str = "CLAVIGER_LOG";

/// Serves the tools of one service over MCP, with a vault that holds the credentials
///
/// Runs as a user of its own, best one user for each adapter. It holds no credential and reaches no network: agents
/// bring proof of what they were granted, and the vault sends the requests.
#[derive(Debug, Parser)]
#[command(name = "claviger-mcp", version, max_term_width = 100)]
#[command(after_help = "Example:\n  claviger-mcp gmail --vault-socket /run/claviger/adapter.sock \\\n    \
    --endpoint /run/claviger-gmail/mcp.sock\n\nNo adapter: `claviger-mcp cage -- CMD` runs a command with no way out; \
    see claviger-mcp cage --help.\n\nExit codes: 0 stopped when asked to, 1 failed, 2 wrong usage.")]
pub struct Settings {
    /// The adapter's name, which is its service's id, such as gmail or drive
    #[arg(value_name = "NAME", value_parser = name)]
    pub name: String,

    /// The vault's socket for adapters
    #[arg(long, value_name = "PATH", env = ADAPTER_SOCKET)]
    pub vault_socket: PathBuf,

    /// Where to listen for agents; a socket is made there
    #[arg(long, value_name = "PATH", env = MCP_ENDPOINT)]
    pub endpoint: PathBuf,

    /// The settings file of the files adapter: its roots, its writable folder, what it never touches
    #[arg(long, value_name = "PATH", env = SETTINGS)]
    pub settings: Option<PathBuf>,

    /// The user that must be serving the vault's socket [default: the owner of its directory]
    #[arg(long, value_name = "UID", env = VAULT_UID)]
    pub vault_uid: Option<u32>,

    /// Everything runs as one user: let no other user connect
    #[arg(long)]
    pub single_user: bool,

    /// End when the program that started this one ends, however it does (Linux)
    #[arg(long)]
    pub end_with_parent: bool,

    /// The endpoint's mode bits, in octal [default: 666, with --single-user 600]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub socket_mode: Option<u32>,

    /// How much to log to standard error: off, error, warn, info or debug; never values
    #[arg(long, value_name = "LEVEL", env = LOG, default_value = "info", value_parser = ["off", "error", "warn", "info", "debug"])]
    pub log: String,
}

/// Why there is nothing to serve for the `files` adapter.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It was not said which directories.
    #[error("the files adapter needs --settings, a file that names its directories")]
    Missing,
    /// The file is for another adapter.
    #[error("--settings is for the files adapter only")]
    Strange,
    /// The settings file.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The directories.
    #[error(transparent)]
    Area(#[from] AreaError),
}

impl Settings {
    /// The host that these settings ask for.
    ///
    /// # Errors
    /// The `files` adapter without a settings file, or with one that cannot be served; any other adapter with one.
    pub fn host(self) -> Result<HostOptions, FilesError> {
        let files = match (self.name == files::NAME, &self.settings) {
            (true, Some(path)) => Some(Files::new(&FilesSettings::load(path)?)?),
            (true, None) => return Err(FilesError::Missing),
            (false, None) => None,
            (false, Some(_)) => return Err(FilesError::Strange),
        };
        let mut clients = if self.single_user { Clients::single_user() } else { Clients::any_user() };
        if let Some(mode) = self.socket_mode {
            clients.socket_mode = mode;
        }
        Ok(HostOptions {
            name: self.name,
            vault_socket: self.vault_socket,
            vault: self.vault_uid.map_or(Server::OwnerOfDirectory, Server::Uid),
            endpoint: self.endpoint,
            clients,
            files,
        })
    }

    /// What the log lets through: our own lines. The MCP library writes whole messages into its log, so it has no voice,
    /// and neither has any other library.
    #[must_use]
    pub fn log_filter(&self) -> String {
        format!("off,claviger_mcp={}", self.log)
    }
}

fn name(text: &str) -> Result<String, String> {
    let fine = text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.ends_with('-');
    if fine {
        Ok(text.to_owned())
    } else {
        Err("a name is 1 to 32 lower-case letters, digits or hyphens, and begins with a letter".to_owned())
    }
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is octal, from 000 to 777".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn parse(extra: &[&str]) -> Result<HostOptions, clap::Error> {
        let fixed = ["claviger-mcp", "--vault-socket", "/v", "--endpoint", "/e"];
        Settings::try_parse_from(fixed.iter().chain(extra)).map(|settings| settings.host().unwrap())
    }

    #[test]
    fn settings() {
        let options = parse(&["gmail"]).unwrap();
        assert_eq!((options.name.as_str(), options.vault), ("gmail", Server::OwnerOfDirectory));
        assert_eq!(options.clients.socket_mode, 0o666);
        let options = parse(&["gmail", "--single-user", "--vault-uid", "7"]).unwrap();
        assert_eq!((options.clients.socket_mode, options.vault), (0o600, Server::Uid(7)));
        assert_eq!(parse(&["drive", "--socket-mode", "660"]).unwrap().clients.socket_mode, 0o660);
        for bad in
            [&["../x"][..], &["Gmail"], &[""], &[], &["gmail", "--socket-mode", "999"], &["gmail", "x"]]
        {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
