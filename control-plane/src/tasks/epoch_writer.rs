//! The way of every write to the store that is no plan of the fleet: deliveries, webhooks, requests for
//! polls, statements of replicas and the callback key (ADR 41). Plans go through the committer.

use std::sync::Arc;

use super::fleet_handle::FleetHandle;
use crate::{
    core::{epoch::Epoch, fleet::Fleet},
    ports::{Store, StoreError, StoreTxn, TxnVerdict},
    store::{codec::epoch_guard, keys::META},
};

/// Commits transactions in the epoch that the fleet has reached; clones share the store.
#[derive(Clone)]
pub struct EpochWriter {
    store: Arc<dyn Store>,
    fleet: FleetHandle,
}

impl EpochWriter {
    /// Returns a writer of the epochs that `fleet` follows in `store`.
    pub fn new(store: Arc<dyn Store>, fleet: FleetHandle) -> Self {
        Self { store, fleet }
    }

    /// Commits decisions. A store in another epoch than the fleet's refuses all of them (ADR 8).
    /// [`TxnVerdict::Refused`] means a guard of the transaction itself.
    ///
    /// # Errors
    /// Those of the store; `Unavailable` also if the fleet was not read yet, or the store is in another
    /// epoch: the caller tries again once the fleet has followed.
    pub async fn commit(&self, mut txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        if !self.fleet.complete() {
            return Err(StoreError::Unavailable("the store has not been read yet".into()));
        }
        let epoch = self.fleet.read(Fleet::epoch);
        for txn in &mut txns {
            txn.guards.push(epoch_guard(epoch));
        }
        let verdicts = self.store.commit(txns).await?;
        let committed = |verdict: &TxnVerdict| matches!(verdict, TxnVerdict::Committed(_));
        if verdicts.iter().all(committed) || self.is_current(epoch).await {
            return Ok(verdicts);
        }
        let why = "the store may be in another epoch".to_owned();
        let partly = verdicts.iter().any(committed); // the epoch ended between two requests of one call
        Err(if partly { StoreError::Unknown(why) } else { StoreError::Unavailable(why) })
    }

    /// Commits one decision, as [`EpochWriter::commit`] does.
    ///
    /// # Errors
    /// Those of [`EpochWriter::commit`].
    pub async fn commit_one(&self, txn: StoreTxn) -> Result<TxnVerdict, StoreError> {
        only(&self.commit(vec![txn]).await?)
    }

    /// Commits facts from outside that are true in every epoch, such as a callback that arrived: each is
    /// created if it is absent, or changes a value that was just read. They must not wait until the
    /// fleet has followed a new epoch, because their sender may not send them again (ADR 41).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn commit_facts(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        self.store.commit(txns).await
    }

    /// Commits one fact, as [`EpochWriter::commit_facts`] does.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn commit_fact(&self, txn: StoreTxn) -> Result<TxnVerdict, StoreError> {
        only(&self.commit_facts(vec![txn]).await?)
    }

    /// Returns whether the store is still in an epoch; `false` also if it cannot be read. As `meta` is
    /// never set back to an earlier revision, it was in that epoch at every earlier moment too.
    async fn is_current(&self, epoch: Epoch) -> bool {
        let Ok(listing) = self.store.read_prefix(META).await else { return false };
        listing.entries.iter().any(|entry| entry.key == META && entry.mod_revision == epoch.begun)
    }
}

fn only(verdicts: &[TxnVerdict]) -> Result<TxnVerdict, StoreError> {
    verdicts.first().copied().ok_or_else(|| StoreError::Unknown("the store returned no verdict".into()))
}

#[cfg(test)]
mod tests;
