//! The pending calls of this process to other programs, so that a call that hangs is reported while it hangs (C5).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The age from which a pending call is reported.
const LOUD_AFTER: Duration = Duration::from_secs(2);
/// The time between two searches for such calls.
const LOOK: Duration = Duration::from_secs(1);

/// The list of pending calls. Clones share the list. One process has one list, see
/// [`OpsHandle::pending`](super::ops::OpsHandle::pending).
#[derive(Debug, Clone, Default)]
pub struct PendingCalls(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    /// Calls by their number, so that the first one is the oldest.
    open: BTreeMap<u64, Call>,
}

#[derive(Debug, Clone)]
struct Call {
    target: String,
    name: &'static str,
    phase: &'static str,
    since: Instant,
    warned_at: Duration,
}

/// Removes its call from the list when it is dropped.
#[derive(Debug)]
pub struct PendingGuard {
    calls: PendingCalls,
    id: u64,
}

/// A call that has been pending for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueCall {
    /// Target of the call.
    pub target: String,
    /// Name of the called function.
    pub name: &'static str,
    /// Part of the call that is awaited.
    pub phase: &'static str,
    /// Age of the call.
    pub age: Duration,
}

impl PendingCalls {
    /// Adds a call to the list until the guard is dropped. `target` must not have secrets or queries (I14).
    pub fn enter(&self, target: impl Into<String>, name: &'static str) -> PendingGuard {
        let target = target.into();
        let mut calls = self.lock();
        let id = calls.next;
        calls.next += 1;
        let (since, warned_at) = (crate::clock::now(), Duration::ZERO);
        calls.open.insert(id, Call { target, name, phase: "request", since, warned_at });
        PendingGuard { calls: self.clone(), id }
    }

    /// Returns the age of the oldest call, or zero without calls.
    pub fn oldest(&self, now: Instant) -> Duration {
        let calls = self.lock();
        calls.open.values().next().map(|call| now.saturating_duration_since(call.since)).unwrap_or_default()
    }

    /// Returns the calls to warn about now: each call at an age of two seconds and each time its age has doubled.
    pub fn overdue(&self, now: Instant) -> Vec<OverdueCall> {
        let mut calls = self.lock();
        let mut found = Vec::new();
        for call in calls.open.values_mut() {
            let age = now.saturating_duration_since(call.since);
            if age < LOUD_AFTER {
                break; // those that follow are younger
            }
            if age >= call.warned_at * 2 {
                call.warned_at = age;
                let Call { name, phase, .. } = *call;
                found.push(OverdueCall { target: call.target.clone(), name, phase, age });
            }
        }
        found
    }

    /// Logs overdue calls until `stop`. If several tasks watch one list, each call is reported once.
    ///
    /// # Errors
    /// None.
    pub async fn watch(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            for OverdueCall { target, name, phase, age } in self.overdue(crate::clock::now()) {
                warn!(target_name = %target, call = name, phase, ?age, "call is pending");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingGuard {
    /// Records that the call now waits for another part, such as the answer after the request.
    pub fn phase(&self, phase: &'static str) {
        if let Some(call) = self.calls.lock().open.get_mut(&self.id) {
            call.phase = phase;
        }
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.calls.lock().open.remove(&self.id);
    }
}

/// Exports the age of the oldest call. The age is computed at each scrape.
impl Collector for PendingCalls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = ConstGauge::new(self.oldest(crate::clock::now()).as_secs_f64());
        let help = "Age of the oldest call to a server or the store that is under way";
        let name = "usher_inflight_oldest_seconds";
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_a_call_that_hangs_is_reported_at_two_seconds_and_at_every_doubling() {
        let pending = PendingCalls::default();
        let start = Instant::now();
        let guard = pending.enter("server bbb1", "getMeetings");
        assert!(pending.overdue(start + Duration::from_secs(1)).is_empty());
        let loud = pending.overdue(start + Duration::from_secs(3));
        assert_eq!((loud.len(), loud[0].target.as_str(), loud[0].name), (1, "server bbb1", "getMeetings"));
        assert!(pending.overdue(start + Duration::from_secs(4)).is_empty(), "not every time");
        guard.phase("answer");
        let loud = pending.overdue(start + Duration::from_secs(7));
        assert_eq!((loud.len(), loud[0].phase), (1, "answer"));
        assert!(pending.oldest(start + Duration::from_secs(7)) >= Duration::from_secs(6));
        drop(guard);
        assert_eq!(pending.oldest(start + Duration::from_mins(1)), Duration::ZERO);
    }

    #[test]
    fn c5_calls_are_known_from_their_start_to_their_end() {
        let (pending, later) = (PendingCalls::default(), Instant::now() + Duration::from_mins(1));
        let first = pending.enter("server a", "create");
        let second = pending.enter("store", "commit");
        drop(first);
        assert!(pending.oldest(later) > Duration::ZERO, "the second is under way");
        drop(second);
        assert_eq!(pending.oldest(later), Duration::ZERO);
    }
}
