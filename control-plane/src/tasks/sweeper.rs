//! The leader's housekeeping: what no poll brings about.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_common::runtime::clock;

use super::{leadership::Leadership, writer::Writer};
use crate::core::reconcile::{Sweep, sweep};

/// Sweeps every few seconds while this replica leads.
pub struct Sweeper {
    writer: Writer,
    leadership: Leadership,
    every: Duration,
}

impl Sweeper {
    /// Sweeps by `writer`.
    pub fn new(writer: Writer, leadership: Leadership, every: Duration) -> Self {
        Self { writer, leadership, every }
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
        let Sweep { plans, given_up, drained } =
            self.writer.fleet().read(|fleet| sweep(fleet, self.writer.now()));
        if given_up > 0 {
            info!(given_up, "zombies and detached records given up");
        }
        for server in drained {
            info!(%server, "cordoned and empty: disabled");
        }
        for plan in plans.iter().filter(|plan| !plan.is_empty()) {
            let Some(token) = self.leadership.token(clock::now()) else { return };
            if let Err(error) = self.writer.commit_once(plan, &token).await {
                warn!(%error, "sweeping stopped");
                return;
            }
        }
    }
}
