//! The four kinds of store, and short helpers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use tempfile::TempDir;
use usher_control_plane::{
    ports::{
        ChangeBatch, KeyChange, Store, StoreEntry, StoreError, StoreTxn, TxnGuard, TxnVerdict, TxnWrite,
        WatchError,
    },
    store::{embedded::EmbeddedStore, etcd::EtcdStore},
};
use usher_harness::etcd::EtcdCluster;
use usher_model::settings::StoreSettings;

/// Longest wait of any condition.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of history that the embedded stores keep in these tests.
const HISTORY: usize = 1 << 20;

pub(crate) type Changes = BoxStream<'static, Result<ChangeBatch, WatchError>>;

/// The four kinds of store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Memory,
    File,
    Etcd { nodes: usize },
}

/// One store under test, with the parts it runs on.
pub(crate) enum Subject {
    Embedded { store: EmbeddedStore, _directory: Option<TempDir> },
    Etcd(EtcdCluster),
}

impl Subject {
    pub(crate) async fn start(kind: Kind) -> Self {
        let directory = match kind {
            Kind::Etcd { nodes } => return Self::Etcd(EtcdCluster::start(nodes).await.expect("etcd")),
            Kind::File => Some(tempfile::tempdir().expect("a directory")),
            Kind::Memory => None,
        };
        let path = directory.as_ref().map(TempDir::path);
        let store = EmbeddedStore::with_history(path, HISTORY).expect("opens");
        Self::Embedded { store, _directory: directory }
    }

    /// Returns a handle; on etcd a handle with its own connections.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded { store, .. } => Arc::new(store.clone()),
            Self::Etcd(cluster) => {
                let settings = StoreSettings { endpoints: cluster.endpoints(), ..StoreSettings::default() };
                Arc::new(EtcdStore::connect(&settings).expect("a cluster"))
            }
        }
    }

    /// Makes the store forget its history up to now.
    pub(crate) async fn forget_history(&self) {
        match self {
            Self::Embedded { .. } => {
                let store = self.store();
                let large = "x".repeat(HISTORY / 4);
                for round in 0..8 {
                    commit(&*store, vec![], vec![put("large", &format!("{round}{large}"))]).await;
                }
            }
            Self::Etcd(cluster) => {
                cluster.compact().await.expect("compacts");
            }
        }
    }
}

pub(crate) fn put(key: &str, value: &str) -> TxnWrite {
    TxnWrite::Put(key.into(), Bytes::copy_from_slice(value.as_bytes()))
}

pub(crate) fn delete(key: &str) -> TxnWrite {
    TxnWrite::Delete(key.into())
}

pub(crate) fn absent(key: &str) -> TxnGuard {
    TxnGuard::Absent(key.into())
}

pub(crate) fn unchanged(key: &str, revision: u64) -> TxnGuard {
    TxnGuard::Unchanged(key.into(), revision)
}

pub(crate) fn txn(guards: Vec<TxnGuard>, writes: Vec<TxnWrite>) -> StoreTxn {
    StoreTxn { guards, writes }
}

pub(crate) async fn decide(
    store: &dyn Store,
    guards: Vec<TxnGuard>,
    writes: Vec<TxnWrite>,
) -> Result<TxnVerdict, StoreError> {
    let verdicts = store.commit(vec![txn(guards, writes)]).await?;
    assert_eq!(verdicts.len(), 1);
    Ok(verdicts[0])
}

/// Commits a transaction whose guards hold, and returns its revision.
pub(crate) async fn commit(store: &dyn Store, guards: Vec<TxnGuard>, writes: Vec<TxnWrite>) -> u64 {
    match decide(store, guards, writes).await.expect("is decided") {
        TxnVerdict::Committed(revision) => revision,
        TxnVerdict::Refused(revision) => panic!("refused at {revision}"),
    }
}

/// Expects a refusal, and returns the revision of the store at it.
pub(crate) async fn refused(store: &dyn Store, guards: Vec<TxnGuard>, writes: Vec<TxnWrite>) -> u64 {
    match decide(store, guards, writes).await.expect("is decided") {
        TxnVerdict::Committed(revision) => panic!("committed at {revision}"),
        TxnVerdict::Refused(revision) => revision,
    }
}

pub(crate) async fn list(store: &dyn Store, prefix: &str) -> Vec<StoreEntry> {
    store.read_prefix(prefix).await.expect("is read").entries
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

pub(crate) async fn next(changes: &mut Changes) -> ChangeBatch {
    within("a change", changes.next()).await.expect("never ends silently").expect("goes on")
}

/// The short form of a batch: its revision, and each key with its value or `None`.
pub(crate) type Short<'a> = (u64, Vec<(&'a str, Option<&'a [u8]>)>);

pub(crate) fn short(batch: &ChangeBatch) -> Short<'_> {
    let mut changes: Vec<_> = batch
        .changes
        .iter()
        .map(|change| match change {
            KeyChange::Put(entry) => (entry.key.as_str(), Some(&*entry.value)),
            KeyChange::Delete { key } => (key.as_str(), None),
        })
        .collect();
    changes.sort_unstable();
    (batch.revision, changes)
}
