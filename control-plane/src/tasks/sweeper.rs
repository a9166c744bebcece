//! The leader's periodic work that no poll triggers.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_runtime::clock;

use super::{leadership::Leadership, writer::PlanWriter};
use crate::{
    core::{
        epoch::Epoch,
        plan::Plan,
        reconcile::{MissingServer, SweepPlan, sweep},
    },
    ops::metrics::ControlPlaneMetrics,
    ports::TxnVerdict,
};

/// Sweeps the fleet at an interval while this replica leads.
pub struct FleetSweeper {
    writer: PlanWriter,
    leadership: Leadership,
    metrics: ControlPlaneMetrics,
    every: Duration,
}

impl FleetSweeper {
    /// Returns a sweeper that writes by `writer`.
    pub fn new(
        writer: PlanWriter,
        leadership: Leadership,
        metrics: ControlPlaneMetrics,
        every: Duration,
    ) -> Self {
        Self { writer, leadership, metrics, every }
    }

    /// Sweeps until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.every) => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        if self.leadership.token(clock::now()).is_none() {
            return;
        }
        let (SweepPlan { plans, abandoned, drained }, epoch) = self.writer.fleet().read(|fleet| {
            // A store that is filled again key by key has records before it has their servers.
            let awaits = self.writer.fleet().awaits_more(fleet, clock::now());
            let missing = if awaits { MissingServer::Awaited } else { MissingServer::Removed };
            (sweep(fleet, missing, self.writer.now()), fleet.epoch())
        });
        for server in drained {
            info!(%server, "cordoned server is empty, disabled");
        }
        self.commit(plans, epoch).await;
        let abandoned = self.commit(abandoned, epoch).await;
        if abandoned > 0 {
            info!(abandoned = abandoned, "zombies and detached records abandoned");
            self.metrics.abandoned(abandoned);
        }
    }

    /// Commits plans until the store fails; returns the number of committed plans.
    async fn commit(&self, plans: Vec<Plan>, epoch: Epoch) -> u64 {
        let mut committed = 0;
        for plan in plans.iter().filter(|plan| !plan.is_empty()) {
            let Some(token) = self.leadership.token(clock::now()) else { break };
            match self.writer.commit_once(plan, &token, epoch).await {
                Ok(TxnVerdict::Committed(_)) => committed += 1,
                Ok(TxnVerdict::Refused(_)) => {} // the next sweep decides the plan again
                Err(error) => {
                    warn!(%error, "sweep stopped");
                    break;
                }
            }
        }
        committed
    }
}
