//! Removes keys that earlier versions wrote and no version reads any more.

use usher_model::revision::FencingToken;

use crate::{
    ports::{Store, StoreError, StoreTxn, TxnGuard, TxnWrite},
    store::keys,
    tasks::epoch_writer::EpochWriter,
};

/// Largest number of keys in one transaction.
const TOGETHER: usize = 50;

/// Removes some of the retired keys, as the leader with `token`; returns whether none is left.
///
/// # Errors
/// The store could not be read or written.
pub(super) async fn remove_some(
    store: &dyn Store,
    writer: &EpochWriter,
    token: FencingToken,
) -> Result<bool, StoreError> {
    let found = store.read_prefix(keys::RETIRED_FRESHNESS).await?.entries;
    if found.is_empty() {
        return Ok(true);
    }
    let left = found.len() > TOGETHER;
    let writes = found.into_iter().take(TOGETHER).map(|entry| TxnWrite::Delete(entry.key)).collect();
    writer.commit_one(StoreTxn { guards: vec![TxnGuard::Fence(token)], writes }).await?;
    Ok(!left)
}
