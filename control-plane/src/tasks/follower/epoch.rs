//! The epoch: which store, and which life of it, revisions belong to.

use anyhow::Context as _;

use crate::{
    ports::{Entry, Guard, Store, Txn, Write},
    store::{
        codec::{meta, read_meta},
        keys::META,
    },
};

/// Returns the epoch; the first to start on a store makes it.
pub(super) async fn read_or_create(store: &dyn Store) -> anyhow::Result<u64> {
    loop {
        if let Some(entry) = read(store).await? {
            let made = read_meta(&entry.value).context("the store's `meta`")?;
            return Ok(mix(made, store.cluster_id().await?));
        }
        write(store, Guard::Absent(META.into())).await?; // refused: another was first, read it
    }
}

/// Begins a new epoch on a store that was set back: what was handed out under the old one must not
/// be continued.
pub(super) async fn renew(store: &dyn Store) -> anyhow::Result<()> {
    match read(store).await? {
        Some(entry) => write(store, Guard::Unchanged(META.into(), entry.mod_revision)).await,
        None => Ok(()), // the next read makes one
    }
}

/// Begins a new epoch unless another replica has done so since `known`.
pub(super) async fn renew_from(store: &dyn Store, known: u64) -> anyhow::Result<()> {
    match read_or_create(store).await? {
        now if now == known => renew(store).await,
        _ => Ok(()),
    }
}

async fn read(store: &dyn Store) -> anyhow::Result<Option<Entry>> {
    let listing = store.read_prefix(META).await?;
    Ok(listing.entries.into_iter().find(|entry| entry.key == META))
}

async fn write(store: &dyn Store, guard: Guard) -> anyhow::Result<()> {
    let value = meta(rand::random());
    store.commit(vec![Txn { guards: vec![guard], writes: vec![Write::Put(META.into(), value)] }]).await?;
    Ok(())
}

/// Mixes two numbers so that a change of either changes the result (splitmix64's finalizer).
fn mix(made: u64, cluster: u64) -> u64 {
    let mut sum = made ^ cluster.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    sum ^ (sum >> 31)
}

#[cfg(test)]
mod tests {
    use super::mix;

    #[test]
    fn either_half_makes_a_new_epoch() {
        assert_eq!(mix(1, 2), mix(1, 2));
        assert_ne!(mix(1, 2), mix(2, 2));
        assert_ne!(mix(1, 2), mix(1, 3));
    }
}
