use bytes::Bytes;

use super::*;
use crate::{
    core::policy::Policy,
    ports::{TxnGuard, TxnWrite},
    store::{
        codec::{StoreMeta, meta},
        embedded::EmbeddedStore,
    },
};

/// One key of each family that the fleet does not fold.
const KEYS: [&str; 5] = ["polls/a", "replicas/one", "hooks/default/1", "deliveries/1", "callbacks/key"];

fn put(key: &str, guards: Vec<TxnGuard>) -> StoreTxn {
    StoreTxn { guards, writes: vec![TxnWrite::Put(key.to_owned(), Bytes::from_static(b"v"))] }
}

/// Begins an epoch in the store; returns it.
async fn begin(store: &Arc<dyn Store>, number: u64) -> Epoch {
    let write = TxnWrite::Put(META.into(), meta(StoreMeta { epoch: number, cluster_id: 1 }));
    let txn = StoreTxn { guards: Vec::new(), writes: vec![write] };
    match store.commit(vec![txn]).await.unwrap()[..] {
        [TxnVerdict::Committed(begun)] => Epoch { number, begun },
        ref other => panic!("{other:?}"),
    }
}

/// Returns a store in an epoch, and the writer of a fleet that has followed that far.
async fn followed() -> (Arc<dyn Store>, FleetHandle, EpochWriter) {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).unwrap());
    let fleet = FleetHandle::new(Policy::default());
    let writer = EpochWriter::new(Arc::clone(&store), fleet.clone());
    follow(&fleet, begin(&store, 1).await);
    (store, fleet, writer)
}

fn follow(fleet: &FleetHandle, epoch: Epoch) {
    fleet.restart_at(epoch, epoch.begun, Vec::new());
}

async fn exists(store: &Arc<dyn Store>, key: &str) -> bool {
    !store.read_prefix(key).await.unwrap().entries.is_empty()
}

#[tokio::test]
async fn a_decision_of_an_earlier_epoch_is_refused_in_every_family() {
    let (store, fleet, writer) = followed().await;
    let later = begin(&store, 2).await;
    for key in KEYS {
        let refused = writer.commit_one(put(key, Vec::new())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{key}: {refused:?}");
        assert!(!exists(&store, key).await, "{key}");
    }
    follow(&fleet, later);
    for key in KEYS {
        assert!(
            matches!(writer.commit_one(put(key, Vec::new())).await, Ok(TxnVerdict::Committed(_))),
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_refusal_in_the_same_epoch_is_that_of_the_transaction() {
    let (_store, _fleet, writer) = followed().await;
    let absent = || vec![TxnGuard::Absent("deliveries/1".into())];
    let verdicts =
        writer.commit(vec![put("deliveries/1", absent()), put("deliveries/2", Vec::new())]).await.unwrap();
    assert!(verdicts.iter().all(|verdict| matches!(verdict, TxnVerdict::Committed(_))), "{verdicts:?}");
    assert!(matches!(writer.commit_one(put("deliveries/1", absent())).await, Ok(TxnVerdict::Refused(_))));
}

#[tokio::test]
async fn a_fact_is_stored_in_any_epoch_and_a_decision_only_by_a_fleet_that_was_read() {
    let (store, _fleet, writer) = followed().await;
    begin(&store, 2).await;
    let fact = writer.commit_fact(put("deliveries/1", vec![TxnGuard::Absent("deliveries/1".into())])).await;
    assert!(matches!(fact, Ok(TxnVerdict::Committed(_))), "{fact:?}");
    let unread = EpochWriter::new(Arc::clone(&store), FleetHandle::new(Policy::default()));
    let refused = unread.commit_one(put("polls/a", Vec::new())).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}
