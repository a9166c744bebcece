//! Keeps the store from filling: the leader compacts old history, and every replica observes the
//! store's size.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use usher_model::settings::StoreSettings;
use usher_runtime::clock;

use super::{fleet_handle::FleetHandle, leadership::Leadership};
use crate::{
    core::upkeep::{HistoryHorizon, StoreSpace},
    ops::{
        alarms::{Alarm, RaisedAlarms},
        metrics::ControlPlaneMetrics,
    },
    ports::Store,
};

/// Longest interval between two observations.
const LOOK: Duration = Duration::from_secs(10);
/// Number of observations in one compaction period.
const LOOKS: u32 = 4;

/// The known size of the store; clones share it.
#[derive(Debug, Clone, Default)]
pub struct SpaceFigures(Arc<Mutex<ObservedSpace>>);

#[derive(Debug, Clone, Copy, Default)]
struct ObservedSpace {
    space: Option<StoreSpace>,
    compacted_at: Option<Instant>,
}

impl SpaceFigures {
    /// Returns the size of the store, once it was observed.
    pub fn space(&self) -> Option<StoreSpace> {
        self.known().space
    }

    /// Returns the time since this replica compacted the store's history, if it did.
    pub fn compacted(&self, now: Instant) -> Option<Duration> {
        self.known().compacted_at.map(|at| now.saturating_duration_since(at))
    }

    fn known(&self) -> ObservedSpace {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut ObservedSpace)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The task that compacts and observes the store.
pub struct StoreUpkeep {
    store: Arc<dyn Store>,
    fleet: FleetHandle,
    leadership: Leadership,
    alarms: RaisedAlarms,
    metrics: ControlPlaneMetrics,
    figures: SpaceFigures,
    horizon: HistoryHorizon,
    every: Duration,
    /// The quota in bytes that operators set; 0 if the store reports it.
    quota: u64,
}

impl StoreUpkeep {
    /// Returns a task that observes `store` and notes the result in `figures`.
    pub fn new(
        store: Arc<dyn Store>,
        fleet: FleetHandle,
        leadership: Leadership,
        (alarms, metrics, figures): (RaisedAlarms, ControlPlaneMetrics, SpaceFigures),
        settings: &StoreSettings,
    ) -> Self {
        let every = match settings.compact_every {
            Duration::ZERO => LOOK,
            period => LOOK.min(period / LOOKS),
        };
        let (horizon, quota) = (HistoryHorizon::new(settings.compact_every), settings.quota);
        Self { store, fleet, leadership, alarms, metrics, figures, horizon, every, quota }
    }

    /// Runs until asked to stop.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = async {
                    self.forget().await;
                    self.look().await;
                    tokio::time::sleep(self.every).await;
                } => {}
            }
        }
    }

    /// Compacts the history that is older than a period, if this replica leads. A follower notes
    /// the revisions too, so that it can continue when it leads.
    async fn forget(&mut self) {
        if !self.fleet.complete() {
            return;
        }
        let due = self.horizon.pass(self.fleet.revision(), clock::now());
        let Some(before) = due.filter(|_| self.leadership.token(clock::now()).is_some()) else { return };
        match self.store.compact(before).await {
            Ok(()) => {
                debug!(before, "store history compacted");
                self.figures.change(|known| known.compacted_at = Some(clock::now()));
            }
            Err(error) => warn!(%error, "store history not compacted"),
        }
    }

    async fn look(&self) {
        let Ok(space) = self.store.space().await else { return }; // `WatchedStore` counts the failure
        let space =
            StoreSpace { quota: Some(self.quota).filter(|quota| *quota > 0).or(space.quota), ..space };
        self.figures.change(|known| known.space = Some(space));
        self.metrics.space(&space, self.figures.compacted(clock::now()));
        let scarce = space.is_scarce().then(|| {
            format!(
                "the store takes {} of {} bytes, {} of them in use: at the quota it refuses new meetings. Defragment it \
                 or raise the quota, and check that history is compacted",
                space.taken,
                space.quota.unwrap_or_default(),
                space.in_use
            )
        });
        self.alarms.set(Alarm::StoreSpace, scarce);
    }
}
