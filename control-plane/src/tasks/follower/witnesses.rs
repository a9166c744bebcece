//! What replicas and edges still know of a store that lost it, shared by way of the store: a replica
//! that is started in the middle of a rebuild awaits what the others do.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use tracing::warn;

use super::epoch;
use crate::{
    core::{awaited::Names, epoch::Epoch, fleet::Fleet},
    ports::{Change, Entry, Guard, Store, Txn, Verdict, Write},
    store::{
        codec::{awaited, read_awaited},
        keys::{AWAITED, META},
    },
    tasks::fleet_handle::FleetHandle,
};

/// Pause after a write that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Writes down what is awaited whenever that is more, and begins a new epoch when an edge holds a
/// later revision than the store ever had. Never returns.
pub(super) async fn heed(store: &dyn Store, fleet: &FleetHandle) {
    let (mut awaited, mut doubts) = (fleet.awaited(), fleet.doubts());
    awaited.mark_changed();
    doubts.mark_changed();
    loop {
        let heeded = tokio::select! {
            changed = awaited.changed() => match changed {
                Ok(()) => share(store, fleet).await,
                Err(_) => return,
            },
            changed = doubts.changed() => match changed {
                Ok(()) => look_back(store, fleet).await,
                Err(_) => return,
            },
        };
        if let Err(error) = heeded {
            warn!(error = format!("{error:#}"), "what edges and replicas know of a loss is not shared");
            awaited.mark_changed();
            sleep(AGAIN).await;
        }
    }
}

/// Takes over what another replica awaits.
pub(super) fn take(fleet: &FleetHandle, entry: &Entry) {
    if let Ok((number, names)) = read_awaited(&entry.value)
        && entry.key == AWAITED
        && number == fleet.revision().epoch
    {
        fleet.await_also(names);
    }
}

/// As [`take`], where a change is of it.
pub(super) fn take_change(fleet: &FleetHandle, change: &Change) {
    if let Change::Put(entry) = change {
        take(fleet, entry);
    }
}

async fn share(store: &dyn Store, fleet: &FleetHandle) -> anyhow::Result<()> {
    loop {
        let (epoch, mine) = (fleet.read(Fleet::epoch), fleet.awaited().borrow().names.clone());
        if mine.is_empty() || !fleet.complete() {
            return Ok(());
        }
        let listing = store.read_prefix(AWAITED).await.context("read what is awaited")?;
        let entry = listing.entries.into_iter().find(|entry| entry.key == AWAITED);
        let stored = entry.as_ref().and_then(|entry| read_awaited(&entry.value).ok());
        let mut all =
            stored.filter(|(number, _)| *number == epoch.number).map_or_else(Names::default, |s| s.1);
        if !all.add(mine) {
            return Ok(());
        }
        let seen = match &entry {
            Some(entry) => Guard::Unchanged(AWAITED.into(), entry.mod_revision),
            None => Guard::Absent(AWAITED.into()),
        };
        if put(store, epoch, seen, &all).await? {
            return Ok(());
        }
        if epoch::current(store).await? != epoch {
            return Ok(()); // it is no news of the epoch that has begun meanwhile
        }
    }
}

async fn put(store: &dyn Store, epoch: Epoch, seen: Guard, names: &Names) -> anyhow::Result<bool> {
    let guards = vec![seen, Guard::Unchanged(META.into(), epoch.begun)];
    let writes = vec![Write::Put(AWAITED.into(), awaited(epoch.number, names))];
    let verdicts = store.commit(vec![Txn { guards, writes }]).await.context("write what is awaited")?;
    Ok(matches!(verdicts.first(), Some(Verdict::Committed(_))))
}

/// An edge was given nothing that the store did not have: if it has less, it was set back.
async fn look_back(store: &dyn Store, fleet: &FleetHandle) -> anyhow::Result<()> {
    let epoch = fleet.read(Fleet::epoch);
    let held = *fleet.doubts().borrow();
    if held.epoch == epoch.number && store.revision().await.context("read the revision")? < held.seq {
        warn!(%held, "an edge holds a later table than the store: a new epoch begins");
        epoch::renew(store, epoch).await.context("begin a new epoch")?;
    }
    Ok(())
}
