//! How long something has stood, on no clock that can jump.
//!
//! `zombie_ttl` is a day, so it has to survive restarts and a change of leader; a wall clock that is
//! set forward, or a new leader whose clock is wrong, must not cut it short. So what is stored is a
//! length of time, which the leader writes on now and then, and every replica adds what its own
//! monotonic clock has measured since. Time that nobody saw pass is not counted: an age is at most
//! the true one.

use std::time::{Duration, Instant};

/// How long one thing has stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersistedAge {
    since_ms: i64,
    stood_ms: u64,
    seen: Instant,
}

impl PersistedAge {
    /// Takes over what is stored: `since_ms` tells one entry from the next at the same place,
    /// `stood_ms` is how long it had stood when that was written. An entry that was merely written
    /// anew goes on from when it was first seen.
    pub fn follow(before: Option<Self>, since_ms: i64, stood_ms: u64, now: Instant) -> Self {
        let same = before.filter(|old| (old.since_ms, old.stood_ms) == (since_ms, stood_ms));
        same.unwrap_or(Self { since_ms, stood_ms, seen: now })
    }

    /// Returns how long it has stood at least.
    pub fn age(&self, now: Instant) -> Duration {
        Duration::from_millis(self.stood_ms) + now.saturating_duration_since(self.seen)
    }

    /// Returns the age to be written down, if `step` has passed that is not.
    pub fn to_write(&self, now: Instant, step: Duration) -> Option<u64> {
        let unwritten = now.saturating_duration_since(self.seen) >= step;
        unwritten.then(|| u64::try_from(self.age(now).as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn an_age_goes_on_from_what_was_written_and_never_counts_time_twice() {
        let start = Instant::now();
        let first = PersistedAge::follow(None, 7, 0, start);
        assert_eq!(first.age(start + HOUR), HOUR);
        assert_eq!(first.to_write(start + HOUR / 2, HOUR), None);
        let written = first.to_write(start + HOUR, HOUR).unwrap();
        let next = PersistedAge::follow(Some(first), 7, written, start + HOUR);
        assert_eq!(next.age(start + HOUR * 2), HOUR * 2);
        let moved = PersistedAge::follow(Some(next), 7, written, start + HOUR * 2);
        assert_eq!(moved.age(start + HOUR * 2), HOUR * 2, "the same entry, written for another reason");
        let restarted = PersistedAge::follow(None, 7, written, start + HOUR * 9);
        assert_eq!(restarted.age(start + HOUR * 10), HOUR * 2, "nobody saw the time in between");
        let another = PersistedAge::follow(Some(next), 8, 0, start + HOUR * 2);
        assert_eq!(another.age(start + HOUR * 2), Duration::ZERO);
    }
}
