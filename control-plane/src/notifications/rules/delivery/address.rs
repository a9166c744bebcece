//! Addresses that callbacks may go to: public ones, and those that the operator allows in addition.
//! Applications choose the addresses, so that any other rule would let them call into our own network
//! (SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// IPv4 networks that are not reachable over the Internet (IANA special-purpose registry), and
/// 100.64.0.0/10 of carriers.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Which addresses callbacks may go to.
#[derive(Debug, Clone, Default)]
pub struct AllowedAddresses {
    networks: Vec<IpNet>,
    own: Vec<IpAddr>,
}

impl AllowedAddresses {
    /// Allows `networks` (`10.0.0.0/8`, `fd00::1`) and public addresses except `own`, the addresses of
    /// our control planes and stores. Texts that are no network are ignored: the configuration was
    /// checked before.
    pub fn new(networks: &[String], own: Vec<IpAddr>) -> Self {
        let parse = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
        Self { networks: networks.iter().filter_map(parse).collect(), own }
    }

    /// Returns whether a callback may go to an address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let listed = self.networks.iter().any(|network| network.contains(&address));
        listed || is_public(address) && !self.own.iter().any(|own| own.to_canonical() == address)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|(network, length)| {
            let mask = u32::MAX << (32 - length);
            u32::from(address) & mask == u32::from(*network)
        }),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Allows global unicast, 2000::/3, and the well-known NAT64 prefix; an address with an IPv4 address
/// inside is judged by that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let inner = |high: u16, low: u16| IpAddr::V4((u32::from(high) << 16 | u32::from(low)).into());
    match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public(inner(high, low)),
        [0x2002, high, low, ..] => is_public(inner(high, low)),
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allowed: &AllowedAddresses, address: &str) -> bool {
        allowed.permits(address.parse().expect("is an address"))
    }

    #[test]
    fn only_public_addresses_are_reached() {
        let allowed = AllowedAddresses::default();
        for public in
            ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2a00:1450::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]
        {
            assert!(permits(&allowed, public), "{public}");
        }
        for private in [
            "0.0.0.0",
            "127.0.0.1",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.170",
            "198.19.0.1",
            "203.0.113.5",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "64:ff9b:1::1",
        ] {
            assert!(!permits(&allowed, private), "{private}");
        }
    }

    #[test]
    fn an_operator_can_allow_networks_and_our_own_addresses_are_refused() {
        let own = vec!["8.8.4.4".parse().expect("is an address")];
        let allowed =
            AllowedAddresses::new(&["10.0.0.0/8".into(), "127.0.0.1".into(), "fd00::/8".into()], own);
        for address in ["10.9.9.9", "127.0.0.1", "::ffff:10.0.0.1", "fd00::1", "8.8.8.8"] {
            assert!(permits(&allowed, address), "{address}");
        }
        for address in ["127.0.0.2", "192.168.0.1", "8.8.4.4", "::ffff:8.8.4.4"] {
            assert!(!permits(&allowed, address), "{address}");
        }
        assert!(permits(
            &AllowedAddresses::new(&["8.8.4.4".into()], vec!["8.8.4.4".parse().unwrap()]),
            "8.8.4.4"
        ));
    }
}
