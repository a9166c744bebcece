//! A store whose calls are listed while they are under way (C5).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use usher_common::runtime::pending::Pending;

use crate::ports::{Batch, Lease, Listing, Store, StoreError, Txn, Verdict, WatchError};

/// Passes every call on. Campaigns are meant to wait and are not listed.
pub struct WatchedStore {
    store: Arc<dyn Store>,
    pending: Pending,
}

impl WatchedStore {
    /// Lists the calls to `store` in `pending`.
    pub fn new(store: Arc<dyn Store>, pending: Pending) -> Self {
        Self { store, pending }
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn read_prefix(&self, prefix: &str) -> Result<Listing, StoreError> {
        let _pending = self.pending.enter("store", "read");
        self.store.read_prefix(prefix).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        let _pending = self.pending.enter("store", "revision");
        self.store.revision().await
    }

    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Batch, WatchError>>, StoreError> {
        let _pending = self.pending.enter("store", "watch");
        self.store.watch(prefix, from).await
    }

    async fn commit(&self, txns: Vec<Txn>) -> Result<Vec<Verdict>, StoreError> {
        let _pending = self.pending.enter("store", "commit");
        self.store.commit(txns).await
    }

    async fn cluster_id(&self) -> Result<u64, StoreError> {
        let _pending = self.pending.enter("store", "cluster id");
        self.store.cluster_id().await
    }

    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.store.campaign(candidate, ttl).await
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        let _pending = self.pending.enter("store", "leader");
        self.store.leader().await
    }
}
