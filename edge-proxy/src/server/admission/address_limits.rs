//! The limits of one client address: its connections, and its requests in a second.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use usher_model::settings::EdgeSettings;
use usher_runtime::clock;

use crate::core::admission::{AddressGroup, AddressLedger, RequestPace};

/// Part of all connections that one address may have where the addresses of clients are known.
const SHARE_OF_CONNECTIONS: u64 = 4;
/// Requests in a second that one address may send where the addresses of clients are known: far more than a
/// busy application sends, and less than one edge serves.
const REQUESTS: u32 = 5_000;

/// The limits of client addresses, and the connections that count; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct AddressLimits {
    terms: AddressTerms,
    ledger: Arc<Mutex<AddressLedger>>,
    origin: Instant,
}

/// The configured limits of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AddressTerms {
    /// Largest number of connections; `None` means a share of all.
    connections: Option<u32>,
    /// Requests in a second; 0 means no limit.
    requests: u32,
}

impl AddressTerms {
    /// Returns the terms of `settings`. Without the PROXY protocol, every client may have the address of
    /// a load balancer, so that addresses have no limit unless one is set.
    fn new(settings: &EdgeSettings) -> Self {
        let knows_clients = !settings.proxy_protocol_from.is_empty();
        Self {
            connections: settings.max_address_connections.or((!knows_clients).then_some(0)),
            requests: settings.max_address_requests.unwrap_or(if knows_clients { REQUESTS } else { 0 }),
        }
    }

    /// Returns the largest number of connections of one address if the listener may have `all`; `None`
    /// means no limit.
    fn most(self, all: usize) -> Option<u64> {
        match self.connections {
            Some(0) => None,
            Some(most) => Some(u64::from(most)),
            None => Some((all as u64 / SHARE_OF_CONNECTIONS).max(1)),
        }
    }
}

impl AddressLimits {
    /// Returns the limits of `settings`.
    pub(crate) fn new(settings: &EdgeSettings) -> Self {
        Self { terms: AddressTerms::new(settings), ledger: Arc::default(), origin: clock::now() }
    }

    /// Counts a connection of a client until the result is dropped; `None` if the client has too many.
    /// `address` is the client's, not that of a load balancer. `all` is the number of connections that the
    /// listener may have.
    pub(crate) fn connect(&self, address: IpAddr, all: usize) -> Option<ClientAddress> {
        let (most, group) = (self.terms.most(all), AddressGroup::of(address));
        if most.is_none() && self.terms.requests == 0 {
            return Some(ClientAddress { group, counted: None });
        }
        let pace = self.lock().open(group, most.unwrap_or(u64::MAX), self.now(clock::now()))?;
        Some(ClientAddress { group, counted: Some(CountedAddress { limits: self.clone(), group, pace }) })
    }

    fn now(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, AddressLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection of a client address.
#[derive(Debug)]
pub(crate) struct ClientAddress {
    group: AddressGroup,
    /// `None` if addresses have no limits.
    counted: Option<CountedAddress>,
}

#[derive(Debug)]
struct CountedAddress {
    limits: AddressLimits,
    group: AddressGroup,
    pace: Arc<RequestPace>,
}

impl ClientAddress {
    /// Returns the addresses that count as this client.
    pub(crate) fn group(&self) -> AddressGroup {
        self.group
    }

    /// Counts a request that was received at `now`; returns whether the address may send it. It takes no
    /// lock: joins go through here.
    pub(crate) fn admits_request(&self, now: Instant) -> bool {
        self.counted
            .as_ref()
            .is_none_or(|counted| counted.pace.admits(counted.limits.now(now), counted.limits.terms.requests))
    }
}

impl Drop for CountedAddress {
    fn drop(&mut self) {
        let now = self.limits.now(clock::now());
        self.limits.lock().close(self.group, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(alter: impl FnOnce(&mut EdgeSettings)) -> AddressLimits {
        let mut settings = EdgeSettings::default();
        alter(&mut settings);
        AddressLimits::new(&settings)
    }

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn behind_a_balancer_that_hides_its_clients_one_address_has_no_limit() {
        let limits = limits(|_| {});
        let held: Vec<_> = (0..10_000).map(|_| limits.connect(ONE, 100)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!((0..100_000).all(|_| held[0].as_ref().unwrap().admits_request(limits.origin)));
        assert!(limits.lock().is_empty(), "and takes no memory");
    }

    #[test]
    fn with_known_clients_one_address_has_a_quarter_of_the_connections() {
        let limits = limits(|settings| settings.proxy_protocol_from = vec!["10.0.0.0/8".into()]);
        let held: Vec<_> = (0..100).filter_map(|_| limits.connect(ONE, 100)).collect();
        assert_eq!(held.len(), 25);
        assert!(limits.connect(OTHER, 100).is_some());
        drop(held);
        assert!(limits.connect(ONE, 100).is_some() && limits.lock().len() <= 1);
    }

    #[test]
    fn the_connections_of_one_address_share_its_requests() {
        let limits = limits(|settings| settings.max_address_requests = Some(10));
        let held: Vec<_> = (0..4).filter_map(|_| limits.connect(ONE, 0)).collect();
        let admitted = (0..40).filter(|number| held[number % 4].admits_request(limits.origin)).count();
        assert_eq!((held.len(), admitted), (4, 10));
        assert!(limits.connect(OTHER, 0).unwrap().admits_request(limits.origin));
    }
}
