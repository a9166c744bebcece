//! Webhooks of applications. Every replica registers, lists and deletes them, and accepts the
//! events that servers send; the leader keeps Usher's own hooks on the servers.

mod announce;
mod index;
mod intake;
mod keeper;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{debug, info};
use usher_model::{
    id::TenantId,
    request_mark::{RequestMark, RequestRelation},
    revision::Revision,
    settings::Settings,
};
use usher_runtime::clock::WallClock;

use self::{announce::HookAnnouncer, index::HookIndex};
pub use self::{intake::ServerEvents, keeper::HookKeeper};
use super::{
    callback_key::CallbackKeys,
    deliveries::{DeliveryBook, DeliveryError},
};
use crate::{
    core::plan::FleetKey,
    notifications::{
        metrics::hooks::HookMetrics,
        ports::ServerHooks,
        rules::{
            hooks::{RegisteredHook, UnfitRegistration, keeper::WantedHooks},
            ids::HookId,
        },
        store::hooks::{PREFIX, decode, encode, id_of, path, prefix_of},
    },
    ports::{Store, StoreError, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::keys,
    tasks::{epoch_writer::EpochWriter, fleet_handle::FleetHandle, own_targets::OwnTargets},
};

/// Longest wait until this replica knows a hook that it has registered. Events that come right after
/// the answer are then not dropped.
const KNOWN_WITHIN: Duration = Duration::from_millis(500);
/// Number of attempts of a registration against concurrent writes.
const TRIES: usize = 4;

/// The reason why a hook is not registered, listed or deleted, or events are not accepted.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The events could not be written as deliveries.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// The registration is invalid.
    #[error(transparent)]
    Unfit(#[from] UnfitRegistration),
    /// No server could send events, because the edges have no public address.
    #[error(
        "public_url is not set at this control plane, so that servers cannot be told where to send events"
    )]
    NoAddress,
    /// The tenant has reached its limit of hooks.
    #[error("the tenant has {0} hooks, as many as callbacks.max_hooks allows")]
    TooMany(usize),
    /// The tenant does not exist.
    #[error("there is no such tenant")]
    NoTenant,
    /// No hook of that name exists.
    #[error("there is no such hook")]
    NotFound,
    /// A request with the same id and another content registered the hook (ADR 35).
    #[error("registered by a request with the same id and another content")]
    OtherContent,
    /// Concurrent writes changed the same hook at every attempt.
    #[error("concurrent requests change the same hook")]
    Changed,
    /// This replica has not read the registrations or the key yet.
    #[error("the store has not been read yet")]
    NotReady,
}

/// Registers, lists and deletes hooks, and accepts events; clones share one state.
#[derive(Clone)]
pub struct WebhookRegistry {
    store: Arc<dyn Store>,
    writer: EpochWriter,
    fleet: FleetHandle,
    book: HookIndex,
    deliveries: DeliveryBook,
    keys: CallbackKeys,
    servers: Arc<dyn ServerHooks>,
    wall: WallClock,
    public_url: Option<String>,
    own: OwnTargets,
    max_hooks: usize,
    announcer: HookAnnouncer,
    metrics: HookMetrics,
    /// Number of servers that lack hooks; `None` if another replica keeps them.
    lacking: Arc<watch::Sender<Option<usize>>>,
}

/// The number of hooks, and of servers that lack some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookFigures {
    /// Number of registered hooks.
    pub registered: usize,
    /// Servers without the hooks that they need; none while another replica keeps the hooks.
    pub lacking: Option<usize>,
}

impl WebhookRegistry {
    /// Returns the registry of the hooks in `store`. Events wait in `deliveries`, and `keys` seals the addresses
    /// that servers get.
    pub fn new(
        (store, writer): (Arc<dyn Store>, EpochWriter),
        fleet: FleetHandle,
        deliveries: DeliveryBook,
        keys: CallbackKeys,
        servers: Arc<dyn ServerHooks>,
        (wall, metrics): (WallClock, HookMetrics),
        settings: &Settings,
    ) -> Self {
        let public_url = settings.public_url.clone();
        let own = OwnTargets::new(settings, fleet.clone());
        let max_hooks = usize::try_from(settings.callbacks.max_hooks).unwrap_or(usize::MAX);
        let announcer = HookAnnouncer::new(fleet.clone(), keys.clone(), Arc::clone(&servers), settings);
        let (book, lacking) = (HookIndex::default(), Arc::new(watch::Sender::new(None)));
        Self {
            store,
            writer,
            fleet,
            book,
            deliveries,
            keys,
            servers,
            wall,
            public_url,
            own,
            max_hooks,
            announcer,
            metrics,
            lacking,
        }
    }

