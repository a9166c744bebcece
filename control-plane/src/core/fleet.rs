//! The fleet: a fold of the store's history, and the routing table that follows from it (design 3).
//!
//! [`Fleet::apply`] is the only way to change a fleet. Two fleets that applied the same history
//! hold equal routing tables (I9), independent of how the history was cut into batches. PENDING and
//! ACTIVE records are routed, ENDING records are not. The admin state and the health of a server
//! are part of the server's own route, so that a server that becomes offline changes one entry of
//! the table, independent of the number of its meetings.

mod accessors;
mod alias_index;
mod aliases;
mod candidate_changes;
mod candidates;
mod confirmed;
mod ended_instances;
mod instance_stem;
mod instances;
mod listing;
mod placed;
mod polled;
mod record_entry;
mod record_table;
mod records;
mod routes;
mod server;
mod sharing;
mod squeezed;
mod tombstones;
mod unscoped;
mod user_sums;
mod users;
mod zombies;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

pub use candidates::CandidateIndex;
use foldhash::{HashMap, HashMapExt};
pub use placed::{PlacedPlace, PlacedRecord};
pub use record_entry::RecordEntry;
pub use routes::{meeting_route, server_route};
pub use server::FleetServer;
pub(in crate::core) use server::id_hash;
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{RoutingDelta, RoutingTable, TenantRoute},
    server::{HealthRecord, ServerSample},
};

use self::{
    alias_index::ServerAliases, ended_instances::EndedInstances, placed::PlacedLog, records::RecordIndex,
    squeezed::SqueezedIds, tombstones::RemovalLog, unscoped::UnscopedMeetings, user_sums::TenantUsers,
    zombies::ZombieIndex,
};
use crate::core::{
    plan::{FleetEvent, FleetKey, Stored},
    policy::Policy,
    voice::VoiceIndex,
};

/// The store's content at one revision, indexed for decisions.
#[derive(Debug, Clone)]
pub struct Fleet {
    policy: Arc<Policy>,
    /// Revision at which the epoch began (ADR 8); a value that was last written at or before it
    /// is no evidence in this epoch.
    begun: u64,
    /// Revision of the listing from which this replica read the fleet. The replica saw every later
    /// revision at the time of its commit, so it knows the age of each value written since.
    followed_since: u64,
    routing: RoutingTable,
    servers: BTreeMap<ServerId, FleetServer>,
    serverless: HashMap<ServerId, ServerlessHealth>,
    tenants: BTreeMap<TenantId, Stored<TenantRoute>>,
    /// The tenants of each host; two that got one at the same moment both have it.
    hosts: HashMap<String, BTreeSet<TenantId>>,
    users: TenantUsers,
    candidates: CandidateIndex,
    placed: PlacedLog,
    records: RecordIndex,
    zombies: ZombieIndex,
    aliases: ServerAliases,
    unscoped: UnscopedMeetings,
    squeezed: SqueezedIds,
    voice: VoiceIndex,
    removals: RemovalLog,
    ended: EndedInstances,
}

/// Health and sample of a server without an entry in `servers/`: the entry is not written yet, or
/// it was deleted before them. They are kept because a later entry of the same id continues with
/// them.
#[derive(Debug, Clone, Default)]
struct ServerlessHealth {
    health: Option<Stored<HealthRecord>>,
    sample: Option<Stored<ServerSample>>,
}

impl ServerlessHealth {
    fn is_empty(&self) -> bool {
        self.health.is_none() && self.sample.is_none()
    }
}

/// The entries whose derived values one call of [`Fleet::apply`] must derive again.
#[derive(Default)]
struct Touched {
    servers: BTreeSet<ServerId>,
    sampled: BTreeSet<ServerId>,
    /// Entries whose users are to be summed again.
    counted: BTreeSet<ServerId>,
    /// Servers whose load or standing may have changed.
    candidates: BTreeSet<ServerId>,
    tenants: BTreeSet<TenantId>,
    /// A meeting may occur several times.
    meetings: Vec<MeetingKey>,
}

