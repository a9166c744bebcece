//! Callbacks that wait for their applications. Every replica accepts and shows them; the leader
//! delivers them. A callback is stored before its sender is answered (I12).

mod index;
mod worker;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tracing::{info, warn};
use usher_model::{id::TenantId, settings::CallbackSettings};
use usher_runtime::{
    clock::{self, WallClock},
    repeated_warnings::RepeatedWarnings,
};

use self::index::{DeliveryIndex, DisplacedEvent, SpaceReservation};
pub use self::{index::WaitingDelivery, worker::DeliveryWorker};
use crate::{
    notifications::{
        metrics::deliveries::DeliveryMetrics,
        rules::{
            delivery::{
                Delivery, DeliveryForm, HookKey,
                shares::{DeliveryScarcity, SpaceRefusal},
            },
            ids::DeliveryId,
        },
        store::deliveries::{decode, encode, path},
    },
    ops::alarms::{Alarm, RaisedAlarms},
    ports::{Store, StoreError, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    tasks::epoch_writer::EpochWriter,
};

/// Bytes of events that are written at once; etcd takes 1.5 MiB.
const EVENTS_AT_ONCE: usize = 1 << 20;

/// Largest number of events that one request removes for newer ones.
const DISPLACED_AT_ONCE: usize = 128;

/// The space of one delivery of a tenant.
type TenantSpace = (TenantId, SpaceReservation);

/// Number of attempts to note a repeated callback against concurrent writes.
const TRIES: usize = 4;

/// The reason why a callback is not accepted, or a delivery is not changed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store did not take the write or is unreachable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The waiting deliveries leave no space.
    #[error(transparent)]
    NoSpace(#[from] SpaceRefusal),
    /// No delivery of that name exists.
    #[error("there is no such delivery")]
    NotFound,
    /// The delivery was attempted, or written concurrently, in between.
    #[error("the delivery has just changed")]
    Changed,
}

/// Accepts, shows and changes deliveries; clones share one state.
#[derive(Clone)]
pub struct DeliveryBook {
    store: Arc<dyn Store>,
    writer: EpochWriter,
    book: DeliveryIndex,
    wall: WallClock,
    max_waiting: u64,
    metrics: DeliveryMetrics,
    warnings: Arc<Mutex<RepeatedWarnings>>,
    scarcity: Arc<Mutex<DeliveryScarcity>>,
    alarms: RaisedAlarms,
    /// Whether all deliveries of the store were read once.
    read: Arc<watch::Sender<bool>>,
}

impl DeliveryBook {
    /// Returns a book that keeps deliveries in `store`.
    pub fn new(
        (store, writer): (Arc<dyn Store>, EpochWriter),
        wall: WallClock,
        settings: &CallbackSettings,
        (metrics, alarms): (DeliveryMetrics, RaisedAlarms),
    ) -> Self {
        Self {
            store,
            writer,
            book: DeliveryIndex::default(),
            wall,
            max_waiting: settings.max_waiting,
            metrics,
            warnings: Arc::default(),
            scarcity: Arc::default(),
            alarms,
            read: Arc::default(),
        }
    }

    /// Returns a receiver of whether all deliveries of the store were read once.
    pub fn is_read(&self) -> watch::Receiver<bool> {
        self.read.subscribe()
    }

    /// Writes a callback. After the return it is delivered or expires. A callback of the same id
    /// that arrives while the first one waits is the same delivery.
    ///
    /// A posted callback is attempted once more after its last repetition: the application may have
    /// acted on the first one before the state that the repetition reports existed, such as the
    /// second format of a recording. The end of a meeting is not attempted again, because its
    /// callback carries no further state.
    ///
    /// # Errors
    /// The callback may or may not be written. The same id can be sent again.
    pub async fn accept(&self, id: &DeliveryId, delivery: &Delivery) -> Result<(), DeliveryError> {
        let value = encode(delivery, None);
        // A repeated callback needs no further space.
        let is_new = !self.book.contains(id);
        let space = is_new.then(|| self.space(delivery, value.len())).transpose()?;
        self.displace(space.as_slice()).await?;
        let key = path(id);
        for _ in 0..TRIES {
            let guards = vec![TxnGuard::Absent(key.clone())];
            let txn = StoreTxn { guards, writes: vec![TxnWrite::Put(key.clone(), value.clone())] };
            if let TxnVerdict::Committed(_) = self.writer.commit_fact(txn).await? {
                self.metrics.accepted(delivery.kind);
                return Ok(());
            }
            if delivery.form == DeliveryForm::Get || self.said_again(&key).await? {
                return Ok(());
            }
        }
        Err(DeliveryError::Changed)
    }

    /// Reserves the space of a new delivery.
    fn space(&self, delivery: &Delivery, size: usize) -> Result<TenantSpace, SpaceRefusal> {
        let reserved = self.book.reserve(delivery, size, self.max_waiting);
        let reserved = reserved.inspect_err(|refusal| {
            let (tenant, kind, reason) = (&delivery.meeting.tenant, delivery.kind.name(), refusal.name());
            self.metrics.turned_away(*refusal);
            self.scarce(tenant, 1);
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held_back) = warnings.admit(reason, clock::now()) {
                warn!(%tenant, kind, reason, held_back, "no space for a delivery");
            }
        })?;
        Ok((delivery.meeting.tenant.clone(), reserved))
    }

    /// Removes the events that expire for new deliveries. One that was attempted or written
    /// concurrently stays.
    async fn displace(&self, space: &[TenantSpace]) -> Result<(), DeliveryError> {
        let of = |(tenant, reserved): &'_ TenantSpace| {
            let events = reserved.displaced().iter();
            events.map(|event| (tenant.clone(), event.clone())).collect::<Vec<_>>()
        };
        let events: Vec<(TenantId, DisplacedEvent)> = space.iter().flat_map(of).collect();
        for some in events.chunks(DISPLACED_AT_ONCE) {
            let txn = |(_, event): &(TenantId, DisplacedEvent)| {
                let key = path(&event.id);
                let guards = vec![TxnGuard::Unchanged(key.clone(), event.modified)];
                StoreTxn { guards, writes: vec![TxnWrite::Delete(key)] }
            };
            let verdicts = self.writer.commit(some.iter().map(txn).collect()).await?;
            let pairs = some.iter().zip(verdicts);
            for ((tenant, event), _) in
                pairs.filter(|(_, verdict)| matches!(verdict, TxnVerdict::Committed(_)))
            {
                self.book.remove(&path(&event.id));
                self.metrics.ended("displaced");
                self.scarce(tenant, 1);
                let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(held_back) = warnings.admit("displaced", clock::now()) {
                    warn!(%tenant, held_back, "oldest event expired for a newer delivery");
                }
            }
        }
        Ok(())
    }

    /// Notes that deliveries of a tenant were lost for lack of space.
    fn scarce(&self, tenant: &TenantId, lost: u64) {
        let mut scarcity = self.scarcity.lock().unwrap_or_else(PoisonError::into_inner);
        scarcity.note(tenant, lost, clock::now());
    }

    /// Raises or clears the alarm of lost deliveries.
    fn show_scarcity(&self) {
        let mut scarcity = self.scarcity.lock().unwrap_or_else(PoisonError::into_inner);
        self.alarms.set(Alarm::DeliverySpace, scarcity.alarm(clock::now()));
    }

    /// Notes that a stored delivery was repeated; `false` if it has ended or changed meanwhile.
    async fn said_again(&self, key: &str) -> Result<bool, DeliveryError> {
        let listing = self.store.read_prefix(key).await?;
        let Some(entry) = listing.entries.iter().find(|entry| entry.key == key) else { return Ok(false) };
        // A delivery of a newer version is left to a replica that can read it.
        let Ok(mut standing) = decode(&entry.value) else { return Ok(true) };
        standing.said_again = standing.said_again.saturating_add(1);
        let write = TxnWrite::Put(key.to_owned(), encode(&standing, Some(&entry.value)));
        let guards = vec![TxnGuard::Unchanged(key.to_owned(), entry.mod_revision)];
        let verdict = self.writer.commit_fact(StoreTxn { guards, writes: vec![write] }).await?;
        Ok(matches!(verdict, TxnVerdict::Committed(_)))
    }

    /// Writes events for hooks. After the return each written event is delivered or expires. Events
    /// may take half of the space, and one tenant's events a quarter, so that an application that
    /// is down takes no space from others: its own oldest events expire for the new ones (ADR 37).
    /// Returns the number of written events and of those without space.
    ///
    /// # Errors
    /// Some events may or may not be written. The same ids can be sent again.
    pub async fn accept_events(
        &self,
        events: Vec<(DeliveryId, Delivery)>,
    ) -> Result<(usize, usize), DeliveryError> {
        let (mut txns, mut size, mut accepted, mut turned_away) = (Vec::new(), 0, 0, 0);
        // Every reservation stands until all are written; those from `begun` on since the last write.
        let (mut space, mut begun): (Vec<TenantSpace>, usize) = (Vec::new(), 0);
        for (id, delivery) in events {
            let value = encode(&delivery, None);
            if !self.book.contains(&id) {
                let Ok(reserved) = self.space(&delivery, value.len()) else {
                    turned_away += 1;
                    continue;
                };
                space.push(reserved);
            }
            if size + value.len() > EVENTS_AT_ONCE {
                self.displace(&space[begun..]).await?;
                self.writer.commit_facts(std::mem::take(&mut txns)).await?;
                (size, begun) = (0, space.len());
            }
            size += value.len();
            let key = path(&id);
            // A refusal means that the event is stored already: its server sent it again.
            txns.push(StoreTxn {
                guards: vec![TxnGuard::Absent(key.clone())],
                writes: vec![TxnWrite::Put(key, value)],
            });
            self.metrics.accepted(delivery.kind);
            accepted += 1;
        }
        if !txns.is_empty() {
            self.displace(&space[begun..]).await?;
            self.writer.commit_facts(txns).await?;
        }
        Ok((accepted, turned_away))
    }

    /// Replaces the registered hooks, whose events may go out, by those of a listing.
    pub(crate) fn replace_hooks(&self, registered: BTreeSet<HookKey>) {
        self.book.replace_hooks(registered);
    }

    /// Notes the registration of a hook.
    pub(crate) fn register_hook(&self, hook: HookKey) {
        self.book.register_hook(hook);
    }

    /// Notes that a hook was deleted at a store revision. From now on this replica begins no attempt
    /// for it, and the leader removes its waiting events in the background.
    pub(crate) fn delete_hook(&self, hook: HookKey, revision: u64) {
        self.book.delete_hook(hook, revision);
    }

    /// Requests an attempt of one delivery now.
    ///
    /// # Errors
    /// The delivery does not exist, it has just changed, or the store did not take the write.
    pub async fn retry(&self, id: &DeliveryId) -> Result<(), DeliveryError> {
        let (value, modified, mut delivery) = self.book.get(id).ok_or(DeliveryError::NotFound)?;
        delivery.retries_asked = delivery.retries_asked.saturating_add(1);
        let write = TxnWrite::Put(path(id), encode(&delivery, Some(&value)));
        self.change(id, modified, write).await
    }

    /// Drops one delivery.
    ///
    /// # Errors
    /// The delivery does not exist, it has just changed, or the store did not take the write.
    pub async fn drop_one(&self, id: &DeliveryId) -> Result<(), DeliveryError> {
        let (_, modified, delivery) = self.book.get(id).ok_or(DeliveryError::NotFound)?;
        self.change(id, modified, TxnWrite::Delete(path(id))).await?;
        info!(delivery = %id, meeting = %delivery.meeting, "callback dropped by an operator");
        self.metrics.ended("dropped");
        Ok(())
    }

    /// Returns up to `most` waiting deliveries after `after` in the order of their ids, of one tenant
    /// or of all, and the number of all that wait for the tenant.
    pub fn page(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&DeliveryId>,
        most: usize,
    ) -> (Vec<WaitingDelivery>, usize) {
        self.book.page(tenant, after, most)
    }

    /// Returns one waiting delivery.
    pub fn find(&self, id: &DeliveryId) -> Option<WaitingDelivery> {
        self.book.find(id)
    }

    /// Returns the number of waiting deliveries, and the age of the oldest by the wall clock.
    pub fn waiting(&self) -> (usize, Option<Duration>) {
        let (count, oldest) = self.book.waiting();
        let age = |since| u64::try_from(self.wall.now_ms().saturating_sub(since)).unwrap_or(0);
        (count, oldest.map(|since| Duration::from_millis(age(since))))
    }

    /// Returns the number of waiting events for hooks.
    pub fn events_waiting(&self) -> usize {
        self.book.events()
    }

    /// Returns the time of acceptance for a new delivery, milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.wall.now_ms()
    }

    async fn change(&self, id: &DeliveryId, modified: u64, write: TxnWrite) -> Result<(), DeliveryError> {
        let guards = vec![TxnGuard::Unchanged(path(id), modified)];
        match self.writer.commit_one(StoreTxn { guards, writes: vec![write] }).await? {
            TxnVerdict::Committed(_) => Ok(()),
            TxnVerdict::Refused(_) => Err(DeliveryError::Changed),
        }
    }
}
