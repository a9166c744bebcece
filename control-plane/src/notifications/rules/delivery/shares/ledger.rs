//! The sums of the space that deliveries take, kept as they come and go.

use std::collections::{BTreeMap, HashMap};

use usher_model::id::TenantId;

use super::{DeliveryAddress, SpaceKind, SpaceRefusal, SpaceTaken, space_of};
use crate::notifications::rules::delivery::Delivery;

/// The space that one delivery takes, and who takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceClaim {
    /// The tenant of the delivery.
    pub tenant: TenantId,
    /// The address that the server called.
    pub address: DeliveryAddress,
    /// The kind of the delivery.
    pub kind: SpaceKind,
    /// The space in bytes.
    pub space: u64,
}

impl SpaceClaim {
    /// Returns the claim of a delivery that has `size` bytes in the store.
    pub fn of(delivery: &Delivery, size: usize) -> Self {
        Self {
            tenant: delivery.meeting.tenant.clone(),
            address: DeliveryAddress::of(delivery),
            kind: SpaceKind::of(delivery),
            space: space_of(size),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SpaceSum {
    space: u64,
    count: u64,
}

impl SpaceSum {
    fn add(&mut self, space: u64) {
        self.space += space;
        self.count += 1;
    }

    /// Takes one delivery off; returns whether none is left.
    fn take_off(&mut self, space: u64) -> bool {
        self.space = self.space.saturating_sub(space);
        self.count = self.count.saturating_sub(1);
        self.count == 0
    }
}

/// The space that all claims take, by tenant and kind, and by address.
#[derive(Debug, Default)]
pub struct SpaceLedger {
    by_tenant: BTreeMap<(TenantId, SpaceKind), SpaceSum>,
    by_address: HashMap<DeliveryAddress, SpaceSum>,
    all: u64,
    events: u64,
}

impl SpaceLedger {
    /// Returns the space that is taken, as a claim finds it.
    pub fn taken(&self, claim: &SpaceClaim) -> SpaceTaken {
        let of = |kind| self.by_tenant.get(&(claim.tenant.clone(), kind)).map_or(0, |sum| sum.space);
        let address = self.by_address.get(&claim.address).copied().unwrap_or_default();
        SpaceTaken {
            all: self.all,
            events: self.events,
            tenant: SpaceKind::ALL.into_iter().map(of).sum(),
            tenant_kind: of(claim.kind),
            address: address.space,
            address_count: address.count,
        }
    }

    /// Adds a claim if its shares allow it.
    ///
    /// # Errors
    /// Returns the first share that is exhausted.
    pub fn claim(&mut self, claim: &SpaceClaim, limit: u64) -> Result<(), SpaceRefusal> {
        self.taken(claim).admits(claim.kind, claim.space, limit)?;
        self.add(claim);
        Ok(())
    }

    /// Adds a claim also beyond the shares: the store has its delivery already.
    pub fn add(&mut self, claim: &SpaceClaim) {
        self.by_tenant.entry((claim.tenant.clone(), claim.kind)).or_default().add(claim.space);
        self.by_address.entry(claim.address).or_default().add(claim.space);
        self.all += claim.space;
        self.events += if claim.kind == SpaceKind::Event { claim.space } else { 0 };
    }

    /// Removes a claim that was added.
    pub fn remove(&mut self, claim: &SpaceClaim) {
        let key = (claim.tenant.clone(), claim.kind);
        if self.by_tenant.get_mut(&key).is_some_and(|sum| sum.take_off(claim.space)) {
            self.by_tenant.remove(&key);
        }
        if self.by_address.get_mut(&claim.address).is_some_and(|sum| sum.take_off(claim.space)) {
            self.by_address.remove(&claim.address);
        }
        self.all = self.all.saturating_sub(claim.space);
        let of_events = if claim.kind == SpaceKind::Event { claim.space } else { 0 };
        self.events = self.events.saturating_sub(of_events);
    }

    /// Returns the space that all claims take.
    pub fn all(&self) -> u64 {
        self.all
    }
}
