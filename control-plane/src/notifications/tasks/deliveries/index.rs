//! The deliveries under `deliveries/`, as far as this replica has seen them.

mod held;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, futures::Notified};
use tracing::error;
use usher_model::id::TenantId;

pub(super) use self::held::{DeadEvent, DisplacedEvent};
use self::held::{HeldDeliveries, HeldDelivery};
use crate::{
    notifications::{
        rules::{
            delivery::{
                Delivery, HookKey, StoredDelivery,
                shares::{SpaceClaim, SpaceRefusal},
            },
            ids::DeliveryId,
        },
        store::deliveries::{decode, id_of},
    },
    ports::StoreEntry,
};

/// One waiting delivery, for a list.
#[derive(Debug, Clone)]
pub struct WaitingDelivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// The delivery itself.
    pub delivery: Delivery,
    /// Size of the delivery in the store, in bytes.
    pub size: u64,
}

/// The space of a delivery that is being written. It is given back when the write has ended: then
/// the delivery itself takes the space, or none does, and the events that were to expire for it take
/// theirs again unless they are gone.
#[derive(Debug)]
#[must_use]
pub(super) struct SpaceReservation {
    index: DeliveryIndex,
    claim: SpaceClaim,
    displaced: Vec<DisplacedEvent>,
}

impl SpaceReservation {
    /// Returns the events that expire for the delivery.
    pub(super) fn displaced(&self) -> &[DisplacedEvent] {
        &self.displaced
    }
}

impl Drop for SpaceReservation {
    fn drop(&mut self) {
        let mut held = self.index.lock();
        held.space.remove(&self.claim);
        held.stay(&self.displaced);
    }
}

/// The index of deliveries; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct DeliveryIndex(Arc<SharedIndex>);

#[derive(Debug, Default)]
struct SharedIndex {
    held: Mutex<HeldDeliveries>,
    /// Wakes the worker when hooks were registered or deleted.
    hooks_changed: Notify,
}

/// A delivery for an attempt.
#[derive(Debug)]
pub(super) enum Departure {
    /// The attempt may begin.
    Ready(Delivery),
    /// Its hook is not registered, as far as this replica has seen.
    Held,
    /// The delivery was removed.
    Gone,
}

impl DeliveryIndex {
    /// Adds or replaces the delivery of a key, and returns its entry for the queue. An unreadable
    /// delivery remains in the store and is not delivered: a newer version may have written it.
    pub(super) fn put(&self, entry: &StoreEntry) -> Option<(DeliveryId, StoredDelivery)> {
        let id = id_of(&entry.key)?;
        let delivery = match decode(&entry.value) {
            Ok(delivery) => delivery,
            Err(reason) => {
                error!(delivery = %id, %reason, "stored callback unreadable, not delivered");
                return None;
            }
        };
        let seen = StoredDelivery {
            lane: delivery.lane(),
            order_ms: delivery.order_ms,
            accepted: entry.create_revision,
            attempts: delivery.attempts,
            waited: delivery.waited,
            retries_asked: delivery.retries_asked,
        };
        let held = HeldDelivery {
            claim: SpaceClaim::of(&delivery, entry.value.len()),
            value: entry.value.clone(),
            created: entry.create_revision,
            modified: entry.mod_revision,
            delivery,
            leaving: false,
        };
        self.lock().insert(id.clone(), held);
        Some((id, seen))
    }

    /// Removes the delivery of a deleted key.
    pub(super) fn remove(&self, key: &str) -> Option<DeliveryId> {
        let id = id_of(key)?;
        self.lock().remove(&id);
        Some(id)
    }