impl Fleet {
    /// Returns the fleet of an empty store.
    pub fn new(epoch: u64, policy: Policy) -> Self {
        Self {
            policy: Arc::new(policy),
            begun: 0,
            followed_since: 0,
            routing: RoutingTable::empty(Revision::new(epoch, 0)),
            servers: BTreeMap::new(),
            serverless: HashMap::new(),
            tenants: BTreeMap::new(),
            hosts: HashMap::new(),
            users: TenantUsers::default(),
            candidates: CandidateIndex::default(),
            placed: PlacedLog::default(),
            records: RecordIndex::default(),
            zombies: ZombieIndex::default(),
            aliases: ServerAliases::default(),
            unscoped: UnscopedMeetings::default(),
            squeezed: SqueezedIds::default(),
            voice: VoiceIndex::default(),
            removals: RemovalLog::default(),
            ended: EndedInstances::default(),
        }
    }

    /// Sets the revision at which the epoch of the fleet began.
    #[must_use]
    pub fn begun_at(self, revision: u64) -> Self {
        Self { begun: revision, ..self }
    }

    /// Sets the revision of the listing from which the fleet is read.
    #[must_use]
    pub fn followed_from(self, revision: u64) -> Self {
        Self { followed_since: revision, ..self }
    }

    /// Moves the fleet to `revision` and returns the changes of its routing table. `events` are all
    /// changes since the last call, in order. The cost depends on the number of changes, not on the
    /// size of the fleet.
    ///
    /// # Panics
    /// Never: the delta is computed from the table to which it is applied.
    pub fn apply(
        &mut self,
        revision: u64,
        events: impl IntoIterator<Item = FleetEvent>,
        now: Instant,
    ) -> RoutingDelta {
        let mut touched = Touched::default();
        for event in events {
            self.touch_tenants(&event, &mut touched);
            self.touch_candidates(&event, &mut touched.candidates);
            self.fold(revision, event, now, &mut touched);
        }
        for id in &touched.servers {
            if let Some(server) = self.servers.get_mut(id) {
                server.observe_health(&self.policy, now);
            }
        }
        self.add_users(&touched.counted);
        // These are the tenants with users on the servers after the events. A tenant whose users a
        // change removed from a server is no longer found here, so `touch_tenants` notes it before
        // each event.
        for id in touched.servers.iter().chain(&touched.sampled) {
            touched.tenants.extend(self.limited_tenants_on(id));
        }
        for id in &touched.sampled {
            self.recount(id, now);
        }
        self.index_candidates(&touched.candidates);
        self.removals.prune(now, self.policy.interval * 6);
        let delta = self.route_changes(&touched, revision);
        self.routing.apply(&delta).expect("the delta was made from this very table");
        delta
    }

    /// Notes the tenants with a limit of users that have users on the server of `event`, and takes the
    /// users of the server out of the sums, before the event is applied.
    fn touch_tenants(&mut self, event: &FleetEvent, touched: &mut Touched) {
        if let FleetEvent::Server(id, _) | FleetEvent::Health(id, _) | FleetEvent::Sample(id, _) = event {
            touched.tenants.extend(self.limited_tenants_on(id));
            touched.counted.extend(self.withdraw_users(id));
        }
    }

