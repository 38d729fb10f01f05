//! Signed checkpoints: C2SP `tlog-checkpoint` in a C2SP `signed-note`, signed with Ed25519.
//!
//! ```text
//! claviger/vlt_…                     the origin, which is also the key's name
//! 1024                               how many records
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! store-revision 17                  the store was at least here
//!
//! — claviger/vlt_… Az3grl…           key id (4 bytes) and signature (64), base64
//! ```

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::id::VaultId;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::tree::{Hash, plain_hash};

/// The algorithm byte of Ed25519 in a signed note's keys.
const ED25519_ALGORITHM: u8 = 1;
/// What a line that carries the store's revision begins with.
const REVISION: &str = "store-revision ";

/// Why a checkpoint or a verifier key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// The key is not in the form `name+hex+base64`, or its id does not fit.
    #[error("not a verifier key")]
    Key,
    /// The text is not a signed note with a checkpoint in it.
    #[error("not a signed checkpoint")]
    Form,
    /// No signature of this key is there, or it does not fit the text.
    #[error("the checkpoint is not signed by this key")]
    Signature,
    /// It is signed, but for another log.
    #[error("the checkpoint belongs to another log")]
    Origin,
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: `claviger/` and the vault's id.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// A revision that the store had reached when this was signed; a store that is now older was rolled back.
    pub store_revision: Option<u64>,
}

/// The name of the vault's log and of its key.
#[must_use]
pub fn origin(vault: VaultId) -> String {
    format!("claviger/{vault}")
}

fn key_id(name: &str, public: &[u8]) -> [u8; 4] {
    let hash = plain_hash(&[name.as_bytes(), b"\n", &[ED25519_ALGORITHM], public]);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The public half: who checks needs nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: [u8; 32],
}

impl Verifier {
    /// The key in the form of `golang.org/x/mod/sumdb/note`: `name+hex+base64`. White space around it is ignored.
    ///
    /// # Errors
    /// [`BadNote::Key`].
    pub fn parse(text: &str) -> Result<Self, BadNote> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadNote::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| BadNote::Key)?;
        let [ED25519_ALGORITHM, public @ ..] = key.as_slice() else { return Err(BadNote::Key) };
        let public: [u8; 32] = public.try_into().map_err(|_| BadNote::Key)?;
        let verifier = Self { name: name.to_owned(), public };
        let bad_name = name.is_empty() || name.chars().any(char::is_whitespace);
        if bad_name || verifier.hex_id() != id { Err(BadNote::Key) } else { Ok(verifier) }
    }

    /// The key in that form, without a line end.
    #[must_use]
    pub fn text(&self) -> String {
        let key = [&[ED25519_ALGORITHM], self.public.as_slice()].concat();
        format!("{}+{}+{}", self.name, self.hex_id(), STANDARD.encode(key))
    }

    fn hex_id(&self) -> String {
        key_id(&self.name, &self.public).iter().fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The text above the signatures, if one of them is this key's. Signatures of others are passed over.
    ///
    /// # Errors
    /// [`BadNote::Form`] or [`BadNote::Signature`].
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, BadNote> {
        let split = note.rfind("\n\n").ok_or(BadNote::Form)? + 1;
        let (text, rest) = note.split_at(split);
        let signatures = rest.strip_prefix('\n').ok_or(BadNote::Form)?;
        if signatures.is_empty() || !signatures.ends_with('\n') {
            return Err(BadNote::Form);
        }
        let mut signed = false;
        for line in signatures.lines() {
            let (name, signature) =
                line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(BadNote::Form)?;
            let signature = STANDARD.decode(signature).map_err(|_| BadNote::Form)?;
            let (id, signature) = signature.split_first_chunk::<4>().ok_or(BadNote::Form)?;
            if name == self.name && *id == key_id(&self.name, &self.public) {
                UnparsedPublicKey::new(&ED25519, &self.public)
                    .verify(text.as_bytes(), signature)
                    .map_err(|_| BadNote::Signature)?;
                signed = true;
            }
        }
        if signed { Ok(text) } else { Err(BadNote::Signature) }
    }

    /// The checkpoint in a note that this key signed; its origin is the key's name.
    ///
    /// # Errors
    /// [`BadNote`].
    pub fn checkpoint(&self, note: &str) -> Result<Checkpoint, BadNote> {
        let mut lines = self.open(note)?.lines();
        let origin = lines.next().ok_or(BadNote::Form)?;
        if origin != self.name {
            return Err(BadNote::Origin);
        }
        let digits = lines.next().ok_or(BadNote::Form)?;
        let size: u64 = digits.parse().map_err(|_| BadNote::Form)?;
        if size.to_string() != digits {
            return Err(BadNote::Form);
        }
        let root = STANDARD.decode(lines.next().ok_or(BadNote::Form)?).map_err(|_| BadNote::Form)?;
        let root = root.try_into().map_err(|_| BadNote::Form)?;
        let store_revision = lines
            .find_map(|line| line.strip_prefix(REVISION))
            .map(|digits| digits.parse().map_err(|_| BadNote::Form))
            .transpose()?;
        Ok(Checkpoint { origin: origin.to_owned(), size, root, store_revision })
    }
}

