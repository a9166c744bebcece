//! The candidate: campaigns for the lease, keeps it, and stops acting before it can have run out
//! (X3).

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::warn;
use usher_runtime::clock;

use super::{
    backoff::Backoff,
    leadership::{Leadership, ReplicaRole},
    poll_duties::PollDuties,
};
use crate::{
    core::lease::LeaseClock,
    ops::metrics::ControlPlaneMetrics,
    ports::{LeaderLease, Store, StoreError},
};

/// Longest time to hand the lease over at shutdown.
const RESIGN_WITHIN: Duration = Duration::from_secs(2);

/// The task that campaigns and leads.
pub struct LeaderTask {
    store: Arc<dyn Store>,
    candidate: String,
    ttl: Duration,
    leadership: Leadership,
    duties: PollDuties,
    metrics: ControlPlaneMetrics,
}

/// The reason why a term ended.
enum TermEnd {
    /// This replica is stopping.
    Stopping,
    /// Another replica may lead now.
    Lost,
    /// This replica has led without polling a server, or without writing the result (ADR 34).
    Idle,
    /// The store was unreachable for too long. Most likely no replica leads, because the others
    /// cannot reach the store either.
    Stranded,
}

impl LeaderTask {
    /// Returns a task that leads as `candidate`.
    pub fn new(
        store: Arc<dyn Store>,
        candidate: String,
        ttl: Duration,
        leadership: Leadership,
        duties: PollDuties,
        metrics: ControlPlaneMetrics,
    ) -> Self {
        Self { store, candidate, ttl, leadership, duties, metrics }
    }

    /// Campaigns and leads until asked to stop, then resigns.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(100), self.ttl);
        loop {
            let campaign = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                campaign = self.store.campaign(&self.candidate, self.ttl) => campaign,
                () = self.watch_others() => return Ok(()),
            };
            match campaign {
                Ok(lease) => {
                    backoff.reset();
                    if let TermEnd::Stopping = self.lead(lease, &stop).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    warn!(%error, "campaign failed");
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(backoff.pause()) => {}
                    }
                }
            }
        }
    }

    /// Makes a stranded leader a follower when another replica leads. Never returns.
    async fn watch_others(&self) {
        loop {
            tokio::time::sleep(self.ttl).await;
            if !self.leadership.polls() {
                continue;
            }
            let leader = tokio::time::timeout(self.ttl, self.store.leader()).await;
            if matches!(leader, Ok(Ok(Some(other))) if other != self.candidate) {
                self.leadership.step_down(ReplicaRole::Follower);
            }
        }
    }

    async fn lead(&self, mut lease: Box<dyn LeaderLease>, stop: &CancellationToken) -> TermEnd {
        // The election may have taken any time, so the lease may be old: the first act is to renew
        // it.
        let mut clock = LeaseClock::new(self.ttl, clock::now());
        let mut renew_at = clock::now();
        let mut doubts = self.leadership.doubts();
        self.duties.begin();
        let end = loop {
            tokio::select! {
                () = stop.cancelled() => break TermEnd::Stopping,
                () = tokio::time::sleep_until(renew_at.into()) => {}
                // A fenced write was refused: the election key may be gone.
                Ok(()) = doubts.changed() => {}
            }
            let (sent, raised) = (clock::now(), *doubts.borrow_and_update());
            if !clock.may_act(sent) {
                break TermEnd::Stranded;
            }
            if let Some(server) = self.duties.overdue(sent) {
                warn!(%server, "no poll of a server was stored in time, leadership given up");
                break TermEnd::Idle;
            }
            let budget = clock.stop_at().saturating_duration_since(sent);
            match tokio::time::timeout(budget, lease.keep_alive()).await {
                Ok(Ok(ttl)) => {
                    clock.acknowledged(sent, ttl);
                    renew_at = clock.renew_at();
                    self.leadership.renewed(lease.token(), clock);
                    self.leadership.settle(raised);
                    self.metrics.leads(true);
                }
                Ok(Err(StoreError::Rejected(reason))) => {
                    warn!(reason, "lease lost");
                    break TermEnd::Lost;
                }
                Ok(Err(error)) => {
                    warn!(%error, "lease not renewed");
                    renew_at = clock::now() + self.ttl / 20;
                }
                Err(_) => warn!("lease not renewed in time"),
            }
        };
        self.metrics.leads(false);
        match end {
            TermEnd::Stranded => {
                warn!("leadership suspended, lease not acknowledged");
                self.leadership.step_down(ReplicaRole::Stranded);
            }
            TermEnd::Lost | TermEnd::Idle | TermEnd::Stopping => {
                self.leadership.step_down(ReplicaRole::Follower);
            }
        }
        if let TermEnd::Stopping | TermEnd::Idle = end
            && !matches!(tokio::time::timeout(RESIGN_WITHIN, lease.resign()).await, Ok(Ok(())))
        {
            warn!("resignation failed, lease runs out");
        }
        end
    }
}
