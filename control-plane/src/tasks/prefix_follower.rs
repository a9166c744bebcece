//! Follows the entries below a prefix of the store: all of them once, then every change. All are read
//! again when changes may be missing; an unreachable store is retried with pauses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use tracing::{debug, warn};
use usher_runtime::clock;

use super::{
    backoff::Backoff,
    change_feed::{ChangeFeed, FeedSubscription},
};
use crate::ports::{ChangeBatch, Store, StoreError, StoreListing};

/// Longest time of one reading of the store.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// An update of the entries below the prefix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PrefixUpdate {
    /// All current entries. An entry that was known before and is missing here is deleted.
    All(StoreListing),
    /// The changes of one revision.
    Changed(ChangeBatch),
}

/// The stage of the follower.
enum Stage {
    /// The follower joins the feed at this time.
    Pausing(Instant),
    /// The feed has no open watch yet.
    Joining,
    /// The store is being read.
    Reading(BoxFuture<'static, Result<StoreListing, StoreError>>),
    /// The entries were read, and changes follow.
    Watching,
}

/// Follows one prefix.
pub(crate) struct PrefixFollower {
    store: Arc<dyn Store>,
    prefix: String,
    subscription: FeedSubscription,
    backoff: Backoff,
    stage: Stage,
}

impl PrefixFollower {
    /// Returns a follower whose first step is to read all entries below `prefix`, once `feed` has an
    /// open watch.
    pub(crate) fn new(feed: &ChangeFeed, store: Arc<dyn Store>, prefix: &str) -> Self {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let (prefix, subscription) = (prefix.to_owned(), feed.subscribe(prefix));
        Self { store, prefix, subscription, backoff, stage: Stage::Joining }
    }

    /// Waits for the next update. Failures of the store are retried.
    ///
    /// # Cancel safety
    /// If the future is dropped before it returns, the next call continues at the same stage, so
    /// that a caller that waits for other events too misses no update.
    pub(crate) async fn next(&mut self) -> PrefixUpdate {
        loop {
            match &mut self.stage {
                Stage::Pausing(until) => {
                    tokio::time::sleep_until((*until).into()).await;
                    self.stage = Stage::Joining;
                }
                Stage::Joining => {
                    self.subscription.join().await;
                    self.stage = Stage::Reading(read(Arc::clone(&self.store), self.prefix.clone()).boxed());
                }
                Stage::Reading(reading) => match reading.await {
                    Ok(listing) => {
                        self.subscription.has_read(listing.revision);
                        self.backoff.reset();
                        self.stage = Stage::Watching;
                        return PrefixUpdate::All(listing);
                    }
                    Err(error) => {
                        warn!(prefix = self.prefix, %error, "prefix unreadable");
                        self.pause();
                    }
                },
                Stage::Watching => match self.subscription.next().await {
                    Some(batch) => return PrefixUpdate::Changed(batch),
                    None => {
                        debug!(prefix = self.prefix, "changes may be missing, prefix read again");
                        self.pause();
                    }
                },
            }
        }
    }

    fn pause(&mut self) {
        self.stage = Stage::Pausing(clock::now() + self.backoff.pause());
    }
}

/// Reads all entries.
async fn read(store: Arc<dyn Store>, prefix: String) -> Result<StoreListing, StoreError> {
    let late = |_| Err(StoreError::Unavailable(format!("no answer within {READ_WITHIN:?}")));
    tokio::time::timeout(READ_WITHIN, store.read_prefix(&prefix)).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests;
