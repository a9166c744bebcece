//! The changes of the routing table on their way to the streams of all edges. A frame costs the
//! control plane some ten microseconds for each stream, so that with hundreds of edges a flood of
//! changes would use several processors. A change that follows another one soon waits a moment for
//! those after it, and all streams get them in one frame, which is encoded once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;
use usher_runtime::clock;

use crate::tasks::fleet_handle::{BACKLOG, PublishedChange, PublishedDelta};

/// Streams for which changes wait one millisecond more: about as many as frames cost a processor
/// that time.
const STREAMS_EACH: usize = 64;
/// Longest time that a change waits.
const LONGEST: Duration = Duration::from_millis(8);
/// Number of entries from which gathered changes wait no longer.
const ENTRIES: usize = 4096;

/// Returns the time between two frames of a flood of changes. Few streams wait for no frame, and a
/// change after a pause of that length waits in no case.
fn linger(streams: usize) -> Duration {
    Duration::from_millis(u64::try_from(streams / STREAMS_EACH).unwrap_or(u64::MAX)).min(LONGEST)
}

/// The changes for all streams; clones share them.
#[derive(Debug, Clone)]
pub(super) struct RouteFanOut {
    changes: broadcast::Sender<PublishedChange>,
}

impl RouteFanOut {
    pub(super) fn new() -> Self {
        Self { changes: broadcast::Sender::new(BACKLOG) }
    }

    /// Returns the changes from now on. A change that the fleet shows already may follow.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<PublishedChange> {
        self.changes.subscribe()
    }

    /// Passes changes on until the stop.
    pub(super) async fn run(
        self,
        mut changes: broadcast::Receiver<PublishedChange>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut last: Option<Instant> = None;
        loop {
            let first = tokio::select! {
                first = changes.recv() => first,
                () = stop.cancelled() => return Ok(()),
            };
            let first = match first {
                Ok(PublishedChange::Delta(first)) => first,
                Ok(PublishedChange::Reset) | Err(RecvError::Lagged(_)) => {
                    self.pass_on(PublishedChange::Reset);
                    continue;
                }
                Err(RecvError::Closed) => return Ok(()),
            };
            let until = last.map_or_else(clock::now, |last| last + linger(self.changes.receiver_count()));
            let (rest, reset) = gather(first.len(), &mut changes, until).await;
            self.pass_on(PublishedChange::Delta(PublishedDelta::joined(first, &rest)));
            if reset {
                self.pass_on(PublishedChange::Reset);
            }
            last = Some(clock::now());
        }
    }

    fn pass_on(&self, change: PublishedChange) {
        let _ = self.changes.send(change); // fails only if there is no stream
    }
}

/// Returns the changes that follow until `until`, and those that are there already. `entries` are in
/// the change before them. Also returns whether the next change does not continue them.
async fn gather(
    mut entries: usize,
    changes: &mut broadcast::Receiver<PublishedChange>,
    until: Instant,
) -> (Vec<Arc<PublishedDelta>>, bool) {
    let mut gathered = Vec::new();
    while entries < ENTRIES {
        // The receiver is polled before the clock, so that waiting changes are taken in any case.
        match tokio::time::timeout_at(until.into(), changes.recv()).await {
            Ok(Ok(PublishedChange::Delta(next))) => {
                entries += next.len();
                gathered.push(next);
            }
            Ok(Ok(PublishedChange::Reset) | Err(RecvError::Lagged(_))) => return (gathered, true),
            // The caller finds the end of the fleet again.
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        }
    }
    (gathered, false)
}

#[cfg(test)]
mod tests;
