//! Webhooks that applications registered. Every replica registers, shows and takes out, and takes the
//! events that servers send; the one that leads keeps the hooks on the servers.

mod announce;
mod book;
mod keeper;

use std::sync::Arc;

use tracing::{debug, info, warn};
use usher_common::{
    callback::{CallbackKey, CallbackKind, HookState, PATH, webhook::Posted},
    id::{ServerId, TenantId},
    runtime::clock::WallClock,
    settings::Settings,
};

pub use self::keeper::{HookKeeper, KeeperParts};
use self::{announce::announce, book::Book};
use super::{
    callback_key::CallbackKeys,
    deliveries::{Deliveries, DeliveryError},
    fleet_handle::FleetHandle,
};
use crate::{
    core::{
        delivery::{Delivery, DeliveryId, Form},
        hooks::{
            HookId, Registration, Unfit, Whose, Words, delivery_of,
            event::{Facts, facts, split},
            in_own_words,
            keeper::Wish,
            whose,
        },
        plan::Key,
    },
    ops::hook_metrics::{Fate, HookMetrics},
    ports::{Guard, ServerHooks, Store, StoreError, Txn, Verdict, Write},
    store::{
        hooks::{PREFIX, decode, encode, id_of, path, prefix_of},
        keys,
    },
};

/// How often a registration is decided anew because somebody else wrote in between.
const TRIES: usize = 4;

/// Why a hook is not registered, shown or taken out, or events are not taken.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What waits for its application could not be written.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// It is not as it must be.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Nobody could send anything.
    #[error(
        "public_url is not set at this control plane, so that servers cannot be told where to send events"
    )]
    NoAddress,
    /// The tenant has too many.
    #[error("the tenant has {0} hooks, as many as callbacks.max_hooks allows")]
    TooMany(usize),
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// There is none of that name.
    #[error("there is no such hook")]
    NotFound,
    /// Somebody else wrote at the same time, again and again.
    #[error("somebody else changes the same hook")]
    Changed,
    /// What is registered, or the key, is not known here yet.
    #[error("the store has not been read yet")]
    NotReady,
}

/// What a server sent.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The server, which signed it.
    pub server: &'a ServerId,
    /// Whether the events are as they are on its bus.
    pub raw: bool,
    /// A JSON array.
    pub events: &'a str,
    /// When it first sent them.
    pub timestamp: &'a str,
    /// What it calls itself.
    pub domain: &'a str,
}

/// Registers, shows, takes out and accepts; clones share everything.
#[derive(Clone)]
pub struct Hooks {
    store: Arc<dyn Store>,
    fleet: FleetHandle,
    book: Book,
    deliveries: Deliveries,
    keys: CallbackKeys,
    servers: Arc<dyn ServerHooks>,
    wall: WallClock,
    public_url: Option<String>,
    max_hooks: usize,
    metrics: HookMetrics,
}

/// What hooks stand on.
pub struct HookParts {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Knows tenants, servers and meetings.
    pub fleet: FleetHandle,
    /// Where events wait.
    pub deliveries: Deliveries,
    /// Seals the addresses that servers get.
    pub keys: CallbackKeys,
    /// The servers.
    pub servers: Arc<dyn ServerHooks>,
    /// What the wall clock says.
    pub wall: WallClock,
    /// What is counted.
    pub metrics: HookMetrics,
}

impl Hooks {
    /// Keeps hooks as `settings` say.
    pub fn new(parts: HookParts, settings: &Settings) -> Self {
        let HookParts { store, fleet, deliveries, keys, servers, wall, metrics } = parts;
        let public_url = settings.public_url.clone();
        let max_hooks = usize::try_from(settings.callbacks.max_hooks).unwrap_or(usize::MAX);
        let book = Book::default();
        Self { store, fleet, book, deliveries, keys, servers, wall, public_url, max_hooks, metrics }
    }

