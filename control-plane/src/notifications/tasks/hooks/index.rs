//! The registrations under `hooks/`, as far as this replica has seen them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tracing::error;
use usher_model::{id::TenantId, meeting::MeetingKey};

use crate::{
    notifications::{
        rules::{
            hooks::{RegisteredHook, keeper::WantedHooks},
            ids::HookId,
        },
        store::hooks::{decode, id_of},
    },
    ports::{KeyChange, StoreListing},
};

#[derive(Debug, Default)]
struct IndexState {
    hooks: BTreeMap<(TenantId, HookId), RegisteredHook>,
    read: bool,
}

/// The index of registrations; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct HookIndex {
    state: Arc<Mutex<IndexState>>,
    changed: Arc<watch::Sender<()>>,
}

impl HookIndex {
    /// Applies a complete listing.
    pub(super) fn take_listing(&self, listing: &StoreListing) {
        let puts = listing.entries.iter().filter_map(|entry| read(&entry.key, &entry.value));
        *self.lock() = IndexState { hooks: puts.collect(), read: true };
        self.changed.send_replace(());
    }

    /// Applies one change of the store.
    pub(super) fn take(&self, change: &KeyChange) {
        match change {
            KeyChange::Put(entry) => {
                if let Some((id, registration)) = read(&entry.key, &entry.value) {
                    self.lock().hooks.insert(id, registration);
                    self.changed.send_replace(());
                }
            }
            KeyChange::Delete { key } => {
                if let Some(id) = id_of(key) {
                    self.lock().hooks.remove(&id);
                }
            }
        }
    }

    /// Waits until a hook that was just registered is known here, for `patience` at most. The watch
    /// shows the registration: to add it here as well could bring a hook back that was deleted since.
    pub(super) async fn reach(&self, hook: &(TenantId, HookId), patience: Duration) {
        let mut changed = self.changed.subscribe();
        let known = async {
            while !self.lock().hooks.contains_key(hook) {
                if changed.changed().await.is_err() {
                    return; // unreachable: `self` holds the sender
                }
            }
        };
        let _ = tokio::time::timeout(patience, known).await; // events of a hook that is unknown here are dropped
    }

    /// Returns whether the store was read.
    pub(super) fn is_read(&self) -> bool {
        self.lock().read
    }

    pub(super) fn len(&self) -> usize {
        self.lock().hooks.len()
    }

    /// Returns the hooks of a meeting's tenant that select an event of the meeting.
    pub(super) fn wanting(
        &self,
        meeting: &MeetingKey,
        event: &str,
        raw: bool,
    ) -> Vec<(HookId, RegisteredHook)> {
        let pages = self.lock();
        let of_tenant = pages.hooks.iter().filter(|((tenant, _), _)| *tenant == meeting.tenant);
        let wanting = of_tenant.filter(|(_, registration)| registration.wants(meeting, event, raw));
        wanting.map(|((_, id), registration)| (id.clone(), registration.clone())).collect()
    }

    /// Returns the hooks that every server must have for the tenants that are `served`.
    pub(super) fn wish(&self, served: impl Fn(&TenantId) -> bool) -> WantedHooks {
        WantedHooks::of(self.lock().hooks.values().filter(|registration| served(&registration.tenant)))
    }

    /// Returns the tenants that have hooks.
    pub(super) fn tenants(&self) -> BTreeSet<TenantId> {
        self.lock().hooks.keys().map(|(tenant, _)| tenant.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An unreadable value stays in the store, because a newer version may be able to read it.
fn read(key: &str, value: &[u8]) -> Option<((TenantId, HookId), RegisteredHook)> {
    let (tenant, id) = id_of(key)?;
    match decode(&tenant, value) {
        Ok(registration) => Some(((tenant, id), registration)),
        Err(reason) => {
            error!(%tenant, hook = %id, %reason, "stored webhook unreadable, not served");
            None
        }
    }
}
