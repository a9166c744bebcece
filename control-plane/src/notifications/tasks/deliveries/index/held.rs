//! The deliveries that a replica has seen, in the orders in which they are needed: each question
//! costs the logarithm of their number, because the worker asks after each of its steps.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use usher_model::id::TenantId;

use crate::notifications::rules::{
    delivery::{
        Delivery, HookFence, HookKey, HookStanding,
        shares::{SpaceClaim, SpaceLedger},
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

/// All deliveries, with their orders.
#[derive(Debug, Default)]
pub(super) struct HeldDeliveries {
    all: BTreeMap<DeliveryId, HeldDelivery>,
    of: BTreeMap<TenantId, BTreeSet<DeliveryId>>,
    by_age: BTreeSet<(u64, DeliveryId)>,
    /// The events of each hook, in the order of acceptance.
    events: BTreeMap<HookKey, BTreeSet<(u64, DeliveryId)>>,
    event_count: usize,
    /// Hooks with events that must not go out.
    dead: BTreeSet<HookKey>,
    pub(super) fence: HookFence,
    bytes: u64,
    /// The space that the held deliveries take, and those that are being written.
    pub(super) space: SpaceLedger,
}

impl HeldDeliveries {
    pub(super) fn insert(&mut self, id: DeliveryId, held: HeldDelivery) {
        self.remove(&id);
        self.bytes += held.value.len() as u64;
        self.space.add(&held.claim);
        self.by_age.insert((held.created, id.clone()));
        self.of.entry(held.delivery.meeting.tenant.clone()).or_default().insert(id.clone());
        if let Some(hook) = held.delivery.hook_key() {
            self.event_count += 1;
            self.events.entry(hook.clone()).or_default().insert((held.created, id.clone()));
            self.judge(&hook);
        }
        self.all.insert(id, held);
    }

    pub(super) fn remove(&mut self, id: &DeliveryId) {
        let Some(old) = self.all.remove(id) else { return };
        self.bytes -= old.value.len() as u64;
        self.space.remove(&old.claim);
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
        if let Some(ids) = self.events.get_mut(&hook) {
            ids.remove(&(old.created, id.clone()));
            if ids.is_empty() {
                self.events.remove(&hook);
            }
        }
        self.judge(&hook);
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