    /// Registers a hook, or finds the existing one for its address. Returns whether another request
    /// had registered it.
    ///
    /// # Errors
    /// The hook is not registered; after an error of the store it may be.
    pub async fn create(&self, wanted: RegisteredHook) -> Result<(RegisteredHook, bool), WebhookError> {
        let base = self.public_url.as_deref().ok_or(WebhookError::NoAddress)?;
        wanted.check()?;
        if self.own.include(&wanted.url) {
            // Each event would come back as an event that no server signed.
            return Err(UnfitRegistration { field: "callback_url", problem: "leads to Usher itself" }.into());
        }
        let (tenant, id) = (wanted.tenant.clone(), wanted.id());
        let new = RegisteredHook { created_at_ms: self.wall.now_ms(), ..wanted };
        for _ in 0..TRIES {
            let stored = self.fleet.read(|fleet| fleet.tenant(&tenant).map(|stored| stored.modified));
            let seen = stored.ok_or(WebhookError::NoTenant)?;
            let standing = self.store.read_prefix(&prefix_of(&tenant)).await?;
            let at = path(&tenant, &id);
            if let Some(entry) = standing.entries.iter().find(|entry| entry.key == at)
                && let Ok(found) = decode(&tenant, &entry.value)
            {
                // The hook may be this request's own, whose answer was lost.
                return match RequestMark::relation(found.created_by, new.created_by) {
                    RequestRelation::Repeated => Ok((found, false)),
                    RequestRelation::OtherContent => Err(WebhookError::OtherContent),
                    RequestRelation::Other => Ok((found, true)),
                };
            }
            if standing.entries.len() >= self.max_hooks {
                return Err(WebhookError::TooMany(standing.entries.len()));
            }
            // The tenant must exist at the write: otherwise a later tenant of the same name would
            // own the hook.
            let of_tenant = keys::path(&FleetKey::Tenant(tenant.clone()));
            let guards = vec![TxnGuard::Absent(at.clone()), TxnGuard::Unchanged(of_tenant, seen)];
            let txn = StoreTxn { guards, writes: vec![TxnWrite::Put(at, encode(&new))] };
            let ask = WantedHooks::of([&new]);
            // Read before the write, because afterwards the index may contain the new hook itself.
            let covered = self.book.wish(|_| true).covers(ask);
            match self.writer.commit_one(txn).await? {
                TxnVerdict::Committed(_) => {
                    info!(%tenant, hook = %id, "webhook registered");
                    if !covered {
                        self.announcer.announce(ask, base).await;
                    }
                    self.book.reach(&(tenant, id), KNOWN_WITHIN).await;
                    return Ok((new, false));
                }
                // A concurrent registration, or a change of the tenant: the next pass decides from
                // the new state.
                TxnVerdict::Refused(revision) => self.see(revision).await,
            }
        }
        Err(WebhookError::Changed)
    }

    /// Returns the registrations, of one tenant or of all, by tenant and id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, tenant: Option<&TenantId>) -> Result<Vec<RegisteredHook>, WebhookError> {
        let prefix = tenant.map_or_else(|| PREFIX.to_owned(), prefix_of);
        let listing = self.store.read_prefix(&prefix).await?;
        let read = |entry: &crate::ports::StoreEntry| decode(&id_of(&entry.key)?.0, &entry.value).ok();
        Ok(listing.entries.iter().filter_map(read).collect())
    }

    /// Returns the figures of hooks, as far as this replica has seen.
    pub fn figures(&self) -> HookFigures {
        HookFigures { registered: self.book.len(), lacking: *self.lacking.borrow() }
    }

    /// Removes a hook. From the answer on this replica delivers no event for it, and another one
    /// that leads stops as soon as its watch shows the removal. The waiting events are removed later.
    ///
    /// # Errors
    /// The hook does not exist, or the store refuses the removal.
    pub async fn delete(&self, tenant: &TenantId, id: &HookId) -> Result<(), WebhookError> {
        let at = path(tenant, id);
        for _ in 0..TRIES {
            let listing = self.store.read_prefix(&at).await?;
            let entry = listing.entries.iter().find(|entry| entry.key == at).ok_or(WebhookError::NotFound)?;
            let guards = vec![TxnGuard::Unchanged(at.clone(), entry.mod_revision)];
            let txn = StoreTxn { guards, writes: vec![TxnWrite::Delete(at.clone())] };
            if let TxnVerdict::Committed(revision) = self.writer.commit_one(txn).await? {
                info!(%tenant, hook = %id, "webhook deleted");
                self.deliveries.delete_hook((tenant.clone(), id.clone()), revision);
                return Ok(());
            }
        }
        Err(WebhookError::Changed)
    }

    /// Removes the hooks of a deleted tenant.
    ///
    /// # Errors
    /// The store refuses the removal; the leader tries again.
    pub async fn forget(&self, tenant: &TenantId) -> Result<(), WebhookError> {
        let listing = self.store.read_prefix(&prefix_of(tenant)).await?;
        for entry in listing.entries {
            let Some((_, id)) = id_of(&entry.key) else { continue };
            let gone = TxnGuard::Absent(keys::path(&FleetKey::Tenant(tenant.clone())));
            let guards = vec![gone, TxnGuard::Unchanged(entry.key.clone(), entry.mod_revision)];
            let txn = StoreTxn { guards, writes: vec![TxnWrite::Delete(entry.key)] };
            if let TxnVerdict::Committed(revision) = self.writer.commit_one(txn).await? {
                self.deliveries.delete_hook((tenant.clone(), id), revision);
            }
        }
        Ok(())
    }

    /// Waits for the change that made the store refuse.
    async fn see(&self, revision: u64) {
        let now = self.fleet.revision();
        let wanted = Revision::new(now.epoch, revision);
        if self.fleet.reach(wanted, Duration::from_millis(500)).await.is_err() {
            debug!(revision, "fleet behind the store");
        }
    }
}
