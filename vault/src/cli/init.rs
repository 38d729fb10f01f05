//! `claviger init`: a new vault, with two ways to unlock it from the first day.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use claviger_domain::id::VaultId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::client::Session;
use super::failure::Failure;
use super::page::Tone;
use super::report::Report;
use super::world::World;
use super::{entry, key_file};
use crate::config::{FILE, Fresh, Mode, overflow_uid, write_fresh};
use crate::keys::entropy::SystemEntropy;
use crate::keys::identity::identity_new;
use crate::keys::wrap::{CreateFault, NewKey, NewRecipient, WorkFactor, create};
use crate::port::Entropy;

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Everything runs as one user (the default): simple, and no isolation.
    #[arg(long, conflicts_with = "multi_user")]
    single_user: bool,
    /// Agents, adapters and admins are operating-system users of their own.
    #[arg(long, requires = "admin_uid")]
    multi_user: bool,
    /// Who may administer a multi-user vault; can be repeated.
    #[arg(long, value_name = "N", requires = "multi_user")]
    admin_uid: Vec<u32>,
    /// Where the sockets go.
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// How it is unlocked day by day: `passphrase` (the default), or an age recipient.
    #[arg(long, value_name = "passphrase|age1…")]
    daily: Option<String>,
    /// Make a new identity for the daily start, and write it to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "daily")]
    daily_identity_out: Option<PathBuf>,
    /// An age recipient whose identity you keep elsewhere. Without it, a new identity is made and shown once.
    #[arg(long, value_name = "age1…")]
    recovery: Option<String>,
    /// Write the new recovery identity to this file instead of showing it.
    #[arg(long, value_name = "FILE", conflicts_with = "recovery")]
    recovery_out: Option<PathBuf>,
    /// Read the passphrase from the first line of stdin.
    #[arg(long, conflicts_with = "daily_identity_out")]
    passphrase_stdin: bool,
    /// An identity may lie on the vault's own disk. Then a stolen disk or backup opens the vault.
    #[arg(long)]
    allow_key_on_disk: bool,
}

/// A new identity and what becomes of it.
struct New {
    identity: SecretString,
    recipient: String,
    file: Option<PathBuf>,
}

/// Runs `claviger init`.
pub(super) fn run(session: &mut Session<'_>, args: InitArgs) -> Result<Report, Failure> {
    let home = std::path::absolute(session.home()?)?;
    let mode = mode(&args)?;
    refuse_existing(&home)?;
    check_places(session.world, &home, &args)?;

    let (daily, daily_new) = match (args.daily.as_deref(), &args.daily_identity_out) {
        (_, Some(file)) => {
            let new = New::make(Some(file));
            (NewKey::X25519(new.recipient.clone()), Some(new))
        }
        (None | Some("passphrase"), None) => {
            (NewKey::Passphrase(entry::new_passphrase(session.world, args.passphrase_stdin)?), None)
        }
        (Some(recipient), None) => (recipient_key("--daily", recipient)?, None),
    };
    let (recovery, recovery_new) = match &args.recovery {
        Some(recipient) => (recipient_key("--recovery", recipient)?, None),
        None => {
            let new = New::make(args.recovery_out.as_deref());
            (NewKey::X25519(new.recipient.clone()), Some(new))
        }
    };
    let recipients = [("daily", daily), ("recovery", recovery)]
        .map(|(name, key)| NewRecipient { name: name.to_owned(), key });
    let fresh = Fresh { mode, run_dir: args.run_dir.clone(), allow_key_on_disk: args.allow_key_on_disk };

    let mut made = Made::default();
    let vault = make(&mut made, &home, &fresh, &recipients, [&daily_new, &recovery_new])?;
    made.keep();
    Ok(report(session, &home, &fresh, vault, daily_new.as_ref(), recovery_new.as_ref()))
}

fn mode(args: &InitArgs) -> Result<Mode, Failure> {
    if !args.multi_user {
        return Ok(Mode::SingleUser);
    }
    let mut admin_uids = args.admin_uid.clone();
    admin_uids.sort_unstable();
    admin_uids.dedup();
    if admin_uids.iter().any(|uid| *uid == overflow_uid() || *uid == u32::MAX) {
        return Err(Failure::usage("one of the admins is not a user: it is the overflow uid, or -1")
            .hint("`id -u NAME` tells a user's id"));
    }
    Ok(Mode::MultiUser { admin_uids })
}

/// A vault is never made over anything.
fn refuse_existing(home: &Path) -> Result<(), Failure> {
    if home.join(FILE).exists() || home.join("keys").exists() {
        return Err(Failure::new(format!("there is a vault in {} already", home.display()))
            .hint("give --home DIR for another one; `claviger status` says how this one is"));
    }
    match std::fs::read_dir(home).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Failure::new(format!("{} is not empty", home.display()))
            .hint("give --home DIR, empty or not there yet")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::new(format!("{}: {error}", home.display())).hint("give --home DIR")),
    }
}

/// Whether the new identities go where they are worth something.
fn check_places(world: &mut World, home: &Path, args: &InitArgs) -> Result<(), Failure> {
    if let Some(file) = &args.daily_identity_out
        && !args.allow_key_on_disk
        && key_file::device(file)? == key_file::device(home)?
    {
        return Err(Failure::new(format!("{} would lie on the vault's own filesystem", file.display()))
            .hint("name a file on another device")
            .hint("or say --allow-key-on-disk: then a stolen disk or backup opens the vault"));
    }
    let Some(file) = &args.recovery_out else { return Ok(()) };
    if !args.allow_key_on_disk && key_file::is_inside(file, home)? {
        return Err(Failure::new(
            "the recovery identity would lie inside the vault, and be lost and stolen with it",
        )
        .hint("name a file elsewhere, best on a device that you then put away"));
    }
    if key_file::device(file)? == key_file::device(home)? {
        world.note("note: the recovery identity will lie on the vault's own disk: move it away from there");
    }
    Ok(())
}

