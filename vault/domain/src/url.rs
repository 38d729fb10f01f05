//! Web addresses, in the one form that every reader of them understands alike.

use std::fmt;
use std::str::FromStr;

/// The longest address, in bytes.
const MAX: usize = 2_048;

/// The text is not such an address. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a web address is https://, a DNS name, perhaps a port, then a path in plain ASCII: no user, no numbers for a name, no backslash, no dot segments"
)]
pub struct BadUrl;

/// An https URL without user information whose host is a DNS name; the name in lower case, a path always there, no
/// `.` or `..` in it however written, percent signs only before two upper-case digits, never the default port.
///
/// Two readers that disagree on where the host of a URL ends are a way around a bound on hosts (`https://a@b`,
/// `https://a\@b`, `https://a#@b`), so whatever could be read twice is refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    text: String,
    /// Where the host ends.
    host_end: usize,
}

const SCHEME: &str = "https://";

impl Url {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host's name, in lower case, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[SCHEME.len()..self.host_end]
    }

    /// The port, where it is not 443.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let rest = self.text[self.host_end..].strip_prefix(':')?;
        rest.split('/').next()?.parse().ok()
    }

    /// Whether a query string or a fragment follows the path, even an empty one.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.text.contains(['?', '#'])
    }
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if text.len() > MAX {
            return Err(BadUrl);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(BadUrl)?;
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(authority_end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, format!(":{}", parse_port(port)?)),
            None => (authority, String::new()),
        };
        let host = host.to_ascii_lowercase();
        if !is_host(&host) {
            return Err(BadUrl);
        }
        // A query right after the host has an empty path, which is written as a slash (RFC 3986 section 6.2.3).
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
        if !is_plain(rest) || rest[..path_end].split('/').any(is_dots) || rest.matches('#').count() > 1 {
            return Err(BadUrl);
        }
        let host_end = SCHEME.len() + host.len();
        Ok(Self { text: format!("{SCHEME}{host}{port}{slash}{rest}"), host_end })
    }
}

fn parse_port(text: &str) -> Result<u16, BadUrl> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(port) if plain && port != 443 => Ok(port),
        _ => Err(BadUrl),
    }
}

/// A DNS name of two labels or more whose last label is no number, in any of the forms that addresses are written in.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_a_name =
        name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()));
    name.len() <= 253 && name.contains('.') && name.split('.').all(label) && last_is_a_name
}

/// Only characters of RFC 3986, and percent signs in their one form: before two digits that name no plain character.
fn is_plain(rest: &str) -> bool {
    let mut bytes = rest.bytes();
    while let Some(b) = bytes.next() {
        let fine = match b {
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                // What needs no percent sign has none: `%2e` is a dot to some and no dot to others.
                (Some(high), Some(low)) => {
                    let named = high * 16 + low;
                    !(named.is_ascii_alphanumeric() || b"-._~".contains(&named) || named.is_ascii_control())
                }
                _ => false,
            },
            b => b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?#".contains(&b),
        };
        if !fine {
            return false;
        }
    }
    true
}

fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// Dots are never percent-encoded here, so two spellings are all there are.
fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_form() {
        for (text, form, host, query) in [
            ("https://example.org", "https://example.org/", "example.org", false),
            ("https://EXAMPLE.org/A", "https://example.org/A", "example.org", false),
            ("https://example.org?x=1", "https://example.org/?x=1", "example.org", true),
            ("https://example.org#", "https://example.org/#", "example.org", true),
            (
                "https://xn--bcher-kva.example/",
                "https://xn--bcher-kva.example/",
                "xn--bcher-kva.example",
                false,
            ),
            ("https://a.b:8443/x%20y/@z", "https://a.b:8443/x%20y/@z", "a.b", false),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.as_str(), url.host(), url.has_query()), (form, host, query), "{text}");
        }
        assert_eq!("https://a.b:8443/x".parse::<Url>().unwrap().port(), Some(8443));
        assert_eq!("https://a.b/x:1".parse::<Url>().unwrap().port(), None);
        for text in ["https://a.b/%C3%A4?%20", "https://a1.b2/", "https://a.b:8443/"] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), text);
        }
        let longest = format!("https://a.b/{}", "c".repeat(MAX - 12));
        assert!(longest.parse::<Url>().is_ok() && format!("{longest}c").parse::<Url>().is_err());
        let host = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert!(format!("https://{host}/").parse::<Url>().is_ok());
        assert!(format!("https://{host}b/").parse::<Url>().is_err());
        assert!(format!("https://{}.org/", "a".repeat(64)).parse::<Url>().is_err());
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for bad in [
            "",
            "http://example.org/",
            "HTTPS://example.org/",
            "https:example.org",
            "//example.org/",
            "https:///example.org",
            "https://",
            "https://localhost/",
            "https://user@example.org/",
            "https://example.org@evil.example/",
            "https://user:pw@example.org/",
            "https://example.org\\@evil.example/",
            "https://example.org\\.evil.example/",
            "https://example.org%2eevil.example/",
            "https://example.org%00.evil.example/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://a.0x7f/",
            "https://[::1]/",
            "https://example.org:443/",
            "https://example.org:0/",
            "https://example.org:+80/",
            "https://example.org/%AG",
            "https://example.org/%c3",
            "https://example.org:080/",
            "https://example.org:/",
            "https://example.org:99999/",
            "https://example.org:1:2/",
            "https://example.org./",
            "https://.example.org/",
            "https://exa mple.org/",
            "https://ex\u{430}mple.org/",
            "https://example\u{3002}org/",
            "https://example.org/a b",
            "https://example.org/\u{e4}",
            "https://example.org/a/../b",
            "https://example.org/a/.",
            "https://example.org/%2E%2E/b",
            "https://example.org/%2e",
            "https://example.org/%2f",
            "https://example.org/%",
            "https://example.org/%0A",
            "https://example.org/#a#b",
            "https://example.org/\n",
            "\thttps://example.org/",
            "https://example.org/<x>",
            "https://-a.org/",
        ] {
            assert_eq!(bad.parse::<Url>(), Err(BadUrl), "{bad:?}");
        }
        assert!(format!("https://example.org/{}", "a".repeat(MAX)).parse::<Url>().is_err());
    }

    proptest! {
        #[test]
        fn the_form_is_its_own_form(text in "https://[a-zA-Z0-9.:@-]{0,12}[/?#]?[-a-zA-Z0-9%./?#@:]{0,12}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(url.as_str().parse::<Url>().unwrap(), url.clone());
                prop_assert!(!url.host().contains(['@', '/', ':', '?', '#']));
            }
        }

        #[test]
        fn no_text_panics(text in "(https://)?.{0,30}") {
            let _ = text.parse::<Url>();
        }
    }
}
