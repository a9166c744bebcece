//! Watches of lists: the present entries, then each change.

mod list_watch;
mod snapshot_watch;
mod watchers;

pub(super) use self::{
    list_watch::{WatchedList, WatchedPart},
    snapshot_watch::PolledSnapshot,
    watchers::{WatchStream, Watchers},
};
