//! age identities: the private halves that open a wrapped root key.

use secrecy::{ExposeSecret, SecretString};

/// The most text an identity file may have, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// The text is not one age identity. Says nothing of what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// Nothing in it begins with `AGE-SECRET-KEY-1`, or it is malformed.
    #[error("the text holds no age identity (a line that begins with AGE-SECRET-KEY-1)")]
    None,
    /// More than one: which is meant must be said.
    #[error("the text holds more than one age identity")]
    Several,
    /// Longer than any identity file.
    #[error("the text is longer than an identity file may be")]
    TooLong,
}

/// A new random identity and its recipient (`age1…`). The identity is shown once, to who will keep it.
///
/// The randomness is age's own, from the operating system.
#[must_use]
pub fn identity_new() -> (SecretString, String) {
    let identity = age::x25519::Identity::generate();
    (identity.to_string(), identity.to_public().to_string())
}

/// The recipient (`age1…`) of an identity's text.
///
/// # Errors
/// If the text is not exactly one identity.
pub fn recipient_of(text: &SecretString) -> Result<String, BadIdentity> {
    parse(text).map(|identity| identity.to_public().to_string())
}

/// The one identity of an age identity file: blank lines and lines that begin with `#` are skipped.
pub(super) fn parse(text: &SecretString) -> Result<age::x25519::Identity, BadIdentity> {
    // EXPOSE: parsing the identity that the admin handed over; nothing of it goes into an error.
    let text = text.expose_secret();
    if text.len() > MAX_TEXT {
        return Err(BadIdentity::TooLong);
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or(BadIdentity::None)?;
    if lines.next().is_some() {
        return Err(BadIdentity::Several);
    }
    line.parse().map_err(|_| BadIdentity::None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn takes_an_identity_file_as_age_writes_it() {
        let (identity, recipient) = identity_new();
        assert!(recipient.starts_with("age1"));
        // EXPOSE: a test writes the identity into a file's text.
        let identity = identity.expose_secret().to_owned();
        let file = format!("# created: 2026-01-01\r\n# public key: {recipient}\r\n\r\n  {identity}\r\n");
        assert_eq!(recipient_of(&file.into()).unwrap(), recipient);
        assert_eq!(recipient_of(&identity.clone().into()).unwrap(), recipient);
        let check = |text: String, fault| assert_eq!(recipient_of(&text.into()), Err(fault));
        check(String::new(), BadIdentity::None);
        check("# only a comment\n".into(), BadIdentity::None);
        check(recipient, BadIdentity::None);
        check(identity[..identity.len() - 1].into(), BadIdentity::None);
        check(format!("{identity}\n{identity}"), BadIdentity::Several);
        check("#".repeat(MAX_TEXT + 1), BadIdentity::TooLong);
    }
}
