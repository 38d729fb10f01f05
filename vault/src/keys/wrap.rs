//! The root key on disk: one age file per recipient.
//!
//! A directory holds `ring.toml` (see [`super::ring`]) and `NAME.age` for each recipient. Each of these is a whole age
//! file of its own, because a passphrase must be a file's only recipient (the age format, "scrypt recipient stanza").
//! The plaintext inside is `CLVROOT1 | vault id, 16 bytes | generation, 4 bytes big-endian | root key, 32 bytes`, so
//! that with the identity and the stock `age` program the key can be had even if all else is lost.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use age::{Decryptor, Encryptor};
use claviger_domain::id::VaultId;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::identity;
pub use super::ring::UnlockFault;
use super::ring::{self, Holder, Kind, Ring};
use super::root::{KEY_BYTES, RootKey};
use crate::port::Entropy;

/// Magic and version of the plaintext in an age file.
const MAGIC: &[u8; 8] = b"CLVROOT1";
/// Its whole length.
const PLAIN: usize = 8 + VaultId::BYTES + 4 + KEY_BYTES;
/// The shortest passphrase taken, in bytes. How good it is beyond that is its owner's care.
const MIN_PASSPHRASE: usize = 8;
/// The most recipients a ring has: unlocking by passphrase may try each.
const MAX_RECIPIENTS: usize = 16;

/// How costly a guess at a passphrase is: scrypt with `N = 2^log_n`, 1 KiB of memory for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkFactor(u8);

impl WorkFactor {
    /// 2^17: 128 MiB and about half a second. Pinned, because age's own choice depends on how busy the machine is.
    pub const PRODUCTION: Self = Self(17);
    /// What is taken when unlocking: a file that asks for more was not made by this program.
    const MAX: u8 = 18;

    /// A quick one for tests, which make and open many rings.
    #[must_use]
    pub const fn weak_for_tests() -> Self {
        Self(2)
    }

    /// The exponent.
    pub(super) const fn log_n(self) -> u8 {
        self.0
    }
}

/// One who shall be able to unlock the root key.
pub struct NewRecipient {
    /// 1 to 32 lower-case letters, digits or inner hyphens, such as `daily` or `recovery`.
    pub name: String,
    /// How.
    pub key: NewKey,
}

/// How a new recipient will unlock the root key.
pub enum NewKey {
    /// An X25519 recipient, `age1…`.
    X25519(String),
    /// A passphrase of at least 8 bytes.
    Passphrase(SecretString),
}

/// Why no ring was made. Nothing is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateFault {
    /// One recipient is one lost key away from losing all.
    #[error("a root key needs at least two recipients")]
    TooFew,
    /// More than 16.
    #[error("a root key has at most 16 recipients")]
    TooMany,
    /// There is a ring, or anything else, already.
    #[error("the key directory is not empty")]
    Exists,
    /// A recipient's name cannot be a file's name.
    #[error("a recipient's name is 1 to 32 lower-case letters, digits or inner hyphens")]
    BadName,
    /// Two recipients share a name, a key or a passphrase: they would be one.
    #[error("two recipients are the same")]
    Same,
    /// Not an X25519 recipient.
    #[error("a recipient is not an age X25519 recipient (age1…)")]
    BadRecipient,
    /// Shorter than 8 bytes.
    #[error("a passphrase has at least 8 bytes")]
    ShortPassphrase,
    /// age could not encrypt.
    #[error("the root key could not be wrapped")]
    Wrap,
    /// The file system refused.
    #[error("the key directory cannot be written: {0}")]
    Io(std::io::ErrorKind),
}

impl From<std::io::Error> for CreateFault {
    fn from(error: std::io::Error) -> Self {
        CreateFault::Io(error.kind())
    }
}

/// Makes a vault's first root key and wraps it for each recipient in `dir`, which must be empty or not there; the
/// directory above must be. All of it appears at once or not at all. Returns the key, for the first unsealing.
///
/// Takes about half a second per passphrase at [`WorkFactor::PRODUCTION`]: not for a runtime's own thread.
///
/// # Errors
/// See [`CreateFault`]; nothing is left behind.
pub fn create(
    dir: &Path,
    vault: VaultId,
    recipients: &[NewRecipient],
    entropy: &dyn Entropy,
    work: WorkFactor,
) -> Result<RootKey, CreateFault> {
    let holders = check(recipients)?;
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CreateFault::Exists);
    }
    let root = RootKey::new(vault, 1, entropy);
    let ring = Ring { vault, generation: root.generation(), check: root.check(), holders };
    let staging = Staging::new(dir, entropy)?;
    for recipient in recipients {
        let wrapped = wrap(&root, &recipient.key, work)?;
        staging.write(&format!("{}.age", recipient.name), &wrapped)?;
    }
    staging.write(ring::FILE, ring.to_toml().map_err(|_| CreateFault::Wrap)?.as_bytes())?;
    staging.publish(dir)?;
    Ok(root)
}

