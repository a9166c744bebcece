//! The rebuild after a loss of stored state (design 11): polls find the running meetings. Until
//! then an id without a record is not placed, because its meeting may run already.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use usher_model::{id::ServerId, server::AdminState};

use crate::core::fleet::{Fleet, FleetServer};

/// The servers that were polled in the current epoch of the store.
#[derive(Debug)]
pub(super) struct RebuildProgress {
    patience: Duration,
    /// The last epoch whose rebuild has ended.
    over: AtomicU64,
    seen: Mutex<FirstSeen>,
}

/// The servers of one epoch, with the time at which each was first seen.
#[derive(Debug, Default)]
struct FirstSeen {
    epoch: u64,
    since: HashMap<ServerId, Instant>,
}

impl RebuildProgress {
    /// Gives each server `patience` from the time at which it is first seen.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, over: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// Returns whether a server may still run meetings without a record. The rebuild of an epoch
    /// ends once all servers were polled; later servers' meetings are adopted in the ordinary way.
    pub(super) fn goes_on(&self, fleet: &Fleet, now: Instant) -> bool {
        let epoch = fleet.revision().epoch;
        if self.over.load(Ordering::Acquire) == epoch {
            return false;
        }
        let used: Vec<&FleetServer> =
            fleet.servers().filter(|server| server.admin() != AdminState::Disabled).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.epoch != epoch {
            *seen = FirstSeen { epoch, since: HashMap::new() };
        }
        let waiting = used.iter().any(|server| {
            let since = *seen.since.entry(server.id().clone()).or_insert(now);
            !fleet.has_tried(server) && now.saturating_duration_since(since) < self.patience
        });
        if !waiting && !used.is_empty() {
            self.over.store(epoch, Ordering::Release);
        }
        waiting
    }
}
