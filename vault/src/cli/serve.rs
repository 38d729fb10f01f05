//! `claviger serve` and `up`: arguments only; the daemon is handed in.

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;

use super::client::Session;
use super::failure::Failure;
use super::report::Report;
use super::{DaemonOptions, Ended, Hooks, Unlock, entry, key_file};
use crate::config::env;
use crate::keys::ring::{Kind, Ring};

/// Arguments of `serve` and `up`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Unseal at once with this age identity file.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_stdin")]
    identity: Option<PathBuf>,
    /// Unseal at once with the age identity that systemd hands over under this name (LoadCredential=).
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = CREDENTIAL,
          value_parser = credential_name, conflicts_with_all = ["identity", "passphrase_stdin"])]
    credential: Option<String>,
    /// Unseal at once with the passphrase in the first line of stdin.
    #[arg(long)]
    passphrase_stdin: bool,
    /// Start sealed, without asking for a passphrase.
    #[arg(long, conflicts_with_all = ["identity", "credential", "passphrase_stdin"])]
    sealed: bool,
}

/// What the credential is called unless it is said otherwise.
const CREDENTIAL: &str = "claviger.identity";

/// Runs the daemon in the foreground.
pub(super) async fn run(
    session: &mut Session<'_>,
    args: ServeArgs,
    adapters: bool,
    hooks: Hooks,
    ended: &mut Ended,
) -> Result<Report, Failure> {
    let config = session.config()?;
    if adapters && !config.single_user() {
        return Err(Failure::new("`up` runs everything as one user, and this vault is multi-user")
            .hint("run `claviger serve` and each `claviger-mcp NAME` as its own user"));
    }
    let ServeArgs { identity, credential, passphrase_stdin, sealed } = args;
    let file = match credential {
        Some(name) => Some(handed_over(&name)?),
        None => identity,
    };
    let unlock = match file {
        Some(path) => Some(Unlock::Identity(key_file::read(&path, Some(&config))?)),
        None if passphrase_stdin => Some(Unlock::Passphrase(entry::passphrase(session.world, true)?)),
        // A person who types `up` wants to work now.
        None if adapters && !sealed && session.world.ask.is_person() && has_passphrase(&config.keys_dir) => {
            session.world.note("An empty passphrase starts it sealed.");
            let passphrase = entry::passphrase(session.world, false)?;
            // EXPOSE: only whether it is empty.
            (!passphrase.expose_secret().is_empty()).then_some(Unlock::Passphrase(passphrase))
        }
        None => None,
    };
    *ended = (hooks.serve)(DaemonOptions { config, unlock, adapters }).await.map_err(|error| {
        Failure::new(format!("{error:#}")).hint("nothing runs now; correct it, then start again")
    })?;
    Ok(Report::text(String::new()))
}

/// The file of a credential that the service manager handed over.
fn handed_over(name: &str) -> Result<PathBuf, Failure> {
    let directory = env::CREDENTIALS_DIRECTORY.value().ok_or_else(|| {
        Failure::new("no credentials were handed over: CREDENTIALS_DIRECTORY is not set")
            .hint(format!("start it by systemd, with `LoadCredentialEncrypted={name}` in the unit"))
            .hint("or give --identity a file")
    })?;
    Ok(PathBuf::from(directory).join(name))
}

/// A name as systemd takes it for a credential (systemd.exec(5)): a file's, so it leads nowhere else.
fn credential_name(text: &str) -> Result<String, String> {
    let plain =
        !text.is_empty() && text.len() <= 255 && !text.contains(['/', '\0']) && text != "." && text != "..";
    plain
        .then(|| text.to_owned())
        .ok_or_else(|| "a credential's name is a file's name, without slashes".to_owned())
}

fn has_passphrase(keys: &std::path::Path) -> bool {
    Ring::read(keys).is_ok_and(|ring| ring.holders.iter().any(|holder| holder.kind == Kind::Passphrase))
}
