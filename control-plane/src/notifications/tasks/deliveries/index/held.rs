//! The deliveries that a replica has seen, in the orders in which they are needed: each question
//! costs the logarithm of their number, because the worker asks after each of its steps.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use usher_model::id::TenantId;

use crate::notifications::rules::{
    delivery::{
        Delivery, HookFence, HookKey, HookStanding,
        shares::{
            SpaceClaim, SpaceLedger, SpaceRefusal,
            displacement::{self, DisplacedPool},
        },
    },
    ids::DeliveryId,
};

/// A delivery with its stored form and its revisions.
#[derive(Debug, Clone)]
pub(super) struct HeldDelivery {
    pub(super) value: Bytes,
    pub(super) created: u64,
    pub(super) modified: u64,
    pub(super) delivery: Delivery,
    pub(super) claim: SpaceClaim,
    /// Whether it is about to expire for a newer delivery, which has its space already.
    pub(super) leaving: bool,
}

/// An event that must not go out any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct DeadEvent {
    pub(in super::super) id: DeliveryId,
    /// Revision that last changed the delivery.
    pub(in super::super) modified: u64,
    /// The hook, if it was not seen to be deleted: it must be absent when the event is removed.
    pub(in super::super) missing: Option<HookKey>,
}

/// An event that expires for a newer delivery of its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct DisplacedEvent {
    pub(in super::super) id: DeliveryId,
    /// Revision that last changed the delivery.
    pub(in super::super) modified: u64,
}

/// All deliveries, with their orders.
#[derive(Debug, Default)]
pub(super) struct HeldDeliveries {
    all: BTreeMap<DeliveryId, HeldDelivery>,
    of: BTreeMap<TenantId, BTreeSet<DeliveryId>>,
    by_age: BTreeSet<(u64, DeliveryId)>,
    /// The events of each hook, in the order of acceptance.
    events: BTreeMap<HookKey, BTreeSet<(u64, DeliveryId)>>,
    /// The events of each tenant, in the order of acceptance.
    events_of: BTreeMap<TenantId, BTreeSet<(u64, DeliveryId)>>,
    event_count: usize,
    /// Hooks with events that must not go out.
    dead: BTreeSet<HookKey>,
    pub(super) fence: HookFence,
    bytes: u64,
    /// The space that the held deliveries take, and those that are being written.
    pub(super) space: SpaceLedger,
}

impl HeldDeliveries {
    /// Holds a delivery, new or changed. An event that gave its space up does not get it back by a
    /// change, such as a failed attempt: a second delivery would claim the same space.
    pub(super) fn insert(&mut self, id: DeliveryId, held: HeldDelivery) {
        let leaving = self.all.get(&id).is_some_and(|old| old.leaving);
        let held = HeldDelivery { leaving, ..held };
        self.remove(&id);
        self.bytes += held.value.len() as u64;
        if !leaving {
            self.space.add(&held.claim);
        }
        self.by_age.insert((held.created, id.clone()));
        self.of.entry(held.delivery.meeting.tenant.clone()).or_default().insert(id.clone());
        if let Some(hook) = held.delivery.hook_key() {
            self.event_count += 1;
            let of_tenant = self.events_of.entry(held.delivery.meeting.tenant.clone()).or_default();
            of_tenant.insert((held.created, id.clone()));
            self.events.entry(hook.clone()).or_default().insert((held.created, id.clone()));
            self.judge(&hook);
        }
        self.all.insert(id, held);
    }

    pub(super) fn remove(&mut self, id: &DeliveryId) {
        let Some(old) = self.all.remove(id) else { return };
        self.bytes -= old.value.len() as u64;
        if !old.leaving {
            self.space.remove(&old.claim);
        }
        self.by_age.remove(&(old.created, id.clone()));
        let tenant = &old.delivery.meeting.tenant;
        if let Some(ids) = self.of.get_mut(tenant) {
            ids.remove(id);
            if ids.is_empty() {
                self.of.remove(tenant);
            }
        }
        let Some(hook) = old.delivery.hook_key() else { return };
        self.event_count -= 1;
        if let Some(ids) = self.events_of.get_mut(tenant) {
            ids.remove(&(old.created, id.clone()));
            if ids.is_empty() {
                self.events_of.remove(tenant);
            }
        }
        if let Some(ids) = self.events.get_mut(&hook) {
            ids.remove(&(old.created, id.clone()));
            if ids.is_empty() {
                self.events.remove(&hook);
            }
        }
        self.judge(&hook);
    }

