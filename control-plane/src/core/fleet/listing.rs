//! Applying a complete listing of the store: a key that the listing lacks has been deleted.

use std::time::Instant;

use usher_model::routing::RoutingDelta;

use super::Fleet;
use crate::core::plan::{FleetEvent, FleetKey};

impl Fleet {
    /// Moves the fleet to a complete listing of the store, as after a compaction, and returns the
    /// changes of the routing table. Keys that the listing lacks are removed. The times at which
    /// this replica saw the entries are kept, because the store does not contain them.
    pub fn apply_listing(&mut self, revision: u64, entries: Vec<FleetEvent>, now: Instant) -> RoutingDelta {
        let named: foldhash::HashSet<FleetKey> = entries.iter().map(FleetEvent::key).collect();
        let gone: Vec<FleetEvent> =
            self.keys().filter(|key| !named.contains(key)).map(FleetEvent::deleted).collect();
        // The listing of a large fleet takes much memory, so that it is neither copied nor kept beside
        // its keys.
        drop(named);
        self.apply(revision, gone.into_iter().chain(entries), now)
    }

    /// Returns whether a complete listing belongs to another history than this fleet: it contains a
    /// value that was last changed at a revision which this fleet has applied, and the fleet has
    /// another revision of that value. This is how a store looks that was set back to a backup and
    /// has been written up to a later revision since (ADR 8).
    pub fn contradicts(&self, entries: &[FleetEvent]) -> bool {
        let applied = self.revision().seq;
        let mut changes = entries.iter().filter_map(|event| Some((event.key(), event.modified()?)));
        changes.any(|(key, modified)| modified <= applied && self.modified(&key) != Some(modified))
    }

    /// Returns the revision that last changed the value of `key` in this fleet.
    fn modified(&self, key: &FleetKey) -> Option<u64> {
        let server = |id| self.servers.get(id);
        match key {
            FleetKey::Server(id) => server(id).map(|server| server.stored.modified),
            FleetKey::Health(id) => {
                let retained = || self.serverless.get(id)?.health.as_ref();
                server(id)
                    .map_or_else(retained, |server| server.health_record.as_ref())
                    .map(|stored| stored.modified)
            }
            FleetKey::Sample(id) => {
                let retained = || self.serverless.get(id)?.sample.as_ref();
                server(id)
                    .map_or_else(retained, |server| server.sample.as_ref())
                    .map(|stored| stored.modified)
            }
            FleetKey::Tenant(id) => self.tenant(id).map(|stored| stored.modified),
            FleetKey::Record(key) => self.record(key).map(|stored| stored.modified),
            FleetKey::Zombie(key) => self.zombie(key).map(|stored| stored.modified),
            FleetKey::Voice(bridge) => self.voice.get(*bridge).map(|stored| stored.modified),
        }
    }

    fn keys(&self) -> impl Iterator<Item = FleetKey> {
        let servers = self.servers.iter().flat_map(|(id, server)| {
            let health = server.health_record.as_ref().map(|_| FleetKey::Health(id.clone()));
            let sample = server.sample.as_ref().map(|_| FleetKey::Sample(id.clone()));
            [Some(FleetKey::Server(id.clone())), health, sample].into_iter().flatten()
        });
        let retained_keys = self.serverless.iter().flat_map(|(id, retained)| {
            let health = retained.health.as_ref().map(|_| FleetKey::Health(id.clone()));
            let sample = retained.sample.as_ref().map(|_| FleetKey::Sample(id.clone()));
            [health, sample].into_iter().flatten()
        });
        servers
            .chain(retained_keys)
            .chain(self.tenants.keys().cloned().map(FleetKey::Tenant))
            .chain(self.records.iter().map(|(key, _)| FleetKey::Record(key.clone())))
            .chain(self.zombies.iter().map(|(key, _)| FleetKey::Zombie(key.clone())))
            .chain(self.voice.iter().map(|(bridge, _)| FleetKey::Voice(bridge)))
    }
}
