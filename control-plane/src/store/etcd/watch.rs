//! The watch of a prefix. The stream ends with an error as soon as the connection shows no sign of
//! life: a stream that hangs would otherwise look like a store without changes.
//!
//! Progress requests ask for a sign of life. Their revision is never used, because on etcd before
//! 3.4.25 and 3.5.8 it may overtake events (etcd #15220).

use std::time::Duration;

use etcd_client::{Event, EventType, WatchOptions, WatchResponse, WatchStream};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::{
    endpoint_pool::{EndpointPool, Repeatability},
    key_space::{KeySpace, end_of, number, revision},
};
use crate::{
    ports::{ChangeBatch, KeyChange, StoreError, WatchError},
    store::keys::DELETIONS,
};

/// Silence after which a sign of life is requested.
const QUIET: Duration = Duration::from_secs(2);

/// Largest message taken from etcd, in bytes. One revision, or all changes that a slow watcher
/// missed, is one message.
const MESSAGE: usize = 1 << 30;

/// Opens the watch; the stream ends with an error.
pub(super) async fn watch(
    pool: &EndpointPool,
    space: &KeySpace,
    prefix: &str,
    from: u64,
) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
    let start = space.full(prefix);
    let end = end_of(&start);
    let open = |client: etcd_client::Client| {
        let (start, end) = (start.clone(), end.clone());
        // In etcd, revision 0 means "from now on".
        let options = WatchOptions::new().with_range(end).with_start_revision(revision(from.max(1)));
        async move { client.watch_client().max_decoding_message_size(MESSAGE).watch(start, Some(options)).await }
    };
    let stream = pool.call(Repeatability::Safe, open).await?;
    let watcher = Watcher {
        space: space.clone(),
        stream,
        patience: pool.timeout(),
        asked: false,
        until: Instant::now() + QUIET,
    };
    let steps = stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        Some(match watcher.step().await {
            Ok(batches) => (batches.into_iter().map(Ok).collect(), Some(watcher)),
            Err(error) => (vec![Err(error)], None),
        })
    });
    Ok(steps.flat_map(stream::iter).boxed())
}

struct Watcher {
    space: KeySpace,
    stream: WatchStream,
    patience: Duration,
    asked: bool,
    until: Instant,
}

impl Watcher {
    /// Waits for the next message, and requests a sign of life after a silence.
    async fn step(&mut self) -> Result<Vec<ChangeBatch>, WatchError> {
        let lost = |why: String| Err(WatchError::Lost(why));
        match timeout_at(self.until, self.stream.message()).await {
            Ok(Ok(Some(message))) => {
                self.asked = false;
                self.until = Instant::now() + QUIET;
                self.read(&message)
            }
            Ok(Ok(None)) => lost("etcd ended the stream".into()),
            Ok(Err(error)) => lost(error.to_string()),
            Err(_) if self.asked => lost(format!("no sign of life within {:?}", self.patience)),
            Err(_) => {
                self.asked = true;
                self.until = Instant::now() + self.patience;
                match timeout_at(self.until, self.stream.request_progress()).await {
                    Ok(Ok(())) => Ok(Vec::new()),
                    Ok(Err(error)) => lost(error.to_string()),
                    Err(_) => lost("the connection takes no data".into()),
                }
            }
        }
    }

    fn read(&self, message: &WatchResponse) -> Result<Vec<ChangeBatch>, WatchError> {
        // etcd gives no reason with a compaction; the number alone indicates it.
        if message.compact_revision() > 0 {
            return Err(WatchError::Compacted(number(message.compact_revision())));
        }
        if message.canceled() {
            return Err(WatchError::Lost(format!("etcd cancelled the watch: {}", message.cancel_reason())));
        }
        Ok(batches(&self.space, message.events()))
    }
}

/// Groups events by revision. etcd never splits a revision over two messages unless requested to.
fn batches(space: &KeySpace, events: &[Event]) -> Vec<ChangeBatch> {
    let mut batches: Vec<ChangeBatch> = Vec::new();
    for event in events {
        let Some(pair) = event.kv() else { continue };
        let at = number(pair.mod_revision());
        let change = match event.event_type() {
            EventType::Put => KeyChange::Put(space.entry(pair.clone())),
            EventType::Delete => KeyChange::Delete { key: space.relative(pair.key()) },
        };
        match batches.last_mut() {
            Some(last) if last.revision == at => last.changes.push(change),
            _ => batches.push(ChangeBatch { revision: at, changes: vec![change], attested: false }),
        }
    }
    for batch in &mut batches {
        let before = batch.changes.len();
        batch.changes.retain(|change| !matches!(change, KeyChange::Put(entry) if entry.key == DELETIONS));
        batch.attested = batch.changes.len() < before;
    }
    batches
}