/// Unlocks the root key with the text of an age identity file.
///
/// # Errors
/// See [`UnlockFault`]; never tells anything of the identity.
pub fn unlock_with_identity(dir: &Path, text: &SecretString) -> Result<RootKey, UnlockFault> {
    let identity = identity::parse(text)?;
    let ring = Ring::read(dir)?;
    let own = identity.to_public().to_string();
    let is_key = |holder: &&Holder| matches!(holder.kind, Kind::X25519(_));
    if !ring.holders.iter().any(|holder| is_key(&holder)) {
        return Err(UnlockFault::NoSuchKind("identity"));
    }
    let holder = ring
        .holders
        .iter()
        .find(|holder| matches!(&holder.kind, Kind::X25519(key) if *key == own))
        .ok_or(UnlockFault::WrongIdentity)?;
    let plain = unwrap(dir, holder, &identity)?.ok_or(UnlockFault::Damaged("a wrapped key does not open"))?;
    decode(&ring, &plain)
}

/// Unlocks the root key with a passphrase. Costs about half a second and 128 MiB for each recipient with a passphrase:
/// not for a runtime's own thread, and to be rate-limited by who lets strangers reach it.
///
/// # Errors
/// See [`UnlockFault`]; a damaged stanza cannot be told from a wrong passphrase.
pub fn unlock_with_passphrase(dir: &Path, passphrase: SecretString) -> Result<RootKey, UnlockFault> {
    let ring = Ring::read(dir)?;
    let mut identity = age::scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(WorkFactor::MAX);
    let mut fault = UnlockFault::NoSuchKind("passphrase");
    for holder in ring.holders.iter().filter(|holder| holder.kind == Kind::Passphrase) {
        // One damaged file must not keep out the holder of another's passphrase.
        match unwrap(dir, holder, &identity) {
            Ok(Some(plain)) => return decode(&ring, &plain),
            Ok(None) if !matches!(fault, UnlockFault::Damaged(_)) => fault = UnlockFault::WrongPassphrase,
            Ok(None) => {}
            Err(other) => fault = other,
        }
    }
    Err(fault)
}

/// The recipients as the ring will name them, if they are fit to be one.
fn check(recipients: &[NewRecipient]) -> Result<Vec<Holder>, CreateFault> {
    if recipients.len() < 2 {
        return Err(CreateFault::TooFew);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(CreateFault::TooMany);
    }
    let mut holders = Vec::<Holder>::new();
    for (index, recipient) in recipients.iter().enumerate() {
        if !ring::is_name(&recipient.name) {
            return Err(CreateFault::BadName);
        }
        let kind = match &recipient.key {
            NewKey::X25519(text) => Kind::X25519(parse_recipient(text)?.to_string()),
            NewKey::Passphrase(passphrase) => {
                // EXPOSE: only its length is looked at.
                if passphrase.expose_secret().len() < MIN_PASSPHRASE {
                    return Err(CreateFault::ShortPassphrase);
                }
                Kind::Passphrase
            }
        };
        let same_key = matches!(kind, Kind::X25519(_)) && holders.iter().any(|other| other.kind == kind);
        let same_passphrase =
            recipients[..index].iter().any(|other| same_passphrase(&other.key, &recipient.key));
        if same_key || same_passphrase || holders.iter().any(|other| other.name == recipient.name) {
            return Err(CreateFault::Same);
        }
        holders.push(Holder { name: recipient.name.clone(), kind });
    }
    Ok(holders)
}

fn same_passphrase(one: &NewKey, two: &NewKey) -> bool {
    match (one, two) {
        (NewKey::Passphrase(one), NewKey::Passphrase(two)) => {
            // EXPOSE: compared in constant time.
            one.expose_secret().as_bytes().ct_eq(two.expose_secret().as_bytes()).into()
        }
        _ => false,
    }
}

fn parse_recipient(text: &str) -> Result<age::x25519::Recipient, CreateFault> {
    text.trim().parse().map_err(|_| CreateFault::BadRecipient)
}

