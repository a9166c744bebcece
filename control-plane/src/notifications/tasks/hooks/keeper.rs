//! The task that follows the registrations and, while this replica leads, keeps hooks on servers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use usher_model::{
    callback::{CallbackKey, HookState},
    id::{ServerId, TenantId},
    server::{AdminState, Health, Server},
};
use usher_runtime::{clock, tasks::TaskGroup};

use super::WebhookRegistry;
use crate::{
    core::fleet::FleetServer,
    notifications::{
        ports::ServerHooks,
        rules::hooks::keeper::{HookCheckOutcome, HookServer, HookStep, KeeperSchedule, WantedHooks, plan},
        store::hooks::{PREFIX, id_of},
    },
    ports::{BbbCallError, KeyChange},
    tasks::{
        change_feed::ChangeFeed,
        leadership::Leadership,
        prefix_follower::{PrefixFollower, PrefixUpdate},
    },
};

/// Interval at which the fleet is compared.
const TURN: Duration = Duration::from_millis(250);
/// Largest number of servers that are checked at the same time.
const AT_ONCE: usize = 64;
/// Polling intervals between two checks of one server.
const PERIOD: u32 = 3;

/// The result of a check: the server, the hooks that it must have, and the outcome.
type Report = (ServerId, WantedHooks, HookCheckOutcome);

/// Task that keeps hooks on servers.
pub struct HookKeeper {
    hooks: WebhookRegistry,
    feed: ChangeFeed,
    leadership: Leadership,
    tasks: TaskGroup,
    keeper: KeeperSchedule,
    /// Whether this replica led at the last turn.
    led: bool,
    slots: Arc<Semaphore>,
    reports: mpsc::Sender<Report>,
    reported: mpsc::Receiver<Report>,
}

impl HookKeeper {
    /// Returns the keeper of the hooks in `hooks`. It looks at each server after a multiple of `interval`, the
    /// polling interval.
    pub fn new(
        hooks: WebhookRegistry,
        feed: ChangeFeed,
        leadership: Leadership,
        tasks: TaskGroup,
        interval: Duration,
    ) -> Self {
        let (reports, reported) = mpsc::channel(AT_ONCE);
        let keeper = KeeperSchedule::new(interval * PERIOD);
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self { hooks, feed, leadership, tasks, keeper, led: false, slots, reports, reported }
    }

