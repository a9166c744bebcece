//! The choice of the transactions that go together, as plain data.
//!
//! A batch is independent: none of its transactions writes a key that another one guards or writes.
//! It also avoids the keys of the batches under way and of earlier transactions that still wait.
//! Transactions over one key are therefore decided in the order they came, and none is overtaken
//! for ever.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use crate::{
    ports::{StoreTxn, TxnGuard, TxnWrite},
    store::batch_shape::{BatchShape, MAX_TXNS},
};

/// Bounds of one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// Largest number of transactions in a batch; [`BatchShape`] bounds it and their operations too.
    pub(super) txns: usize,
    /// Largest sum of the bytes of keys and values; etcd refuses requests beyond 1.5 MiB.
    pub(super) bytes: usize,
    /// Number of waiting transactions that are examined for one batch.
    pub(super) scan: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { txns: MAX_TXNS, bytes: 1 << 20, scan: 1024 }
    }
}

/// The number of times that a set of transactions writes and guards each key.
#[derive(Debug)]
struct KeyUses<K> {
    uses: HashMap<K, (u32, u32)>,
}

/// The waiting transactions, and the keys of the batches under way.
#[derive(Debug)]
pub(super) struct CommitQueue<T> {
    waiting: VecDeque<(StoreTxn, T)>,
    under_way: KeyUses<String>,
    limits: BatchLimits,
}

/// The keys that a batch under way holds, released when the batch is answered.
#[derive(Debug)]
#[must_use]
pub(super) struct HeldKeys(Vec<(String, bool)>);

fn touched(txn: &StoreTxn) -> impl Iterator<Item = (&str, bool)> {
    let guarded = txn.guards.iter().map(|guard| match guard {
        TxnGuard::Absent(key) | TxnGuard::Unchanged(key, _) => (key.as_str(), false),
        TxnGuard::Fence(token) => (token.key.as_str(), false),
    });
    let written = txn.writes.iter().map(|write| match write {
        TxnWrite::Put(key, _) | TxnWrite::Delete(key) => (key.as_str(), true),
    });
    guarded.chain(written)
}

fn bytes(txn: &StoreTxn) -> usize {
    let values = txn.writes.iter().map(|write| match write {
        TxnWrite::Put(_, value) => value.len(),
        TxnWrite::Delete(_) => 0,
    });
    // 64 bytes cover the encoding of each guard and write, and the store's prefix.
    touched(txn).map(|(key, _)| key.len() + 64).sum::<usize>() + values.sum::<usize>()
}

impl<K: Eq + Hash> KeyUses<K> {
    fn new() -> Self {
        Self { uses: HashMap::new() }
    }

    fn conflicts<Q: ?Sized + Eq + Hash>(&self, key: &Q, write: bool) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.uses.get(key).is_some_and(|(written, guarded)| *written > 0 || (write && *guarded > 0))
    }

    fn add(&mut self, key: K, write: bool) {
        let (written, guarded) = self.uses.entry(key).or_default();
        *(if write { written } else { guarded }) += 1;
    }

    fn remove(&mut self, key: K, write: bool) {
        if let std::collections::hash_map::Entry::Occupied(mut entry) = self.uses.entry(key) {
            let (written, guarded) = entry.get_mut();
            let count = if write { written } else { guarded };
            *count = count.saturating_sub(1);
            if *entry.get() == (0, 0) {
                entry.remove();
            }
        }
    }
}

impl<T> CommitQueue<T> {
    pub(super) fn new(limits: BatchLimits) -> Self {
        Self { waiting: VecDeque::new(), under_way: KeyUses::new(), limits }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, txn: StoreTxn, tag: T) {
        self.waiting.push_back((txn, tag));
    }

    /// Takes out the next batch, oldest first; `None` if no waiting transaction may be sent now.
    pub(super) fn next_batch(&mut self) -> Option<(Vec<(StoreTxn, T)>, HeldKeys)> {
        let chosen = self.choose();
        if chosen.is_empty() {
            return None;
        }
        let mut batch = Vec::with_capacity(chosen.len());
        for index in chosen.into_iter().rev() {
            batch.extend(self.waiting.remove(index));
        }
        batch.reverse();
        let held: Vec<(String, bool)> = batch
            .iter()
            .flat_map(|(txn, _)| touched(txn))
            .map(|(key, write)| (key.to_owned(), write))
            .collect();
        for (key, write) in &held {
            self.under_way.add(key.clone(), *write);
        }
        Some((batch, HeldKeys(held)))
    }

    fn choose(&self) -> Vec<usize> {
        let mut seen: KeyUses<&str> = KeyUses::new();
        let (mut chosen, mut size, mut shape) = (Vec::new(), 0, BatchShape::default());
        for (index, (txn, _)) in self.waiting.iter().take(self.limits.scan).enumerate() {
            let free = touched(txn)
                .all(|(key, write)| !self.under_way.conflicts(key, write) && !seen.conflicts(key, write));
            if free && chosen.is_empty() && bytes(txn) > self.limits.bytes {
                return vec![index]; // a large transaction makes a batch of its own
            }
            let (larger, more) = (size + bytes(txn), shape.with(txn));
            if free && larger <= self.limits.bytes && more.fits() {
                (size, shape) = (larger, more);
                chosen.push(index);
                if chosen.len() == self.limits.txns {
                    break;
                }
            }
            touched(txn).for_each(|(key, write)| seen.add(key, write));
        }
        chosen
    }

    /// Releases the keys of an answered batch.
    pub(super) fn answered(&mut self, held: HeldKeys) {
        for (key, write) in held.0 {
            self.under_way.remove(key, write);
        }
    }
}

#[cfg(test)]
mod tests;
