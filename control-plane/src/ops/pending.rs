//! Calls that are under way, so that one that hangs is seen while it hangs (C5).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::warn;

/// Age from which a pending call is reported.
const LOUD_AFTER: Duration = Duration::from_secs(2);

/// The calls that are under way in this process.
#[derive(Debug, Clone, Default)]
pub struct Pending(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    open: BTreeMap<u64, Call>,
}

#[derive(Debug, Clone)]
struct Call {
    target: String,
    phase: &'static str,
    since: Instant,
    warned_at: Duration,
}

/// Takes its call off the list when dropped.
#[derive(Debug)]
pub struct PendingGuard {
    calls: Pending,
    id: u64,
}

/// A call that has been pending for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Whom it calls.
    pub target: String,
    /// What it waits for.
    pub phase: &'static str,
    /// For how long.
    pub age: Duration,
}

impl Pending {
    /// Lists a call until the guard is dropped. `target` must not hold secrets or queries.
    pub fn enter(&self, target: impl Into<String>, phase: &'static str) -> PendingGuard {
        let mut calls = self.lock();
        let id = calls.next;
        calls.next += 1;
        let call = Call { target: target.into(), phase, since: Instant::now(), warned_at: Duration::ZERO };
        calls.open.insert(id, call);
        PendingGuard { calls: self.clone(), id }
    }

    /// Returns the age of the oldest call.
    pub fn oldest(&self, now: Instant) -> Duration {
        let calls = self.lock();
        calls.open.values().map(|call| now.saturating_duration_since(call.since)).max().unwrap_or_default()
    }

    /// Returns the calls to warn about now: each at two seconds and whenever its age has doubled.
    pub fn overdue(&self, now: Instant) -> Vec<Overdue> {
        let mut calls = self.lock();
        let mut found = Vec::new();
        for call in calls.open.values_mut() {
            let age = now.saturating_duration_since(call.since);
            if age >= LOUD_AFTER.max(call.warned_at * 2) {
                call.warned_at = age;
                found.push(Overdue { target: call.target.clone(), phase: call.phase, age });
            }
        }
        found
    }

    /// Logs every overdue call.
    pub fn warn_overdue(&self, now: Instant) {
        for Overdue { target, phase, age } in self.overdue(now) {
            warn!(target_name = %target, phase, age_ms = age.as_millis() as u64, "call pending");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.calls.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_a_call_that_hangs_is_reported_at_two_seconds_and_at_every_doubling() {
        let pending = Pending::default();
        let start = Instant::now();
        let guard = pending.enter("server bbb1", "getMeetings");
        assert!(pending.overdue(start + Duration::from_secs(1)).is_empty());
        let loud = pending.overdue(start + Duration::from_secs(3));
        assert_eq!((loud.len(), loud[0].target.as_str(), loud[0].phase), (1, "server bbb1", "getMeetings"));
        assert!(pending.overdue(start + Duration::from_secs(4)).is_empty(), "not every time");
        assert_eq!(pending.overdue(start + Duration::from_secs(7)).len(), 1);
        assert!(pending.oldest(start + Duration::from_secs(7)) >= Duration::from_secs(6));
        drop(guard);
        assert_eq!(pending.oldest(start + Duration::from_mins(1)), Duration::ZERO);
    }
}
