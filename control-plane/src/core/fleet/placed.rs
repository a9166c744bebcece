//! The latest placements that the fleet has applied, so that a reader learns in constant time which
//! of its own choices the fleet shows by now.

use std::collections::VecDeque;

use usher_model::meeting::MeetingKey;

/// Largest number of placements that are remembered.
const MOST: usize = 8192;

/// A record that was written with a new placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRecord {
    /// The meeting of the record.
    pub key: MeetingKey,
    /// Token of the placement.
    pub token: String,
}

/// A place in the log of one fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlacedPlace {
    /// Revision of the listing from which the fleet was read. Another fleet has another log.
    followed: u64,
    /// Number of placements before the place.
    count: u64,
}

/// The log of placements.
#[derive(Debug, Clone, Default)]
pub(super) struct PlacedLog {
    latest: VecDeque<PlacedRecord>,
    /// Number of all placements that were ever applied.
    count: u64,
}

impl PlacedLog {
    pub(super) fn push(&mut self, key: &MeetingKey, token: &str) {
        if self.latest.len() == MOST {
            self.latest.pop_front();
        }
        self.latest.push_back(PlacedRecord { key: key.clone(), token: token.to_owned() });
        self.count += 1;
    }

    /// Returns the placements since `place`, if all of them are remembered, and the place after
    /// them.
    pub(super) fn since(
        &self,
        place: PlacedPlace,
        followed: u64,
    ) -> (Option<impl Iterator<Item = &PlacedRecord>>, PlacedPlace) {
        let now = PlacedPlace { followed, count: self.count };
        let missed = self.count.checked_sub(place.count).filter(|_| place.followed == followed);
        let missed = missed.and_then(|missed| usize::try_from(missed).ok());
        let first = missed.and_then(|missed| self.latest.len().checked_sub(missed));
        (first.map(|first| self.latest.range(first..)), now)
    }
}
