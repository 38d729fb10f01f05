//! Random strings in the shapes of Google's tokens, and digests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes as unpadded base64url.
pub(crate) fn token(bytes: usize) -> String {
    let mut buffer = vec![0_u8; bytes];
    // Only a broken operating system gets here; a stand-in that went on would hand out guessable tokens.
    assert!(SystemRandom::new().fill(&mut buffer).is_ok(), "the operating system gives no randomness");
    URL_SAFE_NO_PAD.encode(buffer)
}

/// SHA-256 as lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 as unpadded base64url, which is also the S256 transformation of RFC 7636 section 4.2.
pub(crate) fn sha256_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
