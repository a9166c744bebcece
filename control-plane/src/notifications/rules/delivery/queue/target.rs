//! One target: how much is under way to it, and whether it can be reached.

use std::time::{Duration, Instant};

/// A target while something waits for it.
#[derive(Debug)]
pub(super) struct QueueTarget {
    /// Deliveries that wait for it, those under way included.
    pub(super) waiting: usize,
    pub(super) in_flight: usize,
    /// Tries in a row that did not reach it.
    failures: u32,
    opens: Instant,
    created: Instant,
}

impl QueueTarget {
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: 0, in_flight: 0, failures: 0, opens: now, created: now }
    }

    /// Notes that the target was unreachable. Until the pause has passed no attempt goes there, and
    /// then one at a time.
    pub(super) fn failed(&mut self, now: Instant, pause: impl FnOnce(u32) -> Duration) {
        // Tries that were under way together are one failure.
        if now >= self.opens || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
            self.opens = now + pause(self.failures);
        }
    }

    /// Notes that the target answered, or that an operator requests an attempt: every delivery may go
    /// there.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    pub(super) fn is_down(&self) -> bool {
        self.failures > 0
    }

    /// Returns whether one more attempt may begin.
    pub(super) fn has_room(&self, per_target: usize, now: Instant) -> bool {
        if self.is_down() { self.in_flight == 0 && self.opens <= now } else { self.in_flight < per_target }
    }

    /// Returns from when on a try may begin; none while that depends on tries under way. Without
    /// failures that is any time.
    pub(super) fn opens(&self, per_target: usize) -> Option<Instant> {
        match (self.is_down(), self.in_flight) {
            (true, 0) => Some(self.opens),
            (true, _) => None,
            (false, flying) => (flying < per_target).then_some(self.created),
        }
    }
}
