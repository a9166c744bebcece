//! Polls that one replica requests and the leader makes (ADR 6). Only the leader polls, so that a
//! server has one poll at a time, and the store is the replicas' only shared medium. `polls/SERVER`
//! is a request; the leader deletes it after it has written the result of the poll.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use usher_model::{id::ServerId, revision::Revision};
use usher_runtime::{clock, tasks::TaskGroup};

use super::{
    change_feed::ChangeFeed,
    epoch_writer::EpochWriter,
    fleet_handle::FleetHandle,
    leadership::Leadership,
    poller::RunningPollers,
    prefix_follower::{PrefixFollower, PrefixUpdate},
};
use crate::ports::{KeyChange, Store, StoreEntry, StoreError, StoreTxn, TxnGuard, TxnWrite};

/// Prefix of the requests' keys.
const PREFIX: &str = "polls/";
/// Longest wait until this replica has applied the leader's write.
const SEE_WITHIN: Duration = Duration::from_secs(2);

/// The reason why a requested poll was not seen.
#[derive(Debug, thiserror::Error)]
pub enum PollRequestError {
    /// The store did not take the request, or is unreachable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No replica leads, or the leader did not make the poll in time.
    #[error("no leader has made the poll in time")]
    Late,
}

/// Requests polls and answers requests; clones share one state.
#[derive(Clone)]
pub struct PollRequests {
    store: Arc<dyn Store>,
    writer: EpochWriter,
    fleet: FleetHandle,
    feed: ChangeFeed,
    leadership: Leadership,
    pollers: RunningPollers,
    tasks: TaskGroup,
}

impl PollRequests {
    /// Returns requests through `store` that `pollers` answers while this replica leads.
    pub fn new(
        (store, writer): (Arc<dyn Store>, EpochWriter),
        (fleet, feed): (FleetHandle, ChangeFeed),
        leadership: Leadership,
        pollers: RunningPollers,
        tasks: TaskGroup,
    ) -> Self {
        Self { store, writer, fleet, feed, leadership, pollers, tasks }
    }

    /// Requests a poll of a server from the leader, and returns when `fleet` shows the result.
    ///
    /// # Errors
    /// The store could not take the request, or the result was not there by `deadline`. The request
    /// then remains in the store, and the next leader makes the poll.
    pub async fn ask(&self, server: &ServerId, deadline: Instant) -> Result<(), PollRequestError> {
        tokio::time::timeout_at(deadline.into(), self.asked(server))
            .await
            .unwrap_or(Err(PollRequestError::Late))
    }

    async fn asked(&self, server: &ServerId) -> Result<(), PollRequestError> {
        let key = format!("{PREFIX}{server}");
        let ask = StoreTxn {
            guards: Vec::new(),
            writes: vec![TxnWrite::Put(key.clone(), Bytes::from_static(b"1"))],
        };
        let epoch = self.fleet.revision().epoch;
        self.writer.commit_one(ask).await?; // never refused: the transaction has no guards of its own
        let mut request = PrefixFollower::new(&self.feed, Arc::clone(&self.store), &key);
        loop {
            let answered_at = match request.next().await {
                PrefixUpdate::All(listing) => {
                    listing.entries.iter().all(|entry| entry.key != key).then_some(listing.revision)
                }
                PrefixUpdate::Changed(batch) => {
                    let is_answer = |change: &KeyChange| matches!(change, KeyChange::Delete { key: gone } if *gone == key);
                    batch.changes.iter().any(is_answer).then_some(batch.revision)
                }
            };
            if let Some(revision) = answered_at {
                let _ = self.fleet.reach(Revision::new(epoch, revision), SEE_WITHIN).await; // the poll is done, applied in time or not
                return Ok(());
            }
        }
    }

    /// Answers requests while this replica leads, until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut roles = self.leadership.changes();
        loop {
            roles.mark_unchanged();
            let answering = async {
                if self.leadership.leads() { self.answer().await } else { std::future::pending().await }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = roles.changed() => changed?,
                () = answering => {}
            }
        }
    }

    /// Answers the existing requests, then the new ones. Never returns.
    async fn answer(&self) {
        let mut asks = PrefixFollower::new(&self.feed, Arc::clone(&self.store), PREFIX);
        loop {
            match asks.next().await {
                PrefixUpdate::All(listing) => listing.entries.iter().for_each(|entry| self.take(entry)),
                PrefixUpdate::Changed(batch) => batch.changes.iter().for_each(|change| match change {
                    KeyChange::Put(entry) => self.take(entry),
                    KeyChange::Delete { .. } => {}
                }),
            }
        }
    }

    /// Makes a poll and deletes its request. A request that was renewed meanwhile remains for a
    /// poll of its own.
    fn take(&self, entry: &StoreEntry) {
        let (asks, key, revision) = (self.clone(), entry.key.clone(), entry.mod_revision);
        self.tasks.spawn_short("poll ask", async move {
            let server = key.strip_prefix(PREFIX).and_then(|id| ServerId::parse(id).ok());
            if let Some(server) = server
                && let Err(error) = asks.pollers.poll_now(&server).await
            {
                debug!(%server, %error, "requested poll not made");
            }
            let Some(token) = asks.leadership.token(clock::now()) else { return };
            let guards = vec![TxnGuard::Unchanged(key.clone(), revision), TxnGuard::Fence(token)];
            let answered = StoreTxn { guards, writes: vec![TxnWrite::Delete(key)] };
            if let Err(error) = asks.writer.commit_one(answered).await {
                warn!(%error, "poll request not deleted, its poll is repeated");
            }
        });
    }
}
