//! Sealing records: one key per purpose, a fresh subkey per write.
//!
//! A sealed record is `version byte 1 | salt, 32 bytes | AES-256-GCM ciphertext and tag`. The subkey comes from the
//! purpose's key and the random salt and is used once, so the nonce can be all zeros. The associated data binds vault,
//! purpose, path, version and root generation: a record that was moved, replayed under another version or taken from
//! another vault does not open.
//!
//! The purposes' keys lie on one guarded page; the root key is dropped once they are derived. What `ring` keeps of a
//! subkey (HMAC state, AES key schedule) lives for one call and is not wiped by `ring`: sealing ends with an `exec`.

use std::sync::{Arc, PoisonError, RwLock};

use claviger_domain::id::VaultId;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::Zeroizing;

use super::guard::{Guard, Kind};
use super::root::{KEY_BYTES, RootKey, expand, length_prefixed};
use crate::port::{Entropy, Purpose, SealFault, Sealer};

/// The first byte of every record that this code writes.
const FORMAT: u8 = 1;
/// Random bytes in each record from which its subkey comes.
const SALT: usize = 32;
/// Where the ciphertext begins.
const HEAD: usize = 1 + SALT;
/// AES-GCM's tag.
const TAG: usize = 16;

/// Every purpose, in the order of the page that holds their keys.
const PURPOSES: [Purpose; 6] = [
    Purpose::Record,
    Purpose::Sidecar,
    Purpose::Handle,
    Purpose::Registry,
    Purpose::Digest,
    Purpose::Checkpoint,
];

/// The purpose's place in [`PURPOSES`] and the label its key is derived with. Both are for ever.
const fn place(purpose: Purpose) -> (usize, &'static [u8]) {
    match purpose {
        Purpose::Record => (0, b"record"),
        Purpose::Sidecar => (1, b"sidecar"),
        Purpose::Handle => (2, b"handle"),
        Purpose::Registry => (3, b"registry"),
        Purpose::Digest => (4, b"digest"),
        Purpose::Checkpoint => (5, b"checkpoint"),
    }
}

/// The vault is unsealed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the vault is unsealed already")]
pub struct AlreadyUnsealed;

/// Seals and opens records once it was given a root key; until then it refuses everything.
pub struct VaultSealer {
    entropy: Arc<dyn Entropy>,
    keys: RwLock<Option<Keys>>,
}

struct Keys {
    vault: VaultId,
    generation: u32,
    page: Guard,
}

impl VaultSealer {
    /// A sealed one. Salts will come from that source.
    #[must_use]
    pub fn sealed(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, keys: RwLock::new(None) }
    }

    /// Derives the purposes' keys and wipes the root key.
    ///
    /// # Errors
    /// If it holds keys already: they stay, and the new root is wiped.
    pub fn unseal(&self, root: RootKey) -> Result<(), AlreadyUnsealed> {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Err(AlreadyUnsealed);
        }
        let mut page = Guard::new(PURPOSES.len() * KEY_BYTES);
        for (purpose, key) in PURPOSES.iter().zip(page.bytes_mut().chunks_exact_mut(KEY_BYTES)) {
            root.derive(place(*purpose).1, key);
        }
        *held = Some(Keys { vault: root.vault(), generation: root.generation(), page });
        Ok(())
    }

    /// Wipes the keys; every later call is refused as sealed. Calls that run now are waited for.
    pub fn forget(&self) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it holds keys.
    #[must_use]
    pub fn is_unsealed(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// How well its keys are guarded; `None` while sealed.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|keys| keys.page.kind())
    }

    fn with<T>(&self, run: impl FnOnce(&Keys) -> Result<T, SealFault>) -> Result<T, SealFault> {
        run(self.keys.read().unwrap_or_else(PoisonError::into_inner).as_ref().ok_or(SealFault::Sealed)?)
    }
}

impl std::fmt::Debug for VaultSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_unsealed() { "VaultSealer(unsealed)" } else { "VaultSealer(sealed)" })
    }
}

impl Keys {
    fn of(&self, purpose: Purpose) -> &[u8] {
        let start = place(purpose).0 * KEY_BYTES;
        &self.page.bytes()[start..start + KEY_BYTES]
    }

    /// The cipher under the single-use key of that salt.
    fn cipher(&self, purpose: Purpose, salt: &[u8]) -> Result<LessSafeKey, SealFault> {
        let mut subkey = Zeroizing::new([0; KEY_BYTES]);
        expand(self.of(purpose), &[b"claviger/v1/seal", salt], subkey.as_mut());
        // Fails only for a key of the wrong length, which an array of 32 bytes does not have.
        UnboundKey::new(&AES_256_GCM, subkey.as_ref()).map(LessSafeKey::new).map_err(|_| SealFault::Forged)
    }

