//! Mail addresses, and the patterns that bound to whom a mail may go.
//!
//! An address that two programs read differently is a way around a bound on recipients. So only the plain form is
//! taken, the one that every mail program reads alike: `local@domain`, a subset of RFC 5321 section 4.1.2 and
//! RFC 5322 section 3.4.1.

use std::fmt;
use std::str::FromStr;

/// Longest local part, in bytes (RFC 5321 section 4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// Longest domain name as text, in bytes (RFC 1035 section 2.3.4, without the root's dot).
const DOMAIN_MAX: usize = 253;
/// Longest address, in bytes (RFC 5321 section 4.5.3.1.3: a path of 256 less its angle brackets).
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
    if domain.len() > DOMAIN_MAX {
        return false;
    }
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

/// Whether `text` is `pattern` with each `*` replaced by some run of bytes.
///
/// Only the last star is ever tried again, so that no pattern costs more than length times length.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_addresses_are_taken() {
        for (text, kept) in [
            ("family@example.org", "family@example.org"),
            ("Family@Example.ORG", "Family@example.org"),
            ("first.last+tag@mail.example.co.uk", "first.last+tag@mail.example.co.uk"),
            ("o'brien@example.org", "o'brien@example.org"),
            ("prvs=12ab=x@example.org", "prvs=12ab=x@example.org"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@3com.com", "a@3com.com"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), kept);
            assert_eq!(format!("{}@{}", address.local(), address.domain()), kept);
        }
        let edge = format!("{}@{}.{}.org", "l".repeat(64), "d".repeat(63), "e".repeat(63));
        assert!(edge.parse::<Address>().is_ok());
    }

    #[test]
    fn everything_else_is_refused() {
        use BadAddress::{Domain, Local, Shape, TooLong};
        let long_local = format!("{}@example.org", "l".repeat(65));
        let long_label = format!("a@{}.org", "d".repeat(64));
        let long = format!("{}@{}org", "l".repeat(64), "d.".repeat(100));
        for (text, error) in [
            ("", Shape),
            ("family", Shape),
            ("a@b@c", Shape),
            ("a@b@example.org", Shape),
            ("Family <family@example.org>", Local),
            ("<family@example.org>", Local),
            ("\"a\"@b.c", Local),
            ("a@[1.2.3.4]", Domain),
            ("a@1.2.3.4", Domain),
            ("a@[IPv6:::1]", Domain),
            ("a@example.org.", Domain),
            ("a@.example.org", Domain),
            ("a@example..org", Domain),
            ("a@localhost", Domain),
            ("a@-x.org", Domain),
            ("a@x-.org", Domain),
            ("a@ex_ample.org", Domain),
            ("a@", Domain),
            ("@example.org", Local),
            (".a@example.org", Local),
            ("a.@example.org", Local),
            ("a..b@example.org", Local),
            ("a(comment)@example.org", Local),
            ("a@example.org(comment)", Domain),
            ("group:a@example.org;", Local),
            ("a@example.org,b", Domain),
            ("a@example.org;", Domain),
            ("a@example.org\r\nBcc: x", Domain),
            ("a\r\nBcc: b@example.org", Local),
            ("a\n@example.org", Local),
            (" a@example.org", Local),
            ("a@example.org ", Domain),
            ("a@example.org\0", Domain),
            ("a\t@example.org", Local),
            ("a\u{7f}@example.org", Local),
            ("=?utf-8?q?x?=@example.org", Local),
            ("victim%elsewhere.org@example.org", Local),
            ("elsewhere.org!victim@example.org", Local),
            ("*@example.org", Local),
            ("fаmily@example.org", Local),
            ("a@exаmple.org", Domain),
            ("a＠example.org", Shape),
            ("a@example。org", Domain),
            (&long_local, Local),
            (&long_label, Domain),
            (&long, TooLong),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn patterns_have_one_spelling() {
        for (text, kept) in [
            ("*", "*"),
            ("*@Example.com", "*@example.com"),
            ("Family@example.org", "family@example.org"),
            ("news-*@example.org", "news-*@example.org"),
            ("a*b.*@example.org", "a*b.*@example.org"),
        ] {
            let pattern: Pattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), kept);
            assert_eq!(pattern.is_wild(), text.contains('*'));
        }
        for bad in [
            "",
            "**",
            "@",
            "*@",
            "@*",
            "*@*",
            "*@*.com",
            "*@*.example.com",
            "*@example.*",
            "*.com",
            "**@example.com",
            "*@*@example.com",
            "*@example.com.",
            "*@com",
            "\"*\"@example.com",
            "* @example.com",
            "*@example.com\n",
            "=?*@example.com",
            "*@ex*mple.com",
            "a%*@example.com",
            "*..a@example.com",
            "*@exаmple.com",
        ] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_star_stays_on_its_side_of_the_at() {
        for (pattern, address, expected) in [
            ("*", "anybody@elsewhere.net", true),
            ("*@example.com", "a@example.com", true),
            ("*@example.com", "A.b+c@EXAMPLE.com", true),
            ("*@example.com", "a@sub.example.com", false),
            ("*@example.com", "a@example.com.evil.net", false),
            ("*@example.com", "a@notexample.com", false),
            ("family@example.org", "Family@example.org", true),
            ("family@example.org", "family2@example.org", false),
            ("family@example.org", "xfamily@example.org", false),
            ("family@gmail.com", "fa.mily@gmail.com", false),
            ("family@gmail.com", "family+x@gmail.com", false),
            ("family@gmail.com", "family@googlemail.com", false),
            ("family+*@gmail.com", "family+x@gmail.com", true),
            ("news-*@example.org", "news-@example.org", true),
            ("news-*@example.org", "news@example.org", false),
            ("*-bot@example.org", "a-bot-b-bot@example.org", true),
            ("*-bot@example.org", "a-bot-b@example.org", false),
            ("a*b*c@example.org", "axxbxxbxc@example.org", true),
            ("a*b*c@example.org", "acb@example.org", false),
        ] {
            let matched = pattern.parse::<Pattern>().unwrap().matches(&address.parse().unwrap());
            assert_eq!(matched, expected, "{pattern} on {address}");
        }
    }

    #[test]
    fn what_is_forbidden_has_other_spellings() {
        for (pattern, address, expected) in [
            ("family@gmail.com", "fa.mily@gmail.com", true),
            ("family@gmail.com", "FAMILY+x@googlemail.com", true),
            ("fa.mily+news@gmail.com", "family@gmail.com", true),
            ("fam*@gmail.com", "f.amily@gmail.com", true),
            ("*@evil.com", "a@evil.com", true),
            ("*", "a@b.cd", true),
            ("family@gmail.com", "family2@gmail.com", false),
            ("family@gmail.com", "family@example.com", false),
            ("*@evil.com", "a@sub.evil.com", false),
            ("a@b.cd", "+a@b.cd", false),
        ] {
            let resembles = pattern.parse::<Pattern>().unwrap().resembles(&address.parse().unwrap());
            assert_eq!(resembles, expected, "{pattern} on {address}");
        }
    }

    #[test]
    fn domains_that_only_look_alike_are_no_domains() {
        for look_alike in [
            "me@exаmple.org",
            "me@examp\u{13cf}e.org",
            "me@ｅxample.org",
            "me@example\u{3002}org",
            "me@example\u{ff0e}org",
            "me@examp\u{200b}le.org",
            "me@example.org\u{ad}",
            "me@exam\u{307}ple.org",
            "me@bücher.example",
            "me\u{ff20}example.org",
        ] {
            assert!(look_alike.parse::<Address>().is_err(), "{look_alike:?}");
            assert!(look_alike.parse::<Pattern>().is_err(), "{look_alike:?}");
        }
        // In its ASCII form it is another domain, and reads as one.
        let mine: Pattern = "*@example.org".parse().unwrap();
        assert!(!mine.matches(&"me@xn--exmple-4nf.org".parse().unwrap()));
    }

    /// The plain definition of a glob, slow but easy to believe.
    fn slow_glob(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| slow_glob(rest, &text[skip..])),
            Some((first, rest)) => {
                text.split_first().is_some_and(|(t, tail)| t == first && slow_glob(rest, tail))
            }
        }
    }

    proptest! {
        #[test]
        fn the_quick_glob_is_the_slow_one(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), slow_glob(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn what_is_taken_is_plain(text in "([a-z0-9.+=?*%!\"<>\\[\\], \r\n@-]|\\PC){0,24}@?[a-z0-9.*-]{0,12}") {
            if let Ok(address) = text.parse::<Address>() {
                let kept = address.to_string();
                prop_assert!(kept.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),:;<>[]\\*%!".contains(&b)));
                prop_assert_eq!(kept.matches('@').count(), 1);
                prop_assert_eq!(kept.parse::<Address>().unwrap(), address.clone());
                prop_assert!(kept.parse::<Pattern>().unwrap().matches(&address));
            }
        }

        #[test]
        fn a_pattern_never_matches_another_domain(
            local in "[a-z*]{1,6}",
            domain in "[a-z]{1,4}\\.[a-z]{2,3}",
            address in "[a-z]{1,6}@[a-z]{1,4}\\.[a-z]{2,3}",
        ) {
            if let (Ok(pattern), Ok(address)) =
                (format!("{local}@{domain}").parse::<Pattern>(), address.parse::<Address>())
            {
                prop_assert!(!pattern.matches(&address) || address.domain() == domain);
            }
        }
    }
}
