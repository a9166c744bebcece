//! Follows the entries below a prefix of the store: all of them once, then every change. After a
//! lost watch all are read again; an unreachable store is retried with pauses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use tracing::{debug, warn};
use usher_runtime::clock;

use super::backoff::Backoff;
use crate::ports::{ChangeBatch, Store, StoreError, StoreListing, WatchError};

/// Longest time of one reading of the store.
const READ_WITHIN: Duration = Duration::from_secs(5);

type Changes = BoxStream<'static, Result<ChangeBatch, WatchError>>;

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
    /// The store is read at this time.
    Pausing(Instant),
    /// The store is being read.
    Reading(BoxFuture<'static, Result<(StoreListing, Changes), StoreError>>),
    /// The entries were read, and changes follow.
    Watching(Changes),
}

/// Follows one prefix.
pub(crate) struct PrefixFollower {
    store: Arc<dyn Store>,
    prefix: &'static str,
    backoff: Backoff,
    stage: Stage,
}

impl PrefixFollower {
    /// Returns a follower whose first step is to read all entries below `prefix`.
    pub(crate) fn new(store: Arc<dyn Store>, prefix: &'static str) -> Self {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        Self { store, prefix, backoff, stage: Stage::Pausing(clock::now()) }
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
                    self.stage = Stage::Reading(read(Arc::clone(&self.store), self.prefix).boxed());
                }
                Stage::Reading(reading) => match reading.await {
                    Ok((listing, changes)) => {
                        self.backoff.reset();
                        self.stage = Stage::Watching(changes);
                        return PrefixUpdate::All(listing);
                    }
                    Err(error) => {
                        warn!(prefix = self.prefix, %error, "prefix unreadable");
                        self.pause();
                    }
                },
                Stage::Watching(changes) => match changes.next().await {
                    Some(Ok(batch)) => return PrefixUpdate::Changed(batch),
                    lost => {
                        let lost = lost.and_then(Result::err);
                        debug!(prefix = self.prefix, ?lost, "watch lost, prefix read again");
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

/// Reads all entries, and watches from the following revision on.
async fn read(store: Arc<dyn Store>, prefix: &'static str) -> Result<(StoreListing, Changes), StoreError> {
    let read = async {
        let listing = store.read_prefix(prefix).await?;
        let changes = store.watch(prefix, listing.revision + 1).await?;
        Ok((listing, changes))
    };
    let late = |_| Err(StoreError::Unavailable(format!("no answer within {READ_WITHIN:?}")));
    tokio::time::timeout(READ_WITHIN, read).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests;
