//! Follows what stands below a prefix of the store: everything once, then every change. After a loss
//! everything is read anew; while the store is away it is asked again, with pauses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use tracing::{debug, warn};
use usher_runtime::clock;

use super::backoff::Backoff;
use crate::ports::{Batch, Listing, Store, StoreError, WatchError};

/// Longest time the store may take to be read.
const READ_WITHIN: Duration = Duration::from_secs(5);

type Changes = BoxStream<'static, Result<Batch, WatchError>>;

/// What the store has told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Everything that stands now: whatever was known before and is not in it is gone.
    All(Listing),
    /// What has changed since.
    Changed(Batch),
}

/// How far the follower has come.
enum Stage {
    /// The store is asked at this time.
    Pausing(Instant),
    /// The store is being read.
    Reading(BoxFuture<'static, Result<(Listing, Changes), StoreError>>),
    /// Everything was read.
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
    /// Begins with a reading of everything below `prefix`, at once.
    pub(crate) fn new(store: Arc<dyn Store>, prefix: &'static str) -> Self {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        Self { store, prefix, backoff, stage: Stage::Pausing(clock::now()) }
    }

    /// Waits for what comes next, whatever the store does meanwhile.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it goes on where it was when it is called again: a caller that has
    /// other things to do as well hears everything.
    pub(crate) async fn next(&mut self) -> News {
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
                        return News::All(listing);
                    }
                    Err(error) => {
                        warn!(prefix = self.prefix, %error, "a part of the store cannot be read");
                        self.pause();
                    }
                },
                Stage::Watching(changes) => match changes.next().await {
                    Some(Ok(batch)) => return News::Changed(batch),
                    lost => {
                        let lost = lost.and_then(Result::err);
                        debug!(prefix = self.prefix, ?lost, "a part of the store is read anew");
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

/// Reads everything, and watches from there on.
async fn read(store: Arc<dyn Store>, prefix: &'static str) -> Result<(Listing, Changes), StoreError> {
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
