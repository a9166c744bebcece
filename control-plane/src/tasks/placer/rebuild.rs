//! A store that lost what it held (design 11): what runs on the servers is found by polls, and no id
//! that has no record is placed before, because it might run already.

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

/// Whether the servers have all been asked in the epoch that the store is in.
#[derive(Debug)]
pub(super) struct Rebuild {
    patience: Duration,
    /// The last epoch whose rebuild is over.
    over: AtomicU64,
    seen: Mutex<Seen>,
}

/// The servers of one epoch, since when each is known.
#[derive(Debug, Default)]
struct Seen {
    epoch: u64,
    since: HashMap<ServerId, Instant>,
}

impl Rebuild {
    /// Gives each server `patience` from when it is first seen.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, over: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// Tells whether a server may still run meetings nobody here knows. Once all were asked it is
    /// over for this epoch: servers that come later are adopted from as ever.
    pub(super) fn goes_on(&self, fleet: &Fleet, now: Instant) -> bool {
        let epoch = fleet.revision().epoch;
        if self.over.load(Ordering::Acquire) == epoch {
            return false;
        }
        let used: Vec<&FleetServer> =
            fleet.servers().filter(|server| server.admin() != AdminState::Disabled).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.epoch != epoch {
            *seen = Seen { epoch, since: HashMap::new() };
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
