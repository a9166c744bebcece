//! A capacity that several owners share without harm to each other.
//!
//! The capacity has two parts. Each owner has an assured share, which no other owner ever takes. The rest
//! is common: an owner may take of it as long as at least as much stays free as the owner itself has of it.
//! One owner alone thus gets half of the common part, and an owner that comes later finds room at once. The
//! alternatives were rejected: a fixed share of all wastes the capacity of owners that are idle, and a
//! common capacity without this rule belongs to the first crowd until its calls have ended.

use std::{collections::HashMap, hash::Hash};

/// The terms on which one owner takes from a capacity. They may change between two calls, as tenants come
/// and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareTerms {
    /// Amount that the owner has for itself.
    pub assured: u64,
    /// Amount that all owners have in common.
    pub common: u64,
    /// Largest amount that the owner may have altogether.
    pub most: u64,
}

/// Amounts that one owner has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SharePart {
    /// Amount of the owner's assured share.
    pub assured: u64,
    /// Amount of the common part.
    pub common: u64,
}

impl SharePart {
    /// Returns the whole amount.
    pub fn sum(self) -> u64 {
        self.assured + self.common
    }

    fn add(&mut self, other: Self) {
        self.assured += other.assured;
        self.common += other.common;
    }

    fn subtract(&mut self, other: Self) {
        self.assured = self.assured.saturating_sub(other.assured);
        self.common = self.common.saturating_sub(other.common);
    }
}

/// The amounts that are taken, by owner. An owner is kept only while it has taken some, so that the number
/// of owners is bounded by that of the amounts.
#[derive(Debug)]
pub struct FairShare<K> {
    parts: HashMap<K, SharePart>,
    common_taken: u64,
}

impl<K> Default for FairShare<K> {
    fn default() -> Self {
        Self { parts: HashMap::new(), common_taken: 0 }
    }
}

impl<K: Clone + Eq + Hash> FairShare<K> {
    /// Takes an amount for `owner`, whole and from one part; `None` if the owner may not have it now. The
    /// result has to be given back.
    pub fn take(&mut self, owner: &K, amount: u64, terms: ShareTerms) -> Option<SharePart> {
        let taken = self.grant(owner, amount, terms)?;
        self.common_taken += taken.common;
        self.parts.entry(owner.clone()).or_default().add(taken);
        Some(taken)
    }

    /// Returns the parts from which `owner` may take an amount now; `None` if it may not.
    pub fn grant(&self, owner: &K, amount: u64, terms: ShareTerms) -> Option<SharePart> {
        let has = self.part(owner);
        if has.sum().saturating_add(amount) > terms.most {
            return None;
        }
        if has.assured.saturating_add(amount) <= terms.assured {
            return Some(SharePart { assured: amount, common: 0 });
        }
        let free = terms.common.checked_sub(self.common_taken.saturating_add(amount))?;
        (has.common.saturating_add(amount) <= free).then_some(SharePart { assured: 0, common: amount })
    }

    /// Gives back an amount that `owner` has taken.
    pub fn give_back(&mut self, owner: &K, taken: SharePart) {
        self.common_taken = self.common_taken.saturating_sub(taken.common);
        if let Some(part) = self.parts.get_mut(owner) {
            part.subtract(taken);
            if part.sum() == 0 {
                self.parts.remove(owner);
            }
        }
    }

    /// Returns the amounts that `owner` has taken.
    pub fn part(&self, owner: &K) -> SharePart {
        self.parts.get(owner).copied().unwrap_or_default()
    }

    /// Returns the amount that all owners have taken.
    pub fn taken(&self) -> u64 {
        self.parts.values().map(|part| part.sum()).sum()
    }

    /// Returns whether no owner has taken any.
    pub fn is_idle(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests;
