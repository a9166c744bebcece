//! The table of all records by their keys.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use usher_model::meeting::MeetingKey;

use super::record_entry::RecordEntry;

/// The table. Up to half of its places are free, so that a place is one word: a map would hold the key
/// in each place, beside the entry, which contains it.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordTable {
    entries: HashTable<Box<RecordEntry>>,
    hasher: RandomState,
}

impl RecordTable {
    pub(super) fn get(&self, key: &MeetingKey) -> Option<&RecordEntry> {
        self.entries.find(self.hasher.hash_one(key), |entry| entry.key == *key).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, key: &MeetingKey) -> Option<&mut RecordEntry> {
        self.entries.find_mut(self.hasher.hash_one(key), |entry| entry.key == *key).map(Box::as_mut)
    }

    /// Adds the entry of a key that has none.
    pub(super) fn add(&mut self, entry: RecordEntry) {
        let hash = self.hasher.hash_one(&entry.key);
        self.entries.insert_unique(hash, Box::new(entry), |entry| self.hasher.hash_one(&entry.key));
    }

    pub(super) fn remove(&mut self, key: &MeetingKey) -> Option<RecordEntry> {
        let found = self.entries.find_entry(self.hasher.hash_one(key), |entry| entry.key == *key);
        found.ok().map(|found| *found.remove().0)
    }

    /// Visits the entries, in no particular order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &RecordEntry> {
        self.entries.iter().map(Box::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::core::{
        plan::Stored,
        testkit::{key, record},
    };

    #[test]
    fn entries_are_found_by_their_keys() {
        let mut table = RecordTable::default();
        let entry = |id: &str| RecordEntry {
            key: key(id),
            stored: Stored { value: record("a", "i-1"), created: 1, modified: 1 },
            placed_at: Instant::now(),
            changed_at: Instant::now(),
            reserved: 0,
            pending: false,
            unanswered: false,
        };
        let ids: Vec<String> = (0..1_000).map(|number| format!("m{number}")).collect();
        for id in &ids {
            table.add(entry(id));
        }
        table.get_mut(&key("m7")).expect("was added").reserved = 5;
        assert_eq!(table.get(&key("m7")).map(|entry| entry.reserved), Some(5));
        assert_eq!(table.remove(&key("m8")).map(|entry| entry.key), Some(key("m8")));
        assert!(table.get(&key("m8")).is_none() && table.remove(&key("m8")).is_none());
        assert_eq!(table.iter().len(), 999);
        assert!(ids.iter().filter(|id| *id != "m8").all(|id| table.get(&key(id)).is_some()));
    }
}
