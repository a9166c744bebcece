//! The waiting events that expire to make space for a newer delivery of their tenant (ADR 37).
//!
//! | new delivery | without space for it | these expire, the oldest first |
//! |---|---|---|
//! | event | at its hook | events of the same hook |
//! | event | of its tenant, of all events, at all | events of the same tenant |
//! | callback that a server signed | of its tenant, at all | events of the same tenant |
//! | callback that a server signed | at its address | none: an accepted callback is kept (I12) |
//! | callback that no server signed | anywhere | none: each reader of its address could remove events |
//!
//! No tenant can let a delivery of another tenant expire.

use super::{SpaceClaim, SpaceKind, SpaceRefusal, SpaceTaken};

/// The largest number of events that expire for one delivery. A transaction of the store takes no
/// more than about a hundred writes.
const MOST: usize = 100;

/// The events that make space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplacedPool {
    /// Those of the hook of the new event.
    Hook,
    /// Those of the tenant of the new delivery.
    Tenant,
}

/// Returns the events that make space for a refused delivery; `None` if it stays refused.
pub fn pool(kind: SpaceKind, refusal: SpaceRefusal) -> Option<DisplacedPool> {
    match (kind, refusal) {
        (SpaceKind::Unsigned, _) | (SpaceKind::Signed, SpaceRefusal::Address) => None,
        (SpaceKind::Event, SpaceRefusal::Address) => Some(DisplacedPool::Hook),
        (
            SpaceKind::Event | SpaceKind::Signed,
            SpaceRefusal::Full | SpaceRefusal::Tenant | SpaceRefusal::Events,
        ) => Some(DisplacedPool::Tenant),
    }
}

/// Returns the first of `oldest` whose space is enough for `claim`; `None` if a hundred of them are
/// not.
pub fn displaced<T>(
    claim: &SpaceClaim,
    mut taken: SpaceTaken,
    limit: u64,
    oldest: impl Iterator<Item = (T, SpaceClaim)>,
) -> Option<Vec<T>> {
    let mut gone = Vec::new();
    for (event, old) in oldest.take(MOST) {
        taken = without(taken, claim, &old);
        gone.push(event);
        if taken.admits(claim.kind, claim.space, limit).is_ok() {
            return Some(gone);
        }
    }
    None
}

/// Returns the space as `claim` finds it once the delivery of `old`, of the same tenant, is gone.
fn without(taken: SpaceTaken, claim: &SpaceClaim, old: &SpaceClaim) -> SpaceTaken {
    let space_if = |applies: bool| if applies { old.space } else { 0 };
    let is_same = old.address == claim.address;
    SpaceTaken {
        all: taken.all.saturating_sub(old.space),
        events: taken.events.saturating_sub(space_if(old.kind == SpaceKind::Event)),
        tenant: taken.tenant.saturating_sub(old.space),
        tenant_kind: taken.tenant_kind.saturating_sub(space_if(old.kind == claim.kind)),
        address: taken.address.saturating_sub(space_if(is_same)),
        address_count: taken.address_count.saturating_sub(u64::from(is_same)),
    }
}
