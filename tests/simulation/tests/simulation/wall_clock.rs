//! Wall clocks that follow simulated time, and jump on command.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use usher_runtime::clock::WallClock;

/// The start of every history: in November 2026.
const BEGIN: Duration = Duration::from_secs(1_795_000_000);

/// The clock of one machine; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SimWallClock {
    started: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl SimWallClock {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), ahead_ms: Arc::default() }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        let passed = BEGIN + self.started.elapsed();
        passed.as_millis() as i64 + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Sets the clock to the true time plus this offset.
    pub(crate) fn set_ahead(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// Returns the clock in the form that the product reads.
    pub(crate) fn port(&self) -> WallClock {
        let wall = self.clone();
        let since = move || SystemTime::UNIX_EPOCH + Duration::from_millis(wall.now_ms().max(0) as u64);
        WallClock::new(since)
    }
}
