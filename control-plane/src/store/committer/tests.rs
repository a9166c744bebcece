use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use futures::{future::join_all, stream::BoxStream};
use tokio::sync::Semaphore;

use super::*;
use crate::ports::{ChangeBatch, LeaderLease, StoreListing, TxnWrite, WatchError};

/// A store that notes the batches it receives and answers by a script.
struct Scripted {
    batches: Mutex<Vec<usize>>,
    permits: Semaphore,
    answer: fn(&[StoreTxn]) -> Result<Vec<TxnVerdict>, StoreError>,
}

impl Scripted {
    fn new(permits: usize, answer: fn(&[StoreTxn]) -> Result<Vec<TxnVerdict>, StoreError>) -> Arc<Self> {
        Arc::new(Self { batches: Mutex::default(), permits: Semaphore::new(permits), answer })
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches.lock().expect("not poisoned").clone()
    }
}

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("not part of this test".into()))
}

#[async_trait]
impl Store for Scripted {
    async fn read_prefix(&self, _: &str) -> Result<StoreListing, StoreError> {
        unused()
    }
    async fn compact(&self, _: u64) -> Result<(), StoreError> {
        unused()
    }
    async fn space(&self) -> Result<crate::core::upkeep::StoreSpace, StoreError> {
        unused()
    }
    async fn revision(&self) -> Result<u64, StoreError> {
        unused()
    }
    async fn watch(
        &self,
        _: &str,
        _: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        unused()
    }
    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        self.batches.lock().expect("not poisoned").push(txns.len());
        self.permits.acquire().await.expect("open").forget();
        (self.answer)(&txns)
    }
    async fn cluster_id(&self) -> Result<u64, StoreError> {
        unused()
    }
    async fn campaign(&self, _: &str, _: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        unused()
    }
    async fn leader(&self) -> Result<Option<String>, StoreError> {
        unused()
    }
}

fn put(key: usize) -> StoreTxn {
    StoreTxn { guards: vec![], writes: vec![TxnWrite::Put(format!("k/{key}"), "v".into())] }
}

#[tokio::test]
async fn transactions_that_wait_for_four_batches_go_together() {
    let (store, tasks) =
        (Scripted::new(0, |txns| Ok(vec![TxnVerdict::Committed(9); txns.len()])), TaskGroup::new());
    let committer = GroupCommitter::spawn(store.clone(), Arc::new(StoreCodec::new()), &tasks);
    let commits: Vec<_> = (0..UNDER_WAY)
        .map(|key| {
            let (committer, seen) = (committer.clone(), store.clone());
            let commit = tasks.spawn_short("commit", async move { committer.commit(put(key)).await });
            (commit, seen)
        })
        .collect();
    // The commits are sent one after the other, so that each is a batch of its own; the store
    // answers none of them yet.
    while store.sizes().iter().sum::<usize>() < UNDER_WAY {
        tokio::task::yield_now().await;
    }
    let many = join_all((100..200).map(|key| committer.commit(put(key))));
    let (many, ()) = tokio::join!(many, async {
        tokio::task::yield_now().await;
        store.permits.add_permits(100);
    });
    assert!(many.into_iter().all(|verdict| matches!(verdict, Ok(TxnVerdict::Committed(9)))));
    for (commit, _) in commits {
        assert!(matches!(commit.await.expect("ends"), Ok(TxnVerdict::Committed(9))));
    }
    let sizes = store.sizes();
    assert_eq!(sizes.iter().sum::<usize>(), 100 + UNDER_WAY);
    assert!(sizes.contains(&64), "{sizes:?}");
    tasks.shutdown().await;
}

#[tokio::test]
async fn an_error_reaches_every_caller_of_the_batch() {
    let store = Scripted::new(100, |_| Err(StoreError::Unknown("lost".into())));
    let tasks = TaskGroup::new();
    let committer = GroupCommitter::spawn(store, Arc::new(StoreCodec::new()), &tasks);
    let results = join_all((0..10).map(|key| committer.commit(put(key)))).await;
    assert!(results.iter().all(|result| matches!(result, Err(StoreError::Unknown(why)) if why == "lost")));
    tasks.shutdown().await;
}

fn refuses(bad: impl Fn(&str) -> bool, txns: &[StoreTxn]) -> Result<Vec<TxnVerdict>, StoreError> {
    let named = |write: &TxnWrite| matches!(write, TxnWrite::Put(key, _) if bad(key));
    if txns.iter().flat_map(|txn| &txn.writes).any(named) {
        return Err(StoreError::Rejected("too large".into()));
    }
    Ok(vec![TxnVerdict::Committed(9); txns.len()])
}

#[tokio::test]
async fn one_bad_transaction_fails_alone() {
    let store = Scripted::new(1000, |txns| refuses(|key| key == "k/5", txns));
    let tasks = TaskGroup::new();
    let committer = GroupCommitter::spawn(store, Arc::new(StoreCodec::new()), &tasks);
    let results = join_all((0..40).map(|key| committer.commit(put(key)))).await;
    for (key, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), key != 5, "{key}: {result:?}");
    }
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_store_that_refuses_everything_is_not_asked_for_each_transaction() {
    let store = Scripted::new(1000, |txns| refuses(|_| true, txns));
    let tasks = TaskGroup::new();
    let committer = GroupCommitter::spawn(store.clone(), Arc::new(StoreCodec::new()), &tasks);
    let results = join_all((0..60).map(|key| committer.commit(put(key)))).await;
    assert!(results.iter().all(|result| matches!(result, Err(StoreError::Rejected(_)))));
    let batches = store.sizes().iter().filter(|size| **size > 1).count();
    let alone = store.sizes().len() - batches;
    assert!(batches > 0 && alone <= batches * REFUSED_ALONE + UNDER_WAY, "{:?}", store.sizes());
    tasks.shutdown().await;
}

#[tokio::test]
async fn waiting_commits_finish_at_shutdown_and_later_ones_are_certainly_not_done() {
    let (store, tasks) =
        (Scripted::new(0, |txns| Ok(vec![TxnVerdict::Committed(9); txns.len()])), TaskGroup::new());
    let committer = GroupCommitter::spawn(store.clone(), Arc::new(StoreCodec::new()), &tasks);
    let waiting = committer.clone();
    let same_key = tasks
        .spawn_short("commits", async move { tokio::join!(waiting.commit(put(1)), waiting.commit(put(1))) });
    while store.sizes().is_empty() {
        tokio::task::yield_now().await;
    }
    tasks.stop();
    store.permits.add_permits(2);
    let (one, other) = same_key.await.expect("ends");
    assert!(matches!((one, other), (Ok(TxnVerdict::Committed(9)), Ok(TxnVerdict::Committed(9)))));
    tasks.shutdown().await;
    assert!(matches!(committer.commit(put(2)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.sizes(), [1, 1]);
}
