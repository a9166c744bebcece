//! Stores on a cluster, and short helpers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_control_plane::{
    ports::{Store, StoreError, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::etcd::EtcdStore,
};
use usher_harness::etcd::EtcdCluster;
use usher_model::settings::StoreSettings;

/// Deadline of one call in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// Time that the scheduler of a loaded machine may add to a deadline.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

pub(crate) fn settings(cluster: &EtcdCluster) -> StoreSettings {
    let tls = cluster.tls();
    StoreSettings {
        endpoints: cluster.endpoints(),
        timeout: TIMEOUT,
        ca: tls.map(|files| files.ca.clone()),
        cert: tls.map(|files| files.cert.clone()),
        key: tls.map(|files| files.key.clone()),
        ..StoreSettings::default()
    }
}

/// Returns a store whose first call goes to this node.
pub(crate) fn store_on(cluster: &EtcdCluster, first: usize) -> Arc<dyn Store> {
    let mut settings = settings(cluster);
    settings.endpoints.rotate_left(first);
    store(&settings)
}

pub(crate) fn store(settings: &StoreSettings) -> Arc<dyn Store> {
    Arc::new(EtcdStore::connect(settings).expect("a cluster"))
}

pub(crate) fn create(key: &str) -> StoreTxn {
    StoreTxn {
        guards: vec![TxnGuard::Absent(key.into())],
        writes: vec![TxnWrite::Put(key.into(), "v".into())],
    }
}

pub(crate) async fn commit(store: &dyn Store, txn: StoreTxn) -> Result<TxnVerdict, StoreError> {
    store.commit(vec![txn]).await.map(|verdicts| verdicts[0])
}

/// Runs a call and checks that it returns by the deadline of one call.
pub(crate) async fn bounded<T>(call: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let result = call.await;
    let took = started.elapsed();
    assert!(took < TIMEOUT + SLACK, "took {took:?}");
    result
}
