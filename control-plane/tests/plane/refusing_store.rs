//! A store that refuses writes until an operator acts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tonic::Code;
use tonic_types::StatusExt;
use usher_control_plane::{
    core::upkeep::StoreSpace,
    ports::{ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnVerdict, WatchError},
    store::embedded::EmbeddedStore,
};
use usher_proto::v1::*;

use crate::bench::{Bench, settings};

/// A store that refuses all writes while it is full.
struct FullStore {
    store: EmbeddedStore,
    is_full: AtomicBool,
}

#[async_trait]
impl Store for FullStore {
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError> {
        self.store.read_prefix(prefix).await
    }
    async fn revision(&self) -> Result<u64, StoreError> {
        self.store.revision().await
    }
    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        self.store.watch(prefix, from).await
    }
    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Rejected("etcdserver: mvcc: database space exceeded".into()));
        }
        self.store.commit(txns).await
    }
    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.store.compact(revision).await
    }
    async fn space(&self) -> Result<StoreSpace, StoreError> {
        self.store.space().await
    }
    async fn cluster_id(&self) -> Result<u64, StoreError> {
        self.store.cluster_id().await
    }
    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        self.store.campaign(candidate, ttl).await
    }
    async fn leader(&self) -> Result<Option<String>, StoreError> {
        self.store.leader().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_the_remedy_of_a_full_store_and_not_to_retry() {
    let store = EmbeddedStore::open(None).expect("opens in memory");
    let store = Arc::new(FullStore { store, is_full: AtomicBool::new(false) });
    let bench = Bench::on(settings(), store.clone()).await;
    store.is_full.store(true, Ordering::Relaxed);
    let request = || CreateServerRequest {
        server: Some(Server { url: "http://127.0.0.1:1/".into(), secret: "s".into(), ..Server::default() }),
        server_id: "bbb1".into(),
        ..CreateServerRequest::default()
    };
    let refused = bench.servers().create_server(request()).await.expect_err("is full");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(refused.get_details_retry_info().is_none() && refused.message().contains("space exceeded"));
    let info = refused.get_details_error_info().expect("is given");
    assert_eq!(info.reason, "STORE_REJECTS");
    assert!(info.metadata["remedy"].contains("quota"), "{info:?}");
    store.is_full.store(false, Ordering::Relaxed);
    bench.servers().create_server(request()).await.expect("the remedy helps");
    bench.stop().await;
}
