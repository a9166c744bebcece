//! The order of addresses: those that this machine has a route to come first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Returns the addresses in their order, those without a route last. A machine without IPv6 would
/// otherwise begin each connection with an address that it cannot reach (RFC 6724, rule 1).
pub(super) fn routable_first(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = addresses.into_iter().collect();
    if addresses.iter().any(IpAddr::is_ipv6) && addresses.iter().any(IpAddr::is_ipv4) {
        addresses.sort_by_cached_key(|address| !has_route(*address));
    }
    addresses
}

/// Returns whether the machine would send to an address. Connecting a UDP socket chooses a route
/// and sends no packet.
fn has_route(address: IpAddr) -> bool {
    let own: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(own, 0));
    socket.is_ok_and(|socket| socket.connect(SocketAddr::new(address, 9)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_route_comes_last() {
        let local: IpAddr = Ipv4Addr::LOCALHOST.into();
        // A scoped address without its scope has no route on any machine.
        let nowhere: IpAddr = "fe80::1".parse().expect("is an address");
        assert_eq!(routable_first([nowhere, local]), [local, nowhere]);
        assert_eq!(routable_first([local, local]), [local, local]);
    }
}
