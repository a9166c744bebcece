//! The index of the zombies by key, by meeting and by server.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Instant,
};

use foldhash::{HashMap, HashMapExt};
use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, Zombie, ZombieKey},
};

use crate::core::{persisted_age::PersistedAge, plan::Stored};

/// The index of all zombies, each with its age.
#[derive(Debug, Clone)]
pub(super) struct ZombieIndex {
    all: BTreeMap<ZombieKey, (Stored<Zombie>, PersistedAge)>,
    of: HashMap<MeetingKey, BTreeSet<ServerId>>,
    on: HashMap<ServerId, BTreeSet<MeetingKey>>,
    /// Number of zombies on each server that name no instance, because the answer of the create was
    /// lost; the meeting may not exist.
    suspects: HashMap<ServerId, usize>,
}

impl Default for ZombieIndex {
    fn default() -> Self {
        Self { all: BTreeMap::new(), of: HashMap::new(), on: HashMap::new(), suspects: HashMap::new() }
    }
}

impl ZombieIndex {
    pub(super) fn set(&mut self, key: ZombieKey, stored: Option<Stored<Zombie>>, now: Instant) {
        self.count_suspect(&key, stored.as_ref());
        if let Some(stored) = stored {
            let before = self.all.get(&key).map(|(_, standing)| *standing);
            let standing = PersistedAge::follow(before, stored.value.since_ms, stored.value.stood_ms, now);
            self.of.entry(key.meeting.clone()).or_default().insert(key.server.clone());
            self.on.entry(key.server.clone()).or_default().insert(key.meeting.clone());
            self.all.insert(key, (stored, standing));
        } else if self.all.remove(&key).is_some() {
            if let Some(servers) = self.of.get_mut(&key.meeting) {
                servers.remove(&key.server);
                if servers.is_empty() {
                    self.of.remove(&key.meeting);
                }
            }
            if let Some(meetings) = self.on.get_mut(&key.server) {
                meetings.remove(&key.meeting);
                if meetings.is_empty() {
                    self.on.remove(&key.server);
                }
            }
        }
    }

    /// Updates the count of suspect zombies. It is called before `stored` replaces the zombie of
    /// `key`, because it compares the two.
    fn count_suspect(&mut self, key: &ZombieKey, stored: Option<&Stored<Zombie>>) {
        let is_suspect = |stored: &Stored<Zombie>| stored.value.internal_id.is_none();
        let (was, is) = (self.get(key).is_some_and(is_suspect), stored.is_some_and(is_suspect));
        if was == is {
            return;
        }
        let count = self.suspects.entry(key.server.clone()).or_default();
        *count = if is { *count + 1 } else { *count - 1 };
        if *count == 0 {
            self.suspects.remove(&key.server);
        }
    }

    pub(super) fn suspects_on(&self, server: &ServerId) -> usize {
        self.suspects.get(server).copied().unwrap_or(0)
    }

    pub(super) fn get(&self, key: &ZombieKey) -> Option<&Stored<Zombie>> {
        self.all.get(key).map(|(stored, _)| stored)
    }

    pub(super) fn standing(&self, key: &ZombieKey) -> Option<PersistedAge> {
        self.all.get(key).map(|(_, standing)| *standing)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&ZombieKey, &Stored<Zombie>)> {
        self.all.iter().map(|(key, (stored, _))| (key, stored))
    }

    /// Visits the zombies after `after`, in the order of their keys.
    pub(super) fn after(
        &self,
        after: Option<&ZombieKey>,
    ) -> impl Iterator<Item = (&ZombieKey, &Stored<Zombie>)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.all.range::<ZombieKey, _>((start, Bound::Unbounded));
        rest.map(|(key, (stored, _))| (key, stored))
    }

    pub(super) fn of(&self, meeting: &MeetingKey) -> impl Iterator<Item = &ServerId> {
        self.of.get(meeting).into_iter().flatten()
    }

    pub(super) fn on(&self, server: &ServerId) -> impl Iterator<Item = &MeetingKey> {
        self.on.get(server).into_iter().flatten()
    }

    pub(super) fn count_on(&self, server: &ServerId) -> usize {
        self.on.get(server).map_or(0, BTreeSet::len)
    }
}
