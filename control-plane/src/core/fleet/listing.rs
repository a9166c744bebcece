//! Taking over a whole listing: what it does not name is gone.

use std::time::Instant;

use usher_model::routing::RoutingDelta;

use super::Fleet;
use crate::core::plan::{Event, Key};

impl Fleet {
    /// Moves the fleet on to a complete listing of the store, as after compaction: everything the
    /// listing does not name is taken out. What this replica knows beyond the store (since when a
    /// record stands) is kept.
    pub fn apply_listing(&mut self, revision: u64, entries: Vec<Event>, now: Instant) -> RoutingDelta {
        let named: foldhash::HashSet<Key> = entries.iter().map(Event::key).collect();
        let mut events: Vec<Event> =
            self.keys().filter(|key| !named.contains(key)).map(Event::deleted).collect();
        events.extend(entries);
        self.apply(revision, events, now)
    }

    /// Tells whether a complete listing is of another history than this fleet: it holds what was last
    /// changed at a revision that this fleet has applied, and the fleet holds it otherwise. A store
    /// that was set back, and has come as far again since, looks like this.
    pub fn contradicts(&self, entries: &[Event]) -> bool {
        let applied = self.revision().seq;
        let mut changes = entries.iter().filter_map(|event| Some((event.key(), event.modified()?)));
        changes.any(|(key, modified)| modified <= applied && self.modified(&key) != Some(modified))
    }

    /// Returns the revision that last changed what it holds of a key.
    fn modified(&self, key: &Key) -> Option<u64> {
        let server = |id| self.servers.get(id);
        match key {
            Key::Server(id) => server(id).map(|server| server.stored.modified),
            Key::Health(id) => {
                let stray = || self.strays.get(id)?.health.as_ref();
                server(id).map_or_else(stray, |server| server.health.as_ref()).map(|stored| stored.modified)
            }
            Key::Sample(id) => {
                let stray = || self.strays.get(id)?.sample.as_ref();
                server(id).map_or_else(stray, |server| server.sample.as_ref()).map(|stored| stored.modified)
            }
            Key::Freshness(id) => {
                let stray = || self.strays.get(id)?.freshness.as_ref();
                let freshness = server(id).map_or_else(stray, |server| server.freshness.as_ref());
                freshness.map(|stored| stored.modified)
            }
            Key::Tenant(id) => self.tenant(id).map(|stored| stored.modified),
            Key::Record(key) => self.record(key).map(|stored| stored.modified),
            Key::Zombie(key) => self.zombie(key).map(|stored| stored.modified),
            Key::Voice(bridge) => self.voice.get(*bridge).map(|stored| stored.modified),
        }
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let servers = self.servers.iter().flat_map(|(id, server)| {
            let health = server.health.as_ref().map(|_| Key::Health(id.clone()));
            let sample = server.sample.as_ref().map(|_| Key::Sample(id.clone()));
            let fresh = server.freshness.as_ref().map(|_| Key::Freshness(id.clone()));
            [Some(Key::Server(id.clone())), health, sample, fresh].into_iter().flatten()
        });
        let strays = self.strays.iter().flat_map(|(id, stray)| {
            let health = stray.health.as_ref().map(|_| Key::Health(id.clone()));
            let sample = stray.sample.as_ref().map(|_| Key::Sample(id.clone()));
            let fresh = stray.freshness.as_ref().map(|_| Key::Freshness(id.clone()));
            [health, sample, fresh].into_iter().flatten()
        });
        servers
            .chain(strays)
            .chain(self.tenants.keys().cloned().map(Key::Tenant))
            .chain(self.records.iter().map(|(key, _)| Key::Record(key.clone())))
            .chain(self.zombies.iter().map(|(key, _)| Key::Zombie(key.clone())))
            .chain(self.voice.iter().map(|(bridge, _)| Key::Voice(bridge)))
    }
}
