//! A store with the semantics of etcd: one history of revisions, guarded transactions, watches with
//! compaction, leases that expire, an election with fencing. [`link`] is the way of a replica to
//! it.

mod link;
mod state;
mod watch;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use usher_control_plane::ports::{ChangeBatch, StoreError, StoreListing, StoreTxn, TxnVerdict};

pub(crate) use self::link::StoreLink;
pub(crate) use self::state::key_of;
use self::state::{LeaseEntry, StoreState};
use crate::witness::HistoryWitness;

/// The time for which a lease outlives its end: etcd checks for expired leases a few times a
/// second.
const LAG: Duration = Duration::from_millis(300);

pub(crate) struct SimStore {
    state: Mutex<StoreState>,
    changed: Notify,
    witness: Arc<HistoryWitness>,
}

impl SimStore {
    pub(crate) fn new(cluster_id: u64, witness: Arc<HistoryWitness>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(StoreState::new(cluster_id)), changed: Notify::new(), witness })
    }

    fn read<T>(&self, look: impl FnOnce(&StoreState) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut StoreState) -> (T, Option<ChangeBatch>)) -> T {
        let (outcome, batch) = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(batch) = batch {
            self.witness.committed(&batch);
        }
        self.changed.notify_waiters();
        outcome
    }

    pub(crate) fn revision(&self) -> u64 {
        self.read(StoreState::revision)
    }

    pub(crate) fn list(&self, prefix: &str) -> StoreListing {
        self.read(|state| state.list(prefix))
    }

    pub(crate) fn commit(&self, txns: &[StoreTxn]) -> Vec<TxnVerdict> {
        self.change(|state| state.commit(txns))
    }

    /// Returns the candidate that leads, and its election key.
    pub(crate) fn leader(&self) -> Option<(String, String)> {
        self.read(StoreState::leader)
    }

    fn enter(self: &Arc<Self>, candidate: &str, ttl: Duration) -> (String, u64) {
        let (key, created) = self.change(|state| state.enter(candidate));
        self.renew(&key, ttl, created);
        (key, created)
    }

    /// Renews a lease and starts the timer of its end.
    fn renew(self: &Arc<Self>, key: &str, ttl: Duration, created: u64) -> bool {
        let ends = tokio::time::Instant::now() + ttl;
        let is_held = self.change(|state| {
            let is_held = state.is_held(key, created);
            if is_held {
                state.leases.insert(key.to_owned(), LeaseEntry { ends });
            }
            (is_held, None)
        });
        if is_held {
            let (store, key) = (self.clone(), key.to_owned());
            tokio::spawn(async move {
                sleep(ttl + LAG).await;
                let now = tokio::time::Instant::now();
                let over = store.read(|state| state.leases.get(&key).is_some_and(|lease| lease.ends <= now));
                if over {
                    store.leave(&key);
                }
            });
        }
        is_held
    }

    fn leave(&self, key: &str) {
        self.change(|state| ((), state.delete(&[key.to_owned()])));
    }

    /// Deletes every key, as an operator's mistake would.
    pub(crate) fn wipe(&self) {
        self.change(|state| {
            let keys: Vec<String> = state.list("").entries.into_iter().map(|entry| entry.key).collect();
            ((), state.delete(&keys))
        });
    }

    /// Starts again without data, like a cluster with new disks: revisions start over.
    pub(crate) fn lose_all_data(&self, cluster_id: u64) {
        self.change(|state| {
            state.reset(cluster_id);
            ((), None)
        });
        self.witness.store_lost();
    }

    /// Compacts all history but the newest `kept` revisions.
    pub(crate) fn compact(&self, kept: u64) {
        self.change(|state| {
            state.compact(kept);
            ((), None)
        });
    }

    /// Compacts the history before a revision, at the request of a replica.
    fn compact_before(&self, revision: u64) {
        self.compact(self.revision().saturating_sub(revision));
    }

    fn since(&self, life: u64, prefix: &str, from: u64) -> Result<(Vec<ChangeBatch>, u64), state::WatchEnd> {
        self.read(|state| state.since(life, prefix, from))
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("the link is cut".into())
}
