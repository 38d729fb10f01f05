//! Canonical arguments (RFC 8785) and presentations, pure.
//!
//! Two ideas live here, and both the agent client and the vault must mean exactly the same by them:
//!
//! - **Canonical arguments**: the arguments of one tool call, in the one byte form that they can have. See
//!   [`canonical::Canonical`], made of [`mod@parse`], [`value`] and [`write`](mod@write).
//! - **Presentations**: the proof that a handle's holder asks for this tool with these arguments, now, once. See
//!   [`presentation`].
//!
//! The crate has no clock, no random numbers, no files, no environment and no async code: time and nonces come in
//! as parameters.

pub mod base64url;
pub mod canonical;
mod json;
pub mod number;
pub mod object;
pub mod parse;
pub mod presentation;
pub mod value;
pub mod write;

#[cfg(test)]
mod properties;

pub use canonical::{Canonical, CanonicalError, Digest, require_canonical};
pub use number::{Fraction, MAX_SAFE_INTEGER};
pub use object::{Duplicate, Object};
pub use parse::{ErrorKind, Limits, ParseError, parse};
pub use presentation::{
    Claim, Presentation, PresentationError, ProofKey, Stale, ToolName, Unverified, Verified,
};
pub use value::Value;
