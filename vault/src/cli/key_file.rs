//! Identity files: read with care, written once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::config::Config;

/// The longest identity file, in bytes.
const MAX: u64 = 64 * 1024;

/// Reads an identity file: not readable by everybody and, unless the configuration allows it, not on the filesystem
/// where the store is, since one stolen disk would then open the vault.
pub(super) fn read(path: &Path, config: Option<&Config>) -> Result<SecretString, Failure> {
    let bad = |error: io::Error| {
        Failure::new(format!("the identity {} cannot be read: {error}", path.display()))
            .hint("give --identity the path of an age identity file")
    };
    let file = File::open(path).map_err(bad)?;
    let metadata = file.metadata().map_err(bad)?;
    if metadata.mode() & 0o007 != 0 && metadata.is_file() {
        return Err(Failure::new(format!("the identity {} can be read by everybody", path.display()))
            .hint(format!("`chmod 600 {}`; if others are on this machine, make a new one", path.display())));
    }
    if let Some(config) = config
        && !config.allow_key_on_disk
        && metadata.is_file()
        && device(&config.store_path)? == metadata.dev()
    {
        return Err(Failure::new(format!("the identity {} lies on the store's own filesystem", path.display()))
            .hint("keep it on another device")
            .hint("or set `allow-key-on-disk = true` in claviger.toml: then a stolen disk or backup opens the vault"));
    }
    // Room for all of it at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX as usize + 1));
    file.take(MAX + 1).read_to_end(&mut bytes).map_err(bad)?;
    if bytes.len() as u64 > MAX {
        return Err(bad(io::Error::other("it is longer than 64 KiB")));
    }
    let text = str::from_utf8(&bytes).map_err(|_| bad(io::Error::other("it is not text")))?;
    Ok(SecretString::from(text))
}

/// Writes a new identity into a file that must not be there yet: mode 0600, synced.
pub(super) fn write(path: &Path, identity: &SecretString, recipient: &str) -> Result<(), Failure> {
    let bad = |error: io::Error| {
        Failure::new(format!("the identity cannot be written to {}: {error}", path.display()))
            .hint("name a file that is not there yet, in a directory that is")
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(bad)?;
    // EXPOSE: the owner keeps the identity in this file; it is nowhere else.
    let text = Zeroizing::new(format!("# public key: {recipient}\n{}\n", identity.expose_secret()));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // It was made just now, by this process.
        let _ = std::fs::remove_file(path);
        bad(error)
    })
}

/// The device of a path, or of the nearest directory above it that exists.
pub(super) fn device(path: &Path) -> Result<u64, Failure> {
    let path = std::path::absolute(path)?;
    for above in path.ancestors() {
        match std::fs::metadata(above) {
            Ok(metadata) => return Ok(metadata.dev()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new("the root directory is missing"))
}

/// Whether a file that may not exist yet would lie inside a directory that may not exist yet; links are resolved as
/// far as there is something to resolve.
pub(super) fn is_inside(file: &Path, directory: &Path) -> Result<bool, Failure> {
    Ok(resolved(file)?.starts_with(resolved(directory)?))
}

fn resolved(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).map_err(io::Error::other)?;
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(path)
}
