//! The way of one replica to the store, an implementation of the product's own port.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::time::timeout;
use usher_control_plane::core::upkeep::StoreSpace;
use usher_control_plane::ports::{
    ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnGuard, TxnVerdict, WatchError,
};
use usher_model::revision::FencingToken;

use super::{SimStore, state::StoreState, unavailable, watch::StoreWatch};
use crate::{
    broken_guarantee::BrokenGuarantee,
    network::{LostCall, NodeLife, SimNetwork, SimNode},
};

/// The pause between two attempts of a read within its timeout.
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Clone)]
pub(crate) struct StoreLink {
    pub(crate) store: Arc<SimStore>,
    pub(crate) net: Arc<SimNetwork>,
    pub(crate) replica: NodeLife,
    /// The timeout of a call, `store.timeout`.
    pub(crate) patience: Duration,
    pub(crate) sabotage: Option<BrokenGuarantee>,
}

impl StoreLink {
    async fn call<T: Send + 'static>(
        &self,
        serve: impl FnOnce(&Arc<SimStore>) -> T + Send + 'static,
        patience: Duration,
    ) -> Result<T, LostCall> {
        let store = self.store.clone();
        let there = NodeLife::new(SimNode::Store);
        self.net.call(&self.replica, &there, patience, async move { serve(&store) }).await
    }

    /// Makes a call that may be repeated, until the timeout.
    async fn safe<T: Send + 'static>(
        &self,
        serve: impl Fn(&Arc<SimStore>) -> T + Clone + Send + 'static,
        within: Duration,
    ) -> Result<T, StoreError> {
        let tries = async {
            loop {
                match self.call(serve.clone(), within / 2).await {
                    Ok(answer) => return answer,
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            }
        };
        timeout(within, tries).await.map_err(|_| unavailable())
    }
}

#[async_trait]
impl Store for StoreLink {
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError> {
        let prefix = prefix.to_owned();
        self.safe(move |store| store.list(&prefix), self.patience).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.safe(|store| store.read(StoreState::revision), self.patience).await
    }

    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        let life = self.safe(|store| store.read(|state| state.lives), self.patience).await?;
        let watch = StoreWatch {
            store: self.store.clone(),
            net: self.net.clone(),
            watcher: self.replica.clone(),
            prefix: prefix.to_owned(),
            life,
            next: from,
        };
        Ok(watch.start())
    }

    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        let txns = if self.sabotage == Some(BrokenGuarantee::GuardsIgnored) { unguarded(txns) } else { txns };
        match self.call(move |store| store.commit(&txns), self.patience).await {
            Ok(verdicts) => Ok(verdicts),
            Err(LostCall::NotSent) => Err(unavailable()),
            Err(LostCall::Broken | LostCall::Silent) => Err(StoreError::Unknown("no answer".into())),
        }
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.safe(move |store| store.compact_before(revision), self.patience).await
    }

    async fn space(&self) -> Result<StoreSpace, StoreError> {
        Ok(StoreSpace::default())
    }

    async fn cluster_id(&self) -> Result<u64, StoreError> {
        self.safe(|store| store.read(|state| state.cluster_id), self.patience).await
    }

    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        loop {
            let name = candidate.to_owned();
            let (key, create_revision) =
                self.safe(move |store| store.enter(&name, ttl), self.patience).await?;
            let mut lease =
                SimLease { link: self.clone(), ttl, token: FencingToken { key, create_revision } };
            loop {
                let leader = self.safe(|store| store.leader(), self.patience).await?;
                if leader.is_some_and(|(_, key)| key == lease.token.key) {
                    return Ok(Box::new(lease));
                }
                let changed = self.store.clone();
                // Checks again after a change of the leader, not after every write of a poll.
                let _ = timeout(ttl / 3, async { changed.changed_leader().await }).await;
                match lease.keep_alive().await {
                    Ok(_) => {}
                    Err(StoreError::Rejected(_)) => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        let leader = self.safe(|store| store.leader(), self.patience).await?;
        Ok(leader.map(|(candidate, _)| candidate))
    }
}

impl SimStore {
    /// Waits until another candidate leads.
    async fn changed_leader(&self) {
        let before = self.leader();
        loop {
            let changed = self.changed.notified();
            if self.leader() != before {
                return;
            }
            changed.await;
        }
    }
}

struct SimLease {
    link: StoreLink,
    ttl: Duration,
    token: FencingToken,
}

#[async_trait]
impl LeaderLease for SimLease {
    fn token(&self) -> FencingToken {
        self.token.clone()
    }

    async fn keep_alive(&mut self) -> Result<Duration, StoreError> {
        let (ttl, FencingToken { key, create_revision }) = (self.ttl, self.token.clone());
        let limit = self.link.patience.min(ttl / 2);
        let renewed = self.link.safe(move |store| store.renew(&key, ttl, create_revision), limit).await?;
        if renewed { Ok(ttl) } else { Err(StoreError::Rejected("the lease has ended".into())) }
    }

    async fn resign(self: Box<Self>) -> Result<(), StoreError> {
        let key = self.token.key.clone();
        self.link.safe(move |store| store.leave(&key), self.link.patience).await
    }
}

/// Removes all guards but the fences of the leader.
fn unguarded(txns: Vec<StoreTxn>) -> Vec<StoreTxn> {
    let fence = |guard: &TxnGuard| matches!(guard, TxnGuard::Fence(_));
    txns.into_iter()
        .map(|txn| StoreTxn { guards: txn.guards.into_iter().filter(fence).collect(), ..txn })
        .collect()
}
