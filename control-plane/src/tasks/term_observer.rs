//! Observes the leadership: on a replica that does not lead, so that the samples which the leader keeps
//! stay fresh there without a write (ADR 34), and on the leader, which would otherwise learn from the
//! next refused write only that its election key is gone.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::debug;
use usher_model::{
    revision::{FencingToken, Revision},
    server::{HealthRecord, ServerSample},
};
use usher_runtime::clock;

use super::{fleet_handle::FleetHandle, leadership::Leadership};
use crate::{
    ports::{Store, StoreError},
    store::keys,
};

/// Longest wait until the fleet has applied the revision of the reading. If other programs write to
/// the store too, the fleet may never reach it.
const SEE_WITHIN: Duration = Duration::from_millis(500);
/// Shortest interval between two readings.
const LEAST: Duration = Duration::from_millis(50);

/// The task that observes the leadership.
pub struct TermObserver {
    store: Arc<dyn Store>,
    fleet: FleetHandle,
    leadership: Leadership,
    every: Duration,
    patience: Duration,
}

impl TermObserver {
    /// Returns a task that reads the election twice in each polling interval, and gives each reading
    /// `patience`.
    pub fn new(
        store: Arc<dyn Store>,
        fleet: FleetHandle,
        leadership: Leadership,
        interval: Duration,
        patience: Duration,
    ) -> Self {
        Self { store, fleet, leadership, every: (interval / 2).max(LEAST), patience }
    }

    /// Runs until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = async {
                    tokio::time::sleep(self.every).await;
                    self.observe().await;
                } => {}
            }
        }
    }

    async fn observe(&self) {
        if let Some(token) = self.leadership.token(clock::now()) {
            return self.observe_own(&token).await;
        }
        // A leader that lost the store makes no polls that count.
        if self.leadership.polls() || !self.fleet.complete() {
            return;
        }
        // The time before the reading: the store had the result then or later.
        let at = clock::now();
        let term = match tokio::time::timeout(self.patience, self.term()).await {
            Ok(Ok(term)) => term,
            Ok(Err(error)) => {
                debug!(%error, "leadership not observed, samples age");
                None
            }
            Err(_) => None,
        };
        if !self.leadership.polls() {
            self.fleet.confirm_samples(term, at);
        }
    }

    /// Doubts the leadership of this replica if its election key is not the oldest one. A leader knows
    /// its own polls, so no age changes.
    async fn observe_own(&self, token: &FencingToken) {
        let leader = tokio::time::timeout(self.patience, self.leader()).await;
        if matches!(leader, Ok(Ok((leader, _))) if leader != Some(token.create_revision)) {
            self.leadership.confirm(token).await;
        }
    }

    /// Returns the term of the present leader, and the revision at which it was read.
    async fn leader(&self) -> Result<(Option<u64>, u64), StoreError> {
        let election = self.store.read_prefix(keys::ELECTION).await?;
        Ok((election.entries.iter().map(|entry| entry.create_revision).min(), election.revision))
    }

    /// Returns the term of the present leader, once the fleet shows every result of a poll that was
    /// stored before the reading.
    async fn term(&self) -> Result<Option<u64>, StoreError> {
        let epoch = self.fleet.revision().epoch;
        let (leader, revision) = self.leader().await?;
        let reached = self.fleet.reach(Revision::new(epoch, revision), SEE_WITHIN).await.is_ok();
        if reached || self.shows_polls().await? {
            Ok(leader)
        } else {
            debug!(revision, "fleet behind the store, samples age");
            Ok(None)
        }
    }

    /// Returns whether the fleet has applied every result of a poll.
    async fn shows_polls(&self) -> Result<bool, StoreError> {
        let (counters, samples) = (keys::prefix_of::<HealthRecord>(), keys::prefix_of::<ServerSample>());
        let (health, samples) =
            tokio::try_join!(self.store.newest_change(&counters), self.store.newest_change(&samples))?;
        Ok(health.max(samples) <= self.fleet.revision().seq)
    }
}
