//! The patterns that bound to whom a mail may go.

use std::fmt;
use std::str::FromStr;

use super::{Address, BadAddress, is_domain, is_local, split};

/// Which addresses a grant allows: one address, `news-*@example.org`, `*@example.com`, or `*` for every address.
///
/// A `*` stands for any run of characters of the local part, also an empty one. It never crosses the `@`, and the
/// domain is exact: a star there would take in names that a stranger can register.
///
/// What one provider makes of dots and of `+tag` is *not* undone: `me+x@example.org` is not `me@example.org`, unless the
/// pattern says so (`me+*@example.org`). `fa.mily@gmail.com` and `family+x@gmail.com` reach
/// the mailbox `family@gmail.com`, but at another provider they are other people; a rule that guesses would send mail
/// to them. Another text does not match, and what does not match is refused. A rule that forbids guesses the other way
/// ([`Pattern::resembles`]), and is surest where it names a whole domain, `*@example.com`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Shape);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shape {
    Any,
    /// Both in lower case, so that two spellings of one pattern are equal.
    At {
        local: String,
        domain: String,
    },
}

impl Pattern {
    /// Whether it has a `*`, and so may stand for many addresses.
    #[must_use]
    pub fn is_wild(&self) -> bool {
        match &self.0 {
            Shape::Any => true,
            Shape::At { local, .. } => local.contains('*'),
        }
    }

    /// Whether this address is one of those meant. ASCII case does not count.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        match &self.0 {
            Shape::Any => true,
            Shape::At { local, domain } => {
                domain == address.domain()
                    && glob(local.as_bytes(), address.local().to_ascii_lowercase().as_bytes())
            }
        }
    }
}

impl Pattern {
    /// Whether this address could be one of those meant, for a rule that forbids: besides what [`Pattern::matches`],
    /// also what some provider delivers there. Dots and a `+tag` in the local part do not count, on either side, and
    /// `googlemail.com` is `gmail.com`. It takes in more than is meant, which for a rule that forbids is the right side.
    #[must_use]
    pub fn resembles(&self, address: &Address) -> bool {
        let Shape::At { local, domain } = &self.0 else { return true };
        let domain_of =
            |domain: &str| if domain == "googlemail.com" { "gmail.com" } else { domain }.to_owned();
        let plain = |local: &str| {
            let untagged = match local.split_once('+') {
                Some((before, _)) if !before.is_empty() => before,
                _ => local,
            };
            untagged.replace('.', "").to_ascii_lowercase()
        };
        self.matches(address)
            || (domain_of(domain) == domain_of(address.domain())
                && glob(plain(local).as_bytes(), plain(address.local()).as_bytes()))
    }
}

impl FromStr for Pattern {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text == "*" {
            return Ok(Self(Shape::Any));
        }
        let (local, domain) = split(text)?;
        if !is_local(local, true) {
            return Err(BadAddress::Local);
        }
        if !is_domain(domain) {
            return Err(BadAddress::Domain);
        }
        Ok(Self(Shape::At { local: local.to_ascii_lowercase(), domain: domain.to_ascii_lowercase() }))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Shape::Any => f.write_str("*"),
            Shape::At { local, domain } => write!(f, "{local}@{domain}"),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `text` is `pattern` with each `*` replaced by some run of bytes.
///
/// Only the last star is ever tried again, so that no pattern costs more than length times length.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = retry {
            retry = Some((after, from + 1));
            p = after;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}
