//! The ring: who can unlock the root key. It holds no secret and is readable while the vault is sealed.
//!
//! `ring.toml` names vault, generation and recipients; `NAME.age` beside it is the root key for that recipient. Nothing
//! signs the ring: whoever can write it can also replace the wrapped keys. The records are what shows that, since
//! they open under the right root key only.

use std::io::Read as _;
use std::path::Path;

use claviger_domain::id::VaultId;
use serde::{Deserialize, Serialize};

/// The ring's file name.
pub(super) const FILE: &str = "ring.toml";
/// The only layout there is so far.
const VERSION: u32 = 1;
/// No ring and no wrapped key is longer, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Why the root key was not unlocked, or the ring not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnlockFault {
    /// There is no ring: the vault was never initialised here.
    #[error("there is no key ring in that directory")]
    NoRing,
    /// The ring is well, but this identity is none of its recipients.
    #[error("this identity is not one that the vault's root key was wrapped for")]
    WrongIdentity,
    /// No recipient has this passphrase.
    #[error("the passphrase does not fit")]
    WrongPassphrase,
    /// No recipient is of that kind.
    #[error("the root key is not wrapped for any {0}")]
    NoSuchKind(&'static str),
    /// The text handed over is no identity.
    #[error(transparent)]
    BadIdentity(#[from] super::identity::BadIdentity),
    /// The wrapped key is that of another vault.
    #[error("the wrapped key belongs to another vault")]
    OtherVault,
    /// The wrapped key is an older or newer root of this vault than the ring names, or another altogether.
    #[error("the wrapped key is another root key than the one this ring names")]
    OtherRoot,
    /// A newer program wrote the ring.
    #[error("the key ring was written by a newer version of this program")]
    Newer,
    /// A file is not what was written.
    #[error("the key ring is damaged: {0}")]
    Damaged(&'static str),
    /// The file system refused.
    #[error("the key ring cannot be read: {0}")]
    Io(std::io::ErrorKind),
}

/// How a recipient opens the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// With the identity of this X25519 recipient (`age1…`).
    X25519(String),
    /// With a passphrase.
    Passphrase,
}

/// One who can unlock the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name in the ring, such as `daily`.
    pub name: String,
    /// How it opens the key.
    pub kind: Kind,
}

/// What `ring.toml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The vault.
    pub vault: VaultId,
    /// Which root key of that vault: 1 for the first.
    pub generation: u32,
    /// Tells root keys apart, see [`super::root::RootKey`].
    pub(super) check: [u8; 8],
    /// Who can unlock it.
    pub holders: Vec<Holder>,
}

impl Ring {
    /// Reads the ring of that directory.
    ///
    /// # Errors
    /// If there is none, it cannot be read, is damaged or newer than this program.
    pub fn read(dir: &Path) -> Result<Self, UnlockFault> {
        let bytes = read_small(&dir.join(FILE))?.ok_or(UnlockFault::NoRing)?;
        let text = str::from_utf8(&bytes).map_err(|_| UnlockFault::Damaged("ring.toml is not text"))?;
        let version: Version =
            toml::from_str(text).map_err(|_| UnlockFault::Damaged("ring.toml does not parse"))?;
        if version.version > VERSION {
            return Err(UnlockFault::Newer);
        }
        let raw: Raw = toml::from_str(text).map_err(|_| UnlockFault::Damaged("ring.toml does not parse"))?;
        raw.try_into()
    }

    pub(super) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let recipient = self.holders.iter().map(|holder| match &holder.kind {
            Kind::X25519(key) => {
                RawHolder { name: holder.name.clone(), kind: RawKind::X25519, recipient: Some(key.clone()) }
            }
            Kind::Passphrase => {
                RawHolder { name: holder.name.clone(), kind: RawKind::Passphrase, recipient: None }
            }
        });
        toml::to_string(&Raw {
            version: VERSION,
            vault: self.vault.to_string(),
            generation: self.generation,
            check: format!("{:016x}", u64::from_be_bytes(self.check)),
            recipient: recipient.collect(),
        })
    }
}

/// Whether it can be a holder's name and so a file's: 1 to 32 lower-case letters, digits or inner hyphens.
pub(super) fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A file's bytes, `None` if it is not there; a file that is too long is damaged, and not read to its end.
pub(super) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, UnlockFault> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(UnlockFault::Io(error.kind())),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| UnlockFault::Io(error.kind()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(UnlockFault::Damaged("a file is too long"));
    }
    Ok(Some(bytes))
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    vault: String,
    generation: u32,
    check: String,
    recipient: Vec<RawHolder>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHolder {
    name: String,
    kind: RawKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    X25519,
    Passphrase,
}

impl TryFrom<Raw> for Ring {
    type Error = UnlockFault;

    fn try_from(raw: Raw) -> Result<Self, UnlockFault> {
        let Raw { version, vault, generation, check, recipient } = raw;
        let vault = vault.parse().map_err(|_| UnlockFault::Damaged("the vault's id is malformed"))?;
        let digits = check.len() == 16 && check.bytes().all(|b| b.is_ascii_hexdigit());
        let check = u64::from_str_radix(&check, 16).ok().filter(|_| digits);
        let check = check.ok_or(UnlockFault::Damaged("the check value is malformed"))?.to_be_bytes();
        if version == 0 || generation == 0 {
            return Err(UnlockFault::Damaged("a number that counts from 1 is 0"));
        }
        let mut holders = Vec::<Holder>::new();
        for RawHolder { name, kind, recipient } in recipient {
            // A name becomes a file name: what is none would reach outside the directory.
            if !is_name(&name) || holders.iter().any(|other| other.name == name) {
                return Err(UnlockFault::Damaged("a recipient's name is malformed or there twice"));
            }
            let kind = match (kind, recipient) {
                (RawKind::X25519, Some(key)) => Kind::X25519(key),
                (RawKind::Passphrase, None) => Kind::Passphrase,
                _ => return Err(UnlockFault::Damaged("a recipient's kind and key do not fit")),
            };
            holders.push(Holder { name, kind });
        }
        Ok(Self { vault, generation, check, holders })
    }
}
