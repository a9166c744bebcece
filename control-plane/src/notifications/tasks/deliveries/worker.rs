//! The task that follows the waiting deliveries and delivers them while this replica leads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use usher_model::{callback::CallbackKey, revision::FencingToken};
use usher_runtime::{clock, tasks::TaskGroup};

use super::{
    DeliveryBook,
    index::{DeadEvent, Departure},
};
use crate::{
    notifications::{
        ports::{ApplicationCalls, DeliveryResult, OutgoingCallback},
        rules::{
            delivery::{Delivery, DeliveryLimits, DeliveryQueue, DeliveryStep, QueueWork, TryOutcome},
            ids::DeliveryId,
        },
        store::{
            deliveries::{PREFIX, encode, path},
            hooks,
        },
        tasks::callback_key::CallbackKeys,
    },
    ports::{ChangeBatch, KeyChange, StoreEntry, StoreListing, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    tasks::{
        change_feed::ChangeFeed,
        fleet_handle::FleetHandle,
        leadership::Leadership,
        prefix_follower::{PrefixFollower, PrefixUpdate},
    },
};

/// Longest interval between two checks of the clock.
const TURN: Duration = Duration::from_secs(1);

/// Largest number of reports that wait; further reporters wait for space.
const REPORTS: usize = 1024;

/// Largest number of events of deleted hooks that one request removes.
const DROPPED_AT_ONCE: usize = 128;

/// The report of a task of the worker.
enum Report {
    /// An attempt ended. The number counts the repetitions of the delivery at its start.
    Tried(DeliveryId, u32, DeliveryResult),
    /// The end of a delivery is written, or its write failed.
    Settled(DeliveryId),
    /// These events of deleted hooks are removed from the store.
    Dropped(Vec<DeliveryId>),
}

/// The task that delivers.
pub struct DeliveryWorker {
    deliveries: DeliveryBook,
    applications: Arc<dyn ApplicationCalls>,
    feed: ChangeFeed,
    fleet: FleetHandle,
    keys: CallbackKeys,
    leadership: Leadership,
    tasks: TaskGroup,
    queue: DeliveryQueue,
    /// Whether a removal of events is under way.
    dropping: bool,
    reports: mpsc::Sender<Report>,
    reported: mpsc::Receiver<Report>,
}

impl DeliveryWorker {
    /// Returns the worker for `deliveries`; `limits` says how patient it is. The fleet knows the secrets of the
    /// tenants, and the callback key makes the marks by which the fleet knows its own deliveries.
    pub fn new(
        deliveries: DeliveryBook,
        applications: Arc<dyn ApplicationCalls>,
        feed: ChangeFeed,
        (fleet, keys): (FleetHandle, CallbackKeys),
        leadership: Leadership,
        tasks: TaskGroup,
        limits: DeliveryLimits,
    ) -> Self {
        let (reports, reported) = mpsc::channel(REPORTS);
        let queue = DeliveryQueue::new(limits);
        Self {
            deliveries,
            applications,
            feed,
            fleet,
            keys,
            leadership,
            tasks,
            queue,
            dropping: false,
            reports,
            reported,
        }
    }

    /// Follows and delivers until asked to stop. Attempts under way at the stop are repeated later.
    /// While the store is unreachable, the known deliveries are delivered all the same.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut stored = PrefixFollower::new(&self.feed, Arc::clone(&self.deliveries.store), PREFIX);
        let book = self.deliveries.book.clone();
        loop {
            self.act();
            let wake = self.wake();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(wake.into()) => {}
                Some(report) = self.reported.recv() => self.take(report),
                () = book.hooks_changed() => {}
                news = stored.next() => match news {
                    PrefixUpdate::All(listing) => self.begin_anew(&listing),
                    PrefixUpdate::Changed(batch) => self.apply(&batch),
                },
            }
            self.show();
        }
    }

    /// Replaces all deliveries by those of a listing.
    fn begin_anew(&mut self, listing: &StoreListing) {
        self.deliveries.book.clear();
        listing.entries.iter().for_each(|entry| self.put(entry));
        self.queue.retain(|id| self.deliveries.book.contains(id));
        self.deliveries.read.send_replace(true);
    }

    fn apply(&mut self, batch: &ChangeBatch) {
        for change in &batch.changes {
            match change {
                KeyChange::Put(entry) => self.put(entry),
                KeyChange::Delete { key } => {
                    if let Some(id) = self.deliveries.book.remove(key) {
                        self.queue.remove(&id);
                    }
                }
            }
        }
    }

    fn put(&mut self, entry: &StoreEntry) {
        if let Some((id, seen)) = self.deliveries.book.put(entry) {
            self.queue.upsert(id, seen, clock::now());
        }
    }

    /// Starts the attempts that are due, if this replica leads.
    fn act(&mut self) {
        // Before the hooks are known, an event of a deleted one could go out.
        let Some(token) = self.leadership.token(clock::now()).filter(|_| self.deliveries.book.knows_hooks())
        else {
            return;
        };
        self.drop_dead_events(&token);
        for work in self.queue.work(clock::now()) {
            match work {
                QueueWork::Try(id) => self.attempt(id),
                QueueWork::Expire(id) => {
                    self.settle(id, DeliveryStep::Expired, "its application was down to the end");
                }
            }
        }
    }

    /// Removes some events of deleted hooks from the store. One removal is under way at a time, so
    /// that many of them delay no other write. The hook of an event must still be absent if this
    /// replica did not see its deletion: its registration may not have arrived here yet.
    fn drop_dead_events(&mut self, token: &FencingToken) {
        if self.dropping {
            return;
        }
        let dead = self.deliveries.book.dead_events(DROPPED_AT_ONCE);
        if dead.is_empty() {
            return;
        }
        self.dropping = true;
        let txn = |event: &DeadEvent| {
            let key = path(&event.id);
            let absent = event.missing.as_ref().map(|(tenant, id)| TxnGuard::Absent(hooks::path(tenant, id)));
            let own = [TxnGuard::Unchanged(key.clone(), event.modified), TxnGuard::Fence(token.clone())];
            StoreTxn { guards: own.into_iter().chain(absent).collect(), writes: vec![TxnWrite::Delete(key)] }
        };
        let txns = dead.iter().map(txn).collect();
        let (deliveries, reports) = (self.deliveries.clone(), self.reports.clone());
        self.tasks.spawn_short("drop events", async move {
            let verdicts = deliveries.writer.commit(txns).await.unwrap_or_else(|error| {
                warn!(%error, "events of deleted hooks not removed yet");
                Vec::new()
            });
            let pairs = dead.into_iter().zip(verdicts);
            let gone = pairs.filter(|(_, verdict)| matches!(verdict, TxnVerdict::Committed(_)));
            let gone: Vec<DeliveryId> = gone.map(|(event, _)| event.id).collect();
            if gone.is_empty() {
                tokio::time::sleep(TURN).await; // it is tried again: not at once
            }
            let _ = reports.send(Report::Dropped(gone)).await; // the receiver is gone only while we stop
        });
    }

    fn attempt(&mut self, id: DeliveryId) {
        let delivery = match self.deliveries.book.depart(&id) {
            Departure::Ready(delivery) => delivery,
            // Its hook was deleted and the event will be removed, or its registration follows.
            Departure::Held => return self.queue.postpone(&id, clock::now() + TURN),
            // The delivery was removed in between; the queue learns it by the next update.
            Departure::Gone => {
                self.queue.finished(&id, TryOutcome::Failed, clock::now(), 0.0);
                return;
            }
        };
        let (parcel, said_again) = (self.parcel(&delivery), delivery.said_again);
        let (applications, reports) = (Arc::clone(&self.applications), self.reports.clone());
        let stopping = self.tasks.stopping();
        self.tasks.spawn_short("callback", async move {
            let delivered = tokio::select! {
                () = stopping.cancelled() => return, // the next leader delivers it again
                delivered = applications.deliver(&parcel) => delivered,
            };
            // the receiver is gone only while we stop
            let _ = reports.send(Report::Tried(id, said_again, delivered)).await;
        });
    }

    /// Builds the request. It is signed with the tenant's current secrets, which may differ from
    /// those at the create.
    fn parcel(&self, delivery: &Delivery) -> OutgoingCallback {
        let tenant = &delivery.meeting.tenant;
        let secrets =
            self.fleet.read(|fleet| fleet.tenant(tenant).map(|tenant| tenant.value.secrets.clone()));
        OutgoingCallback {
            url: delivery.url.clone(),
            form: delivery.form,
            body: delivery.body.clone(),
            secrets: secrets.unwrap_or_default(),
            now_ms: self.deliveries.now_ms(),
            mark: self.mark(),
        }
    }

    fn mark(&self) -> String {
        let key = self.keys.now().and_then(|key| CallbackKey::parse(&key).ok());
        key.map(|key| key.mark().to_owned()).unwrap_or_default()
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Settled(id) => self.queue.settled(&id),
            Report::Dropped(ids) => {
                self.dropping = false;
                for id in &ids {
                    self.deliveries.book.remove(&path(id));
                    self.queue.remove(id);
                    self.deliveries.metrics.ended("dropped");
                }
            }
            Report::Tried(id, said_again, DeliveryResult { outcome, reason }) => {
                let next = self.queue.finished(&id, outcome, clock::now(), rand::random());
                self.deliveries.metrics.tried(outcome);
                let said_since =
                    self.deliveries.book.get(&id).is_some_and(|(.., now)| now.said_again > said_again);
                match next {
                    // The application received the delivery before its repetition, so another
                    // attempt follows.
                    Some(DeliveryStep::Taken) if said_since => self.queue.settled(&id),
                    Some(next) => self.settle(id, next, &reason),
                    None => {}
                }
            }
        }
    }

    /// Writes the end of a delivery. The write carries the leader's token: the write of a deposed
    /// leader fails, and its successor delivers once more.
    fn settle(&mut self, id: DeliveryId, next: DeliveryStep, reason: &str) {
        let (Some((value, modified, delivery)), Some(token)) =
            (self.deliveries.book.get(&id), self.leadership.token(clock::now()))
        else {
            self.queue.settled(&id);
            return;
        };
        let write = match next {
            DeliveryStep::Taken | DeliveryStep::Refused | DeliveryStep::Expired => {
                TxnWrite::Delete(path(&id))
            }
            DeliveryStep::Later { attempts, waited } => {
                let later = Delivery { attempts, waited, last_error: reason.to_owned(), ..delivery.clone() };
                TxnWrite::Put(path(&id), encode(&later, Some(&value)))
            }
        };
        let txn = StoreTxn {
            guards: vec![TxnGuard::Unchanged(path(&id), modified), TxnGuard::Fence(token.clone())],
            writes: vec![write],
        };
        let leadership = self.leadership.clone();
        let (deliveries, reports, reason) =
            (self.deliveries.clone(), self.reports.clone(), reason.to_owned());
        self.tasks.spawn_short("settle callback", async move {
            match deliveries.writer.commit_one(txn).await {
                Ok(TxnVerdict::Committed(revision)) => {
                    deliveries.book.written(&id, revision);
                    tell(&deliveries, &id, &delivery, next, &reason);
                    if !matches!(next, DeliveryStep::Later { .. }) {
                        return; // it leaves the queue when the store shows that it is gone
                    }
                }
                Ok(TxnVerdict::Refused(_)) => {
                    debug!(delivery = %id, "callback changed during an attempt");
                    // A leader without its election key would otherwise deliver again and again.
                    leadership.confirm(&token).await;
                }
                Err(error) => {
                    warn!(delivery = %id, %error, "end of a delivery not written");
                    tokio::time::sleep(TURN).await; // it is tried again: not at once
                }
            }
            let _ = reports.send(Report::Settled(id)).await; // the receiver is gone only while we stop
        });
    }

    fn wake(&self) -> Instant {
        let now = clock::now();
        let next = self.queue.next_wake().filter(|_| self.leadership.leads());
        next.map_or(now + TURN, |at| at.clamp(now + Duration::from_millis(1), now + TURN))
    }

    fn show(&self) {
        let (count, oldest) = self.deliveries.waiting();
        self.deliveries.metrics.waiting(count, oldest, self.deliveries.book.bytes());
        self.deliveries.show_scarcity();
    }
}

/// Logs the end of a delivery, without its address or content.
fn tell(deliveries: &DeliveryBook, id: &DeliveryId, delivery: &Delivery, next: DeliveryStep, reason: &str) {
    let (meeting, kind, to) = (&delivery.meeting, delivery.kind.name(), delivery.lane().target);
    match next {
        DeliveryStep::Taken => {
            debug!(delivery = %id, %meeting, kind, "callback delivered");
            deliveries.metrics.ended("taken");
        }
        DeliveryStep::Refused => {
            info!(delivery = %id, %meeting, kind, to, "callback refused for good");
            deliveries.metrics.ended("refused");
        }
        DeliveryStep::Expired => {
            warn!(delivery = %id, %meeting, kind, to, reason, "callback abandoned");
            deliveries.metrics.ended("expired");
        }
        DeliveryStep::Later { attempts, .. } => {
            info!(delivery = %id, %meeting, kind, to, attempts, reason, "callback not delivered yet");
        }
    }
}