fn recipient_key(flag: &str, text: &str) -> Result<NewKey, Failure> {
    if text.starts_with("AGE-SECRET-KEY-") {
        // It is in the shell's history now; telling so is all that can be done.
        return Err(Failure::usage(format!(
            "{flag} takes a recipient (age1…), and that is a private identity"
        ))
        .hint("make a new identity: this one now stands in your shell's history"));
    }
    if !text.starts_with("age1") {
        return Err(Failure::usage(format!("{flag} takes an age recipient (age1…)"))
            .hint("`age-keygen -y FILE` shows it"));
    }
    Ok(NewKey::X25519(text.to_owned()))
}

impl New {
    fn make(file: Option<&Path>) -> Self {
        let (identity, recipient) = identity_new();
        Self { identity, recipient, file: file.map(Path::to_owned) }
    }
}

/// What was made so far, to be taken away again if the rest fails.
#[derive(Default)]
struct Made {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Made {
    fn keep(&mut self) {
        self.files.clear();
        self.directories.clear();
    }

    fn directory(&mut self, path: &Path) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::new(format!("{} cannot be made: {error}", path.display()))
                .hint("give --home DIR, where you may write")
        };
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.directories.push(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        for directory in self.directories.iter().rev() {
            // Only what is empty again: nothing of anybody else's is ever taken away.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// Identities first: a vault whose key nobody was given would be lost at once.
fn make(
    made: &mut Made,
    home: &Path,
    fresh: &Fresh,
    recipients: &[NewRecipient],
    new: [&Option<New>; 2],
) -> Result<VaultId, Failure> {
    if let Some(above) = home.parent() {
        std::fs::create_dir_all(above)?;
    }
    made.directory(home)?;
    for new in new.into_iter().flatten() {
        if let Some(file) = &new.file {
            key_file::write(file, &new.identity, &new.recipient)?;
            made.files.push(file.clone());
        }
    }
    write_fresh(home, fresh)?;
    made.files.push(home.join(FILE));
    for name in ["store", "audit", "services"] {
        made.directory(&home.join(name))?;
    }
    let entropy = SystemEntropy::new();
    let mut id = [0; VaultId::BYTES];
    entropy.fill(&mut id);
    let vault = VaultId::from_bytes(id);
    create(&home.join("keys"), vault, recipients, &entropy, WorkFactor::PRODUCTION).map_err(|fault| {
        let failure = Failure::new(format!("no vault was made: {fault}"));
        match fault {
            CreateFault::BadRecipient => {
                failure.hint("look at --daily and --recovery: `age-keygen -y FILE` shows a recipient")
            }
            CreateFault::Same => failure.hint("daily and recovery must be two keys, kept in two places"),
            _ => failure.hint("give --home DIR, where you may write"),
        }
    })?;
    Ok(vault)
}

fn report(
    session: &Session<'_>,
    home: &Path,
    fresh: &Fresh,
    vault: VaultId,
    daily: Option<&New>,
    recovery: Option<&New>,
) -> Report {
    let mut page = session.page();
    page.toned(Tone::Good, format!("a new vault is in {}", home.display()));
    let file =
        |new: Option<&New>| new.and_then(|new| new.file.as_ref()).map(|file| file.display().to_string());
    page.fields(&[
        ("vault", vault.to_string()),
        ("daily identity", file(daily).unwrap_or_default()),
        ("recovery identity", file(recovery).unwrap_or_default()),
    ]);
    let shown = recovery.filter(|new| new.file.is_none());
    if let Some(new) = shown {
        page.gap();
        page.line("This is the recovery identity. It is shown once and stored nowhere. Write it down, or keep it on");
        page.line("another device; with it the vault opens when the daily key is lost:");
        page.gap();
        // EXPOSE: shown once to the owner, who asked for no other place to keep it.
        page.line(format!("  {}", new.identity.expose_secret()));
        page.gap();
    }
    if fresh.mode == Mode::SingleUser {
        page.toned(
            Tone::Alarm,
            "warning: single-user: agents that run as this user are not isolated from the vault",
        );
    }
    if fresh.allow_key_on_disk {
        page.toned(
            Tone::Alarm,
            "warning: an identity may lie on this disk: a stolen disk or backup opens the vault",
        );
    }
    let start = match file(daily) {
        Some(file) => format!("--identity {file}"),
        None => String::new(),
    };
    let start = match fresh.mode {
        Mode::SingleUser => format!("claviger up {start}"),
        Mode::MultiUser { .. } => format!("claviger serve {start}"),
    };
    page.line(format!("next: {}", start.trim_end()));
    // EXPOSE: as above, for an owner who asked for JSON.
    let shown = shown.map(|new| new.identity.expose_secret());
    let json = json!({
        "home": home.to_string_lossy(),
        "vault": vault.to_string(),
        "daily_identity_file": file(daily),
        "daily_recipient": daily.map(|new| new.recipient.as_str()),
        "recovery_identity_file": file(recovery),
        "recovery_recipient": recovery.map(|new| new.recipient.as_str()),
        "recovery_identity": shown,
    });
    Report::new(json, page)
}
