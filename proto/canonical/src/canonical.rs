//! Arguments that are proven to be canonical, and their digest.

use std::fmt;

use crate::parse::{ErrorKind, Limits, ParseError, parse};
use crate::value::Value;

/// The arguments of one tool call: an object, its one byte form, and the digest of that form.
///
/// Whoever holds one knows that `bytes` are RFC 8785 canonical, at most 256 KiB, and mean exactly `value`. The
/// fields are private and there are two constructors, so it cannot be made of bytes that were not checked:
///
/// ```compile_fail
/// let digest = claviger_canonical::Digest::of(b"{}");
/// let value = claviger_canonical::Value::Null;
/// let forged = claviger_canonical::Canonical { bytes: b"{}".to_vec(), value, digest };
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Canonical {
    bytes: Vec<u8>,
    value: Value,
    digest: Digest,
}

impl Canonical {
    /// Makes canonical arguments of an already parsed object: the client's way in.
    ///
    /// # Errors
    /// Refuses what is no object, is too deep or too large in canonical form, or holds a number without a canonical
    /// form.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, CanonicalError> {
        let value = Value::try_from(json).map_err(CanonicalError::Value)?;
        let bytes = value.to_canonical();
        if bytes.len() > Limits::ARGUMENTS.bytes {
            return Err(CanonicalError::Value(ErrorKind::TooLarge));
        }
        Self::assert(bytes, value)
    }

    /// Takes bytes that must already be canonical: the vault's way in.
    ///
    /// # Errors
    /// Refuses what does not parse, is not byte for byte canonical, or is no object.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CanonicalError> {
        let value = require_canonical(bytes)?;
        Self::assert(bytes.to_vec(), value)
    }

    /// The one place where the proof is made. The caller has checked that `bytes` are the canonical form of `value`.
    fn assert(bytes: Vec<u8>, value: Value) -> Result<Self, CanonicalError> {
        if value.as_object().is_none() {
            return Err(CanonicalError::NotAnObject);
        }
        let digest = Digest::of(&bytes);
        Ok(Self { bytes, value, digest })
    }

    /// Returns the canonical bytes (UTF-8).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the arguments; always an object.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the SHA-256 of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Shows the size only: neither arguments nor their digest (from which short ones can be guessed) belong in logs.
impl fmt::Debug for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canonical({} bytes)", self.bytes.len())
    }
}

/// Why arguments were refused. Holds nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes are no canonical JSON text.
    #[error(transparent)]
    Bytes(#[from] ParseError),
    /// The parsed value has no canonical form within the limits.
    #[error("{0}")]
    Value(ErrorKind),
    /// The arguments are no object.
    #[error("arguments are not an object")]
    NotAnObject,
}

impl CanonicalError {
    /// Returns the class of the fault; `None` for arguments that are fine but for not being an object.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Bytes(fault) => Some(fault.kind()),
            Self::Value(kind) => Some(*kind),
            Self::NotAnObject => None,
        }
    }
}

/// Parses under the limits of arguments and demands that the bytes are already canonical.
///
/// # Errors
/// Those of [`parse`], and [`ErrorKind::NotCanonical`] at the first byte that the canonical form would have different.
pub fn require_canonical(bytes: &[u8]) -> Result<Value, ParseError> {
    let value = parse(bytes, &Limits::ARGUMENTS)?;
    let canonical = value.to_canonical();
    if canonical == bytes {
        return Ok(value);
    }
    let same = canonical.iter().zip(bytes).take_while(|(left, right)| left == right).count();
    Err(ParseError::new(ErrorKind::NotCanonical, same))
}

/// A SHA-256 (FIPS 180-4) of canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        Self(digest)
    }

    /// Takes a digest that somebody else has computed.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows nothing: short arguments can be guessed from their digest.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn check(input: &str, expected: Option<(ErrorKind, usize)>) {
        let got = require_canonical(input.as_bytes()).err().map(|fault| (fault.kind(), fault.offset()));
        assert_eq!(got, expected, "{input}");
    }

    #[test]
    fn only_the_canonical_form_passes() {
        check(r#"{"a":[1,0.5,"é\n\u0001"],"b":null}"#, None);
        for (input, offset) in [
            (r#"{"b":1,"a":2}"#, 2),
            (r#"{"a": 1}"#, 5),
            (r#" {"a":1}"#, 0),
            ("{\"a\":1}\n", 7),
            (r#"{"\u0061":1}"#, 2),
            (r#"{"a":"\/"}"#, 6),
            (r#"{"a":"\u000A"}"#, 7),
            (r#"{"a":"\u001F"}"#, 11),
            (r#"{"a":"\u00e9"}"#, 6),
            (r#"{"ﬀ":1,"😀":2}"#, 2),
        ] {
            check(input, Some((ErrorKind::NotCanonical, offset)));
        }
        check(r#"{"a":1.0}"#, Some((ErrorKind::NonCanonicalNumber, 5)));
        check(r#"{"a":1,"a":1}"#, Some((ErrorKind::DuplicateKey, 7)));
    }

    #[test]
    fn arguments_are_an_object() {
        for text in ["null", "1", "\"{}\"", "[]", "[{}]"] {
            assert_eq!(Canonical::from_bytes(text.as_bytes()), Err(CanonicalError::NotAnObject), "{text}");
            let json = serde_json::from_str(text).unwrap();
            assert_eq!(Canonical::from_json(&json), Err(CanonicalError::NotAnObject), "{text}");
        }
    }

    #[test]
    fn both_ways_in_agree() {
        let json = serde_json::json!({"to": ["a@example.com"], "n": 7, "subject": "Grüße\n"});
        let client = Canonical::from_json(&json).unwrap();
        let vault = Canonical::from_bytes(client.bytes()).unwrap();
        assert_eq!(client, vault);
        assert_eq!(
            client.bytes(),
            "{\"n\":7,\"subject\":\"Grüße\\n\",\"to\":[\"a@example.com\"]}".as_bytes()
        );
        assert_eq!(client.value().as_object().unwrap().len(), 3);
        assert_eq!(format!("{client:?} {:?}", client.digest()), "Canonical(52 bytes) Digest(..)");
    }

    /// FIPS 180-4 example and the well-known digest of the empty object.
    #[test]
    fn digests_are_sha_256() {
        let hex =
            |digest: Digest| digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(Digest::of(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let empty = Canonical::from_bytes(b"{}").unwrap();
        assert_eq!(hex(empty.digest()), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(Digest::from_bytes(*empty.digest().as_bytes()), empty.digest());
    }

    #[test]
    fn size_counts_in_canonical_form() {
        let json = |bytes: usize| serde_json::json!({"a": "x".repeat(bytes - 8)});
        assert_eq!(Canonical::from_json(&json(262_144)).unwrap().bytes().len(), 262_144);
        assert_eq!(Canonical::from_json(&json(262_145)), Err(CanonicalError::Value(ErrorKind::TooLarge)));
        // Control characters grow sixfold when escaped.
        let grown = serde_json::json!({"a": "\u{1}".repeat(50_000)});
        assert_eq!(Canonical::from_json(&grown).unwrap_err().kind(), Some(ErrorKind::TooLarge));
    }

    #[test]
    fn faults_are_passed_on_without_content() {
        let fault = Canonical::from_bytes(b"{\"canary\":01}").unwrap_err();
        assert_eq!(fault.to_string(), "malformed number at byte 10");
        let fault = Canonical::from_json(&serde_json::json!({"canary": 1.0})).unwrap_err();
        assert_eq!(fault.to_string(), "number not in canonical form");
        assert_eq!(CanonicalError::NotAnObject.kind(), None);
    }
}
