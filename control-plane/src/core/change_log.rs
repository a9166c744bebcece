//! The keys that the latest revisions changed, for watchers. A watcher keeps the revision that it has
//! told and reads the present values of the keys that changed since. A watcher needs no queue of its own,
//! and a slow one costs the others no memory.

use std::collections::VecDeque;

use usher_model::{id::ServerId, meeting::MeetingKey};

use crate::core::{fleet::Fleet, plan::FleetEvent};

/// An entry that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedKey {
    /// A server, or a fact about it that its entry in lists shows.
    Server(ServerId),
    /// The record of a meeting.
    Meeting(MeetingKey),
}

/// The log of changes; it forgets the oldest when it is full.
#[derive(Debug)]
pub struct ChangeLog {
    /// Each change after this revision is in the log.
    begun: u64,
    capacity: usize,
    entries: VecDeque<(u64, ChangedKey)>,
}

impl ChangeLog {
    /// Returns an empty log that begins after a revision and keeps `capacity` changes.
    pub fn new(begun: u64, capacity: usize) -> Self {
        Self { begun, capacity, entries: VecDeque::new() }
    }

    /// Adds the changes of a revision, which is later than all before.
    pub fn push(&mut self, revision: u64, keys: impl IntoIterator<Item = ChangedKey>) {
        for key in keys {
            if self.entries.len() >= self.capacity {
                // Of this revision some changes are lost now, so the log begins after it.
                self.begun = self.entries.pop_front().map_or(revision, |(oldest, _)| oldest);
            }
            self.entries.push_back((revision, key));
        }
    }

    /// Returns the changes after a revision in their order; `None` if some are forgotten.
    pub fn since(&self, revision: u64) -> Option<impl Iterator<Item = &ChangedKey>> {
        if revision < self.begun {
            return None;
        }
        let first = self.entries.partition_point(|(at, _)| *at <= revision);
        Some(self.entries.range(first..).map(|(_, key)| key))
    }
}

/// Returns the keys that events change in lists. It must be called before they are applied, because
/// the deletion of a record does not name its server.
pub fn changed_keys(fleet: &Fleet, events: &[FleetEvent]) -> Vec<ChangedKey> {
    let mut keys = Vec::new();
    for event in events {
        match event {
            FleetEvent::Server(id, _) | FleetEvent::Health(id, _) | FleetEvent::Sample(id, _) => {
                keys.push(ChangedKey::Server(id.clone()));
            }
            FleetEvent::Record(key, stored) => {
                let old = fleet.record(key).map(|old| &old.value.server);
                let new = stored.as_ref().map(|new| &new.value.server);
                let servers = old.into_iter().chain(new.filter(|new| old != Some(*new)));
                keys.extend(servers.cloned().map(ChangedKey::Server));
                keys.push(ChangedKey::Meeting(key.clone()));
            }
            FleetEvent::Zombie(key, _) => keys.push(ChangedKey::Server(key.server.clone())),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testkit::sid;

    fn key(number: u64) -> ChangedKey {
        ChangedKey::Server(sid(&format!("s{number}")))
    }

    fn since(log: &ChangeLog, revision: u64) -> Option<Vec<ChangedKey>> {
        log.since(revision).map(|keys| keys.cloned().collect())
    }

    #[test]
    fn a_watcher_continues_at_any_revision_that_the_log_reaches() {
        let mut log = ChangeLog::new(10, 4);
        assert_eq!(since(&log, 10), Some(vec![]));
        assert_eq!(since(&log, 9), None);
        log.push(11, [key(1), key(2)]);
        log.push(14, [key(3)]);
        assert_eq!(since(&log, 10), Some(vec![key(1), key(2), key(3)]));
        assert_eq!(since(&log, 11), Some(vec![key(3)]));
        assert_eq!(since(&log, 13), Some(vec![key(3)]));
        assert_eq!(since(&log, 14), Some(vec![]));
        log.push(15, [key(4), key(5)]);
        assert_eq!(since(&log, 10), None, "one change of revision 11 is forgotten");
        assert_eq!(since(&log, 11), Some(vec![key(3), key(4), key(5)]));
        log.push(16, (0..9).map(key));
        assert_eq!(since(&log, 15), None);
        assert_eq!(since(&log, 16), Some(vec![]));
    }
}