    /// Claims the space of a new delivery. If there is none, the oldest events that make space for it
    /// give theirs up, and are returned: they are removed from the store next.
    ///
    /// # Errors
    /// Returns the share that is exhausted.
    pub(super) fn claim(
        &mut self,
        claim: &SpaceClaim,
        hook: Option<&HookKey>,
        limit: u64,
    ) -> Result<Vec<DisplacedEvent>, SpaceRefusal> {
        let Err(refusal) = self.space.claim(claim, limit) else { return Ok(Vec::new()) };
        let candidates = match displacement::pool(claim.kind, refusal) {
            Some(DisplacedPool::Hook) => hook.and_then(|hook| self.events.get(hook)),
            Some(DisplacedPool::Tenant) => self.events_of.get(&claim.tenant),
            None => None,
        };
        let staying = |(_, id): &&(u64, DeliveryId)| self.all.get(id).is_some_and(|held| !held.leaving);
        let oldest = candidates.into_iter().flatten().filter(staying).filter_map(|(_, id)| {
            let held = self.all.get(id)?;
            Some((DisplacedEvent { id: id.clone(), modified: held.modified }, held.claim.clone()))
        });
        let gone = displacement::displaced(claim, self.space.taken(claim), limit, oldest).ok_or(refusal)?;
        for event in &gone {
            if let Some(held) = self.all.get_mut(&event.id) {
                held.leaving = true;
                self.space.remove(&held.claim);
            }
        }
        self.space.claim(claim, limit)?;
        Ok(gone)
    }

    /// Gives events that were not removed their space back.
    pub(super) fn stay(&mut self, events: &[DisplacedEvent]) {
        for event in events {
            if let Some(held) = self.all.get_mut(&event.id)
                && std::mem::take(&mut held.leaving)
            {
                self.space.add(&held.claim);
            }
        }
    }

    /// Notes whether a hook has events that must not go out. If any has none, the oldest has none:
    /// a deletion kills those that were accepted before it.
    pub(super) fn judge(&mut self, hook: &HookKey) {
        let oldest = self.events.get(hook).and_then(|ids| ids.first());
        let dead = oldest.is_some_and(|(accepted, _)| is_dead(self.fence.standing(hook, *accepted)));
        if dead {
            self.dead.insert(hook.clone());
        } else {
            self.dead.remove(hook);
        }
    }

    /// Notes the same for all hooks, after a listing of the registrations.
    pub(super) fn judge_all(&mut self) {
        let hooks: Vec<HookKey> = self.events.keys().cloned().collect();
        for hook in &hooks {
            self.judge(hook);
        }
    }

    /// Returns up to `most` events that must not go out.
    pub(super) fn dead_events(&self, most: usize) -> Vec<DeadEvent> {
        let events = self.dead.iter().flat_map(|hook| {
            let ids = self.events.get(hook).into_iter().flatten();
            ids.map(move |(accepted, id)| (hook, self.fence.standing(hook, *accepted), id))
        });
        let dead = events.filter(|(_, standing, _)| is_dead(*standing));
        let shown = dead.filter_map(|(hook, standing, id)| {
            let missing = (standing == HookStanding::Missing).then(|| hook.clone());
            Some(DeadEvent { id: id.clone(), modified: self.all.get(id)?.modified, missing })
        });
        shown.take(most).collect()
    }

    /// Returns whether an attempt of a delivery may begin.
    pub(super) fn may_go_out(&self, held: &HeldDelivery) -> bool {
        held.delivery
            .hook_key()
            .is_none_or(|hook| self.fence.standing(&hook, held.created) == HookStanding::Registered)
    }

    pub(super) fn get(&self, id: &DeliveryId) -> Option<&HeldDelivery> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &DeliveryId) -> Option<&mut HeldDelivery> {
        self.all.get_mut(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &DeliveryId> {
        self.all.keys()
    }

    /// Visits the deliveries after `after` in the order of their ids, of one tenant or of all.
    pub(super) fn after<'a>(
        &'a self,
        tenant: Option<&TenantId>,
        after: Option<&DeliveryId>,
    ) -> Box<dyn Iterator<Item = (&'a DeliveryId, &'a HeldDelivery)> + 'a> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.cloned().map_or(Unbounded, Excluded);
        match tenant {
            None => Box::new(self.all.range((start, Unbounded))),
            Some(tenant) => {
                let ids = self.of.get(tenant).into_iter();
                let ids = ids.flat_map(move |ids| ids.range((start.clone(), Unbounded)));
                Box::new(ids.filter_map(|id| self.all.get_key_value(id)))
            }
        }
    }

    /// Counts the deliveries of one tenant or of all.
    pub(super) fn count(&self, tenant: Option<&TenantId>) -> usize {
        tenant.map_or(self.all.len(), |tenant| self.of.get(tenant).map_or(0, BTreeSet::len))
    }

    /// Counts the events for hooks.
    pub(super) fn event_count(&self) -> usize {
        self.event_count
    }

    /// Returns the delivery that was accepted first.
    pub(super) fn oldest(&self) -> Option<&HeldDelivery> {
        self.by_age.first().and_then(|(_, id)| self.all.get(id))
    }

    /// Returns the size of all deliveries in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn is_dead(standing: HookStanding) -> bool {
    matches!(standing, HookStanding::Missing | HookStanding::Deleted)
}
