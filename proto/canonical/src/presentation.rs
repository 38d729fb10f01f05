//! Presentations: the proof that a handle's holder asks for this tool with these arguments, now, once.
//!
//! The client signs a [`Claim`] with the handle's proof key and sends the text in the MCP request's `_meta` under
//! [`META_KEY`]. The vault reads it in three steps, each a type of its own:
//!
//! 1. [`Presentation::parse`] gives an [`Unverified`], whose claim is only good for finding the key;
//! 2. [`Unverified::verify`] gives a [`Verified`], whose claim was made by a holder of that key;
//! 3. [`fresh`], the nonce and the boot id make it *now* and *once*; those are the caller's to check.
//!
//! # Wire form, version 1
//! `claviger1.` and the base64url (no padding) of: handle (16 bytes), digest (32), issued-at in milliseconds (8, big
//! endian), nonce (12), replica (8), boot (16), approval (one byte `0`, or one byte `1` and 16 bytes), length of the
//! tool's name (1), the name, MAC (32). Nothing is optional but what is marked, nothing may follow, so each
//! presentation has one text.
//!
//! The MAC is HMAC-SHA256 (RFC 2104) over the following, each preceded by its length in 4 bytes, big endian: the
//! domain tag `claviger presentation v1`, handle, tool, digest, issued-at, nonce, replica, boot, approval with its
//! presence byte.

mod freshness;
mod key;
mod tool;
mod wire;

use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::canonical::Digest;

pub use freshness::{FUTURE_MS, Stale, WINDOW_MS, fresh};
pub use key::ProofKey;
pub use tool::{BadToolName, ToolName};

/// Where a presentation stands in an MCP request's `_meta`.
pub const META_KEY: &str = "claviger/presentation";

/// The most bytes of text that are looked at.
pub const MAX_TEXT: usize = 512;

/// What a presentation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The handle, which names the proof key. No secret.
    pub handle: [u8; 16],
    /// The tool asked for.
    pub tool: ToolName,
    /// The SHA-256 of the canonical arguments.
    pub digest: Digest,
    /// When the client made the claim, in milliseconds since the Unix epoch.
    pub issued_at_ms: u64,
    /// Random; never twice under one handle.
    pub nonce: [u8; 12],
    /// The replica that issued the proof key.
    pub replica: [u8; 8],
    /// The start of that replica that issued the proof key.
    pub boot: [u8; 16],
    /// The approval by which the call is allowed, if it needed one.
    pub approval: Option<[u8; 16]>,
}

/// A signed claim as text. Neither `Clone` nor `Display`: it is worth one call, so it is made, sent and gone.
///
/// ```compile_fail
/// fn twice(once: claviger_canonical::Presentation) { let _ = once.clone(); }
/// ```
pub struct Presentation {
    text: String,
}

impl Presentation {
    /// Signs a claim.
    #[must_use]
    pub fn sign(key: &ProofKey, claim: Claim) -> Self {
        Self { text: wire::encode(&claim, key.mac(&claim).as_ref()) }
    }

    /// Returns the text for `_meta`: ASCII, at most [`MAX_TEXT`] bytes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text for `_meta`.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Reads a text that anybody may have made.
    ///
    /// # Errors
    /// Any text but the one that [`Presentation::sign`] makes of some claim and some MAC.
    pub fn parse(text: &str) -> Result<Unverified, PresentationError> {
        let (claim, mac) = wire::decode(text)?;
        Ok(Unverified { claim, mac })
    }
}

impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presentation(..)")
    }
}

/// A claim that nobody has vouched for yet. Good for looking up the key, and nothing else.
pub struct Unverified {
    claim: Claim,
    mac: [u8; wire::MAC_LENGTH],
}

impl Unverified {
    /// Returns what is claimed. Do not act on it but to find the key.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Checks the MAC, in constant time.
    ///
    /// # Errors
    /// [`PresentationError::Forged`] if the claim was not signed by this key.
    pub fn verify(self, key: &ProofKey) -> Result<Verified, PresentationError> {
        if bool::from(key.mac(&self.claim).as_ref().ct_eq(&self.mac)) {
            Ok(Verified { claim: self.claim })
        } else {
            Err(PresentationError::Forged)
        }
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// A claim made by a holder of the proof key. Says nothing yet about when, or how often.
///
/// Only [`Unverified::verify`] makes one, and it cannot be copied:
///
/// ```compile_fail
/// fn forge(claim: claviger_canonical::Claim) -> claviger_canonical::Verified {
///     claviger_canonical::Verified { claim }
/// }
/// ```
/// ```compile_fail
/// fn twice(once: claviger_canonical::Verified) { let _ = once.clone(); }
/// ```
#[derive(Debug)]
pub struct Verified {
    claim: Claim,
}

impl Verified {
    /// Returns what was signed.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Gives up the proof for what was signed.
    #[must_use]
    pub fn into_claim(self) -> Claim {
        self.claim
    }
}

/// Why a presentation was refused. For the vault's own eyes: a peer learns only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentationError {
    /// More than [`MAX_TEXT`] bytes.
    #[error("presentation too long")]
    TooLong,
    /// Not a presentation of version 1.
    #[error("not a presentation of a known version")]
    UnknownVersion,
    /// Not strict base64url.
    #[error("presentation is not strict base64url")]
    Encoding,
    /// The bytes do not have the layout.
    #[error("presentation does not have the layout of its version")]
    Layout,
    /// The tool's name is not one.
    #[error("presentation names no valid tool")]
    Tool,
    /// The MAC does not fit the claim under this key.
    #[error("presentation was not signed by this key")]
    Forged,
}

#[cfg(test)]
mod tests;
