//! Where may be listened: loopback, and nowhere else.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// An address that only processes of this machine can reach: of 127.0.0.0/8, or `::1`, with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loopback(SocketAddr);

/// Why an address is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLoopback {
    /// It is not an address with a port.
    #[error(
        "an address and a port is wanted, such as 127.0.0.1:8808 or [::1]:8808 (port 0: any that is free)"
    )]
    Form,
    /// Others could reach it.
    #[error(
        "only a loopback address is served (127.0.0.1 or [::1]): who reaches the port can use what is granted, \
         and no other machine may"
    )]
    Reachable,
}

impl FromStr for Loopback {
    type Err = NotLoopback;

    fn from_str(text: &str) -> Result<Self, NotLoopback> {
        let address: SocketAddr = text.parse().map_err(|_| NotLoopback::Form)?;
        // Says no to `::ffff:127.0.0.1` too: one name for one address.
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err(NotLoopback::Reachable) }
    }
}

impl Loopback {
    /// As the system wants it.
    pub(super) fn socket(self) -> SocketAddr {
        self.0
    }
}

/// As it stands in a URL and in a `Host` header.
pub(super) fn authority(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{}", address.port()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn only_loopback_is_an_address() {
        for text in ["127.0.0.1:0", "127.0.0.1:8808", "127.255.255.254:1", "[::1]:8808", "[::1%1]:8808"] {
            assert!(text.parse::<Loopback>().is_ok(), "{text}");
        }
        for text in [
            "0.0.0.0:8808",
            "[::]:8808",
            "10.0.0.1:8808",
            "192.168.1.2:8808",
            "128.0.0.1:8808",
            "126.255.255.255:8808",
            "[fe80::1]:8808",
            "[2001:db8::1]:8808",
            "[::ffff:127.0.0.1]:8808",
            "[::ffff:10.0.0.1]:8808",
            "[::127.0.0.1]:8808",
        ] {
            assert_eq!(text.parse::<Loopback>(), Err(NotLoopback::Reachable), "{text}");
        }
        for text in
            ["", "8808", ":8808", "127.0.0.1", "localhost:8808", "127.1:8808", "127.0.0.1:65536", "::1:8808x"]
        {
            assert_eq!(text.parse::<Loopback>(), Err(NotLoopback::Form), "{text}");
        }
    }

    #[test]
    fn it_is_written_as_in_a_url() {
        for (address, expected) in [("127.0.0.1:5", "127.0.0.1:5"), ("[::1%3]:5", "[::1]:5")] {
            assert_eq!(authority(address.parse().unwrap()), expected);
        }
    }
}
