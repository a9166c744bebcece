//! Folds the store's history into the fleet: lists once, then follows every change. While the store
//! is unreachable the fleet stays as it is. The follower has the one watch of the replica, and hands
//! each change on to the other tasks.

mod epoch;
mod listing;
mod loss;
mod unreadable_values;
mod witnesses;

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_runtime::clock;

use self::{
    listing::{FleetListing, ListedContent},
    loss::StateLoss,
};
use super::{backoff::Backoff, change_feed::ChangeFeed, fleet_handle::FleetHandle};
use crate::{
    core::{
        epoch::{Epoch, EpochEvidence},
        plan::FleetEvent,
    },
    ops::{metrics::ControlPlaneMetrics, watchdog::Watchdog},
    ports::{ChangeBatch, KeyChange, Store, WatchError},
    store::codec::StoreCodec,
};

/// Largest number of waiting changes that are applied together.
const COALESCE: usize = 512;
/// Interval at which the loop reports its turn to the watchdog.
const TURN: Duration = Duration::from_secs(1);
/// Time without a turn after which the loop counts as stalled.
const PATIENCE: Duration = Duration::from_secs(30);

/// Number of parts of a listing that wait for the fleet.
const PARTS: usize = 1;

/// Longest wait for the repetition of a change that was followed before.
const RESUME_WITHIN: Duration = Duration::from_secs(2);

type Changes = BoxStream<'static, Result<ChangeBatch, WatchError>>;

/// The reason why the following of changes ended.
enum FollowEnd {
    Watch(WatchError),
    Loss(StateLoss),
}

/// The task that keeps the fleet in step with the store.
pub struct FleetFollower {
    store: Arc<dyn Store>,
    codec: Arc<StoreCodec>,
    fleet: FleetHandle,
    feed: ChangeFeed,
    metrics: ControlPlaneMetrics,
    watchdog: Watchdog,
}

/// The position in the store's history that the fleet has reached.
#[derive(Debug, Clone, Copy)]
struct StorePosition {
    epoch: Epoch,
    revision: u64,
    /// Hash of the batch at `revision`; `None` right after a listing.
    print: Option<u64>,
}

impl FleetFollower {
    /// Returns a follower that folds `store` into `fleet`, and hands the changes out by `feed`.
    pub fn new(
        store: Arc<dyn Store>,
        codec: Arc<StoreCodec>,
        (fleet, feed): (FleetHandle, ChangeFeed),
        metrics: ControlPlaneMetrics,
        watchdog: Watchdog,
    ) -> Self {
        Self { store, codec, fleet, feed, metrics, watchdog }
    }