    fn associated(&self, purpose: Purpose, path: &str, version: u64) -> Aad<Vec<u8>> {
        Aad::from(length_prefixed(&[
            b"claviger/v1/record",
            self.vault.as_bytes(),
            place(purpose).1,
            path.as_bytes(),
            &version.to_be_bytes(),
            &self.generation.to_be_bytes(),
        ]))
    }
}

/// The subkey is never used twice, so neither is this nonce under one key.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl Sealer for VaultSealer {
    fn seal(&self, purpose: Purpose, path: &str, version: u64, plain: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.with(|keys| {
            // Its final size at once: a growing vector would leave plaintext behind in memory that was given back.
            let mut record = Zeroizing::new(Vec::with_capacity(HEAD + plain.len() + TAG));
            record.push(FORMAT);
            record.resize(HEAD, 0);
            self.entropy.fill(&mut record[1..HEAD]);
            let cipher = keys.cipher(purpose, &record[1..HEAD])?;
            record.extend_from_slice(plain);
            // Fails only above 64 GiB (NIST SP 800-38D, 5.2.1.1).
            let tag = cipher
                .seal_in_place_separate_tag(
                    only_nonce(),
                    keys.associated(purpose, path, version),
                    &mut record[HEAD..],
                )
                .map_err(|_| SealFault::Forged)?;
            record.extend_from_slice(tag.as_ref());
            Ok(std::mem::take(&mut *record))
        })
    }

    fn open(
        &self,
        purpose: Purpose,
        path: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealFault> {
        self.with(|keys| {
            if sealed.len() < HEAD + TAG || sealed[0] != FORMAT {
                return Err(SealFault::Forged);
            }
            let cipher = keys.cipher(purpose, &sealed[1..HEAD])?;
            let (body, tag) = sealed[HEAD..].split_at(sealed.len() - HEAD - TAG);
            let tag = Tag::try_from(tag).map_err(|_| SealFault::Forged)?;
            let mut plain = Zeroizing::new(body.to_vec());
            let associated = keys.associated(purpose, path, version);
            cipher
                .open_in_place_separate_tag(only_nonce(), associated, tag, &mut plain, 0..)
                .map_err(|_| SealFault::Forged)?;
            Ok(plain)
        })
    }

    fn derive(&self, purpose: Purpose, info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, SealFault> {
        self.with(|keys| {
            let mut fields: Vec<&[u8]> = Vec::with_capacity(info.len() + 1);
            // Keeps what is derived for callers apart from the subkeys of records.
            fields.push(b"claviger/v1/derive");
            fields.extend_from_slice(info);
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            expand(keys.of(purpose), &fields, key.as_mut());
            Ok(key)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::keys::entropy::SystemEntropy;

    const PLAIN: &[u8] = b"what an upstream would accept";

    fn vault(id: u8, generation: u32, key: u8) -> VaultSealer {
        let sealer = VaultSealer::sealed(Arc::new(SystemEntropy::new()));
        sealer.unseal(RootKey::from_bytes(VaultId::from_bytes([id; 16]), generation, &[key; 32])).unwrap();
        sealer
    }

    #[test]
    fn opens_what_it_sealed() {
        let here = vault(1, 1, 1);
        for plain in [&b""[..], PLAIN, &[0; 100_000]] {
            let sealed = here.seal(Purpose::Record, "secret/a", 3, plain).unwrap();
            assert_eq!(sealed.len(), HEAD + plain.len() + TAG);
            assert_eq!(*here.open(Purpose::Record, "secret/a", 3, &sealed).unwrap(), plain);
            assert_eq!(*vault(1, 1, 1).open(Purpose::Record, "secret/a", 3, &sealed).unwrap(), plain);
        }
    }

    #[test]
    fn a_record_opens_only_where_it_belongs() {
        let here = vault(1, 1, 1);
        let sealed = here.seal(Purpose::Record, "secret/a", 3, PLAIN).unwrap();
        let forged = Err(SealFault::Forged);
        let open = |sealer: &VaultSealer, purpose, path, version| {
            sealer.open(purpose, path, version, &sealed).map(|plain| plain.to_vec())
        };
        assert_eq!(open(&here, Purpose::Record, "secret/b", 3), forged, "moved");
        assert_eq!(open(&here, Purpose::Record, "secret/a", 2), forged, "older version");
        assert_eq!(open(&here, Purpose::Record, "secret/a", 4), forged, "newer version");
        assert_eq!(open(&vault(2, 1, 1), Purpose::Record, "secret/a", 3), forged, "other vault, same key");
        assert_eq!(
            open(&vault(1, 2, 1), Purpose::Record, "secret/a", 3),
            forged,
            "other generation, same key"
        );
        assert_eq!(open(&vault(1, 1, 2), Purpose::Record, "secret/a", 3), forged, "other root key");
        for purpose in &PURPOSES[1..] {
            assert_eq!(open(&here, *purpose, "secret/a", 3), forged, "{purpose:?}");
        }
        assert_eq!(open(&here, Purpose::Record, "secret/a", 3).unwrap(), PLAIN);
    }

    /// Subkeys already differ by root, vault, purpose and generation; this holds the associated data by itself.
    #[test]
    fn the_associated_data_names_everything() {
        let keys = |id, generation| Keys {
            vault: VaultId::from_bytes([id; 16]),
            generation,
            page: Guard::new(PURPOSES.len() * KEY_BYTES),
        };
        let all = [
            keys(1, 1).associated(Purpose::Record, "a", 1),
            keys(2, 1).associated(Purpose::Record, "a", 1),
            keys(1, 2).associated(Purpose::Record, "a", 1),
            keys(1, 1).associated(Purpose::Sidecar, "a", 1),
            keys(1, 1).associated(Purpose::Record, "b", 1),
            keys(1, 1).associated(Purpose::Record, "a", 2),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().map(|aad| aad.as_ref().to_vec()).collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let here = vault(1, 1, 1);
        let sealed = here.seal(Purpose::Record, "p", 1, PLAIN).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(here.open(Purpose::Record, "p", 1, &changed), Err(SealFault::Forged), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(
                here.open(Purpose::Record, "p", 1, &sealed[..len]),
                Err(SealFault::Forged),
                "cut at {len}"
            );
        }
        let longer = [&sealed[..], b"\0"].concat();
        assert_eq!(here.open(Purpose::Record, "p", 1, &longer), Err(SealFault::Forged));
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        let here = vault(1, 1, 1);
        let (one, two) = (
            here.seal(Purpose::Record, "p", 1, PLAIN).unwrap(),
            here.seal(Purpose::Record, "p", 1, PLAIN).unwrap(),
        );
        assert_ne!(one[1..HEAD], two[1..HEAD]);
        assert_ne!(one[HEAD..], two[HEAD..]);
    }

    #[test]
    fn sealed_means_sealed() {
        let sealer = VaultSealer::sealed(Arc::new(SystemEntropy::new()));
        let refused = |sealer: &VaultSealer| {
            assert!(!sealer.is_unsealed() && sealer.kind().is_none());
            assert_eq!(sealer.seal(Purpose::Record, "p", 1, PLAIN), Err(SealFault::Sealed));
            assert_eq!(sealer.open(Purpose::Record, "p", 1, &[1; 100]), Err(SealFault::Sealed));
            assert_eq!(sealer.derive(Purpose::Handle, &[]), Err(SealFault::Sealed));
        };
        refused(&sealer);
        let root = || RootKey::from_bytes(VaultId::from_bytes([1; 16]), 1, &[1; 32]);
        sealer.unseal(root()).unwrap();
        assert!(sealer.is_unsealed() && sealer.kind().is_some());
        assert_eq!(sealer.unseal(root()), Err(AlreadyUnsealed));
        sealer.seal(Purpose::Record, "p", 1, PLAIN).unwrap();
        sealer.forget();
        refused(&sealer);
    }

    #[test]
    fn derived_keys_depend_on_purpose_and_every_field() {
        let here = vault(1, 1, 1);
        let derive = |purpose, info: &[&[u8]]| *here.derive(purpose, info).unwrap();
        let base = derive(Purpose::Handle, &[b"ab", b"c"]);
        assert_eq!(base, derive(Purpose::Handle, &[b"ab", b"c"]));
        assert_ne!(base, derive(Purpose::Handle, &[b"a", b"bc"]));
        assert_ne!(base, derive(Purpose::Handle, &[b"abc"]));
        let all: std::collections::HashSet<_> =
            PURPOSES.iter().map(|purpose| derive(*purpose, &[b"x"])).collect();
        assert_eq!(all.len(), PURPOSES.len(), "two purposes share a key");
    }

    #[test]
    fn places_are_the_order_of_the_page() {
        for (index, purpose) in PURPOSES.iter().enumerate() {
            assert_eq!(place(*purpose).0, index);
        }
    }
}
