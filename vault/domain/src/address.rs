//! Mail addresses, and the patterns that bound to whom a mail may go.
//!
//! An address that two programs read differently is a way around a bound on recipients. So only the plain form is
//! taken, the one that every mail program reads alike: `local@domain`, a subset of RFC 5321 section 4.1.2 and
//! RFC 5322 section 3.4.1.

mod pattern;

use std::fmt;
use std::str::FromStr;

pub use pattern::Pattern;

/// Longest local part, in bytes (RFC 5321 section 4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// Longest address, in bytes (RFC 5321 section 4.5.3.1.3: a path of 256 less its angle brackets). It leaves a domain less
/// than the 253 that a name may have (RFC 1035 section 2.3.4).
const ADDRESS_MAX: usize = 254;

/// The text is not an address, or not a pattern of addresses. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// More than 254 bytes.
    #[error("an address has at most 254 characters")]
    TooLong,
    /// Not exactly one `@`.
    #[error("an address is plain, such as name@example.org: one @, no display name, no quotes, no brackets")]
    Shape,
    /// A local part outside the subset.
    #[error(
        "the part before the @ is 1 to 64 plain ASCII characters, without %, ! or a literal *, and dots stand between others"
    )]
    Local,
    /// A domain that is not a DNS name of two labels or more.
    #[error("the part after the @ is a domain name such as example.org, in ASCII, without a dot at its end")]
    Domain,
}

/// One mail address, without a name: `family@example.org`.
///
/// The domain is kept in lower case. The local part is kept as it was written, because the receiving server alone
/// may say whether case matters there. Equality is that of the kept text; bounds use [`Pattern::matches`], which
/// ignores case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: String,
    at: usize,
}

impl Address {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, as it was written.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part after the `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (local, domain) = split(text)?;
        if !is_local(local, false) {
            return Err(BadAddress::Local);
        }
        if !is_domain(domain) {
            return Err(BadAddress::Domain);
        }
        Ok(Self { text: format!("{local}@{}", domain.to_ascii_lowercase()), at: local.len() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split(text: &str) -> Result<(&str, &str), BadAddress> {
    if text.len() > ADDRESS_MAX {
        return Err(BadAddress::TooLong);
    }
    let (local, domain) = text.split_once('@').ok_or(BadAddress::Shape)?;
    if domain.contains('@') { Err(BadAddress::Shape) } else { Ok((local, domain)) }
}

/// Whether this is a dot-atom of the subset; `star` says that a pattern is read, where `*` may stand too.
fn is_local(local: &str, star: bool) -> bool {
    (1..=LOCAL_MAX).contains(&local.len())
        && local.bytes().all(|b| is_local_byte(b) || (star && b == b'*'))
        && local.split('.').all(|atom| !atom.is_empty())
        // An encoded word (RFC 2047) is made of the same characters, and some readers decode it wherever it stands.
        && !local.contains("=?")
        // One spelling for one pattern.
        && !local.contains("**")
}

/// RFC 5322's `atext` and the dot, less three: `%` and `!` are old source routes, by which a server may pass the mail
/// on to somebody in another domain, and a literal `*` would read as a pattern.
fn is_local_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"#$&'+-/=?^_`{|}~.".contains(&b)
}

fn is_domain(domain: &str) -> bool {
    let mut last = None;
    let mut labels = 0;
    for label in domain.split('.') {
        let ldh = (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !ldh {
            return false;
        }
        last = Some(label);
        labels += 1;
    }
    // A last label of digits alone would be an IPv4 address (RFC 3696 section 2).
    labels >= 2 && last.is_some_and(|label| !label.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
