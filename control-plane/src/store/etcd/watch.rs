//! The watch of a prefix. The stream ends with an error as soon as the connection shows no sign of
//! life: a stream that hangs would otherwise look like a store without changes. Every create waits
//! until its own write was watched, so the silence of a frozen endpoint is noticed within a second.
//!
//! Progress requests ask for a sign of life. Their revision is never used, because on etcd before
//! 3.4.25 and 3.5.8 it may overtake events (etcd #15220).

use std::{sync::Arc, time::Duration};

use etcd_client::{Event, EventType, WatchOptions, WatchResponse, WatchStream};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::{
    sync::watch as signal,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    endpoint_pool::EndpointPool,
    key_space::{KeySpace, end_of, number, revision},
};
use crate::{
    core::member_choice::CallKind,
    ports::{ChangeBatch, KeyChange, StoreError, WatchError},
    store::keys::DELETIONS,
};

/// Silence after which a sign of life is requested.
const QUIET: Duration = Duration::from_millis(400);

/// Longest wait for a sign of life. A false alarm on a loaded machine costs a few calls, because
/// the watch continues elsewhere at the same revision. The first sign of a new watch gets the
/// deadline of a call instead: a large backlog may come before it.
const PATIENCE: Duration = Duration::from_millis(600);

/// Largest message taken from etcd, in bytes. One revision, or all changes that a slow watcher
/// missed, is one message.
const MESSAGE: usize = 1 << 30;

/// Opens the watch; the stream ends with an error.
pub(super) async fn watch(
    pool: &Arc<EndpointPool>,
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
    let opened = pool.call_within(pool.timeout(), CallKind::Read, open).await?;
    let mut failures = pool.failures(opened.endpoint);
    failures.mark_unchanged();
    let watcher = Watcher {
        space: space.clone(),
        pool: Arc::clone(pool),
        endpoint: opened.endpoint,
        stream: opened.answer,
        failures,
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
    pool: Arc<EndpointPool>,
    endpoint: usize,
    stream: WatchStream,
    /// Wakes when the endpoint failed a call and another one answered. A member that is cut from its peers still gives
    /// signs of life, and has no new changes.
    failures: signal::Receiver<u64>,
    patience: Duration,
    /// Whether a sign of life is requested and has not come.
    asked: bool,
    /// Time of the next request, or the end of the wait for its answer.
    until: Instant,
}

/// The reason why a wait for the next message ended.
enum WaitEnd {
    Message(Result<Option<WatchResponse>, etcd_client::Error>),
    /// The endpoint was silent.
    Doubt,
    /// The endpoint failed a call, and another one answered.
    Failed,
}

impl Watcher {
    /// Waits for the next message, and requests a sign of life after a silence.
    async fn step(&mut self) -> Result<Vec<ChangeBatch>, WatchError> {
        let lost = |why: String| Err(WatchError::Lost(why));
        match self.wait().await {
            WaitEnd::Message(Ok(Some(message))) => {
                // A message without events that was not preceded by a request opens the watch.
                if std::mem::take(&mut self.asked) {
                    self.patience = self.pool.patience(PATIENCE);
                }
                self.until = Instant::now() + QUIET;
                self.read(&message)
            }
            WaitEnd::Message(Ok(None)) => lost("etcd ended the stream".into()),
            WaitEnd::Message(Err(error)) => lost(error.to_string()),
            WaitEnd::Failed => lost("a call to its endpoint failed".into()),
            WaitEnd::Doubt if self.asked => lost(self.silent()),
            WaitEnd::Doubt => {
                self.asked = true;
                self.until = Instant::now() + self.patience;
                match timeout_at(self.until, self.stream.request_progress()).await {
                    Ok(Ok(())) => Ok(Vec::new()),
                    Ok(Err(error)) => lost(error.to_string()),
                    Err(_) => lost(self.silent()),
                }
            }
        }
    }

    async fn wait(&mut self) -> WaitEnd {
        tokio::select! {
            biased;
            message = self.stream.message() => WaitEnd::Message(message),
            () = sleep_until(self.until) => WaitEnd::Doubt,
            // Fails only without a pool, which this watch keeps.
            _ = self.failures.changed(), if self.pool.has_others() => WaitEnd::Failed,
        }
    }

    /// Lets other calls avoid the endpoint; returns the reason for the end of this watch.
    fn silent(&self) -> String {
        let why = format!("no sign of life within {:?}", self.patience);
        self.pool.failed(self.endpoint, &why);
        why
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
