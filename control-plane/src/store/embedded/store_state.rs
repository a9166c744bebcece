//! The entries, their revisions and their recent history, as plain data.
//!
//! A [`TransactionDraft`] decides transactions over a state without changing it; its writes are applied once
//! they are durable. A reader therefore never sees a write that a crash can undo.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    ops::Bound,
};

use crate::ports::{
    ChangeBatch, KeyChange, StoreEntry, StoreListing, StoreTxn, TxnGuard, TxnVerdict, TxnWrite,
};

/// The committed entries and the recent history.
#[derive(Debug)]
pub(super) struct StoreState {
    entries: BTreeMap<String, StoreEntry>,
    revision: u64,
    history: VecDeque<ChangeBatch>,
    /// First revision from which on `history` is complete.
    first: u64,
    history_bytes: usize,
    max_history_bytes: usize,
}

impl StoreState {
    /// Returns a state of these entries, without history.
    pub(super) fn new(entries: Vec<StoreEntry>, revision: u64, max_history_bytes: usize) -> Self {
        Self {
            entries: entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect(),
            revision,
            history: VecDeque::new(),
            first: revision + 1,
            history_bytes: 0,
            max_history_bytes,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn get(&self, key: &str) -> Option<&StoreEntry> {
        self.entries.get(key)
    }

    /// Iterates over the entries below a prefix, in the order of their keys.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a StoreEntry> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(move |entry| entry.key.starts_with(prefix))
    }

    pub(super) fn list(&self, prefix: &str) -> StoreListing {
        StoreListing { revision: self.revision, entries: self.below(prefix).cloned().collect() }
    }

    /// Applies the writes of a draft and drops the oldest history beyond its bound.
    pub(super) fn apply(&mut self, batches: Vec<ChangeBatch>) {
        for batch in batches {
            for change in &batch.changes {
                match change {
                    KeyChange::Put(entry) => self.entries.insert(entry.key.clone(), entry.clone()),
                    KeyChange::Delete { key } => self.entries.remove(key),
                };
            }
            self.revision = batch.revision;
            self.history_bytes += weight(&batch);
            self.history.push_back(batch);
        }
        while self.history_bytes > self.max_history_bytes
            && let Some(oldest) = self.history.pop_front()
        {
            self.history_bytes -= weight(&oldest);
            self.first = oldest.revision + 1;
        }
    }

    /// Returns the changes at or after `from` below a prefix, at most `limit` batches, and the
    /// revision to continue from.
    ///
    /// # Errors
    /// The first revision that the history still holds, if it is later than `from`.
    pub(super) fn since(
        &self,
        prefix: &str,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<ChangeBatch>, u64), u64> {
        if from < self.first {
            return Err(self.first);
        }
        let start = self.history.partition_point(|batch| batch.revision < from);
        let (mut found, mut next) = (Vec::new(), from);
        for batch in self.history.range(start..).take(limit) {
            next = batch.revision + 1;
            let changes: Vec<KeyChange> =
                batch.changes.iter().filter(|change| key_of(change).starts_with(prefix)).cloned().collect();
            if !changes.is_empty() {
                found.push(ChangeBatch { revision: batch.revision, changes, attested: true });
            }
        }
        Ok((found, next))
    }
}

fn key_of(change: &KeyChange) -> &str {
    match change {
        KeyChange::Put(entry) => &entry.key,
        KeyChange::Delete { key } => key,
    }
}

/// Returns the approximate memory of a batch, in bytes.
fn weight(batch: &ChangeBatch) -> usize {
    let change = |change: &KeyChange| match change {
        KeyChange::Put(entry) => 96 + entry.key.len() + entry.value.len(),
        KeyChange::Delete { key } => 96 + key.len(),
    };
    64 + batch.changes.iter().map(change).sum::<usize>()
}

/// Transactions that are decided over a state before it changes.
#[derive(Debug)]
pub(super) struct TransactionDraft<'a> {
    base: &'a StoreState,
    changed: BTreeMap<String, Option<StoreEntry>>,
    revision: u64,
    batches: Vec<ChangeBatch>,
}

/// A transaction is undecidable because it writes one key twice.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("key `{0}` is written twice in one commit")]
pub(super) struct WrittenTwice(String);

impl<'a> TransactionDraft<'a> {
    pub(super) fn new(base: &'a StoreState) -> Self {
        Self { base, changed: BTreeMap::new(), revision: base.revision, batches: Vec::new() }
    }

    /// Returns the revision of the next write.
    pub(super) fn next_revision(&self) -> u64 {
        self.revision + 1
    }

    /// Decides independent transactions at one revision, after those decided before.
    pub(super) fn commit(&mut self, txns: &[StoreTxn]) -> Result<Vec<TxnVerdict>, WrittenTwice> {
        let mut written = HashSet::new();
        for write in txns.iter().flat_map(|txn| &txn.writes) {
            let (TxnWrite::Put(key, _) | TxnWrite::Delete(key)) = write;
            if !written.insert(key) {
                return Err(WrittenTwice(key.clone()));
            }
        }
        let hold: Vec<bool> =
            txns.iter().map(|txn| txn.guards.iter().all(|guard| self.holds(guard))).collect();
        let decided = || txns.iter().zip(&hold);
        let revision = self.next_revision();
        let changes: Vec<KeyChange> = decided()
            .filter(|(_, holds)| **holds)
            .flat_map(|(txn, _)| &txn.writes)
            .filter_map(|write| self.change(write, revision))
            .collect();
        if !changes.is_empty() {
            self.revision = revision;
            self.batches.push(ChangeBatch { revision, changes, attested: true });
        }
        let at = self.revision;
        Ok(decided()
            .map(|(_, holds)| if *holds { TxnVerdict::Committed(at) } else { TxnVerdict::Refused(at) })
            .collect())
    }

    /// Returns the writes, one batch for each revision.
    pub(super) fn finish(self) -> Vec<ChangeBatch> {
        self.batches
    }

    pub(super) fn get(&self, key: &str) -> Option<&StoreEntry> {
        match self.changed.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.base.get(key),
        }
    }

    fn holds(&self, guard: &TxnGuard) -> bool {
        match guard {
            TxnGuard::Absent(key) => self.get(key).is_none(),
            TxnGuard::Unchanged(key, revision) => {
                self.get(key).is_some_and(|entry| entry.mod_revision == *revision)
            }
            TxnGuard::Fence(token) => {
                self.get(&token.key).is_some_and(|entry| entry.create_revision == token.create_revision)
            }
        }
    }

    fn change(&mut self, write: &TxnWrite, revision: u64) -> Option<KeyChange> {
        match write {
            TxnWrite::Put(key, value) => {
                let entry = StoreEntry {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: self.get(key).map_or(revision, |entry| entry.create_revision),
                    mod_revision: revision,
                };
                self.changed.insert(key.clone(), Some(entry.clone()));
                Some(KeyChange::Put(entry))
            }
            TxnWrite::Delete(key) => {
                self.get(key)?;
                self.changed.insert(key.clone(), None);
                Some(KeyChange::Delete { key: key.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests;
