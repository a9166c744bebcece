//! Watches of lists: the present entries, then each change.

mod list_watch;
mod snapshot_watch;
mod told_entries;
mod watchers;

pub(super) use self::{
    list_watch::{WatchedList, WatchedPart},
    snapshot_watch::PolledSnapshot,
    told_entries::EntryDigest,
    watchers::{WatchStream, Watchers},
};
