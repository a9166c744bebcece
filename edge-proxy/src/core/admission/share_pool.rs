//! A shared capacity from which parts are held until they are dropped.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::fair_share::{FairShare, SharePart, ShareTerms};

/// A [`FairShare`] for many holders at once; clones share it. Its lock is held for one addition and never
/// over a wait. Per-owner atomics were rejected: the fairness of a grant depends on the amounts of others.
#[derive(Debug)]
pub struct SharePool<K> {
    shares: Arc<Mutex<FairShare<K>>>,
}

impl<K> Clone for SharePool<K> {
    fn clone(&self) -> Self {
        Self { shares: Arc::clone(&self.shares) }
    }
}

impl<K> Default for SharePool<K> {
    fn default() -> Self {
        Self { shares: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash> SharePool<K> {
    /// Takes an amount for `owner`; `None` if the owner may not have it now.
    pub fn hold(&self, owner: &K, amount: u64, terms: ShareTerms) -> Option<HeldShare<K>> {
        let taken = self.lock().take(owner, amount, terms)?;
        Some(HeldShare { pool: self.clone(), owner: owner.clone(), taken })
    }

    /// Returns whether `owner` may take an amount now.
    pub fn has_room(&self, owner: &K, amount: u64, terms: ShareTerms) -> bool {
        self.lock().grant(owner, amount, terms).is_some()
    }

    /// Returns the amount that all owners hold.
    pub fn taken(&self) -> u64 {
        self.lock().taken()
    }

    fn lock(&self) -> MutexGuard<'_, FairShare<K>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a capacity, which is given back when it is dropped.
#[derive(Debug)]
pub struct HeldShare<K: Clone + Eq + Hash> {
    pool: SharePool<K>,
    owner: K,
    taken: SharePart,
}

impl<K: Clone + Eq + Hash> HeldShare<K> {
    /// Takes a further amount for the same owner; returns whether the owner may have it. Otherwise the
    /// part stays as it is.
    #[must_use]
    pub fn grow(&mut self, amount: u64, terms: ShareTerms) -> bool {
        let Some(taken) = self.pool.lock().take(&self.owner, amount, terms) else { return false };
        self.taken = SharePart {
            assured: self.taken.assured + taken.assured,
            common: self.taken.common + taken.common,
        };
        true
    }

    /// Returns the amount that is held.
    pub fn amount(&self) -> u64 {
        self.taken.sum()
    }
}

impl<K: Clone + Eq + Hash> Drop for HeldShare<K> {
    fn drop(&mut self) {
        self.pool.lock().give_back(&self.owner, self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_part_is_free_again_with_all_that_it_grew() {
        let pool = SharePool::<&str>::default();
        let terms = ShareTerms { assured: 0, common: 100, most: u64::MAX };
        let mut held = pool.hold(&"a", 20, terms).unwrap();
        assert!(held.grow(30, terms) && !held.grow(1, terms));
        assert_eq!((held.amount(), pool.taken()), (50, 50));
        assert!(pool.hold(&"b", 26, terms).is_none() && pool.hold(&"b", 25, terms).is_some());
        drop(held);
        assert_eq!(pool.taken(), 0);
    }
}
