//! The age of a stored entry, on no clock that can jump.
//!
//! `zombie_ttl` is a day, so that an age has to survive restarts and a change of leader; a wall clock
//! that is set forward, or a new leader with a wrong clock, must not shorten it. Therefore the store
//! holds a length of time, which the leader writes again from time to time, and every replica adds the
//! time that its own monotonic clock has measured since. Time in which no replica ran is not counted:
//! an age is at most the true one.

use std::time::{Duration, Instant};

/// The age of one stored entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersistedAge {
    since_ms: i64,
    stood_ms: u64,
    seen: Instant,
}

impl PersistedAge {
    /// Continues from the stored values: `since_ms` distinguishes an entry from the next one under the
    /// same key, `stood_ms` is its age at the time of the write. An entry that was written again with
    /// the same values continues from the time at which this replica first saw it.
    pub fn follow(before: Option<Self>, since_ms: i64, stood_ms: u64, now: Instant) -> Self {
        let same = before.filter(|old| (old.since_ms, old.stood_ms) == (since_ms, stood_ms));
        same.unwrap_or(Self { since_ms, stood_ms, seen: now })
    }

    /// Returns the least possible age of the entry.
    pub fn age(&self, now: Instant) -> Duration {
        Duration::from_millis(self.stood_ms) + now.saturating_duration_since(self.seen)
    }

    /// Returns the age to write, in milliseconds, if at least `step` of it is not stored yet.
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
        assert_eq!(restarted.age(start + HOUR * 10), HOUR * 2, "no replica ran in between");
        let another = PersistedAge::follow(Some(next), 8, 0, start + HOUR * 2);
        assert_eq!(another.age(start + HOUR * 2), Duration::ZERO);
    }
}
