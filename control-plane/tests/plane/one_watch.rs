//! Each replica has one watch of the store, and all of its tasks get their changes from it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_control_plane::{
    core::upkeep::StoreSpace,
    ports::{ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnVerdict, WatchError},
};
use usher_proto::v1::{AdminState, Health, PollServerRequest};

use crate::{
    bench::{Bench, settings, until},
    hooks::memory,
};

/// A connection to a store, with the prefixes of the watches that were opened over it.
struct WatchRecorder {
    store: Arc<dyn Store>,
    watched: Mutex<Vec<String>>,
    /// One clone for each open watch.
    open: Arc<()>,
}

impl WatchRecorder {
    fn new(store: &Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store: Arc::clone(store), watched: Mutex::default(), open: Arc::default() })
    }

    /// Returns the prefixes of all watches so far, and the number of open ones.
    fn watches(&self) -> (Vec<String>, usize) {
        (self.watched.lock().expect("no test failed").clone(), Arc::strong_count(&self.open) - 1)
    }
}

#[async_trait]
impl Store for WatchRecorder {
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
        self.watched.lock().expect("no test failed").push(prefix.to_owned());
        let (changes, open) = (self.store.watch(prefix, from).await?, Arc::clone(&self.open));
        Ok(changes
            .map(move |change| {
                let _open = &open;
                change
            })
            .boxed())
    }
    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
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
async fn a_replica_watches_the_store_once() {
    let store = memory();
    let (first, second) = (WatchRecorder::new(&store), WatchRecorder::new(&store));
    let leader = Bench::on(settings(), first.clone()).await;
    until("a leader", async || (leader.metric("usher_leader") > 0.0).then_some(())).await;
    let mut other = Bench::on(settings(), second.clone()).await;
    other.sims.push(BbbSim::start(SimOptions::new("server-secret")).await.expect("listens"));
    other.add("bbb1", &other.sims[0], AdminState::Enabled).await;
    // A poll at a replica that does not lead is requested, made and answered through the store.
    let request = PollServerRequest { name: "servers/bbb1".into() };
    let polled = other.servers().poll_server(request).await.expect("is polled").into_inner();
    assert_eq!(polled.servers[0].health(), Health::Online);
    for replica in [&first, &second] {
        assert_eq!(replica.watches(), (vec![String::new()], 1));
    }
    other.stop().await;
    leader.stop().await;
}
