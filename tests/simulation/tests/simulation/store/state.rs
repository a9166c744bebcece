//! The content of the store.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tokio::time::Instant;
use usher_control_plane::{
    ports::{ChangeBatch, KeyChange, StoreEntry, StoreListing, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::keys,
};

#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseEntry {
    pub(super) ends: Instant,
}

/// The reason why a watch cannot continue.
pub(super) enum WatchEnd {
    /// The history before this revision is compacted.
    Compacted(u64),
    /// The store lost its data since the watch was opened.
    StoreLost,
}

pub(crate) struct StoreState {
    pub(super) cluster_id: u64,
    /// The number of times that all data were lost.
    pub(super) lives: u64,
    entries: BTreeMap<String, StoreEntry>,
    revision: u64,
    history: VecDeque<ChangeBatch>,
    compacted: u64,
    pub(super) leases: BTreeMap<String, LeaseEntry>,
}

impl StoreState {
    pub(super) fn new(cluster_id: u64) -> Self {
        Self {
            cluster_id,
            lives: 0,
            entries: BTreeMap::new(),
            revision: 1,
            history: VecDeque::new(),
            compacted: 0,
            leases: BTreeMap::new(),
        }
    }

    /// Starts again without data.
    pub(super) fn reset(&mut self, cluster_id: u64) {
        *self = Self { lives: self.lives + 1, ..Self::new(cluster_id) };
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn list(&self, prefix: &str) -> StoreListing {
        let below = self.entries.range(prefix.to_owned()..);
        let below = below.take_while(|(key, _)| key.starts_with(prefix));
        StoreListing { revision: self.revision, entries: below.map(|(_, entry)| entry.clone()).collect() }
    }

    /// Decides independent transactions, all at one revision.
    pub(super) fn commit(&mut self, txns: &[StoreTxn]) -> (Vec<TxnVerdict>, Option<ChangeBatch>) {
        let hold: Vec<bool> =
            txns.iter().map(|txn| txn.guards.iter().all(|guard| self.holds(guard))).collect();
        let revision = self.revision + 1;
        let mut changes = Vec::new();
        for (txn, _) in txns.iter().zip(&hold).filter(|(_, holds)| **holds) {
            for write in &txn.writes {
                changes.extend(self.write(write, revision));
            }
        }
        let batch = self.record(revision, changes, true);
        let at = self.revision;
        let verdict = |holds: &bool| if *holds { TxnVerdict::Committed(at) } else { TxnVerdict::Refused(at) };
        (hold.iter().map(verdict).collect(), batch)
    }

    /// Records the changes of a revision; `attested` if they came through the product's port.
    fn record(&mut self, revision: u64, changes: Vec<KeyChange>, attested: bool) -> Option<ChangeBatch> {
        if changes.is_empty() {
            return None;
        }
        self.revision = revision;
        let batch = ChangeBatch { revision, changes, attested };
        self.history.push_back(batch.clone());
        Some(batch)
    }

    fn holds(&self, guard: &TxnGuard) -> bool {
        match guard {
            TxnGuard::Absent(key) => !self.entries.contains_key(key),
            TxnGuard::Unchanged(key, revision) => {
                self.entries.get(key).is_some_and(|entry| entry.mod_revision == *revision)
            }
            TxnGuard::Fence(token) => self.is_held(&token.key, token.create_revision),
        }
    }

    pub(super) fn is_held(&self, key: &str, created: u64) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.create_revision == created)
    }

    fn write(&mut self, write: &TxnWrite, revision: u64) -> Option<KeyChange> {
        match write {
            TxnWrite::Put(key, value) => {
                let create_revision = self.entries.get(key).map_or(revision, |entry| entry.create_revision);
                let (key, value) = (key.clone(), value.clone());
                let entry = StoreEntry { key: key.clone(), value, create_revision, mod_revision: revision };
                self.entries.insert(key, entry.clone());
                Some(KeyChange::Put(entry))
            }
            TxnWrite::Delete(key) => {
                self.entries.remove(key).map(|entry| KeyChange::Delete { key: entry.key })
            }
        }
    }

    /// Adds a candidate to the election, with its own key.
    pub(super) fn enter(&mut self, candidate: &str) -> ((String, u64), Option<ChangeBatch>) {
        let revision = self.revision + 1;
        let key = format!("{}{:08x}{revision:016x}", keys::ELECTION, self.lives);
        let put = TxnWrite::Put(key.clone(), Bytes::from(candidate.to_owned()));
        let change = self.write(&put, revision);
        let batch = self.record(revision, change.into_iter().collect(), true);
        ((key, revision), batch)
    }

    pub(super) fn delete(&mut self, keys: &[String]) -> Option<ChangeBatch> {
        let revision = self.revision + 1;
        self.leases.retain(|key, _| !keys.contains(key));
        let changes =
            keys.iter().filter_map(|key| self.write(&TxnWrite::Delete(key.clone()), revision)).collect();
        self.record(revision, changes, false)
    }

    pub(super) fn leader(&self) -> Option<(String, String)> {
        let candidates = self.list(keys::ELECTION).entries;
        let oldest = candidates.into_iter().min_by_key(|entry| entry.create_revision)?;
        Some((String::from_utf8_lossy(&oldest.value).into_owned(), oldest.key))
    }

    pub(super) fn compact(&mut self, kept: u64) {
        self.compacted = self.compacted.max(self.revision.saturating_sub(kept));
        while self.history.front().is_some_and(|batch| batch.revision <= self.compacted) {
            self.history.pop_front();
        }
    }

    /// Returns the changes at or after `from`, and the next revision to read.
    pub(super) fn since(
        &self,
        life: u64,
        prefix: &str,
        from: u64,
    ) -> Result<(Vec<ChangeBatch>, u64), WatchEnd> {
        if life != self.lives {
            return Err(WatchEnd::StoreLost);
        }
        if from <= self.compacted {
            return Err(WatchEnd::Compacted(self.compacted + 1));
        }
        let start = self.history.partition_point(|batch| batch.revision < from);
        let mut found = Vec::new();
        for batch in self.history.range(start..) {
            let below = batch.changes.iter().filter(|change| key_of(change).starts_with(prefix));
            let changes: Vec<KeyChange> = below.cloned().collect();
            if !changes.is_empty() {
                found.push(ChangeBatch { changes, ..*batch });
            }
        }
        Ok((found, from.max(self.revision + 1)))
    }
}

pub(crate) fn key_of(change: &KeyChange) -> &str {
    match change {
        KeyChange::Put(entry) => &entry.key,
        KeyChange::Delete { key } => key,
    }
}
