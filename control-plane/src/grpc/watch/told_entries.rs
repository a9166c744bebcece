//! The entries that a watcher knows of a list in which samples change entries without a revision. A
//! poll that saw the same as the one before writes no value (ADR 34), so the log of changes does not
//! know that it moved ages and loads: the watcher compares the entries with those that it told.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Shortest time between two comparisons of one watcher. Samples arrive one by one, with many servers
/// many times a second, and each comparison reads every entry.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest time between two comparisons: a filter may admit an entry only because time passed.
const EVERY: Duration = Duration::from_secs(10);

/// A digest of the content of an entry that a reader should learn of.
pub(in crate::grpc) type EntryDigest = u64;

/// The digests of the entries that a watcher told, one for each entry that the filter admits.
#[derive(Debug)]
pub(super) struct ToldEntries<K> {
    told: BTreeMap<K, EntryDigest>,
    /// Whether an entry without a digest is unknown to the reader. It is not after a watch resumed:
    /// an earlier stream told the entries.
    knows_all: bool,
    /// Time of the last comparison, or of the begin.
    compared: Instant,
    /// Whether a sample arrived since.
    is_sampled: bool,
}

/// The step that leads the reader from the entry that was told to the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToldStep {
    /// The reader knows the entry as it is.
    None,
    /// The entry is told.
    Tell,
    /// The name of the entry is told as removed.
    Remove,
}

impl<K: Ord + Clone> ToldEntries<K> {
    /// Returns the entries of a watch; `resumes` if an earlier stream told entries.
    pub(super) fn new(resumes: bool, now: Instant) -> Self {
        Self { told: BTreeMap::new(), knows_all: !resumes, compared: now, is_sampled: false }
    }

    /// Notes that an entry is told; `None` if the filter does not admit it. Returns the step that
    /// the reader needed.
    pub(super) fn tell(&mut self, key: &K, digest: Option<EntryDigest>) -> ToldStep {
        let old = match digest {
            Some(digest) => self.told.insert(key.clone(), digest),
            None => self.told.remove(key),
        };
        match (old, digest) {
            (Some(old), Some(new)) if old == new => ToldStep::None,
            (_, Some(_)) => ToldStep::Tell,
            (None, None) if self.knows_all => ToldStep::None,
            (_, None) => ToldStep::Remove,
        }
    }

    /// Notes that a sample arrived.
    pub(super) fn sampled(&mut self) {
        self.is_sampled = true;
    }

    /// Returns whether a sample makes the next comparison earlier.
    pub(super) fn awaits_sample(&self) -> bool {
        !self.is_sampled
    }

    /// Returns the time of the next comparison.
    pub(super) fn due(&self) -> Instant {
        self.compared + if self.is_sampled { PAUSE } else { EVERY }
    }

    /// Notes that every entry was compared, by a comparison that began at `now`.
    pub(super) fn compared(&mut self, now: Instant) {
        (self.knows_all, self.compared, self.is_sampled) = (true, now, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_told_when_its_digest_or_its_admission_changes() {
        let mut told = ToldEntries::new(false, Instant::now());
        assert_eq!(told.tell(&"a", None), ToldStep::None, "the reader never knew it");
        assert_eq!(told.tell(&"a", Some(1)), ToldStep::Tell);
        assert_eq!(told.tell(&"a", Some(1)), ToldStep::None);
        assert_eq!(told.tell(&"a", Some(2)), ToldStep::Tell);
        assert_eq!(told.tell(&"a", None), ToldStep::Remove);
        assert_eq!(told.tell(&"a", None), ToldStep::None);
    }

    #[test]
    fn a_resumed_watch_tells_each_entry_once() {
        let now = Instant::now();
        let mut told = ToldEntries::new(true, now);
        assert_eq!(told.tell(&"a", None), ToldStep::Remove, "an earlier stream may have told it");
        assert_eq!(told.tell(&"b", Some(1)), ToldStep::Tell);
        told.compared(now);
        assert_eq!(told.tell(&"a", None), ToldStep::None);
        assert_eq!(told.tell(&"b", Some(1)), ToldStep::None);
    }

    #[test]
    fn samples_cause_one_comparison_in_a_second() {
        let start = Instant::now();
        let mut told = ToldEntries::<u8>::new(false, start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!((told.due(), told.awaits_sample()), (at(10_000), true));
        for _ in 0..3 {
            told.sampled();
            assert_eq!((told.due(), told.awaits_sample()), (at(1000), false));
        }
        told.compared(at(1015));
        assert_eq!((told.due(), told.awaits_sample()), (at(11_015), true));
    }
}
