//! The epoch: which life of the store revisions belong to. `meta` names it, and the revision of
//! `meta` says when it began.

use anyhow::Context as _;

use crate::{
    core::epoch::Epoch,
    ports::{Entry, Guard, Store, Txn, Write},
    store::{
        codec::{Meta, meta, read_meta},
        keys::META,
    },
};

/// Returns the epoch. The first to start on a store begins one, and so does the first to find a
/// store that was begun on another cluster: that is a restored backup.
pub(super) async fn current(store: &dyn Store) -> anyhow::Result<Epoch> {
    loop {
        let cluster_id = store.cluster_id().await?;
        let guard = match read(store).await? {
            None => Guard::Absent(META.into()),
            Some(entry) => {
                let meta = read_meta(&entry.value).context("the store's `meta`")?;
                if meta.cluster_id == cluster_id {
                    return Ok(Epoch { number: meta.epoch, begun: entry.mod_revision });
                }
                Guard::Unchanged(META.into(), entry.mod_revision)
            }
        };
        begin(store, guard, cluster_id).await?; // refused: another was first, read it
    }
}

/// Begins a new epoch, unless another replica has done so since `known`.
pub(super) async fn renew(store: &dyn Store, known: Epoch) -> anyhow::Result<()> {
    let cluster_id = store.cluster_id().await?;
    begin(store, Guard::Unchanged(META.into(), known.begun), cluster_id).await
}

async fn read(store: &dyn Store) -> anyhow::Result<Option<Entry>> {
    let listing = store.read_prefix(META).await?;
    Ok(listing.entries.into_iter().find(|entry| entry.key == META))
}

async fn begin(store: &dyn Store, guard: Guard, cluster_id: u64) -> anyhow::Result<()> {
    let value = meta(Meta { epoch: rand::random(), cluster_id });
    store.commit(vec![Txn { guards: vec![guard], writes: vec![Write::Put(META.into(), value)] }]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{ports::Verdict, store::embedded::EmbeddedStore};

    async fn put_meta(store: &dyn Store, value: Bytes) {
        let txn = Txn { guards: Vec::new(), writes: vec![Write::Put(META.into(), value)] };
        let verdicts = store.commit(vec![txn]).await.unwrap();
        assert!(matches!(verdicts[..], [Verdict::Committed(_)]));
    }

    #[tokio::test]
    async fn an_epoch_lasts_until_it_is_renewed_and_is_renewed_once() {
        let store = EmbeddedStore::open(None).unwrap();
        let first = current(&store).await.unwrap();
        assert_eq!(current(&store).await.unwrap(), first);
        renew(&store, first).await.unwrap();
        let second = current(&store).await.unwrap();
        assert!(second.number != first.number && second.begun > first.begun);
        renew(&store, first).await.unwrap();
        assert_eq!(current(&store).await.unwrap(), second, "another replica was late to notice");
    }

    #[tokio::test]
    async fn i10_a_store_of_another_cluster_is_a_new_epoch() {
        let store = EmbeddedStore::open(None).unwrap();
        let other = Meta { epoch: 5, cluster_id: store.cluster_id().await.unwrap() + 1 };
        put_meta(&store, meta(other)).await;
        let epoch = current(&store).await.unwrap();
        assert_ne!(epoch.number, 5);
        assert_eq!(current(&store).await.unwrap(), epoch);
    }
}
