//! The proof key and what it signs.

use std::fmt;

use ring::hmac;
use zeroize::{Zeroize as _, Zeroizing};

use super::Claim;

/// Keeps these MACs apart from any other use that a key might have.
const DOMAIN: &[u8] = b"claviger presentation v1";

/// The key by which a handle's holder proves to be one. 32 bytes, erased when dropped.
///
/// Nothing returns the bytes again, nothing shows, copies or compares them:
///
/// ```compile_fail
/// let key = claviger_canonical::ProofKey::new([0; 32]);
/// let copy = key.clone();
/// ```
/// ```compile_fail
/// let same = claviger_canonical::ProofKey::new([0; 32]) == claviger_canonical::ProofKey::new([0; 32]);
/// ```
// Boxed, so that moving the key moves a pointer and leaves no copy of the bytes behind.
pub struct ProofKey(Box<Zeroizing<[u8; 32]>>);

impl ProofKey {
    /// Takes the key over. The caller erases its own copy; the one passed in here is erased.
    #[must_use]
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        key.0.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }

    /// Returns the HMAC-SHA256 of a claim. Each field is preceded by its length, so that no byte can move from one
    /// field to the next.
    pub(super) fn mac(&self, claim: &Claim) -> hmac::Tag {
        // Without `..`: a new field must be signed, or this does not build.
        let Claim { handle, tool, digest, issued_at_ms, nonce, replica, boot, approval } = claim;
        let mut presence = vec![u8::from(approval.is_some())];
        presence.extend(approval.iter().flatten());

        let mut context = hmac::Context::with_key(&self.signer());
        let mut field = |bytes: &[u8]| {
            // No field is longer than 64 bytes.
            context.update(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            context.update(bytes);
        };
        field(DOMAIN);
        field(handle);
        field(tool.as_str().as_bytes());
        field(digest.as_bytes());
        field(&issued_at_ms.to_be_bytes());
        field(nonce);
        field(replica);
        field(boot);
        field(&presence);
        context.sign()
    }

    fn signer(&self) -> hmac::Key {
        // EXPOSE: to sign or check one claim; ring's copy lives as long as that and is not erased by ring.
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref().as_ref())
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(..)")
    }
}