    /// Registers a hook, or finds the one that stands for its address; tells which.
    ///
    /// # Errors
    /// It is not registered; after an error of the store it may be.
    pub async fn create(&self, wanted: Registration) -> Result<(Registration, bool), HookError> {
        if self.public_url.is_none() {
            return Err(HookError::NoAddress);
        }
        wanted.check()?;
        let (tenant, id) = (wanted.tenant.clone(), wanted.id());
        let new = Registration { created_at_ms: self.wall.now_ms(), ..wanted };
        for _ in 0..TRIES {
            let stored = self.fleet.read(|fleet| fleet.tenant(&tenant).map(|stored| stored.modified));
            let seen = stored.ok_or(HookError::NoTenant)?;
            let standing = self.store.read_prefix(&prefix_of(&tenant)).await?;
            let at = path(&tenant, &id);
            if let Some(entry) = standing.entries.iter().find(|entry| entry.key == at)
                && let Ok(found) = decode(&tenant, &entry.value)
            {
                return Ok((found, true));
            }
            if standing.entries.len() >= self.max_hooks {
                return Err(HookError::TooMany(standing.entries.len()));
            }
            // The tenant stands, or what another of its name registers would be this one's.
            let of_tenant = keys::path(&Key::Tenant(tenant.clone()));
            let guards = vec![Guard::Absent(at.clone()), Guard::Unchanged(of_tenant, seen)];
            let txn = Txn { guards, writes: vec![Write::Put(at, encode(&new))] };
            match self.commit(txn).await? {
                Verdict::Committed(_) => {
                    info!(%tenant, hook = %id, "a webhook was registered");
                    let ask = Wish::of([&new]);
                    if !self.book.wish(|_| true).covers(ask) {
                        announce(self, ask).await;
                    }
                    return Ok((new, false));
                }
                // Somebody registered it, or changed the tenant: what stands then decides.
                Verdict::Refused(revision) => self.see(revision).await,
            }
        }
        Err(HookError::Changed)
    }

