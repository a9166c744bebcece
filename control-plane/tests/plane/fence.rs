//! A leader whose election key another program deleted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_control_plane::{
    core::upkeep::StoreSpace,
    ports::{
        ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnGuard, TxnVerdict, TxnWrite,
        WatchError,
    },
    store::embedded::EmbeddedStore,
};
use usher_proto::v1::{AdminState, Health};

use crate::bench::{Bench, settings, until};

/// A store that counts the fenced transactions that it refused.
struct CountingStore {
    store: EmbeddedStore,
    refused: AtomicUsize,
}

#[async_trait]
impl Store for CountingStore {
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
        let fenced = |txn: &StoreTxn| txn.guards.iter().any(|guard| matches!(guard, TxnGuard::Fence(_)));
        let fences: Vec<bool> = txns.iter().map(fenced).collect();
        let verdicts = self.store.commit(txns).await?;
        let refused =
            |(fenced, verdict): &(bool, &TxnVerdict)| *fenced && matches!(verdict, TxnVerdict::Refused(_));
        self.refused.fetch_add(fences.into_iter().zip(&verdicts).filter(refused).count(), Ordering::Relaxed);
        Ok(verdicts)
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
async fn x3_a_leader_whose_election_key_is_gone_looks_before_it_writes_again() {
    let mut slow_renewals = settings();
    slow_renewals.leader.ttl = Duration::from_mins(1); // the next scheduled renewal is 20 s away
    let store = EmbeddedStore::open(None).expect("opens in memory");
    let store = Arc::new(CountingStore { store, refused: AtomicUsize::new(0) });
    let mut bench = Bench::on(slow_renewals, store.clone()).await;
    until("it to lead", async || (bench.metric("usher_leader") > 0.0).then_some(())).await;
    for number in 1..=3 {
        bench.sims.push(BbbSim::start(SimOptions::new("server-secret")).await.expect("listens"));
        let id = format!("bbb{number}");
        bench.add(&id, bench.sim(&id), AdminState::Enabled).await;
        bench.until_health(&id, Health::Online).await;
    }
    let before = store.refused.load(Ordering::Relaxed);
    let candidates = store.read_prefix("election/").await.expect("reads").entries;
    let lost: Vec<TxnWrite> = candidates.iter().map(|entry| TxnWrite::Delete(entry.key.clone())).collect();
    assert_eq!(lost.len(), 1, "{candidates:?}");
    store.commit(vec![StoreTxn { guards: vec![], writes: lost }]).await.expect("is deleted");
    let deleted = tokio::time::Instant::now();
    until("it to lead again, by another key", async || {
        let entries = store.read_prefix("election/").await.expect("reads").entries;
        (entries.len() == 1 && entries != candidates && bench.metric("usher_leader") > 0.0).then_some(())
    })
    .await;
    let refused = store.refused.load(Ordering::Relaxed) - before;
    println!("leads again after {:?}, {refused} fenced writes refused", deleted.elapsed());
    assert!(deleted.elapsed() < Duration::from_secs(10), "the next renewal was not waited for");
    // Each of the three servers' polls may be refused a few times at once.
    assert!(refused <= 12, "{refused} fenced writes were refused");
    bench.stop().await;
}