    fn fold(&mut self, revision: u64, event: FleetEvent, now: Instant, touched: &mut Touched) {
        match event {
            FleetEvent::Server(id, stored) => {
                self.fold_server(&id, stored, now);
                touched.servers.insert(id);
            }
            FleetEvent::Health(id, stored) => {
                match self.servers.get_mut(&id) {
                    Some(server) => server.health_record = stored,
                    None => self.serverless.entry(id.clone()).or_default().health = stored,
                }
                touched.servers.insert(id);
            }
            FleetEvent::Sample(id, mut stored) => {
                if let Some(stored) = &mut stored {
                    self.share_sample(&mut stored.value);
                }
                match self.servers.get_mut(&id) {
                    Some(server) => {
                        let after = stored.as_ref().map(|stored| &stored.value);
                        let before = server.sample.as_ref().map(|stored| &stored.value);
                        self.aliases.sampled(&id, before, after);
                        if let Some(before) = before {
                            self.ended.compare(before, after, now);
                        }
                        server.asked_before |=
                            stored.as_ref().is_some_and(|stored| stored.modified > self.begun);
                        server.set_sample(stored, &self.policy, now);
                    }
                    None => self.serverless.entry(id.clone()).or_default().sample = stored,
                }
                touched.sampled.insert(id);
            }
            FleetEvent::Tenant(id, stored) => {
                for host in stored.iter().flat_map(|stored| &stored.value.hosts) {
                    self.hosts.entry(host.clone()).or_default().insert(id.clone());
                }
                let new = stored.as_ref().map_or(&[][..], |stored| &stored.value.hosts).to_vec();
                let old = match stored {
                    Some(stored) => self.tenants.insert(id.clone(), stored),
                    None => self.tenants.remove(&id),
                };
                let lost = old.iter().flat_map(|old| &old.value.hosts).filter(|host| !new.contains(host));
                for host in lost {
                    if let Some(owners) = self.hosts.get_mut(host) {
                        owners.remove(&id);
                        if owners.is_empty() {
                            self.hosts.remove(host);
                        }
                    }
                }
                touched.tenants.insert(id);
            }
            FleetEvent::Record(key, mut stored) => {
                let key = self.shared_key(key);
                if let Some(stored) = &mut stored {
                    self.share_record(&key, &mut stored.value);
                }
                let record = stored.as_ref().map(|stored| &stored.value);
                let names = record.and_then(|record| Some((record.state.internal_id()?, &record.server)));
                self.unscoped.set(FleetKey::Record(key.clone()), &key, names);
                self.squeezed.set(FleetKey::Record(key.clone()), &key, stored.is_some());
                self.fold_record(revision, &key, stored, now);
                touched.meetings.push(key);
            }
            FleetEvent::Zombie(key, stored) => {
                let instance = stored.as_ref().and_then(|stored| stored.value.internal_id.as_ref());
                let names = instance.map(|instance| (instance, &key.server));
                self.unscoped.set(FleetKey::Zombie(key.clone()), &key.meeting, names);
                self.squeezed.set(FleetKey::Zombie(key.clone()), &key.meeting, stored.is_some());
                if stored.is_none() {
                    self.removals.zombie_removed(key.clone(), revision, now);
                }
                self.zombies.set(key, stored, now);
            }
            FleetEvent::Voice(bridge, stored) => self.voice.set(bridge, stored),
        }
    }

    fn fold_server(
        &mut self,
        id: &ServerId,
        stored: Option<Stored<usher_model::server::Server>>,
        now: Instant,
    ) {
        self.aliases.addressed(id, stored.as_ref().map(|stored| stored.value.url.as_str()));
        match (stored, self.servers.get_mut(id)) {
            (Some(stored), Some(server)) => server.set_server(stored),
            (Some(stored), None) => {
                let mut retained = self.serverless.remove(id).unwrap_or_default();
                // In a listing the samples precede the records.
                if let Some(sample) = &mut retained.sample {
                    self.share_sample(&mut sample.value);
                }
                let mut server = FleetServer::new(stored);
                server.health_record = retained.health;
                self.aliases.sampled(id, None, retained.sample.as_ref().map(|stored| &stored.value));
                server.asked_before =
                    retained.sample.as_ref().is_some_and(|stored| stored.modified > self.begun);
                server.set_sample(retained.sample, &self.policy, now);
                self.servers.insert(id.clone(), server);
                self.recount(id, now);
            }
            (None, Some(_)) => {
                if let Some(FleetServer { health_record: health, sample, .. }) = self.servers.remove(id) {
                    self.aliases.sampled(id, sample.as_ref().map(|stored| &stored.value), None);
                    self.serverless.insert(id.clone(), ServerlessHealth { health, sample });
                }
                self.recount(id, now);
            }
            (None, None) => {}
        }
        self.serverless.retain(|_, retained| !retained.is_empty());
    }
}
