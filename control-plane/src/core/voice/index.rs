//! Index of the assigned numbers: by number, by meeting, by age.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use foldhash::{HashMap, HashMapExt};
use usher_model::{
    meeting::MeetingKey,
    voice::{VoiceBridge, VoiceRange},
};

use super::assignment::VoiceAssignment;
use crate::core::plan::Stored;

/// The index of `voice/NUMBER`.
#[derive(Debug, Clone)]
pub struct VoiceIndex {
    numbers: BTreeMap<VoiceBridge, Stored<VoiceAssignment>>,
    /// A meeting has one number. If another program has written two, the later one counts.
    meetings: HashMap<MeetingKey, VoiceBridge>,
    by_age: BTreeSet<(i64, VoiceBridge)>,
}

impl Default for VoiceIndex {
    fn default() -> Self {
        Self { numbers: BTreeMap::new(), meetings: HashMap::new(), by_age: BTreeSet::new() }
    }
}

impl VoiceIndex {
    /// Sets or takes out an entry.
    pub(in crate::core) fn set(&mut self, bridge: VoiceBridge, stored: Option<Stored<VoiceAssignment>>) {
        if let Some(old) = self.numbers.remove(&bridge) {
            self.by_age.remove(&(old.value.used_at_ms, bridge));
            if self.meetings.get(&old.value.meeting) == Some(&bridge) {
                self.meetings.remove(&old.value.meeting);
            }
        }
        if let Some(stored) = stored {
            self.by_age.insert((stored.value.used_at_ms, bridge));
            self.meetings.insert(stored.value.meeting.clone(), bridge);
            self.numbers.insert(bridge, stored);
        }
    }

    /// Looks a number up.
    pub fn get(&self, bridge: VoiceBridge) -> Option<&Stored<VoiceAssignment>> {
        self.numbers.get(&bridge)
    }

    /// Returns a meeting's number.
    pub fn of(&self, meeting: &MeetingKey) -> Option<VoiceBridge> {
        self.meetings.get(meeting).copied()
    }

    /// Visits the numbers that meetings have, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (VoiceBridge, &Stored<VoiceAssignment>)> {
        self.numbers.iter().map(|(bridge, stored)| (*bridge, stored))
    }

    /// Counts the numbers of a range that meetings have.
    pub fn count_in(&self, range: VoiceRange) -> usize {
        self.between(range.first()..range.last() + 1).count()
    }

    /// Visits the numbers within `numbers` that meetings have.
    pub(super) fn between(&self, numbers: Range<u32>) -> impl Iterator<Item = (VoiceBridge, &MeetingKey)> {
        let (first, end) = (VoiceBridge::new(numbers.start), numbers.end);
        let from = first.or_else(|| VoiceBridge::new(numbers.start + 1)).filter(|_| !numbers.is_empty());
        from.into_iter()
            .flat_map(|from| self.numbers.range(from..))
            .take_while(move |(bridge, _)| bridge.number() < end)
            .map(|(bridge, stored)| (*bridge, &stored.value.meeting))
    }

    /// Visits the numbers, the longest unused first.
    pub(super) fn by_age(&self) -> impl Iterator<Item = (VoiceBridge, &Stored<VoiceAssignment>)> {
        self.by_age.iter().filter_map(|(_, bridge)| Some((*bridge, self.numbers.get(bridge)?)))
    }
}
