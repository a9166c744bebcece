//! Shared access to the fleet for all tasks but the follower: they read it, wait until it is new
//! enough, or follow its changes.

use std::{
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use usher_model::{id::ServerId, revision::Revision, routing::RoutingDelta};
use usher_runtime::clock;

use crate::core::{
    change_log::{ChangeLog, ChangedKey, changed_keys},
    epoch::{Epoch, EpochEvidence, SealedRevision},
    fleet::Fleet,
    history::{ResumePoint, RoutingHistory},
    plan::FleetEvent,
    policy::Policy,
    seal::HistoryKey,
    unpolled::{EpochAge, RememberedNames, UnpolledAfterLoss},
};

/// Largest number of changes that a slow subscriber may be behind before it must resume from the
/// history.
pub(crate) const BACKLOG: usize = 1024;
/// Largest number of deltas, and of entries in them, that are kept for subscribers that return.
const HISTORY: (usize, usize) = (16_384, 65_536);

/// The fleet did not reach a revision in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fleet did not reach revision {wanted} within {patience:?}")]
pub struct FleetBehind {
    wanted: u64,
    patience: Duration,
}

/// A delta of the routing table, encoded once for all edges.
#[derive(Debug)]
pub struct PublishedDelta {
    base: Revision,
    delta: Arc<RoutingDelta>,
    encoded: OnceLock<Bytes>,
}

impl PublishedDelta {
    /// Returns a delta that applies to the table at `base`.
    pub(crate) fn new(base: Revision, delta: Arc<RoutingDelta>) -> Self {
        Self { base, delta, encoded: OnceLock::new() }
    }

    /// Returns the revision of the table to which the delta applies.
    pub fn base(&self) -> Revision {
        self.base
    }

    /// Returns the revision of the table after the delta.
    pub fn revision(&self) -> Revision {
        self.delta.revision
    }

    /// Returns the number of entries that the delta changes.
    pub(crate) fn len(&self) -> usize {
        self.delta.len()
    }

    /// Joins a delta with those that follow it, in their order.
    pub(crate) fn joined(first: Arc<Self>, rest: &[Arc<Self>]) -> Arc<Self> {
        let Some(last) = rest.last() else { return first };
        let mut joined = RoutingDelta::new(first.base, last.revision());
        for delta in std::iter::once(&first).chain(rest) {
            joined.servers.extend(delta.delta.servers.clone());
            joined.tenants.extend(delta.delta.tenants.clone());
            joined.meetings.extend(delta.delta.meetings.clone());
        }
        Arc::new(Self::new(first.base, Arc::new(joined)))
    }

    /// Returns the encoded delta. The first subscriber encodes it, and the others share the bytes;
    /// the fleet itself knows no wire format.
    pub fn encoded(&self, encode: impl FnOnce(Revision, &RoutingDelta) -> Bytes) -> Bytes {
        self.encoded.get_or_init(|| encode(self.base, &self.delta)).clone()
    }
}

/// A change of the routing table for its subscribers.
#[derive(Debug, Clone)]
pub enum PublishedChange {
    /// The routing table changed.
    Delta(Arc<PublishedDelta>),
    /// Another epoch began, so that no subscriber can continue.
    Reset,
}

/// The reason why the changes since a revision are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangesLost {
    /// Another epoch began since.
    OtherEpoch,
    /// They are older than the log of changes.
    Forgotten,
}

/// Changes that the log keeps for watchers.
const LOG: usize = 32_768;

struct FleetState {
    fleet: Fleet,
    history: RoutingHistory,
    /// The entries of lists that changed, for watchers.
    log: ChangeLog,
    /// The revision after the last published delta. Changes that touch no route are not published;
    /// the next delta bridges them.
    published: Revision,
}

struct SharedState {
    state: RwLock<FleetState>,
    awaited: watch::Sender<UnpolledAfterLoss>,
    /// The latest evidence that the store lost its past, and the epoch in which it arrived.
    evidence: watch::Sender<Option<(Epoch, EpochEvidence)>>,
    /// The key that seals revisions (ADR 19).
    history_key: RwLock<Option<HistoryKey>>,
    policy: Policy,
    revision: watch::Sender<Revision>,
    /// Wakes watchers after samples that have no revision.
    samples: watch::Sender<()>,
    changes: broadcast::Sender<PublishedChange>,
    complete: AtomicBool,
}

/// Shared access to the fleet; cheap to clone. A lock is held while a closure runs and never across
/// an await.
#[derive(Clone)]
pub struct FleetHandle(Arc<SharedState>);

