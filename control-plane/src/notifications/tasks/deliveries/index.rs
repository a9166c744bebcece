//! The deliveries under `deliveries/`, as far as this replica has seen them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tracing::error;

use crate::{
    notifications::{
        rules::{
            delivery::{
                Delivery, StoredDelivery,
                shares::{SpaceClaim, SpaceLedger, SpaceRefusal},
            },
            ids::{DeliveryId, HookId},
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

#[derive(Debug, Clone)]
struct HeldDelivery {
    value: Bytes,
    created: u64,
    modified: u64,
    delivery: Delivery,
    claim: SpaceClaim,
}

#[derive(Debug, Default)]
struct IndexState {
    held: BTreeMap<DeliveryId, HeldDelivery>,
    bytes: u64,
    /// The space that the held deliveries take, and those that are being written.
    space: SpaceLedger,
}

impl IndexState {
    fn insert(&mut self, id: DeliveryId, held: HeldDelivery) {
        self.remove(&id);
        self.bytes += held.value.len() as u64;
        self.space.add(&held.claim);
        self.held.insert(id, held);
    }

    fn remove(&mut self, id: &DeliveryId) {
        let Some(old) = self.held.remove(id) else { return };
        self.bytes -= old.value.len() as u64;
        self.space.remove(&old.claim);
    }
}

/// The space of a delivery that is being written. It is given back when the write has ended: then
/// the delivery itself takes the space, or nothing does.
#[derive(Debug)]
#[must_use]
pub(super) struct SpaceReservation {
    index: DeliveryIndex,
    claim: SpaceClaim,
}

impl Drop for SpaceReservation {
    fn drop(&mut self) {
        self.index.lock().space.remove(&self.claim);
    }
}

/// The index of deliveries; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct DeliveryIndex(Arc<Mutex<IndexState>>);

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
        let held: Vec<DeliveryId> = state.held.keys().cloned().collect();
        for id in &held {
            state.remove(id);
        }
    }

    pub(super) fn contains(&self, id: &DeliveryId) -> bool {
        self.lock().held.contains_key(id)
    }

    /// Returns a delivery as it is stored, the revision that last changed it, and the decoded
    /// delivery.
    pub(super) fn get(&self, id: &DeliveryId) -> Option<(Bytes, u64, Delivery)> {
        let pages = self.lock();
        let held = pages.held.get(id)?;
        Some((held.value.clone(), held.modified, held.delivery.clone()))
    }

    /// Notes this replica's own write before the watch shows it.
    pub(super) fn written(&self, id: &DeliveryId, revision: u64) {
        if let Some(held) = self.lock().held.get_mut(id) {
            held.modified = held.modified.max(revision);
        }
    }

    /// Returns the size of all deliveries in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Reserves the space of a delivery that has `size` bytes, where all deliveries may take
    /// `limit`.
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
        self.lock().space.claim(&claim, limit)?;
        Ok(SpaceReservation { index: self.clone(), claim })
    }

    /// Returns the deliveries of a hook, each with the revision that last changed it.
    pub(super) fn of_hook(&self, hook: &HookId) -> Vec<(DeliveryId, u64)> {
        let pages = self.lock();
        let held = pages.held.iter().filter(|(_, held)| held.delivery.hook.as_ref() == Some(hook));
        held.map(|(id, held)| (id.clone(), held.modified)).collect()
    }

    /// Returns the number of deliveries, and the time at which the oldest was accepted,
    /// milliseconds since 1970.
    pub(super) fn waiting(&self) -> (usize, Option<i64>) {
        let pages = self.lock();
        let oldest = pages.held.values().min_by_key(|held| held.created);
        (pages.held.len(), oldest.map(|held| held.delivery.accepted_at_ms))
    }

    /// Returns the number of waiting events for hooks.
    pub(super) fn events(&self) -> usize {
        self.lock().held.values().filter(|held| held.delivery.hook.is_some()).count()
    }

    pub(super) fn list(&self) -> Vec<WaitingDelivery> {
        let pages = self.lock();
        let shown = |(id, held): (&DeliveryId, &HeldDelivery)| WaitingDelivery {
            id: id.clone(),
            delivery: held.delivery.clone(),
            size: held.value.len() as u64,
        };
        pages.held.iter().map(shown).collect()
    }

    fn lock(&self) -> MutexGuard<'_, IndexState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
