//! The root key in memory, and the derivation of keys from it.

use claviger_domain::id::VaultId;
use ring::hkdf;
use zeroize::Zeroizing;

use super::guard::{Guard, Kind};
use super::stack::wiped;
use crate::port::Entropy;

/// How many bytes a key has.
pub(super) const KEY_BYTES: usize = 32;

/// The root key of one vault in one generation: 32 random bytes on a guarded page.
///
/// It cannot be cloned, compared or printed, and no public function shows its bytes.
pub struct RootKey {
    vault: VaultId,
    generation: u32,
    key: Guard,
}

impl RootKey {
    /// A new random key.
    #[must_use]
    pub fn new(vault: VaultId, generation: u32, entropy: &dyn Entropy) -> Self {
        let mut key = Guard::new(KEY_BYTES);
        entropy.fill(key.bytes_mut());
        Self { vault, generation, key }
    }

    /// A key that was unwrapped; the caller wipes its own copy.
    pub(super) fn from_bytes(vault: VaultId, generation: u32, bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Guard::new(KEY_BYTES);
        key.bytes_mut().copy_from_slice(bytes);
        Self { vault, generation, key }
    }

    /// The vault it belongs to.
    #[must_use]
    pub fn vault(&self) -> VaultId {
        self.vault
    }

    /// How many root keys this vault has had: 1 for the first.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// How well the page that holds it is guarded.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.key.kind()
    }

    /// Its bytes, for wrapping and deriving only.
    pub(super) fn bytes(&self) -> &[u8] {
        self.key.bytes()
    }

    /// Fills `out` with a key derived from the root, the vault, the generation and a label.
    pub(super) fn derive(&self, label: &[u8], out: &mut [u8]) {
        let generation = self.generation.to_be_bytes();
        expand(self.bytes(), &[b"claviger/v1/root", self.vault.as_bytes(), &generation, label], out);
    }

    /// Eight bytes that tell root keys apart without telling anything about them. They stand in the ring, so that a
    /// wrapped key of some other root is noticed before a single record is opened with it.
    pub(super) fn check(&self) -> [u8; 8] {
        let mut check = [0; 8];
        self.derive(b"check", &mut check);
        check
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootKey({} generation {})", self.vault, self.generation)
    }
}

/// HKDF-SHA256's second half (RFC 5869, 2.3) under a key that is already uniformly random, with the fields, each
/// length-prefixed, as info. `out` has at most 8160 bytes; callers ask for at most 32.
///
/// `ring` does not wipe the HMAC state in which it keeps the key, so the stack that it lay on is written over.
pub(super) fn expand(key: &[u8], fields: &[&[u8]], out: &mut [u8]) {
    let info = Zeroizing::new(length_prefixed(fields));
    let filled = wiped(|| {
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key)
            .expand(&[&info], Length(out.len()))
            .and_then(|okm| okm.fill(out))
    });
    if filled.is_err() {
        // Only an impossible length gets here. Going on would mean using a key of zeros.
        tracing::error!("a key of {} bytes cannot be derived; stopping", out.len());
        std::process::abort();
    }
}

/// The fields one after the other, each after its length as eight big-endian bytes: no two lists give the same bytes.
pub(super) fn length_prefixed(fields: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::with_capacity(fields.iter().map(|field| 8 + field.len()).sum());
    for field in fields {
        all.extend_from_slice(&(field.len() as u64).to_be_bytes());
        all.extend_from_slice(field);
    }
    all
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::entropy::SystemEntropy;

    fn derived(root: &RootKey, label: &[u8]) -> [u8; KEY_BYTES] {
        let mut out = [0; KEY_BYTES];
        root.derive(label, &mut out);
        out
    }

    #[test]
    fn keys_depend_on_root_vault_generation_and_label() {
        let (here, there) = (VaultId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
        let key = [9; KEY_BYTES];
        let base = derived(&RootKey::from_bytes(here, 1, &key), b"a");
        assert_eq!(base, derived(&RootKey::from_bytes(here, 1, &key), b"a"));
        assert_ne!(base, derived(&RootKey::from_bytes(here, 1, &key), b"b"));
        assert_ne!(base, derived(&RootKey::from_bytes(here, 2, &key), b"a"));
        assert_ne!(base, derived(&RootKey::from_bytes(there, 1, &key), b"a"));
        assert_ne!(base, derived(&RootKey::from_bytes(here, 1, &[8; KEY_BYTES]), b"a"));
    }

    #[test]
    fn new_keys_differ_and_print_nothing() {
        let vault = VaultId::from_bytes([1; 16]);
        let (one, two) =
            (RootKey::new(vault, 1, &SystemEntropy::new()), RootKey::new(vault, 1, &SystemEntropy::new()));
        assert_ne!(one.check(), two.check());
        assert_eq!(format!("{one:?}"), "RootKey(vlt_01010101010101010101010101010101 generation 1)");
    }

    #[test]
    fn field_borders_matter() {
        assert_ne!(length_prefixed(&[b"ab", b"c"]), length_prefixed(&[b"a", b"bc"]));
        assert_ne!(length_prefixed(&[b"", b"a"]), length_prefixed(&[b"a", b""]));
    }

    /// RFC 5869, 2.3: the first block is HMAC-SHA256(key, info ‖ 1). Our info is the fields, each after its length.
    #[test]
    fn expands_as_the_rfc_says() {
        let mut out = [0; 32];
        expand(&[7; 32], &[b"ab", b""], &mut out);
        let info = b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\x01";
        let expected = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 32]), info);
        assert_eq!(out, expected.as_ref());
    }
}
