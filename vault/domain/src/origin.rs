//! Where a credential may be sent: scheme, host and port, and nothing of a path.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An https origin (RFC 6454): a host in lower case and a port. No other scheme exists here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    host: Host,
    port: u16,
}

/// The host of an origin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name in lower case, without a final dot.
    Name(String),
    /// An address literal. It reaches no resolver, so whoever dials checks it here.
    Address(IpAddr),
}

impl Origin {
    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port; 443 where the text named none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in a `Host` header or after `https://`: host, and the port unless it is 443.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == 443 { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an origin a credential may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    /// Not `https://`.
    #[error("an origin begins with https://")]
    Scheme,
    /// A path, a query, a fragment or credentials stand beside host and port.
    #[error("an origin is https://HOST or https://HOST:PORT and nothing more")]
    More,
    /// The host is no DNS name in lower case and no address.
    #[error("the host is not a DNS name in lower case or an address")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let rest = text.strip_prefix("https://").ok_or(BadOrigin::Scheme)?;
        if rest.bytes().any(|b| matches!(b, b'/' | b'?' | b'#' | b'@' | b'\\')) {
            return Err(BadOrigin::More);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or(BadOrigin::Host)?;
                let address = address.parse::<Ipv6Addr>().map_err(|_| BadOrigin::Host)?;
                let port = if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':').ok_or(BadOrigin::More)?)
                };
                (Host::Address(IpAddr::V6(address)), port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (parse_host(host)?, Some(port)),
                None => (parse_host(rest)?, None),
            },
        };
        let port = match port {
            None => 443,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') => {
                digits.parse::<u16>().map_err(|_| BadOrigin::Port)?
            }
            Some(_) => return Err(BadOrigin::Port),
        };
        Ok(Self { host, port })
    }
}

fn parse_host(text: &str) -> Result<Host, BadOrigin> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A last label of digits is how `0x7f.1` and `127.1` are read as addresses by some resolvers (WHATWG URL, 3.5).
    let numeric = text
        .rsplit('.')
        .next()
        .is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    if text.len() <= 253 && !numeric && text.split('.').all(label) {
        Ok(Host::Name(text.to_owned()))
    } else {
        Err(BadOrigin::Host)
    }
}

/// How a secret's upstream is reached: pinned when the secret is made, and changed only with the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The origins the credential may go to.
    pub origins: Vec<Origin>,
    /// Whether these origins may resolve to private or special addresses.
    pub private: bool,
    /// PEM of the only roots trusted for these origins; `None` means the system's roots.
    pub roots_pem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let good = |text: &str, shown: &str| {
            assert_eq!(
                text.parse::<Origin>().map(|origin| origin.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        };
        good("https://gmail.googleapis.com", "https://gmail.googleapis.com");
        good("https://gmail.googleapis.com:443", "https://gmail.googleapis.com");
        good("https://127.0.0.1:8443", "https://127.0.0.1:8443");
        good("https://[::1]:8443", "https://[::1]:8443");
        good("https://localhost:1", "https://localhost:1");
        let bad = |text: &str, why: BadOrigin| assert_eq!(text.parse::<Origin>(), Err(why), "{text}");
        bad("http://example.org", BadOrigin::Scheme);
        bad("HTTPS://example.org", BadOrigin::Scheme);
        bad("https://example.org/", BadOrigin::More);
        bad("https://me@example.org", BadOrigin::More);
        bad("https://example.org?x", BadOrigin::More);
        bad("https://example.org\\@evil.example", BadOrigin::More);
        bad("https://[::1]x", BadOrigin::More);
        bad("https://Example.org", BadOrigin::Host);
        bad("https://example.org.", BadOrigin::Host);
        bad("https://", BadOrigin::Host);
        bad("https://127.1", BadOrigin::Host);
        bad("https://2130706433", BadOrigin::Host);
        bad("https://0x7f000001", BadOrigin::Host);
        bad("https://exa mple.org", BadOrigin::Host);
        bad("https://exämple.org", BadOrigin::Host);
        bad("https://example.org:0", BadOrigin::Port);
        bad("https://example.org:65536", BadOrigin::Port);
        bad("https://example.org:+1", BadOrigin::Port);
        bad("https://example.org:", BadOrigin::Port);
    }
}
