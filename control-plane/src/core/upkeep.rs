//! The rules that keep a store from filling (ADR 20): the part of its history that may be compacted, and
//! the point at which an alarm rises.
//!
//! Watches continue from the history. A follower that was disconnected for less than one period finds
//! its revision in it; a follower that was disconnected for longer lists every key again (I9).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use usher_model::revision::Revision;

/// Tenths of the quota from which on the alarm `store_space` rises: at 70 % an operator has time to act.
const SCARCE_TENTHS: u128 = 7;

/// The space of a store on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreSpace {
    /// Bytes of the database file.
    pub taken: u64,
    /// Bytes of the file that hold data; the others are free for new data.
    pub in_use: u64,
    /// Bytes at which the store refuses writes; `None` if the quota is unknown or only the disk limits it.
    pub quota: Option<u64>,
    /// Number of the member that reported the sizes; each member has a file of its own. 0 without members.
    pub member: u64,
    /// Whether a member has used up its quota: the store takes no writes until the alarm is disarmed, also
    /// when space is free again.
    pub no_space: bool,
    /// Whether the data of a member is corrupt: it takes no writes.
    pub corrupt: bool,
}

impl StoreSpace {
    /// Returns whether the store takes at least 70 % of its quota.
    pub fn is_scarce(&self) -> bool {
        let tenths = u128::from(self.taken) * 10;
        self.quota.is_some_and(|quota| quota > 0 && tenths >= u128::from(quota) * SCARCE_TENTHS)
    }
}

/// The last time at which the file of a member got smaller. A compaction frees pages inside the file, so
/// only a defragmentation, or another file, makes it smaller. The store keeps no such time.
#[derive(Debug, Clone, Default)]
pub struct ShrinkWatch {
    taken: BTreeMap<u64, u64>,
    shrunk_at: Option<Instant>,
}

/// Largest number of members whose sizes are remembered.
const MEMBERS: usize = 16;

impl ShrinkWatch {
    /// Notes the size of a member's file, and returns the time since one got smaller, if this replica
    /// observed that.
    pub fn observe(&mut self, space: &StoreSpace, now: Instant) -> Option<Duration> {
        let before = self.taken.get(&space.member).copied();
        if before.is_some_and(|before| space.taken < before) {
            self.shrunk_at = Some(now);
        }
        if before.is_some() || self.taken.len() < MEMBERS {
            self.taken.insert(space.member, space.taken);
        }
        self.shrunk_at.map(|at| now.saturating_duration_since(at))
    }
}

/// The compaction of the history: between one and two periods of it are kept.
#[derive(Debug, Clone)]
pub struct HistoryHorizon {
    every: Duration,
    mark: Option<(Instant, Revision)>,
}

impl HistoryHorizon {
    /// Returns a horizon that keeps the history of at least one period; zero keeps all of it.
    pub fn new(every: Duration) -> Self {
        Self { every, mark: None }
    }

    /// Records the present revision. Once in a period it returns the revision of a period ago, up to which
    /// the store may be compacted. A revision of another epoch starts the horizon again, because
    /// revisions of two epochs are not ordered.
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
    fn f8_history_is_kept_on_the_operators_order_and_after_a_new_epoch() {
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
    fn f8_a_defragmentation_is_noticed_by_the_file_of_the_same_member() {
        let (mut watch, start) = (ShrinkWatch::default(), Instant::now());
        let file = |member, taken| StoreSpace { taken, member, ..StoreSpace::default() };
        assert_eq!(watch.observe(&file(1, 900), start), None);
        assert_eq!(watch.observe(&file(2, 100), start), None, "the smaller file of another member");
        assert_eq!(watch.observe(&file(1, 950), start), None);
        assert_eq!(watch.observe(&file(1, 200), start + MINUTE), Some(Duration::ZERO));
        assert_eq!(watch.observe(&file(2, 100), start + MINUTE * 3), Some(MINUTE * 2));
        for member in 3..100 {
            watch.observe(&file(member, 9), start + MINUTE * 3);
        }
        assert!(watch.taken.len() <= MEMBERS);
    }

    #[test]
    fn f8_a_person_is_told_before_the_quota_is_used_up() {
        let space = |taken, quota| StoreSpace { taken, quota, ..StoreSpace::default() };
        assert!(!space(699, Some(1_000)).is_scarce() && space(700, Some(1_000)).is_scarce());
        assert!(!space(u64::MAX, None).is_scarce() && !space(9, Some(0)).is_scarce());
        assert!(space(u64::MAX, Some(u64::MAX)).is_scarce());
    }
}