/// The signing key. Exists only while the vault is unsealed.
pub struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key of that seed, named after the vault; `None` where the library refuses the seed.
    #[must_use]
    pub fn new(vault: VaultId, seed: &[u8; 32]) -> Option<Self> {
        Some(Self { name: origin(vault), pair: Ed25519KeyPair::from_seed_unchecked(seed).ok()? })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        Verifier { name: self.name.clone(), public }
    }

    /// The signed note for a tree of that size and root.
    #[must_use]
    pub fn sign(&self, size: u64, root: &Hash, store_revision: Option<u64>) -> String {
        let mut text = format!("{}\n{size}\n{}\n", self.name, STANDARD.encode(root));
        if let Some(revision) = store_revision {
            let _ = writeln!(text, "{REVISION}{revision}");
        }
        let id = key_id(&self.name, self.pair.public_key().as_ref());
        let signature = [id.as_slice(), self.pair.sign(text.as_bytes()).as_ref()].concat();
        format!("{text}\n— {} {}\n", self.name, STANDARD.encode(signature))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    fn signer() -> Signer {
        Signer::new(VaultId::from_bytes([0xab; 16]), &[7; 32]).unwrap()
    }

    /// The example in the documentation of `golang.org/x/mod/sumdb/note`.
    #[test]
    fn opens_the_note_of_the_reference_implementation() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        let verifier = Verifier::parse(key).unwrap();
        assert_eq!(verifier.text(), key);
        assert_eq!(verifier.open(&note), Ok(text));
        assert_eq!(verifier.open(&note.replace("answer", "question")), Err(BadNote::Signature));
    }

    #[test]
    fn what_is_signed_is_read() {
        let signer = signer();
        let note = signer.sign(1024, &[3; 32], Some(17));
        assert!(note.starts_with("claviger/vlt_abababababababababababababababab\n1024\nAwMD"), "{note}");
        let verifier = Verifier::parse(&signer.verifier().text()).unwrap();
        assert_eq!(
            verifier.checkpoint(&note),
            Ok(Checkpoint {
                origin: "claviger/vlt_abababababababababababababababab".to_owned(),
                size: 1024,
                root: [3; 32],
                store_revision: Some(17)
            })
        );
        assert_eq!(verifier.checkpoint(&signer.sign(0, &[0; 32], None)).unwrap().store_revision, None);
        let cosigned = format!("{note}— witness.example AAAAAAAA\n");
        assert!(verifier.checkpoint(&cosigned).is_ok());
    }

    #[test]
    fn a_changed_note_is_refused_whatever_byte_changed() {
        let note = signer().sign(5, &[3; 32], Some(1));
        let verifier = signer().verifier();
        for at in 0..note.len() {
            for flip in [1, 0x20, 0x80] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= flip;
                if let Ok(bent) = String::from_utf8(bytes) {
                    assert!(verifier.checkpoint(&bent).is_err(), "byte {at}: {bent}");
                }
            }
        }
        let other = Signer::new(VaultId::from_bytes([0xab; 16]), &[8; 32]).unwrap();
        assert_eq!(verifier.checkpoint(&other.sign(5, &[3; 32], None)), Err(BadNote::Signature));
    }

    #[test]
    fn bad_keys_are_refused() {
        let good = signer().verifier().text();
        for bad in ["", "a", "a+b", "a+00000000+AAAA", &good[1..], &good[..good.len() - 4]] {
            assert_eq!(Verifier::parse(bad), Err(BadNote::Key), "{bad}");
        }
    }
}
