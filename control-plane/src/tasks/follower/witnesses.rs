//! Knowledge of replicas and edges about a store that lost its state. Replicas share it through the
//! store, so that a replica that starts during a rebuild awaits the same servers and tenants.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{sleep, sleep_until};
use tracing::warn;

use super::epoch;
use crate::{
    core::{epoch::Epoch, fleet::Fleet, seal::HistoryKey, unpolled::RememberedNames},
    ports::{KeyChange, Store, StoreEntry, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::{
        codec::{awaited, epoch_guard, history_key, read_awaited, read_history_key},
        keys::{AWAITED, HISTORY_KEY},
    },
    tasks::fleet_handle::FleetHandle,
};

/// Pause after a failed write.
const AGAIN: Duration = Duration::from_secs(1);

/// Writes the awaited servers and tenants whenever their number grows, and deletes the entry when
/// none is awaited any longer. Also weighs the evidence of edges and ensures the key that seals
/// revisions. Never returns.
pub(super) async fn heed(store: &dyn Store, fleet: &FleetHandle) {
    let (mut awaited, mut evidence, mut revisions) = (fleet.awaited(), fleet.evidence(), fleet.revisions());
    awaited.mark_changed();
    evidence.mark_changed();
    revisions.mark_changed();
    let (mut keyed, mut closed) = (None, None);
    loop {
        let epoch = fleet.revision().epoch;
        let until = fleet.awaited().borrow().until().filter(|_| fleet.complete() && closed != Some(epoch));
        let over = async {
            match until {
                Some(until) => sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let heeded = tokio::select! {
            changed = awaited.changed() => match changed {
                Ok(()) => share(store, fleet).await,
                Err(_) => return,
            },
            changed = evidence.changed() => match changed {
                Ok(()) => weigh(store, fleet).await,
                Err(_) => return,
            },
            changed = revisions.changed() => match changed {
                Ok(()) if fleet.complete() && keyed != Some(epoch) => {
                    ensure_key(store, fleet).await.map(|()| keyed = Some(epoch))
                }
                Ok(()) => Ok(()),
                Err(_) => return,
            },
            () = over => close(store, fleet).await.map(|()| closed = Some(epoch)),
        };
        if let Err(error) = heeded {
            warn!(error = format!("{error:#}"), "knowledge of a loss not shared");
            awaited.mark_changed();
            evidence.mark_changed();
            revisions.mark_changed();
            sleep(AGAIN).await;
        }
    }
}

/// Returns whether an entry shows that an epoch is young.
pub(super) fn is_young(entry: &StoreEntry, epoch: Epoch) -> bool {
    entry.key == AWAITED && read_awaited(&entry.value).is_ok_and(|(number, _)| number == epoch.number)
}

/// Takes the key that seals revisions from an entry of the store.
pub(super) fn take_key(fleet: &FleetHandle, entry: &StoreEntry) {
    if entry.key == HISTORY_KEY
        && let Ok(key) = read_history_key(&entry.value)
    {
        fleet.set_history_key(key);
    }
}

/// Takes the servers and tenants that another replica awaits from an entry of the store.
pub(super) fn take(fleet: &FleetHandle, entry: &StoreEntry) {
    if entry.key == AWAITED
        && let Ok((number, names)) = read_awaited(&entry.value)
        && number == fleet.revision().epoch
    {
        fleet.await_also(names);
    }
}

/// Like [`take_key`] and [`take`], for a change.
pub(super) fn take_change(fleet: &FleetHandle, change: &KeyChange) {
    if let KeyChange::Put(entry) = change {
        take_key(fleet, entry);
        take(fleet, entry);
    }
}

/// Creates the key that seals revisions if the store has none.
async fn ensure_key(store: &dyn Store, fleet: &FleetHandle) -> anyhow::Result<()> {
    loop {
        let epoch = fleet.read(Fleet::epoch);
        let listing = store.read_prefix(HISTORY_KEY).await.context("read the key of the history")?;
        if let Some(entry) = listing.entries.iter().find(|entry| entry.key == HISTORY_KEY) {
            fleet.set_history_key(read_history_key(&entry.value).context("the key of the history")?);
            return Ok(());
        }
        let key = fleet.history_key().unwrap_or_else(|| HistoryKey::new(rand::random()));
        let guards = vec![TxnGuard::Absent(HISTORY_KEY.into()), epoch_guard(epoch)];
        let writes = vec![TxnWrite::Put(HISTORY_KEY.into(), history_key(&key))];
        // The first writer wins; the next reading returns its key. A new epoch ensures its key
        // again.
        store.commit(vec![StoreTxn { guards, writes }]).await.context("write the key of the history")?;
        if epoch::current(store).await? != epoch {
            return Ok(());
        }
    }
}

/// Deletes the list of awaited servers, so that a replica that starts later awaits none.
async fn close(store: &dyn Store, fleet: &FleetHandle) -> anyhow::Result<()> {
    let epoch = fleet.read(Fleet::epoch);
    let listing = store.read_prefix(AWAITED).await.context("read the awaited servers")?;
    if listing.entries.iter().any(|entry| entry.key == AWAITED) {
        let guards = vec![epoch_guard(epoch)];
        let writes = vec![TxnWrite::Delete(AWAITED.into())];
        store.commit(vec![StoreTxn { guards, writes }]).await.context("delete the awaited servers")?;
    }
    Ok(())
}

async fn share(store: &dyn Store, fleet: &FleetHandle) -> anyhow::Result<()> {
    loop {
        let (epoch, mine) = (fleet.read(Fleet::epoch), fleet.awaited().borrow().names.clone());
        if mine.is_empty() || !fleet.complete() {
            return Ok(());
        }
        let listing = store.read_prefix(AWAITED).await.context("read the awaited servers")?;
        let entry = listing.entries.into_iter().find(|entry| entry.key == AWAITED);
        let stored = entry.as_ref().and_then(|entry| read_awaited(&entry.value).ok());
        let mut all = stored
            .filter(|(number, _)| *number == epoch.number)
            .map_or_else(RememberedNames::default, |s| s.1);
        if !all.add(mine) {
            return Ok(());
        }
        let seen = match &entry {
            Some(entry) => TxnGuard::Unchanged(AWAITED.into(), entry.mod_revision),
            None => TxnGuard::Absent(AWAITED.into()),
        };
        if put(store, epoch, seen, &all).await? {
            return Ok(());
        }
        if epoch::current(store).await? != epoch {
            return Ok(()); // the names belong to the old epoch only
        }
    }
}

async fn put(
    store: &dyn Store,
    epoch: Epoch,
    seen: TxnGuard,
    names: &RememberedNames,
) -> anyhow::Result<bool> {
    let guards = vec![seen, epoch_guard(epoch)];
    let writes = vec![TxnWrite::Put(AWAITED.into(), awaited(epoch.number, names))];
    let verdicts =
        store.commit(vec![StoreTxn { guards, writes }]).await.context("write the awaited servers")?;
    Ok(matches!(verdicts.first(), Some(TxnVerdict::Committed(_))))
}

/// Weighs the latest evidence of an edge that the store lost its past.
async fn weigh(store: &dyn Store, fleet: &FleetHandle) -> anyhow::Result<()> {
    let (epoch, said) = (fleet.read(Fleet::epoch), fleet.evidence().borrow().clone());
    let Some((_, said)) = said.filter(|(of, _)| *of == epoch) else { return Ok(()) };
    epoch::renew(store, epoch, fleet.history_key().as_ref(), &said).await
}