impl FleetHandle {
    /// Returns the handle of an empty fleet.
    pub fn new(policy: Policy) -> Self {
        let fleet = Fleet::new(0, policy.clone());
        let revision = fleet.revision();
        Self(Arc::new(SharedState {
            state: RwLock::new(FleetState {
                fleet,
                history: history(revision),
                log: ChangeLog::new(revision.seq, LOG),
                published: revision,
            }),
            awaited: watch::Sender::default(),
            evidence: watch::Sender::new(None),
            history_key: RwLock::new(None),
            policy,
            revision: watch::Sender::new(revision),
            samples: watch::Sender::default(),
            changes: broadcast::Sender::new(BACKLOG),
            complete: AtomicBool::new(false),
        }))
    }

    /// Calls `look` with the fleet.
    pub fn read<T>(&self, look: impl FnOnce(&Fleet) -> T) -> T {
        look(&self.0.state.read().unwrap_or_else(PoisonError::into_inner).fleet)
    }

    /// Returns whether the fleet has been read completely at least once.
    pub fn complete(&self) -> bool {
        self.0.complete.load(Ordering::Acquire)
    }

    /// Returns whether `fleet` still awaits a poll of a server that had meetings before the store
    /// lost them, or the return of a tenant.
    pub fn awaits_more(&self, fleet: &Fleet, now: Instant) -> bool {
        self.0.awaited.borrow().goes_on(fleet, now)
    }

    /// Awaits servers and tenants that another replica or an edge knew before the store lost them.
    pub(crate) fn await_also(&self, names: RememberedNames) {
        self.0.awaited.send_if_modified(|awaited| awaited.add(names, clock::now()));
    }

    /// Returns a receiver of the awaited servers and tenants.
    pub(super) fn awaited(&self) -> watch::Receiver<UnpolledAfterLoss> {
        self.0.awaited.subscribe()
    }

    /// Takes a seal that an edge brought, if it is genuine and names a later revision than this
    /// replica has applied. The follower weighs it against the store. A seal of another epoch
    /// is dropped, because it is no evidence in this one (ADR 19).
    pub(crate) fn take_seal(&self, sealed: SealedRevision) {
        let (held, known) = (sealed.revision, self.revision());
        let genuine = || self.history_key().is_some_and(|key| key.sealed(held, &sealed.mac));
        if held.epoch == known.epoch && !known.reaches(held) && genuine() {
            let epoch = self.read(Fleet::epoch);
            self.0.evidence.send_replace(Some((epoch, EpochEvidence::Edge(sealed))));
        }
    }

    /// Returns a receiver of such evidence.
    pub(super) fn evidence(&self) -> watch::Receiver<Option<(Epoch, EpochEvidence)>> {
        self.0.evidence.subscribe()
    }

    /// Returns the key that seals revisions, once it is known.
    pub(super) fn history_key(&self) -> Option<HistoryKey> {
        self.0.history_key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the key that seals revisions.
    pub(super) fn set_history_key(&self, key: HistoryKey) {
        *self.0.history_key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Seals the current revision of the fleet, for an edge to keep.
    pub(crate) fn seal(&self) -> Option<SealedRevision> {
        let revision = self.revision();
        let mac = self.history_key().filter(|_| self.complete())?.seal(revision);
        Some(SealedRevision { revision, mac })
    }

    /// Returns the current revision of the fleet.
    pub fn revision(&self) -> Revision {
        *self.0.revision.borrow()
    }

    /// Returns a receiver of the fleet's revisions.
    pub fn revisions(&self) -> watch::Receiver<Revision> {
        self.0.revision.subscribe()
    }

    /// Returns a receiver that is notified when samples arrived that the store has already, so that
    /// ages and loads changed without a revision.
    pub(crate) fn samples(&self) -> watch::Receiver<()> {
        self.0.samples.subscribe()
    }

    /// Waits until the fleet is at `wanted` or later, or in another epoch.
    ///
    /// # Errors
    /// The fleet did not reach `wanted` within `patience`.
    pub async fn reach(&self, wanted: Revision, patience: Duration) -> Result<(), FleetBehind> {
        let mut revisions = self.0.revision.subscribe();
        let there = revisions.wait_for(|now| now.epoch != wanted.epoch || now.reaches(wanted));
        match tokio::time::timeout(patience, there).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(FleetBehind { wanted: wanted.seq, patience }),
        }
    }

    /// Returns the changes from now on. A subscriber must skip a frame whose revision it has
    /// already.
    pub fn changes(&self) -> broadcast::Receiver<PublishedChange> {
        self.0.changes.subscribe()
    }

    /// Returns the way by which a subscriber that holds `have` reaches the present.
    pub fn since(&self, have: Revision) -> ResumePoint {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).history.since(have)
    }

