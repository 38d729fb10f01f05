//! The bytes of a file, with the checksums that Drive tells of them.

use std::ops::Deref;

use bytes::Bytes;

use crate::random::sha256_hex;

/// Bytes that are shared and not copied: they may be many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    bytes: Bytes,
    md5: String,
    sha256: String,
}

impl Content {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { md5: format!("{:x}", md5::compute(&bytes)), sha256: sha256_hex(&bytes), bytes }
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(super) fn md5(&self) -> String {
        if self.md5.is_empty() { format!("{:x}", md5::compute(b"")) } else { self.md5.clone() }
    }

    pub(super) fn sha256(&self) -> String {
        if self.sha256.is_empty() { sha256_hex(b"") } else { self.sha256.clone() }
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
