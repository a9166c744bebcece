//! What keeps a store from filling: how much of its history may be forgotten, and when a person is to be told.
//!
//! The history is what watches go on from. A follower that is away for less than one period finds it; one that
//! is away for longer lists everything anew (I9).

use std::time::{Duration, Instant};

use usher_model::revision::Revision;

/// Tenths of the quota from which on a person is told.
const SCARCE_TENTHS: u128 = 7;

/// What a store takes on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreSpace {
    /// Bytes that it takes.
    pub taken: u64,
    /// Bytes of these that hold something.
    pub in_use: u64,
    /// Bytes from which on it takes no more writes; none where that is not known, or the disk alone decides.
    pub quota: Option<u64>,
}

impl StoreSpace {
    /// Tells whether the quota is about to be used up.
    pub fn is_scarce(&self) -> bool {
        let tenths = u128::from(self.taken) * 10;
        self.quota.is_some_and(|quota| quota > 0 && tenths >= u128::from(quota) * SCARCE_TENTHS)
    }
}

/// How far back history is kept: between one period and two.
#[derive(Debug, Clone)]
pub struct HistoryHorizon {
    every: Duration,
    mark: Option<(Instant, Revision)>,
}

impl HistoryHorizon {
    /// Keeps the history of one period at least; zero keeps all of it.
    pub fn new(every: Duration) -> Self {
        Self { every, mark: None }
    }

    /// Notes where history stands. Once in a period returns where it stood a period ago: what is older may be
    /// forgotten. Another epoch is another history.
    pub fn pass(&mut self, at: Revision, now: Instant) -> Option<u64> {
        if self.every.is_zero() {
            return None;
        }
        let standing = self.mark.filter(|(_, mark)| at.reaches(*mark));
        match standing {
            Some((since, _)) if now.saturating_duration_since(since) < self.every => None,
            Some((_, mark)) => {
                self.mark = Some((now, at));
                Some(mark.seq)
            }
            None => {
                self.mark = Some((now, at));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn f8_history_is_kept_for_one_period_at_least_and_two_at_most() {
        let (start, mut horizon) = (Instant::now(), HistoryHorizon::new(MINUTE * 5));
        let mut kept_from = 0;
        for minute in 0..60_u32 {
            let revision = u64::from(minute + 1) * 100;
            if let Some(forgotten) = horizon.pass(Revision::new(7, revision), start + MINUTE * minute) {
                assert!(forgotten > kept_from, "it goes on");
                kept_from = forgotten;
            }
            assert!(revision - kept_from <= 1_000, "two periods at most, minute {minute}");
            assert!(kept_from == 0 || revision - kept_from >= 500, "one period at least, minute {minute}");
        }
        assert!(kept_from > 0);
    }

    #[test]
    fn f8_nothing_is_forgotten_where_the_operator_says_so_or_of_another_history() {
        let start = Instant::now();
        let mut off = HistoryHorizon::new(Duration::ZERO);
        assert_eq!(off.pass(Revision::new(7, 5), start), None);
        assert_eq!(off.pass(Revision::new(7, 500), start + MINUTE), None);
        let mut horizon = HistoryHorizon::new(MINUTE);
        assert_eq!(horizon.pass(Revision::new(7, 5_000), start), None);
        assert_eq!(horizon.pass(Revision::new(8, 9), start + MINUTE), None, "another epoch");
        assert_eq!(horizon.pass(Revision::new(8, 7), start + MINUTE * 2), None, "it went back");
        assert_eq!(horizon.pass(Revision::new(8, 20), start + MINUTE * 3), Some(7));
    }

    #[test]
    fn f8_a_person_is_told_before_the_quota_is_used_up() {
        let space = |taken, quota| StoreSpace { taken, in_use: 0, quota };
        assert!(!space(699, Some(1_000)).is_scarce() && space(700, Some(1_000)).is_scarce());
        assert!(!space(u64::MAX, None).is_scarce() && !space(9, Some(0)).is_scarce());
        assert!(space(u64::MAX, Some(u64::MAX)).is_scarce());
    }
}
