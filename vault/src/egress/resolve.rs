//! Which addresses may be dialled. The addresses checked here are the ones dialled: nothing is resolved twice, so a
//! name cannot change its mind in between (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::port::UpstreamFault;

/// Resolves the host (a DNS name, or an address literal without brackets) and checks every address.
///
/// # Errors
/// [`UpstreamFault::Address`] if there is no address, or if any one of them may not be dialled: a public name with
/// one special address among others is an attack or a mistake, and neither is worth a guess.
pub(super) async fn resolve(host: &str, port: u16, private: bool) -> Result<Vec<SocketAddr>, UpstreamFault> {
    // A literal reaches no resolver, and is checked like everything else.
    if let Ok(address) = host.parse::<IpAddr>() {
        return admit(vec![SocketAddr::new(address, port)], private);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| UpstreamFault::Address("the name does not resolve"))?;
    admit(found.collect(), private)
}

/// Returns the addresses as they are if every one of them may be dialled. `private` is the pin's: whether private and
/// special addresses are what the admin wants.
pub(super) fn admit(addresses: Vec<SocketAddr>, private: bool) -> Result<Vec<SocketAddr>, UpstreamFault> {
    if addresses.is_empty() {
        return Err(UpstreamFault::Address("the name has no address"));
    }
    for address in &addresses {
        let ip = address.ip();
        if never(ip) || embedded(ip).any(|inner| never(IpAddr::V4(inner))) {
            return Err(UpstreamFault::Address("no service may live at this address"));
        }
        if !private && special(ip) {
            return Err(UpstreamFault::Address(
                "it is private or special, and the secret is for a public service",
            ));
        }
    }
    Ok(addresses)
}

/// Addresses that stand for no host, and those where clouds hand out credentials to whoever asks; refused even for
/// private services.
fn never(ip: IpAddr) -> bool {
    const METADATA_V4: [[u8; 4]; 5] = [
        [169, 254, 169, 254], // AWS, Google, Azure, and most others
        [169, 254, 170, 2],   // AWS, containers
        [169, 254, 170, 23],  // AWS, pods
        [100, 100, 100, 200], // Alibaba
        [168, 63, 129, 16],   // Azure's agent
    ];
    const METADATA_V6: [Ipv6Addr; 3] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    match ip {
        IpAddr::V4(v4) => {
            // All of 0.0.0.0/8 is "this network" (RFC 1122, 3.2.1.3); Linux dials 0.0.0.0 as itself.
            v4.octets()[0] == 0
                || v4.is_multicast()
                || v4.is_broadcast()
                || METADATA_V4.contains(&v4.octets())
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast() || METADATA_V6.contains(&v6),
    }
}

/// Whether the address is anything but an ordinary public one, by the special-purpose registries of IANA (RFC 6890).
fn special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || (a == 100 && (64..128).contains(&b)) // shared by carriers, RFC 6598
                || (a == 192 && b == 0 && c == 0) // protocol assignments, RFC 6890
                || (a == 192 && b == 88 && c == 99) // 6to4 relays, RFC 7526
                || (a == 198 && (b == 18 || b == 19)) // benchmarks, RFC 2544
                || a >= 240 // reserved, RFC 1112
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Only 2000::/3 is handed out as global unicast (RFC 4291). All else is special: loopback, mapped and
            // compatible IPv4, NAT64, unique local, link-local, site-local.
            a & 0xe000 != 0x2000
                || (a == 0x2001 && b < 0x0200) // protocol assignments, with Teredo, benchmarks and ORCHID
                || (a == 0x2001 && b == 0x0db8) // documentation, RFC 3849
                || a == 0x2002 // 6to4, carries any IPv4 address
                || (a == 0x3fff && b < 0x1000) // documentation, RFC 9637
        }
    }
}

/// The IPv4 addresses that an IPv6 address may be a wrapping of: mapped or compatible, NAT64 (RFC 6052), 6to4
/// (RFC 3056), Teredo (RFC 4380).
fn embedded(ip: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let pair = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    let inner = match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => match v6.segments() {
            // `::1` is loopback, not a compatible 0.0.0.1.
            [0, 0, 0, 0, 0, 0, 0, 1] => None,
            [0, 0, 0, 0, 0, 0 | 0xffff, g, h] => Some(pair(g, h)),
            [0x64, 0xff9b, 0 | 1, .., g, h] => Some(pair(g, h)),
            [0x2002, b, c, ..] => Some(pair(b, c)),
            [0x2001, 0, .., g, h] => Some(pair(!g, !h)),
            _ => None,
        },
    };
    inner.into_iter()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    fn verdict(ip: &str, private: bool) -> bool {
        admit(vec![SocketAddr::new(ip.parse().unwrap(), 443)], private).is_ok()
    }

    #[test]
    fn every_special_range_is_refused_for_a_public_service() {
        let special = [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "240.0.0.1",
            "255.255.255.254",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::808:808",
            "2002:808:808::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ];
        for ip in special {
            assert!(!verdict(ip, false), "{ip} was dialled for a public service");
            assert!(verdict(ip, true), "{ip} was refused to a private service");
        }
    }

    #[test]
    fn public_addresses_are_dialled() {
        for ip in [
            "8.8.8.8",
            "142.250.180.10",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2a00:1450:4001:800::200a",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "3ffe::1",
        ] {
            assert!(verdict(ip, false), "{ip} was refused to a public service");
            assert!(verdict(ip, true), "{ip} was refused to a private service");
        }
    }

    #[test]
    fn metadata_and_what_is_no_host_are_refused_to_everyone() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001::5601:5601",
            "::ffff:0.0.0.0",
        ] {
            assert!(!verdict(ip, false), "{ip} was dialled for a public service");
            assert!(!verdict(ip, true), "{ip} was dialled for a private service");
        }
    }

    #[test]
    fn one_special_address_among_public_ones_refuses_them_all() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 443);
        assert!(admit(vec![at("8.8.8.8"), at("127.0.0.1")], false).is_err());
        assert!(admit(vec![at("8.8.8.8"), at("127.0.0.1")], true).is_ok());
        assert!(admit(vec![at("10.0.0.1"), at("169.254.169.254")], true).is_err());
        assert!(admit(vec![], true).is_err());
    }

    #[tokio::test]
    async fn names_and_literals_go_through_the_same_check() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(matches!(resolve(host, 443, false).await, Err(UpstreamFault::Address(_))), "{host}");
            assert!(resolve(host, 443, true).await.is_ok(), "{host}");
        }
    }
}