/// A whole age file with the root key in it.
fn wrap(root: &RootKey, key: &NewKey, work: WorkFactor) -> Result<Vec<u8>, CreateFault> {
    let encryptor = match key {
        NewKey::X25519(text) => {
            let recipient = parse_recipient(text)?;
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        }
        NewKey::Passphrase(passphrase) => {
            let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
            recipient.set_work_factor(work.log_n());
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        }
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN));
    plain.extend_from_slice(MAGIC);
    plain.extend_from_slice(root.vault().as_bytes());
    plain.extend_from_slice(&root.generation().to_be_bytes());
    plain.extend_from_slice(root.bytes());
    let mut wrapped = Vec::new();
    let mut writer = encryptor.map_err(|_| CreateFault::Wrap)?.wrap_output(&mut wrapped)?;
    writer.write_all(&plain)?;
    writer.finish()?;
    Ok(wrapped)
}

/// What is in that holder's file; `None` if the identity does not open it.
fn unwrap(
    dir: &Path,
    holder: &Holder,
    identity: &dyn age::Identity,
) -> Result<Option<Zeroizing<Vec<u8>>>, UnlockFault> {
    use age::DecryptError as Fault;

    let wrapped = ring::read_small(&dir.join(format!("{}.age", holder.name)))?
        .ok_or(UnlockFault::Damaged("a wrapped key is missing"))?;
    let damaged = UnlockFault::Damaged("a wrapped key is not a well-formed age file");
    let decryptor = Decryptor::new_buffered(&wrapped[..]).map_err(|_| damaged.clone())?;
    if decryptor.is_scrypt() != (holder.kind == Kind::Passphrase) {
        return Err(UnlockFault::Damaged("a wrapped key is of another kind than the ring says"));
    }
    let reader = match decryptor.decrypt(std::iter::once(identity)) {
        Ok(reader) => reader,
        Err(Fault::NoMatchingKeys | Fault::DecryptionFailed | Fault::KeyDecryptionFailed) => return Ok(None),
        Err(Fault::ExcessiveWork { .. }) => {
            return Err(UnlockFault::Damaged("a wrapped key asks for more work than this program ever does"));
        }
        Err(_) => return Err(damaged),
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN + 1));
    // One byte more than there may be, so that a longer plaintext is seen; never grows, so nothing is left behind.
    reader.take(PLAIN as u64 + 1).read_to_end(&mut plain).map_err(|_| damaged)?;
    Ok(Some(plain))
}

/// The root key in a plaintext, if it is the one that the ring names.
fn decode(ring: &Ring, plain: &[u8]) -> Result<RootKey, UnlockFault> {
    let damaged = || UnlockFault::Damaged("a wrapped key does not hold a root key");
    let rest = plain.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (vault, rest) = rest.split_first_chunk::<{ VaultId::BYTES }>().ok_or_else(damaged)?;
    let (generation, key) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let key: &[u8; KEY_BYTES] = key.try_into().map_err(|_| damaged())?;
    if VaultId::from_bytes(*vault) != ring.vault {
        return Err(UnlockFault::OtherVault);
    }
    let root = RootKey::from_bytes(ring.vault, u32::from_be_bytes(*generation), key);
    if root.generation() != ring.generation || !bool::from(root.check().ct_eq(&ring.check)) {
        return Err(UnlockFault::OtherRoot);
    }
    Ok(root)
}

/// A directory beside the final one, which is renamed into place when it is complete; removed if it never is.
struct Staging(Option<PathBuf>);

impl Staging {
    fn new(dir: &Path, entropy: &dyn Entropy) -> Result<Self, CreateFault> {
        let name = dir.file_name().ok_or(CreateFault::Io(std::io::ErrorKind::InvalidInput))?;
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let mut staging = std::ffi::OsString::from(".");
        staging.push(name);
        staging.push(format!(".{:016x}", u64::from_be_bytes(random)));
        let path = dir.with_file_name(staging);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(Some(path)))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CreateFault> {
        let path = self.0.as_deref().unwrap_or(Path::new("")).join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(())
    }

    /// Puts it where it belongs; fails if something came there meanwhile (rename(2): only an empty directory yields).
    fn publish(mut self, dir: &Path) -> Result<(), CreateFault> {
        let Some(path) = self.0.as_deref() else { return Ok(()) };
        std::fs::File::open(path)?.sync_all()?;
        std::fs::rename(path, dir).map_err(|error| match error.kind() {
            std::io::ErrorKind::DirectoryNotEmpty
            | std::io::ErrorKind::AlreadyExists
            | std::io::ErrorKind::NotADirectory => CreateFault::Exists,
            other => CreateFault::Io(other),
        })?;
        self.0 = None;
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(above)?.sync_all()?;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What is in it opens for its recipients only; still, no half-made ring shall lie about.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
#[path = "wrap_tests.rs"]
mod tests;