    /// Follows until asked to stop. Every failure of the store is retried.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let mut place = None;
        while !stop.is_cancelled() {
            let worked = tokio::select! {
                () = stop.cancelled() => break,
                () = self.turn_while_waiting() => break,
                () = witnesses::heed(self.store.as_ref(), &self.fleet) => break,
                worked = self.follow(&mut place, &mut backoff) => worked,
            };
            if let Err(problem) = worked {
                warn!(error = format!("{problem:#}"), "store unreachable, fleet unchanged");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
        self.watchdog.ended("follower");
        Ok(())
    }

    /// Reports turns to the watchdog while the loop waits for the store, because an unreachable
    /// store is no reason to restart the process. Never returns.
    async fn turn_while_waiting(&self) {
        loop {
            self.watchdog.turned("follower", PATIENCE, clock::now());
            tokio::time::sleep(TURN).await;
        }
    }

    /// Lists unless the history continues from `place`, then follows until the watch ends.
    async fn follow(&self, place: &mut Option<StorePosition>, backoff: &mut Backoff) -> anyhow::Result<()> {
        let epoch = epoch::current(self.store.as_ref()).await.context("read the epoch")?;
        let now = self.store.revision().await.context("read the revision")?;
        let known = place.filter(|at| at.epoch == epoch);
        if let Some(at) = known.filter(|at| at.revision > now) {
            return self.renew(at.epoch, &EpochEvidence::WentBack { applied: at.revision, now }).await;
        }
        let resumed = match known {
            Some(at) => self.resume(at).await?.map(|changes| (at, changes)),
            None => None,
        };
        let (mut at, mut changes) = match resumed {
            Some(resumed) => resumed,
            None => {
                let Some(at) = self.list(epoch).await? else { return Ok(()) };
                *place = Some(at); // if the watch fails, all is listed again, not followed from an older place
                let changes = self.store.watch("", at.revision + 1).await.context("watch")?;
                self.feed.begin_anew(at.revision);
                (at, changes)
            }
        };
        *place = Some(at);
        backoff.reset();
        let ended = self.apply_all(&mut changes, &mut at).await;
        *place = Some(at);
        match ended {
            FollowEnd::Watch(WatchError::Compacted(revision)) => {
                info!(revision, "history compacted, listing again");
                *place = None;
                Ok(())
            }
            FollowEnd::Watch(lost @ WatchError::Lost(_)) => Err(lost.into()),
            // The batch is not applied, because the deleted meetings still run. The store is listed
            // under a new epoch, and polls find the rest (F7).
            FollowEnd::Loss(loss) => {
                warn!(?loss, "stored state deleted by another program");
                if loss == StateLoss::Taken { self.renew(epoch, &EpochEvidence::Taken).await } else { Ok(()) }
            }
        }
    }

    /// Continues after the last applied change, if the store repeats that change. A store that was
    /// set back and has reached the same revision again repeats another one.
    async fn resume(&self, at: StorePosition) -> anyhow::Result<Option<Changes>> {
        let Some(print) = at.print else { return Ok(None) };
        let mut changes = self.store.watch("", at.revision).await.context("watch")?;
        match tokio::time::timeout(RESUME_WITHIN, changes.next()).await {
            Ok(Some(Ok(batch))) => Ok((print_of(&batch) == print).then_some(changes)),
            Ok(Some(Err(lost @ WatchError::Lost(_)))) => Err(lost.into()),
            Ok(Some(Err(WatchError::Compacted(_))) | None) | Err(_) => Ok(None),
        }
    }

    /// Begins a new epoch on a store whose history is not the followed one: edges must not continue
    /// from revisions of the old epoch.
    async fn renew(&self, epoch: Epoch, evidence: &EpochEvidence) -> anyhow::Result<()> {
        epoch::renew(self.store.as_ref(), epoch, self.fleet.history_key().as_ref(), evidence).await
    }

    /// Reads all entries and makes the fleet equal to them; `None` if the epoch ends with that.
    async fn list(&self, epoch: Epoch) -> anyhow::Result<Option<StorePosition>> {
        let (sender, mut parts) = mpsc::channel(PARTS);
        let store = Arc::clone(&self.store);
        let mut reader = JoinSet::new(); // it ends with this call
        reader.spawn(async move { store.read_parts("", sender).await });
        self.codec.begin_listing();
        let mut listed = None;
        while let Some(part) = parts.recv().await {
            let begin = || FleetListing::begin(epoch, part.revision, &self.fleet);
            listed.get_or_insert_with(begin).take(&part.entries, &self.codec).await;
        }
        reader.join_next().await.context("no reader")??.context("list")?;
        self.codec.end_listing();
        let listed = listed.context("the store listed no part")?;
        if !listed.is_of_epoch {
            return Ok(None); // another epoch has begun meanwhile
        }
        let (revision, now) = (listed.revision, clock::now());
        match listed.content {
            ListedContent::Known(events) => {
                let foreign = self.fleet.read(|fleet| fleet.contradicts(&events));
                let applied = self.fleet.revision().seq;
                if foreign || revision < applied {
                    let back = EpochEvidence::WentBack { applied, now: revision };
                    let evidence = if foreign { EpochEvidence::Contradicts } else { back };
                    return self.renew(epoch, &evidence).await.map(|()| None);
                }
                self.fleet.apply_listing(revision, events, now);
            }
            ListedContent::New(fleet) => {
                if self.fleet.complete() {
                    self.metrics.rebuilt();
                }
                listed.witnesses.iter().for_each(|entry| witnesses::take_key(&self.fleet, entry));
                self.fleet.restart(listed.age, *fleet, now);
            }
        }
        listed.witnesses.iter().for_each(|entry| witnesses::take(&self.fleet, entry));
        self.metrics.revision(revision);
        info!(revision, entries = listed.count, "fleet read");
        Ok(Some(StorePosition { epoch, revision, print: None }))
    }

    /// Applies changes until the watch ends, and hands them out. Waiting changes are applied together,
    /// so that a flood costs each edge one delta and not thousands. They are handed out afterwards, so
    /// that the fleet is never behind the other tasks.
    async fn apply_all(&self, changes: &mut Changes, at: &mut StorePosition) -> FollowEnd {
        loop {
            let (batches, ended) = waiting(changes).await;
            if let Some(last) = batches.last() {
                let events = batches.iter().flat_map(|batch| self.events(batch)).collect();
                self.fleet.apply(last.revision, events, clock::now());
                self.metrics.revision(last.revision);
                (at.revision, at.print) = (last.revision, Some(print_of(last)));
                for batch in &batches {
                    self.feed.hand_out(batch);
                }
            }
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    fn events(&self, batch: &ChangeBatch) -> Vec<FleetEvent> {
        batch.changes.iter().for_each(|change| witnesses::take_change(&self.fleet, change));
        let read = |change| match self.codec.event(change) {
            Ok(event) => event,
            Err(bad) => {
                unreadable_values::report(&bad);
                bad.absent.map(|event| *event)
            }
        };
        batch.changes.iter().filter_map(read).collect()
    }
}

/// Waits for a change; returns it with those that wait behind it, and the end of the watch if it
/// follows them.
async fn waiting(changes: &mut Changes) -> (Vec<ChangeBatch>, Option<FollowEnd>) {
    let (mut batches, mut count) = (Vec::new(), 0);
    let mut next = changes.next().await;
    loop {
        let batch = match next {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => return (batches, Some(FollowEnd::Watch(error))),
            None => {
                let silent = WatchError::Lost("the watch ended".into());
                return (batches, Some(FollowEnd::Watch(silent)));
            }
        };
        if let Some(loss) = loss::of(&batch) {
            return (batches, Some(FollowEnd::Loss(loss)));
        }
        count += batch.changes.len().max(1);
        batches.push(batch);
        if count >= COALESCE {
            return (batches, None);
        }
        next = match changes.next().now_or_never() {
            Some(next) => next,
            None => return (batches, None),
        };
    }
}

/// Returns a hash of a batch that differs for batches of another history.
fn print_of(batch: &ChangeBatch) -> u64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    batch.revision.hash(&mut hasher);
    for change in &batch.changes {
        match change {
            KeyChange::Put(entry) => (&entry.key, &entry.value, entry.create_revision).hash(&mut hasher),
            KeyChange::Delete { key } => key.hash(&mut hasher),
        }
    }
    hasher.finish()
}
