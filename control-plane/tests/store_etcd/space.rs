//! The space that etcd takes, and the history that it forgets.

use futures::StreamExt;
use usher_control_plane::ports::{StoreTxn, TxnWrite, WatchError};
use usher_harness::{
    etcd::{EtcdCluster, EtcdOptions},
    wait,
};

use crate::fixture::{commit, store_on};

fn put(key: &str, bytes: usize) -> StoreTxn {
    StoreTxn { guards: vec![], writes: vec![TxnWrite::Put(key.into(), vec![7_u8; bytes].into())] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_compaction_frees_space_and_keeps_the_current_entries() {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let store = store_on(&cluster, 0);
    for _ in 0..40 {
        commit(&*store, put("a", 50_000)).await.expect("is written");
    }
    // etcd writes its pages a moment later.
    let full = wait::until("the database to hold it", || async {
        let full = store.space().await?;
        anyhow::ensure!(full.taken > 1_500_000 && full.in_use > 1_500_000, "{full:?}");
        Ok(full)
    });
    let full = full.await.expect("holds it");
    let at = store.revision().await.expect("is told");
    store.compact(at - 1).await.expect("forgets");
    store.compact(at - 1).await.expect("whoever was first");
    store.compact(at - 5).await.expect("has forgotten more already");
    let mut missed = store.watch("", at - 3).await.expect("watches");
    let told = missed.next().await.expect("ends with an error");
    assert!(matches!(told, Err(WatchError::Compacted(_))), "{told:?}");
    let mut resumed = store.watch("", at).await.expect("watches");
    assert_eq!(resumed.next().await.expect("goes on").expect("is there").revision, at);
    assert_eq!(store.read_prefix("a").await.expect("is read").entries.len(), 1);
    // The space is used again.
    for _ in 0..80 {
        commit(&*store, put("a", 50_000)).await.expect("is written");
        let at = store.revision().await.expect("is told");
        store.compact(at - 1).await.expect("forgets");
    }
    let now = store.space().await.expect("is told");
    assert!(now.taken < full.taken * 2, "{now:?}, before {full:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_the_quota_is_etcds_own_or_its_default() {
    let flags = vec!["--quota-backend-bytes=4194304".into()];
    let options = EtcdOptions { flags, ..EtcdOptions::default() };
    let cluster = EtcdCluster::start_with(options).await.expect("etcd");
    let quota = store_on(&cluster, 0).space().await.expect("is told").quota;
    assert!(quota == Some(4 << 20) || quota == Some(2 << 30), "3.6 and newer say it: {quota:?}");
}
