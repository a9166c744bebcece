//! "Is it me?": when most servers fail at once, the fault is probably on our side (H10, A7-4).

use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use usher_common::id::ServerId;

use crate::core::policy::Policy;

/// Whether failures are believed to say something about the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// They are.
    None,
    /// Most servers fail: probably we are cut off. Nothing turns red.
    Us,
    /// Most servers have failed for so long that they are believed after all.
    HeldTooLong,
}

/// The latest check of each server, as the leader saw it.
#[derive(Debug, Clone)]
pub struct MassGuard {
    checks: HashMap<ServerId, (bool, Instant)>,
    since: Option<Instant>,
}

impl Default for MassGuard {
    fn default() -> Self {
        Self { checks: HashMap::new(), since: None }
    }
}

impl MassGuard {
    /// Notes the outcome of a check and judges the whole. Checks older than two intervals no longer
    /// count: their servers are not polled any more.
    pub fn record(&mut self, server: &ServerId, ok: bool, now: Instant, policy: &Policy) -> Suspicion {
        self.checks.insert(server.clone(), (ok, now));
        let window = policy.interval * 2;
        self.checks.retain(|_, (_, at)| now.saturating_duration_since(*at) <= window);
        let failed = self.checks.values().filter(|(ok, _)| !ok).count();
        if failed as f64 > policy.mass_failure_guard * self.checks.len() as f64 {
            self.since.get_or_insert(now);
        } else {
            self.since = None;
        }
        self.suspicion(now, policy.mass_hold)
    }

    /// Judges without a new check, for the alarm `suspect_self`.
    pub fn suspicion(&self, now: Instant, hold: Duration) -> Suspicion {
        match self.since {
            None => Suspicion::None,
            Some(since) if now.saturating_duration_since(since) < hold => Suspicion::Us,
            Some(_) => Suspicion::HeldTooLong,
        }
    }
}