    /// Removes all deliveries before a new listing.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        // Deliveries that are being written keep their space.
        let held: Vec<DeliveryId> = state.ids().cloned().collect();
        for id in &held {
            state.remove(id);
        }
    }

    pub(super) fn contains(&self, id: &DeliveryId) -> bool {
        self.lock().get(id).is_some()
    }

    /// Returns a delivery as it is stored, the revision that last changed it, and the decoded
    /// delivery.
    pub(super) fn get(&self, id: &DeliveryId) -> Option<(Bytes, u64, Delivery)> {
        let pages = self.lock();
        let held = pages.get(id)?;
        Some((held.value.clone(), held.modified, held.delivery.clone()))
    }

    /// Notes a write of this replica before the watch shows it.
    pub(super) fn written(&self, id: &DeliveryId, revision: u64) {
        if let Some(held) = self.lock().get_mut(id) {
            held.modified = held.modified.max(revision);
        }
    }

    /// Returns the size of all deliveries in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// Reserves the space of a delivery that has `size` bytes, where all deliveries may take
    /// `limit`. Older events of the tenant may have to expire for it.
    ///
    /// # Errors
    /// Returns the share that is exhausted.
    pub(super) fn reserve(
        &self,
        delivery: &Delivery,
        size: usize,
        limit: u64,
    ) -> Result<SpaceReservation, SpaceRefusal> {
        let claim = SpaceClaim::of(delivery, size);
        let displaced = self.lock().claim(&claim, delivery.hook_key().as_ref(), limit)?;
        Ok(SpaceReservation { index: self.clone(), claim, displaced })
    }

    /// Replaces the registered hooks by those of a listing.
    pub(super) fn replace_hooks(&self, registered: BTreeSet<HookKey>) {
        let mut state = self.lock();
        state.fence.replace(registered);
        state.judge_all();
        self.0.hooks_changed.notify_one();
    }

    /// Notes the registration of a hook.
    pub(super) fn register_hook(&self, hook: HookKey) {
        let mut state = self.lock();
        state.fence.register(hook.clone());
        state.judge(&hook);
        self.0.hooks_changed.notify_one();
    }

    /// Notes that a hook was deleted at a store revision. No attempt for it begins from now on.
    pub(super) fn delete_hook(&self, hook: HookKey, revision: u64) {
        let mut state = self.lock();
        state.fence.delete(hook.clone(), revision);
        state.judge(&hook);
        self.0.hooks_changed.notify_one();
    }

    /// Waits until hooks were registered or deleted.
    pub(super) fn hooks_changed(&self) -> Notified<'_> {
        self.0.hooks_changed.notified()
    }

    /// Returns whether the registrations have been read.
    pub(super) fn knows_hooks(&self) -> bool {
        self.lock().fence.is_read()
    }

    /// Returns a delivery for an attempt.
    pub(super) fn depart(&self, id: &DeliveryId) -> Departure {
        let state = self.lock();
        match state.get(id) {
            None => Departure::Gone,
            Some(held) if state.may_go_out(held) => Departure::Ready(held.delivery.clone()),
            Some(_) => Departure::Held,
        }
    }

    /// Returns up to `most` events of hooks that are not registered.
    pub(super) fn dead_events(&self, most: usize) -> Vec<DeadEvent> {
        self.lock().dead_events(most)
    }

    /// Returns the number of deliveries, and the time at which the oldest was accepted,
    /// milliseconds since 1970.
    pub(super) fn waiting(&self) -> (usize, Option<i64>) {
        let state = self.lock();
        (state.count(None), state.oldest().map(|held| held.delivery.accepted_at_ms))
    }

    /// Returns the number of waiting events for hooks.
    pub(super) fn events(&self) -> usize {
        self.lock().event_count()
    }

    /// Returns up to `most` deliveries after `after` in the order of their ids, of one tenant or of
    /// all, and the number of all that the tenant has.
    pub(super) fn page(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&DeliveryId>,
        most: usize,
    ) -> (Vec<WaitingDelivery>, usize) {
        let state = self.lock();
        let page = state.after(tenant, after).take(most).map(|(id, held)| shown(id, held));
        (page.collect(), state.count(tenant))
    }

    /// Returns one delivery, for a list.
    pub(super) fn find(&self, id: &DeliveryId) -> Option<WaitingDelivery> {
        self.lock().get(id).map(|held| shown(id, held))
    }

    fn lock(&self) -> MutexGuard<'_, HeldDeliveries> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(id: &DeliveryId, held: &HeldDelivery) -> WaitingDelivery {
    WaitingDelivery { id: id.clone(), delivery: held.delivery.clone(), size: held.value.len() as u64 }
}

#[cfg(test)]
mod tests;
