//! Taking over a whole listing: what it does not name is gone.

use std::time::Instant;

use usher_common::routing::Delta;

use super::Fleet;
use crate::core::plan::{Event, Key};

impl Fleet {
    /// Moves the fleet on to a complete listing of the store, as after compaction: everything the
    /// listing does not name is taken out. What this replica knows beyond the store (since when a
    /// record stands) is kept.
    pub fn apply_listing(&mut self, revision: u64, entries: Vec<Event>, now: Instant) -> Delta {
        let named: foldhash::HashSet<Key> = entries.iter().map(Event::key).collect();
        let mut events: Vec<Event> =
            self.keys().filter(|key| !named.contains(key)).map(Event::deleted).collect();
        events.extend(entries);
        self.apply(revision, events, now)
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let servers = self.servers.iter().flat_map(|(id, server)| {
            let health = server.health.as_ref().map(|_| Key::Health(id.clone()));
            let sample = server.sample.as_ref().map(|_| Key::Sample(id.clone()));
            [Some(Key::Server(id.clone())), health, sample].into_iter().flatten()
        });
        let strays = self.strays.iter().flat_map(|(id, stray)| {
            let health = stray.health.as_ref().map(|_| Key::Health(id.clone()));
            let sample = stray.sample.as_ref().map(|_| Key::Sample(id.clone()));
            [health, sample].into_iter().flatten()
        });
        servers
            .chain(strays)
            .chain(self.tenants.keys().cloned().map(Key::Tenant))
            .chain(self.records.iter().map(|(key, _)| Key::Record(key.clone())))
            .chain(self.zombies.iter().map(|(key, _)| Key::Zombie(key.clone())))
    }
}
