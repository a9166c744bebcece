//! The epoch: the history of the store to which revisions belong (ADR 8). `meta` names it, and the
//! revision of `meta` is its beginning.

use anyhow::Context as _;
use tracing::warn;

use crate::{
    core::{
        epoch::{Epoch, EpochEvidence},
        seal::HistoryKey,
        unpolled::RememberedNames,
    },
    ports::{Store, StoreEntry, StoreTxn, TxnGuard, TxnWrite},
    store::{
        codec::{StoreMeta, awaited, meta, read_meta},
        keys::{AWAITED, META},
    },
};

/// Returns the epoch. The first replica on a new store begins one. A replica also begins one if
/// `meta` names another cluster, because such a store is a restored backup.
pub(super) async fn current(store: &dyn Store) -> anyhow::Result<Epoch> {
    loop {
        let cluster_id = store.cluster_id().await?;
        let guard = match read(store).await? {
            None => TxnGuard::Absent(META.into()),
            Some(entry) => {
                let meta = read_meta(&entry.value).context("the store's `meta`")?;
                if meta.cluster_id == cluster_id {
                    return Ok(Epoch { number: meta.epoch, begun: entry.mod_revision });
                }
                TxnGuard::Unchanged(META.into(), entry.mod_revision)
            }
        };
        begin(store, guard, cluster_id).await?; // if another replica was first, the next pass reads its epoch
    }
}

/// Weighs `evidence` and begins a new epoch if it suffices. Does nothing if another replica has
/// begun one since `known`.
pub(super) async fn renew(
    store: &dyn Store,
    known: Epoch,
    key: Option<&HistoryKey>,
    evidence: &EpochEvidence,
) -> anyhow::Result<()> {
    if !evidence.suffices(known, key, store.revision().await.context("read the revision")?) {
        return Ok(());
    }
    warn!(?evidence, "store lost its past, new epoch begins");
    let cluster_id = store.cluster_id().await?;
    let guard = TxnGuard::Unchanged(META.into(), known.begun);
    begin(store, guard, cluster_id).await.context("begin a new epoch")
}

async fn read(store: &dyn Store) -> anyhow::Result<Option<StoreEntry>> {
    let listing = store.read_prefix(META).await?;
    Ok(listing.entries.into_iter().find(|entry| entry.key == META))
}

/// Writes `meta` and an empty list of awaited servers. The list tells a replica that starts
/// meanwhile that the epoch is young; a lasting epoch has none.
async fn begin(store: &dyn Store, guard: TxnGuard, cluster_id: u64) -> anyhow::Result<()> {
    let epoch = rand::random();
    let writes = vec![
        TxnWrite::Put(META.into(), meta(StoreMeta { epoch, cluster_id })),
        TxnWrite::Put(AWAITED.into(), awaited(epoch, &RememberedNames::default())),
    ];
    store.commit(vec![StoreTxn { guards: vec![guard], writes }]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use usher_model::revision::Revision;

    use super::*;
    use crate::{core::epoch::SealedRevision, ports::TxnVerdict, store::embedded::EmbeddedStore};

    async fn put_meta(store: &dyn Store, value: Bytes) {
        let txn = StoreTxn { guards: Vec::new(), writes: vec![TxnWrite::Put(META.into(), value)] };
        let verdicts = store.commit(vec![txn]).await.unwrap();
        assert!(matches!(verdicts[..], [TxnVerdict::Committed(_)]));
    }

    #[tokio::test]
    async fn an_epoch_lasts_until_it_is_renewed_and_is_renewed_once() {
        let store = EmbeddedStore::open(None).unwrap();
        let first = current(&store).await.unwrap();
        assert_eq!(current(&store).await.unwrap(), first);
        renew(&store, first, None, &EpochEvidence::Taken).await.unwrap();
        let second = current(&store).await.unwrap();
        assert!(second.number != first.number && second.begun > first.begun);
        renew(&store, first, None, &EpochEvidence::Taken).await.unwrap();
        assert_eq!(current(&store).await.unwrap(), second, "another replica was late to notice");
        let unsealed = SealedRevision { revision: Revision::new(second.number, u64::MAX), mac: Vec::new() };
        renew(&store, second, None, &EpochEvidence::Edge(unsealed)).await.unwrap();
        assert_eq!(current(&store).await.unwrap(), second, "an edge's word alone");
    }

    #[tokio::test]
    async fn i10_a_store_of_another_cluster_is_a_new_epoch() {
        let store = EmbeddedStore::open(None).unwrap();
        let other = StoreMeta { epoch: 5, cluster_id: store.cluster_id().await.unwrap() + 1 };
        put_meta(&store, meta(other)).await;
        let epoch = current(&store).await.unwrap();
        assert_ne!(epoch.number, 5);
        assert_eq!(current(&store).await.unwrap(), epoch);
    }
}