    /// Returns the way by which a subscriber that holds `have` reaches `until`, a revision after a
    /// change of a route, or the present, if `until` is not known.
    pub(crate) fn between(&self, have: Revision, until: Revision) -> ResumePoint {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).history.between(have, until)
    }

    /// Visits the entries of lists that changed after `told`, and returns the present revision.
    ///
    /// # Errors
    /// The changes are not known any more.
    pub(crate) fn changes_since(
        &self,
        told: Revision,
        mut visit: impl FnMut(&ChangedKey),
    ) -> Result<Revision, ChangesLost> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let now = state.fleet.revision();
        if now.epoch != told.epoch {
            return Err(ChangesLost::OtherEpoch);
        }
        let changes = state.log.since(told.seq).ok_or(ChangesLost::Forgotten)?;
        changes.for_each(&mut visit);
        Ok(now)
    }

    /// Applies the events of one revision, or of several together, and publishes the change.
    pub(super) fn apply(&self, revision: u64, events: Vec<FleetEvent>, now: Instant) {
        self.change(|state| {
            let keys = changed_keys(&state.fleet, &events);
            state.log.push(revision, keys);
            state.fleet.apply(revision, events, now)
        });
    }

    /// Applies a complete listing of the same epoch. Edges continue with the one delta that it
    /// makes.
    pub(super) fn apply_listing(&self, revision: u64, events: Vec<FleetEvent>, now: Instant) {
        self.change(|state| {
            // A listing names no deletions: watchers begin anew.
            state.log = ChangeLog::new(revision, LOG);
            state.fleet.apply_listing(revision, events, now)
        });
    }

    /// Restarts the ages of the samples that the leader of `term` keeps, as known at `at` (ADR 34).
    /// No route changes, and no revision.
    pub(super) fn confirm_samples(&self, term: Option<u64>, at: Instant) {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner).fleet.confirm_samples(term, at);
        self.0.samples.send_replace(());
    }

    /// Restarts the age of the sample of a server that this replica polled at `at`, unless another
    /// epoch has begun since.
    pub(super) fn confirm_sample(&self, id: &ServerId, epoch: Epoch, at: Instant) {
        {
            let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
            if state.fleet.epoch() != epoch {
                return;
            }
            state.fleet.confirm_sample(id, at);
        }
        self.0.samples.send_replace(());
    }

    fn change(&self, change: impl FnOnce(&mut FleetState) -> RoutingDelta) {
        let (delta, base) = {
            let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
            let delta = Arc::new(change(&mut state));
            state.history.push(delta.clone());
            let base = state.published;
            if !delta.is_empty() {
                state.published = delta.revision;
            }
            (delta, base)
        };
        if !delta.is_empty() {
            let published = PublishedChange::Delta(Arc::new(PublishedDelta::new(base, Arc::clone(&delta))));
            let _ = self.0.changes.send(published); // fails only if there is no subscriber
        }
        self.0.revision.send_replace(delta.revision);
    }

    /// Returns the fleet of an epoch before the first entry of a listing.
    pub(super) fn empty_fleet(&self, epoch: Epoch, revision: u64) -> Fleet {
        Fleet::new(epoch.number, self.0.policy.clone()).begun_at(epoch.begun).followed_from(revision)
    }

    /// Begins another epoch with the fleet of a complete listing.
    pub(super) fn restart(&self, age: EpochAge, fleet: Fleet, now: Instant) {
        let Revision { epoch, seq: revision } = fleet.revision();
        {
            let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
            self.0.awaited.send_modify(|awaited| awaited.begin(&state.fleet, age, now));
            state.fleet = fleet;
            state.published = state.fleet.revision();
            state.history = history(state.published);
            state.log = ChangeLog::new(revision, LOG);
        }
        // Set before the revision is published: a task that waits for both checks `complete` when
        // the revision wakes it.
        self.0.complete.store(true, Ordering::Release);
        let _ = self.0.changes.send(PublishedChange::Reset); // fails only if there is no subscriber
        self.0.revision.send_replace(Revision::new(epoch, revision));
    }
}

#[cfg(test)]
impl FleetHandle {
    /// Returns the handle of a fleet that read these events.
    pub(crate) fn of_events(events: Vec<FleetEvent>) -> Self {
        let handle = Self::new(Policy::default());
        handle.restart_at(Epoch { number: 7, begun: 0 }, 1, events);
        handle
    }

    /// Begins an epoch with the events of a listing.
    pub(crate) fn restart_at(&self, epoch: Epoch, revision: u64, events: Vec<FleetEvent>) {
        let mut fleet = self.empty_fleet(epoch, revision);
        fleet.apply(revision, events, clock::now());
        self.restart(EpochAge::Old, fleet, clock::now());
    }

    /// Notes a poll of a server that saw the same as the sample.
    pub(crate) fn confirm_now(&self, id: &ServerId) {
        self.confirm_sample(id, self.read(Fleet::epoch), clock::now());
    }
}

fn history(start: Revision) -> RoutingHistory {
    RoutingHistory::new(start, HISTORY.0, HISTORY.1)
}
