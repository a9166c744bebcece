//! A store whose calls are listed while they are under way (C5), and whose failures are counted by
//! reason (C8).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use usher_runtime::pending::PendingCalls;

use crate::{
    core::upkeep::StoreSpace,
    ops::metrics::ControlPlaneMetrics,
    ports::{ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnVerdict, WatchError},
};

/// Passes every call on. Campaigns are not listed, because they wait by design.
pub struct WatchedStore {
    store: Arc<dyn Store>,
    pending: PendingCalls,
    metrics: ControlPlaneMetrics,
}

impl WatchedStore {
    /// Lists the calls to `store` in `pending`, and counts failed ones in `metrics`.
    pub fn new(store: Arc<dyn Store>, pending: PendingCalls, metrics: ControlPlaneMetrics) -> Self {
        Self { store, pending, metrics }
    }

    async fn watched<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _pending = self.pending.enter("store", call);
        let answer = answer.await;
        if let Err(error) = &answer {
            self.metrics.store_failed(call, error);
        }
        answer
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError> {
        self.watched("read", self.store.read_prefix(prefix)).await
    }

    async fn read_parts(&self, prefix: &str, parts: mpsc::Sender<StoreListing>) -> Result<(), StoreError> {
        self.watched("read", self.store.read_parts(prefix, parts)).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.watched("revision", self.store.revision()).await
    }

    async fn newest_change(&self, prefix: &str) -> Result<u64, StoreError> {
        self.watched("newest change", self.store.newest_change(prefix)).await
    }

    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        self.watched("watch", self.store.watch(prefix, from)).await
    }

    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        self.watched("commit", self.store.commit(txns)).await
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.watched("compact", self.store.compact(revision)).await
    }

    async fn space(&self) -> Result<StoreSpace, StoreError> {
        self.watched("space", self.store.space()).await
    }

    async fn cluster_id(&self) -> Result<u64, StoreError> {
        self.watched("cluster id", self.store.cluster_id()).await
    }

    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        self.store.campaign(candidate, ttl).await
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        self.watched("leader", self.store.leader()).await
    }
}
