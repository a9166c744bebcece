//! The space for waiting deliveries, shared between tenants and addresses.
//!
//! No tenant takes more than what it leaves free, so that a tenant whose application is down, or
//! whose addresses are called without end, leaves space for every other one: one such tenant takes
//! half, two take a third each. A fixed share was rejected: it is too small for a fleet with one
//! tenant, or too large for a fleet with many. Of a tenant's space, callbacks that no server signed
//! take half, and one address takes a small part: each reader of an address can call it.

pub mod displacement;
mod ledger;
mod scarcity;

pub use ledger::{SpaceClaim, SpaceLedger};
pub use scarcity::DeliveryScarcity;
use sha2::{Digest as _, Sha256};

use super::{Delivery, DeliveryForm};

/// The least space that a delivery counts for, in bytes, however small it is: each one costs the
/// store a key, and the queue an entry.
const LEAST_SIZE: u64 = 512;
/// One address takes at most this part of all space, counted from 1.
const ADDRESS_PART: u64 = 32;
/// One hook takes at most this part of all space: half of the events of its tenant.
const HOOK_PART: u64 = 8;
/// The events of one tenant take at most this part of all space.
const TENANT_EVENTS_PART: u64 = 4;
/// All events take at most this part of all space.
const EVENTS_PART: u64 = 2;
/// The largest number of unsigned deliveries that wait for one address. A server calls such an
/// address once or twice in the life of a meeting.
const UNSIGNED_MOST: u64 = 64;

/// The reason why there is no space for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpaceRefusal {
    /// All space is taken.
    #[error("all space for deliveries is taken")]
    Full,
    /// The tenant has taken its share.
    #[error("the deliveries of this tenant take all space that one tenant may have")]
    Tenant,
    /// The address or hook has taken its share.
    #[error("the deliveries of this address take all space that one address may have")]
    Address,
    /// Events have taken their share.
    #[error("events take all space that they may have")]
    Events,
}

impl SpaceRefusal {
    /// Returns the name of the reason, for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Tenant => "tenant",
            Self::Address => "address",
            Self::Events => "events",
        }
    }
}

/// Names the address that a server called: one parameter of one meeting, or one hook. The query is
/// not a part of it, because the caller can append to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryAddress([u8; 16]);

impl DeliveryAddress {
    /// Returns the address of a delivery.
    pub fn of(delivery: &Delivery) -> Self {
        let url = delivery.url.split(['?', '#']).next().unwrap_or_default();
        let hook = delivery.hook.as_ref().map_or("", |hook| hook.as_str());
        // A hook gets the events of all meetings.
        let meeting = if hook.is_empty() { delivery.meeting.meeting.as_str() } else { "" };
        let mut digest = Sha256::new();
        for part in [delivery.meeting.tenant.as_str(), meeting, delivery.kind.name(), hook, url] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut name = [0; 16];
        name.copy_from_slice(&digest.finalize()[..16]);
        Self(name)
    }
}

/// Returns the space that a delivery of `size` bytes takes.
pub fn space_of(size: usize) -> u64 {
    (size as u64).max(LEAST_SIZE)
}

/// The kind of a delivery, as far as its share depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpaceKind {
    /// A callback that a server signed.
    Signed,
    /// A callback that any reader of its address can make.
    Unsigned,
    /// An event for a hook, which its server signed.
    Event,
}

impl SpaceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Signed, Self::Unsigned, Self::Event];

    /// Returns the kind of a delivery.
    pub fn of(delivery: &Delivery) -> Self {
        match (&delivery.hook, delivery.form) {
            (Some(_), _) => Self::Event,
            (None, DeliveryForm::Get) => Self::Unsigned,
            (None, DeliveryForm::SignedForm | DeliveryForm::BearerJson | DeliveryForm::Webhook) => {
                Self::Signed
            }
        }
    }
}

/// The space in bytes that waiting deliveries take, as one more delivery finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceTaken {
    /// By all deliveries.
    pub all: u64,
    /// By all events.
    pub events: u64,
    /// By the tenant's deliveries.
    pub tenant: u64,
    /// By the tenant's deliveries of the same kind.
    pub tenant_kind: u64,
    /// By the deliveries for the address.
    pub address: u64,
    /// Number of deliveries for the address.
    pub address_count: u64,
}

impl SpaceTaken {
    /// Decides whether a delivery that takes `space` may wait, where all together may take `limit`.
    ///
    /// # Errors
    /// Returns the first share that is exhausted.
    pub fn admits(&self, kind: SpaceKind, space: u64, limit: u64) -> Result<(), SpaceRefusal> {
        if self.all + space > limit {
            return Err(SpaceRefusal::Full);
        }
        let free = limit - self.all;
        let address_most = if kind == SpaceKind::Event { limit / HOOK_PART } else { limit / ADDRESS_PART };
        // The first delivery of an address always fits its share, however large it is.
        let address_full = self.address_count > 0 && self.address + space > address_most;
        if address_full || kind == SpaceKind::Unsigned && self.address_count >= UNSIGNED_MOST {
            return Err(SpaceRefusal::Address);
        }
        match kind {
            SpaceKind::Event if self.tenant_kind > limit / TENANT_EVENTS_PART => Err(SpaceRefusal::Tenant),
            SpaceKind::Event if self.events > limit / EVENTS_PART => Err(SpaceRefusal::Events),
            SpaceKind::Unsigned if self.tenant_kind > free / 2 => Err(SpaceRefusal::Tenant),
            _ if self.tenant > free => Err(SpaceRefusal::Tenant),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