    /// Returns what is registered, of one tenant or of all, by tenant and id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, tenant: Option<&TenantId>) -> Result<Vec<Registration>, HookError> {
        let prefix = tenant.map_or_else(|| PREFIX.to_owned(), prefix_of);
        let listing = self.store.read_prefix(&prefix).await?;
        let read = |entry: &crate::ports::Entry| decode(&id_of(&entry.key)?.0, &entry.value).ok();
        Ok(listing.entries.iter().filter_map(read).collect())
    }

    /// Takes a hook out, and what waits for it.
    ///
    /// # Errors
    /// There is none, or the store does not take it.
    pub async fn delete(&self, tenant: &TenantId, id: &HookId) -> Result<(), HookError> {
        let at = path(tenant, id);
        for _ in 0..TRIES {
            let listing = self.store.read_prefix(&at).await?;
            let entry = listing.entries.iter().find(|entry| entry.key == at).ok_or(HookError::NotFound)?;
            let guards = vec![Guard::Unchanged(at.clone(), entry.mod_revision)];
            let txn = Txn { guards, writes: vec![Write::Delete(at.clone())] };
            if let Verdict::Committed(_) = self.commit(txn).await? {
                info!(%tenant, hook = %id, "a webhook was taken out");
                self.deliveries.drop_hook(id).await;
                return Ok(());
            }
        }
        Err(HookError::Changed)
    }

    /// Takes out what a tenant that is gone had registered.
    ///
    /// # Errors
    /// The store does not take it; whoever leads tries again.
    pub async fn forget(&self, tenant: &TenantId) -> Result<(), HookError> {
        let listing = self.store.read_prefix(&prefix_of(tenant)).await?;
        for entry in listing.entries {
            let Some((_, id)) = id_of(&entry.key) else { continue };
            let gone = Guard::Absent(keys::path(&Key::Tenant(tenant.clone())));
            let guards = vec![gone, Guard::Unchanged(entry.key.clone(), entry.mod_revision)];
            self.commit(Txn { guards, writes: vec![Write::Delete(entry.key)] }).await?;
            self.deliveries.drop_hook(&id).await;
        }
        Ok(())
    }

    /// Writes what applications are to hear of what a server sent; once it returns they will, or it is
    /// nobody's. Sent again it is the same.
    ///
    /// # Errors
    /// Not all of it may have been written: it can be sent again.
    pub async fn accept(&self, arrival: Arrival<'_>) -> Result<(), HookError> {
        if !self.book.is_read() || !self.fleet.complete() {
            return Err(HookError::NotReady);
        }
        let Ok(events) = split(arrival.events) else {
            warn!(server = %arrival.server, "a server sent events that cannot be read");
            self.metrics.event(Fate::Malformed);
            return Ok(());
        };
        let key = self.keys.now().and_then(|key| CallbackKey::parse(&key).ok());
        let mut all = Vec::new();
        for event in events {
            let told = facts(event);
            let found = self.fleet.read(|fleet| {
                let whose = whose(fleet, arrival.server, &told)?;
                let host = fleet.tenant(&whose.meeting.tenant)?.value.hosts.first().cloned();
                Some((whose, host))
            });
            let Some((whose, host)) = found else {
                debug!(server = %arrival.server, event = told.name, "an event is of no tenant");
                self.metrics.event(Fate::Foreign);
                continue;
            };
            let hooks = self.book.wanting(&whose.meeting, &told.name, arrival.raw);
            if hooks.is_empty() {
                self.metrics.event(Fate::Unwanted);
                continue;
            }
            let host = host.or_else(|| self.public_host()).unwrap_or_else(|| arrival.domain.to_owned());
            let body = body(key.as_ref(), event, &whose, host, arrival.timestamp);
            let deliveries =
                hooks.into_iter().map(|hook| self.delivery(&arrival, event, &told, &whose, hook, &body));
            all.extend(deliveries);
        }
        let (accepted, turned_away) = self.deliveries.accept_events(all).await?;
        (0..accepted).for_each(|_| self.metrics.event(Fate::Accepted));
        (0..turned_away).for_each(|_| self.metrics.event(Fate::TurnedAway));
        Ok(())
    }

    fn delivery(
        &self,
        arrival: &Arrival<'_>,
        event: &str,
        told: &Facts,
        whose: &Whose,
        hook: (HookId, Registration),
        body: &str,
    ) -> (DeliveryId, Delivery) {
        let (id, registration) = hook;
        let now_ms = self.wall.now_ms();
        let delivery = Delivery {
            meeting: whose.meeting.clone(),
            server: arrival.server.clone(),
            kind: CallbackKind::Webhook,
            form: Form::Webhook,
            url: registration.url,
            body: body.to_owned().into(),
            accepted_at_ms: now_ms,
            attempts: 0,
            waited: std::time::Duration::ZERO,
            last_error: String::new(),
            retries_asked: 0,
            hook: Some(id.clone()),
            order_ms: if told.at_ms > 0 { told.at_ms } else { now_ms.max(1) },
        };
        (delivery_of(&id, arrival.server.as_str(), event), delivery)
    }

    fn public_host(&self) -> Option<String> {
        let url = url::Url::parse(self.public_url.as_deref()?).ok()?;
        url.host_str().map(str::to_owned)
    }

    /// Waits a moment until this replica sees what made the store refuse.
    async fn see(&self, revision: u64) {
        let now = self.fleet.revision();
        let wanted = usher_common::revision::Revision::new(now.epoch, revision);
        if self.fleet.reach(wanted, std::time::Duration::from_millis(500)).await.is_err() {
            debug!(revision, "the fleet is behind the store");
        }
    }

    async fn commit(&self, txn: Txn) -> Result<Verdict, StoreError> {
        let verdicts = self.store.commit(vec![txn]).await?;
        verdicts.first().copied().ok_or_else(|| StoreError::Unknown("the store decided nothing".into()))
    }
}

/// What an application gets of an event.
fn body(key: Option<&CallbackKey>, event: &str, whose: &Whose, domain: String, timestamp: &str) -> String {
    let address = |url: &str| {
        let sealed = url.rsplit_once(PATH)?.1;
        let key = key?;
        if HookState::is_named(sealed) {
            return None;
        }
        Some(key.open(sealed).ok()?.url.unwrap_or_default())
    };
    let own = whose.meeting.meeting.as_str();
    let event = in_own_words(event, &Words { on_server: &whose.on_server, own, address: &address });
    Posted { domain, events: format!("[{event}]"), timestamp: timestamp.to_owned() }.form()
}