    /// Follows the store and keeps hooks until asked to stop.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut stored = PrefixFollower::new(&self.feed, Arc::clone(&self.hooks.store), PREFIX);
        loop {
            self.turn(clock::now());
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(TURN) => {}
                Some((id, wish, outcome)) = self.reported.recv() => {
                    self.keeper.finished(&id, wish, outcome, clock::now());
                }
                news = stored.next() => match news {
                    PrefixUpdate::All(listing) => {
                        self.hooks.book.take_listing(&listing);
                        let registered = listing.entries.iter().filter_map(|entry| id_of(&entry.key));
                        self.hooks.deliveries.replace_hooks(registered.collect());
                    }
                    PrefixUpdate::Changed(batch) => {
                        batch.changes.iter().for_each(|change| self.apply(batch.revision, change));
                    }
                },
            }
        }
    }

    /// Applies one change of the registrations. A value that this version cannot read is a hook all
    /// the same, whose events wait for a replica that can.
    fn apply(&self, revision: u64, change: &KeyChange) {
        self.hooks.book.take(change);
        match change {
            KeyChange::Put(entry) => {
                if let Some(hook) = id_of(&entry.key) {
                    self.hooks.deliveries.register_hook(hook);
                }
            }
            KeyChange::Delete { key } => {
                if let Some(hook) = id_of(key) {
                    self.hooks.deliveries.delete_hook(hook, revision);
                }
            }
        }
    }

    /// Starts the checks that are due, if this replica leads.
    fn turn(&mut self, now: Instant) {
        self.hooks.metrics.registered(self.hooks.book.len());
        let leads = self.leadership.token(now).is_some();
        if leads != self.led {
            self.led = leads;
            self.keeper.clear();
        }
        let fleet = &self.hooks.fleet;
        let key = self.hooks.keys.now().and_then(|key| CallbackKey::parse(&key).ok());
        let mut lacking = None;
        if let (true, Some(base), Some(key)) = (leads, self.hooks.public_url.clone(), key)
            && self.hooks.book.is_read()
            && fleet.complete()
        {
            self.forget_deleted_tenants(now);
            let key = Arc::new(key);
            for (id, wish) in self.keeper.work(&self.subjects(), now) {
                let server = fleet.read(|fleet| fleet.server(&id).map(|server| server.stored.value.clone()));
                if let Some(server) = server {
                    self.look(server, wish, base.clone(), Arc::clone(&key));
                }
            }
            lacking = Some(self.keeper.lacking());
        }
        self.hooks.lacking.send_replace(lacking);
        self.hooks.metrics.servers(self.keeper.outcomes());
    }

    /// Returns every server with the hooks it must have.
    fn subjects(&self) -> Vec<(ServerId, HookServer)> {
        self.hooks.fleet.read(|fleet| {
            let served = |tenant: &TenantId| fleet.tenant(tenant).is_some_and(|stored| stored.value.enabled);
            let wish = self.hooks.book.wish(served);
            let subject = |server: &FleetServer| {
                let used = server.admin() != AdminState::Disabled;
                let wish = if used { wish } else { WantedHooks::default() };
                (
                    server.id().clone(),
                    HookServer { wish, used, reachable: server.health() != Health::Offline },
                )
            };
            // By the other entry of an aliased server, its hooks would look unwanted (ADR 21).
            fleet.servers().filter(|server| fleet.original_of(server.id()).is_none()).map(subject).collect()
        })
    }

    /// Deletes the registrations of deleted tenants. A tenant whose entry was lost with the store
    /// is awaited, and keeps its registrations.
    fn forget_deleted_tenants(&self, now: Instant) {
        let fleet = &self.hooks.fleet;
        let deleted = fleet.read(|seen| {
            let mut tenants = self.hooks.book.tenants();
            tenants.retain(|tenant| seen.tenant(tenant).is_none());
            if fleet.awaits_more(seen, now) { BTreeSet::new() } else { tenants }
        });
        for tenant in deleted {
            let hooks = self.hooks.clone();
            self.tasks.spawn_short("forget webhooks", async move {
                if let Err(error) = hooks.forget(&tenant).await {
                    debug!(%tenant, %error, "webhooks of a deleted tenant were not removed");
                }
            });
        }
    }

    fn look(&self, server: Server, wish: WantedHooks, base: String, key: Arc<CallbackKey>) {
        let (servers, reports, slots) =
            (Arc::clone(&self.hooks.servers), self.reports.clone(), Arc::clone(&self.slots));
        let (metrics, stopping) = (self.hooks.metrics.clone(), self.tasks.stopping());
        self.tasks.spawn_short("webhooks of a server", async move {
            let looked = async {
                let _room = slots.acquire().await.ok()?;
                Some(keep(&*servers, &server, wish, &base, &key, |done| metrics.changed(done)).await)
            };
            let outcome = tokio::select! {
                () = stopping.cancelled() => return,
                outcome = looked => outcome.unwrap_or(HookCheckOutcome::Failed),
            };
            let _ = reports.send((server.id, wish, outcome)).await; // the receiver is gone only while we stop
        });
    }
}

/// Checks one server and changes its hooks.
async fn keep(
    servers: &dyn ServerHooks,
    server: &Server,
    wish: WantedHooks,
    base: &str,
    key: &CallbackKey,
    count: impl Fn(bool),
) -> HookCheckOutcome {
    let seen = match servers.hooks(server).await {
        Ok(seen) => seen,
        Err(error) if has_none(&error) => {
            debug!(server = %server.id, %error, "server has no webhooks");
            return HookCheckOutcome::Unsupported;
        }
        Err(error) => {
            let server = &server.id;
            debug!(%server, %error, "webhooks of a server not readable");
            return HookCheckOutcome::Failed;
        }
    };
    let address = |raw| HookState { server: server.id.clone(), raw, base: base.to_owned() }.url(key);
    let kinds = [(wish.mapped, false), (wish.raw, true)];
    let wanted: BTreeMap<String, bool> =
        kinds.into_iter().filter(|(wanted, _)| *wanted).map(|(_, raw)| (address(raw), raw)).collect();
    let steps = plan(&wanted, &seen, |url| HookState::is_ours(key, base, url));
    if steps.is_empty() {
        return HookCheckOutcome::Kept;
    }
    for step in steps {
        let done = match &step {
            HookStep::Create { url, raw } => servers.create_hook(server, url, *raw).await,
            HookStep::Destroy { id } => servers.destroy_hook(server, id).await,
        };
        count(done.is_ok());
        if let Err(error) = done {
            warn!(server = %server.id, %error, "webhook of a server not changed");
            return HookCheckOutcome::Failed;
        }
    }
    info!(server = %server.id, "webhooks of a server changed");
    HookCheckOutcome::Changed
}

/// A server without bbb-webhooks answers this call as an unknown one.
fn has_none(error: &BbbCallError) -> bool {
    match error {
        BbbCallError::Status(404 | 405) => true,
        BbbCallError::Failed(key) => key == "unsupportedRequest",
        _ => false,
    }
}
