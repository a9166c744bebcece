//! Tombstones: the revisions at which records and zombies were removed. They are kept as long as a
//! poll that was sent before may still be answered, because such a poll is no evidence about them
//! (ADR 2).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt};
use usher_model::meeting::{MeetingKey, ZombieKey};

#[derive(Debug, Clone)]
enum Gone {
    Record(MeetingKey),
    Zombie(ZombieKey),
}

/// The records and zombies that were removed recently, oldest first in `order`.
#[derive(Debug, Clone)]
pub(super) struct RemovalLog {
    records: HashMap<MeetingKey, u64>,
    zombies: HashMap<ZombieKey, u64>,
    order: VecDeque<(Instant, u64, Gone)>,
}

impl Default for RemovalLog {
    fn default() -> Self {
        Self { records: HashMap::new(), zombies: HashMap::new(), order: VecDeque::new() }
    }
}

impl RemovalLog {
    pub(super) fn record_removed(&mut self, key: MeetingKey, revision: u64, now: Instant) {
        self.records.insert(key.clone(), revision);
        self.order.push_back((now, revision, Gone::Record(key)));
    }

    pub(super) fn zombie_removed(&mut self, key: ZombieKey, revision: u64, now: Instant) {
        self.zombies.insert(key.clone(), revision);
        self.order.push_back((now, revision, Gone::Zombie(key)));
    }

    pub(super) fn record(&self, key: &MeetingKey) -> Option<u64> {
        self.records.get(key).copied()
    }

    pub(super) fn zombie(&self, key: &ZombieKey) -> Option<u64> {
        self.zombies.get(key).copied()
    }

    pub(super) fn prune(&mut self, now: Instant, keep: Duration) {
        while let Some((at, revision, gone)) =
            self.order.pop_front_if(|(at, ..)| now.saturating_duration_since(*at) > keep)
        {
            debug_assert!(at <= now);
            // A key that was removed again since keeps the later revision.
            match gone {
                Gone::Record(key) if self.records.get(&key) == Some(&revision) => {
                    self.records.remove(&key);
                }
                Gone::Zombie(key) if self.zombies.get(&key) == Some(&revision) => {
                    self.zombies.remove(&key);
                }
                Gone::Record(_) | Gone::Zombie(_) => {}
            }
        }
    }
}
