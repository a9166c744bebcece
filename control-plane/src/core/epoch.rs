//! Which life of the store a decision was made in.

use super::plan::Event;

/// Age of the newest sample above which nobody can say what runs, milliseconds.
const LEFT_ALONE_MS: i64 = 10 * 60 * 1000;

/// One life of the store: it begins when the store is made, found restored or found robbed, and
/// with it a new random number. Revisions of different epochs are not ordered, and what was decided
/// in one must not be written in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch {
    /// Names it; 0 before the store was first read.
    pub number: u64,
    /// Revision that began it: what was written at or before this belongs to an earlier life and
    /// proves nothing about what runs now.
    pub begun: u64,
}

impl Epoch {
    /// Tells whether a store has been left alone for so long that what it says of the servers is
    /// history: no server was asked in the last ten minutes, although some were in this epoch. That is
    /// a fleet whose control planes were all away, or a backup put back in place while they were. Only
    /// here an age is taken by the wall clock: a clock that is wrong costs one round of polls.
    pub fn left_alone(self, listing: &[Event], now_ms: i64) -> bool {
        let mut samples = listing.iter().filter_map(|event| match event {
            Event::Sample(_, Some(stored)) if stored.modified > self.begun => Some(stored.value.taken_at_ms),
            _ => None,
        });
        let is_old = |taken_at_ms: i64| now_ms.saturating_sub(taken_at_ms) > LEFT_ALONE_MS;
        samples.next().is_some_and(is_old) && samples.all(is_old)
    }
}

#[cfg(test)]
mod tests {
    use usher_common::server::Sample;

    use super::*;
    use crate::core::{plan::Stored, testkit};

    fn taken(server: &str, taken_at_ms: i64, modified: u64) -> Event {
        let value = Sample { taken_at_ms, ..testkit::sample(1, &[]) };
        Event::Sample(testkit::sid(server), Some(Stored { value, created: 1, modified }))
    }

    #[test]
    fn f9_a_store_that_nobody_polled_for_long_proves_nothing() {
        let (epoch, now) = (Epoch { number: 7, begun: 10 }, 100 * LEFT_ALONE_MS);
        let old = now - LEFT_ALONE_MS - 1;
        assert!(!epoch.left_alone(&[], now), "a new store");
        assert!(epoch.left_alone(&[taken("a", old, 11), taken("b", 0, 12)], now));
        assert!(!epoch.left_alone(&[taken("a", old, 11), taken("b", now, 12)], now), "somebody polls");
        assert!(!epoch.left_alone(&[taken("a", old, 10)], now), "the epoch has begun after it");
        assert!(!epoch.left_alone(&[taken("a", now + old, 11)], now), "of a clock that was ahead");
    }
}
