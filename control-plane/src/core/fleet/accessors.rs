//! Reading a fleet.

use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, Zombie, ZombieKey, ZombieState},
    revision::Revision,
    routing::{RoutingTable, TenantRoute},
    server::Health,
    voice::VoiceRange,
};

use super::{Fleet, FleetServer, RecordEntry};
use crate::core::{persisted_age::PersistedAge, plan::Stored, policy::Policy, voice::VoiceIndex};

impl Fleet {
    /// Returns the settings it derives things by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the revision it stands at.
    pub fn revision(&self) -> Revision {
        self.routing.revision()
    }

    /// Returns the routing table at this revision.
    pub fn routing(&self) -> &RoutingTable {
        &self.routing
    }

    /// Looks a server up.
    pub fn server(&self, id: &ServerId) -> Option<&FleetServer> {
        self.servers.get(id)
    }

    /// Visits the servers by id.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &FleetServer> {
        self.servers.values()
    }

    /// Looks a tenant up.
    pub fn tenant(&self, id: &TenantId) -> Option<&Stored<TenantRoute>> {
        self.tenants.get(id)
    }

    /// Visits the tenants by id.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = &Stored<TenantRoute>> {
        self.tenants.values()
    }

    /// Counts a tenant's meetings: PENDING and ACTIVE records, but for those of breakout rooms.
    pub fn meeting_count_of(&self, tenant: &TenantId) -> usize {
        self.records.count_of(tenant)
    }

    /// Counts the users in a tenant's meetings, as the last samples of the servers that are not offline
    /// show them. Users of a server that has several entries count once.
    pub fn users_of(&self, tenant: &TenantId) -> u64 {
        let there = self
            .servers
            .values()
            .filter(|server| server.health() != Health::Offline && self.original_of(server.id()).is_none());
        there.map(|server| server.users_of(tenant)).sum()
    }

    /// Returns who has which number.
    pub fn voice(&self) -> &VoiceIndex {
        &self.voice
    }

    /// Returns what the rooms of a tenant get their numbers from; none where they get none.
    pub fn voice_range(&self, tenant: &TenantId) -> Option<VoiceRange> {
        let own = self.tenants.get(tenant).and_then(|stored| stored.value.policy.voice_bridges);
        own.or(self.policy.voice.bridges)
    }

    /// Looks a record up.
    pub fn record(&self, key: &MeetingKey) -> Option<&Stored<MeetingRecord>> {
        self.records.get(key).map(|entry| &entry.stored)
    }

    /// Looks a record up, with when this replica saw it.
    pub fn record_entry(&self, key: &MeetingKey) -> Option<&RecordEntry> {
        self.records.get(key)
    }

    /// Visits the records, in no particular order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (&MeetingKey, &Stored<MeetingRecord>)> {
        self.records.iter().map(|(key, entry)| (key, &entry.stored))
    }

    /// Visits the records of one server by key.
    pub fn records_on<'a>(
        &'a self,
        server: &ServerId,
    ) -> impl Iterator<Item = (&'a MeetingKey, &'a Stored<MeetingRecord>)> {
        self.records.on(server).filter_map(|key| Some((key, self.record(key)?)))
    }

    /// Visits what each record of a server adds to its load because no sample contains it yet.
    pub fn reserved_on(&self, server: &ServerId) -> impl Iterator<Item = u64> {
        self.records.on(server).filter_map(|key| Some(u64::from(self.records.get(key)?.reserved)))
    }

    /// Counts the records of one server.
    pub fn record_count_on(&self, server: &ServerId) -> usize {
        self.records.count_on(server)
    }

    /// Counts the meetings that route to a server or may do so again: its records, and the *waiting*
    /// zombies there, which nothing has replaced yet.
    pub fn meeting_count_on(&self, server: &ServerId) -> usize {
        let zombies = self.zombies_on(server);
        let waiting = zombies.filter(|(_, stored)| stored.value.state == ZombieState::Waiting);
        self.record_count_on(server) + waiting.count()
    }

    /// Visits the servers, known or not, that records name.
    pub fn servers_with_records(&self) -> impl Iterator<Item = &ServerId> {
        self.records.servers()
    }

    /// Looks a zombie up.
    pub fn zombie(&self, key: &ZombieKey) -> Option<&Stored<Zombie>> {
        self.zombies.get(key)
    }

    /// Returns how long a zombie has stood.
    pub fn zombie_age(&self, key: &ZombieKey) -> Option<PersistedAge> {
        self.zombies.standing(key)
    }

    /// Visits the zombies by key.
    pub fn zombies(&self) -> impl ExactSizeIterator<Item = (&ZombieKey, &Stored<Zombie>)> {
        self.zombies.iter()
    }

    /// Visits the zombies of one meeting by server.
    pub fn zombies_of(&self, meeting: &MeetingKey) -> impl Iterator<Item = (ZombieKey, &Stored<Zombie>)> {
        self.zombies.of(meeting).filter_map(move |server| {
            let key = ZombieKey { meeting: meeting.clone(), server: server.clone() };
            let stored = self.zombies.get(&key)?;
            Some((key, stored))
        })
    }

    /// Tells whether an `end` may be on its way to an instance of a meeting, by whichever entry of its
    /// server.
    pub fn is_being_ended(&self, meeting: &MeetingKey, instance: &InternalMeetingId) -> bool {
        self.zombies_of(meeting).any(|(_, stored)| {
            stored.value.state == ZombieState::Ending && stored.value.internal_id.as_ref() == Some(instance)
        })
    }

    /// Visits the zombies of one server by meeting.
    pub fn zombies_on(&self, server: &ServerId) -> impl Iterator<Item = (ZombieKey, &Stored<Zombie>)> {
        self.zombies.on(server).filter_map(move |meeting| {
            let key = ZombieKey { meeting: meeting.clone(), server: server.clone() };
            let stored = self.zombies.get(&key)?;
            Some((key, stored))
        })
    }

    /// Visits the servers on which another tenant's meeting, or a zombie of one, is called what `meeting`
    /// would be called there.
    pub fn namesakes_of(&self, meeting: &MeetingKey) -> impl Iterator<Item = &ServerId> {
        self.bare.namesakes_of(meeting)
    }

    /// Counts the zombies of one server.
    pub fn zombie_count_on(&self, server: &ServerId) -> usize {
        self.zombies.count_on(server)
    }

    /// Counts the zombies of one server that perhaps are none: of creates whose answers were lost.
    pub fn suspects_on(&self, server: &ServerId) -> usize {
        self.zombies.suspects_on(server)
    }

    /// Tells whether the record of `key` may have changed after revision `watermark`: it was written
    /// or taken out later.
    pub fn record_changed_since(&self, key: &MeetingKey, watermark: u64) -> bool {
        let written = self.record(key).map(|stored| stored.modified);
        written.max(self.tombstones.record(key)).is_some_and(|revision| revision > watermark)
    }

    /// Tells whether the zombie of `key` may have changed after revision `watermark`.
    pub fn zombie_changed_since(&self, key: &ZombieKey, watermark: u64) -> bool {
        let written = self.zombie(key).map(|stored| stored.modified);
        written.max(self.tombstones.zombie(key)).is_some_and(|revision| revision > watermark)
    }

    /// Tells whether a server is to be polled: it is not disabled, or has zombies to be reaped (H15).
    pub fn is_polled(&self, id: &ServerId) -> bool {
        let disabled = usher_model::server::AdminState::Disabled;
        self.server(id).is_some_and(|server| server.admin() != disabled || self.zombie_count_on(id) > 0)
    }
}
