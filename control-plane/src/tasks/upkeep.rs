//! Keeps the store from filling: the leader compacts old history, and every replica observes the
//! store's size.

mod retired_keys;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use usher_model::{revision::FencingToken, settings::StoreSettings};
use usher_runtime::clock;

use super::{epoch_writer::EpochWriter, fleet_handle::FleetHandle, leadership::Leadership};
use crate::{
    core::upkeep::{HistoryHorizon, ShrinkWatch, StoreSpace},
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
    shrinks: ShrinkWatch,
    /// The token under which no retired key was left.
    tidied: Option<FencingToken>,
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
        Self {
            store,
            fleet,
            leadership,
            alarms,
            metrics,
            figures,
            horizon,
            shrinks: ShrinkWatch::default(),
            tidied: None,
            every,
            quota,
        }
    }

    /// Runs until asked to stop.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = async {
                    self.tidy().await;
                    self.forget().await;
                    self.look().await;
                    tokio::time::sleep(self.every).await;
                } => {}
            }
        }
    }

    /// Removes retired keys, once in each leadership: a replica of an older version may have led
    /// before.
    async fn tidy(&mut self) {
        let Some(token) = self.leadership.token(clock::now()) else { return };
        if self.tidied.as_ref() == Some(&token) || !self.fleet.complete() {
            return;
        }
        let writer = EpochWriter::new(Arc::clone(&self.store), self.fleet.clone());
        loop {
            match retired_keys::remove_some(self.store.as_ref(), &writer, token.clone()).await {
                Ok(true) => break self.tidied = Some(token),
                Ok(false) if self.leadership.token(clock::now()).as_ref() == Some(&token) => {}
                Ok(false) => break,
                Err(error) => break warn!(%error, "retired keys not removed"),
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

    async fn look(&mut self) {
        let Ok(space) = self.store.space().await else { return }; // `WatchedStore` counts the failure
        let space =
            StoreSpace { quota: Some(self.quota).filter(|quota| *quota > 0).or(space.quota), ..space };
        self.figures.change(|known| known.space = Some(space));
        let now = clock::now();
        self.metrics.space(&space, self.figures.compacted(now), self.shrinks.observe(&space, now));
        self.alarms.set(Alarm::StoreSpace, warning(&space));
    }
}

/// Returns the text of the alarm, with the remedy; `None` while there is space.
fn warning(space: &StoreSpace) -> Option<String> {
    if space.corrupt {
        return Some("a member of the store reports corrupt data and takes no writes: replace it".into());
    }
    if space.no_space {
        return Some(format!(
            "the store has used up its quota and refuses new meetings; it takes {} bytes now, {} of them in use. \
             Free space, then disarm its alarm: docs/operate/store.md",
            space.taken, space.in_use
        ));
    }
    space.is_scarce().then(|| {
        format!(
            "the store takes {} of {} bytes, {} of them in use: at the quota it refuses new meetings. Defragment it \
             or raise the quota, and check that history is compacted",
            space.taken,
            space.quota.unwrap_or_default(),
            space.in_use
        )
    })
}
