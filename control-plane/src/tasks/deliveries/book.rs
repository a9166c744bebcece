//! What the store holds under `deliveries/`, as far as this replica has seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tracing::error;

use crate::{
    core::delivery::{Delivery, DeliveryId, Seen},
    ports::Entry,
    store::deliveries::{decode, id_of},
};

/// One delivery as it is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub id: DeliveryId,
    /// What it is.
    pub delivery: Delivery,
    /// Its size in the store, bytes.
    pub size: u64,
}

#[derive(Debug, Clone)]
struct Held {
    value: Bytes,
    created: u64,
    modified: u64,
    delivery: Delivery,
}

#[derive(Debug, Default)]
struct Pages {
    held: BTreeMap<DeliveryId, Held>,
    bytes: u64,
}

/// The deliveries; clones are the same book.
#[derive(Debug, Clone, Default)]
pub(super) struct Book(Arc<Mutex<Pages>>);

impl Book {
    /// Takes what stands under a key; returns what it is queued by. What cannot be read stays where
    /// it is and is not delivered: a newer version may know what to do with it.
    pub(super) fn put(&self, entry: &Entry) -> Option<(DeliveryId, Seen)> {
        let id = id_of(&entry.key)?;
        let delivery = match decode(&entry.value) {
            Ok(delivery) => delivery,
            Err(reason) => {
                error!(delivery = %id, %reason, "a stored callback cannot be read and is not delivered");
                return None;
            }
        };
        let seen = Seen {
            lane: delivery.lane(),
            accepted: entry.create_revision,
            attempts: delivery.attempts,
            waited: delivery.waited,
            retries_asked: delivery.retries_asked,
        };
        let held = Held {
            value: entry.value.clone(),
            created: entry.create_revision,
            modified: entry.mod_revision,
            delivery,
        };
        let mut pages = self.lock();
        pages.bytes += held.value.len() as u64;
        if let Some(old) = pages.held.insert(id.clone(), held) {
            pages.bytes -= old.value.len() as u64;
        }
        Some((id, seen))
    }

    /// Takes out what stands under a key no more.
    pub(super) fn remove(&self, key: &str) -> Option<DeliveryId> {
        let id = id_of(key)?;
        let mut pages = self.lock();
        if let Some(old) = pages.held.remove(&id) {
            pages.bytes -= old.value.len() as u64;
        }
        Some(id)
    }

    /// Forgets everything, for a new listing.
    pub(super) fn clear(&self) {
        *self.lock() = Pages::default();
    }

    pub(super) fn contains(&self, id: &DeliveryId) -> bool {
        self.lock().held.contains_key(id)
    }

    /// Returns a delivery as it is stored, the revision that last changed it, and what it is.
    pub(super) fn get(&self, id: &DeliveryId) -> Option<(Bytes, u64, Delivery)> {
        let pages = self.lock();
        let held = pages.held.get(id)?;
        Some((held.value.clone(), held.modified, held.delivery.clone()))
    }

    /// Our own write has changed one; the store will show it in a moment.
    pub(super) fn written(&self, id: &DeliveryId, revision: u64) {
        if let Some(held) = self.lock().held.get_mut(id) {
            held.modified = held.modified.max(revision);
        }
    }

    /// Returns the size of all.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Returns how many there are, and when the oldest was accepted, milliseconds since 1970.
    pub(super) fn waiting(&self) -> (usize, Option<i64>) {
        let pages = self.lock();
        let oldest = pages.held.values().min_by_key(|held| held.created);
        (pages.held.len(), oldest.map(|held| held.delivery.accepted_at_ms))
    }

    pub(super) fn list(&self) -> Vec<Shown> {
        let pages = self.lock();
        let shown = |(id, held): (&DeliveryId, &Held)| Shown {
            id: id.clone(),
            delivery: held.delivery.clone(),
            size: held.value.len() as u64,
        };
        pages.held.iter().map(shown).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
