//! At most one passive failure per server and interval reaches the store (A3, H9).

use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use usher_model::id::ServerId;

/// When a passive failure of each server was last taken.
#[derive(Debug, Clone)]
pub struct PassiveFailureGate {
    last: HashMap<ServerId, Instant>,
}

impl Default for PassiveFailureGate {
    fn default() -> Self {
        Self { last: HashMap::new() }
    }
}

impl PassiveFailureGate {
    /// Returns whether a failure that is reported now is to be judged, and notes it in that case.
    pub fn admit(&mut self, server: &ServerId, now: Instant, interval: Duration) -> bool {
        self.last.retain(|_, at| now.saturating_duration_since(*at) < interval);
        if self.last.contains_key(server) {
            return false;
        }
        self.last.insert(server.clone(), now);
        true
    }
}
