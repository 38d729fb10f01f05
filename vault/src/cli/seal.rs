//! `claviger seal` and `unseal`.

use std::path::PathBuf;

use clap::Args;
use claviger_proto::v1::unseal_request::Key;
use claviger_proto::v1::{SealRequest, UnsealRequest};
use serde_json::json;

use super::client::Session;
use super::failure::Failure;
use super::page::Tone;
use super::report::Report;
use super::{entry, key_file};

/// Arguments of `unseal`.
#[derive(Debug, Args)]
pub(super) struct UnsealArgs {
    /// An age identity file, instead of a passphrase.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_stdin")]
    identity: Option<PathBuf>,
    /// Read the passphrase from the first line of stdin.
    #[arg(long)]
    passphrase_stdin: bool,
}

/// Runs `claviger seal`.
pub(super) async fn seal(session: &mut Session<'_>) -> Result<Report, Failure> {
    session.admin().await?.seal(SealRequest {}).await?;
    let mut page = session.page();
    page.line("sealed: the vault starts anew without its key; nothing can be used until `claviger unseal`");
    Ok(Report::new(json!({ "sealed": true }), page))
}

/// Runs `claviger unseal`.
pub(super) async fn unseal(session: &mut Session<'_>, args: UnsealArgs) -> Result<Report, Failure> {
    // Whoever is to be asked for a passphrase should first know that a vault is there.
    let mut admin = session.admin().await?;
    let key = match args.identity {
        Some(path) => {
            let config = session.config().ok();
            Key::Identity(entry::into_message(&key_file::read(&path, config.as_ref())?))
        }
        None => {
            Key::Passphrase(entry::into_message(&entry::passphrase(session.world, args.passphrase_stdin)?))
        }
    };
    admin.unseal(UnsealRequest { key: Some(key) }).await.map_err(|status| {
        let mut failure = Failure::from(status);
        if failure.hints.is_empty() {
            failure.hints.push("try the other recipient: passphrase, or --identity FILE".to_owned());
        }
        failure
    })?;
    let mut page = session.page();
    page.toned(Tone::Good, "unsealed");
    Ok(Report::new(json!({ "sealed": false }), page))
}
