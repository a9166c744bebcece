//! Read access to a fleet: look-ups, visits and counts over its indexes.

use std::ops::Bound;

use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, Zombie, ZombieKey, ZombieState},
    revision::Revision,
    routing::{RoutingTable, TenantRoute},
    voice::VoiceRange,
};

use super::{Fleet, FleetServer, PlacedPlace, PlacedRecord, RecordEntry};
use crate::core::{persisted_age::PersistedAge, plan::Stored, policy::Policy, voice::VoiceIndex};

impl Fleet {
    /// Returns the settings by which the fleet derives health, load and reservations.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the epoch and the sequence number of the last applied revision.
    pub fn revision(&self) -> Revision {
        self.routing.revision()
    }

    /// Returns the routing table at this revision.
    pub fn routing(&self) -> &RoutingTable {
        &self.routing
    }

    /// Returns the server of this id, or `None` if it has no entry in `servers/`.
    pub fn server(&self, id: &ServerId) -> Option<&FleetServer> {
        self.servers.get(id)
    }

    /// Visits all servers, in the order of their ids.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &FleetServer> {
        self.servers.values()
    }

    /// Returns the tenant of this id, or `None` if no tenant of this id is stored.
    pub fn tenant(&self, id: &TenantId) -> Option<&Stored<TenantRoute>> {
        self.tenants.get(id)
    }

    /// Visits the servers after `after`, in the order of their ids.
    pub fn servers_after(&self, after: Option<&ServerId>) -> impl Iterator<Item = &FleetServer> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.servers.range::<ServerId, _>((start, Bound::Unbounded)).map(|(_, server)| server)
    }

    /// Returns another tenant than `except` that has a host; the one whose id is first, if several
    /// have it.
    pub fn host_owner(&self, host: &str, except: &TenantId) -> Option<&TenantId> {
        self.hosts.get(host)?.iter().find(|tenant| *tenant != except)
    }

    /// Returns the placements that this fleet has applied since `place`, and the present place in
    /// their log. Returns `None` for the placements if the log does not reach back that far.
    pub fn placed_since(
        &self,
        place: PlacedPlace,
    ) -> (Option<impl Iterator<Item = &PlacedRecord>>, PlacedPlace) {
        self.placed.since(place, self.followed_since)
    }

    /// Visits the tenants after `after`, in the order of their ids.
    pub fn tenants_after(&self, after: Option<&TenantId>) -> impl Iterator<Item = &Stored<TenantRoute>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.tenants.range::<TenantId, _>((start, Bound::Unbounded)).map(|(_, tenant)| tenant)
    }

    /// Visits all tenants, in the order of their ids.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = &Stored<TenantRoute>> {
        self.tenants.values()
    }

    /// Counts a tenant's meetings: its PENDING and ACTIVE records without those of breakout rooms.
    pub fn meeting_count_of(&self, tenant: &TenantId) -> usize {
        self.records.meeting_count_of(tenant)
    }

    /// Returns the index of the voice bridges and the meetings that own them (ADR 14).
    pub fn voice(&self) -> &VoiceIndex {
        &self.voice
    }

    /// Returns the range from which the meetings of a tenant get voice bridges: the tenant's own
    /// range, else the range of the configuration; `None` if the meetings get no number.
    pub fn voice_range(&self, tenant: &TenantId) -> Option<VoiceRange> {
        let own = self.tenants.get(tenant).and_then(|stored| stored.value.policy.voice_bridges);
        own.or(self.policy.voice.bridges)
    }

    /// Returns the record of a meeting, or `None` if the meeting has none.
    pub fn record(&self, key: &MeetingKey) -> Option<&Stored<MeetingRecord>> {
        self.records.get(key).map(|entry| &entry.stored)
    }

    /// Returns the record of a meeting, with the times at which this replica saw it.
    pub fn record_entry(&self, key: &MeetingKey) -> Option<&RecordEntry> {
        self.records.get(key)
    }

    /// Visits all records, in no particular order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (&MeetingKey, &Stored<MeetingRecord>)> {
        self.records.iter().map(|(key, entry)| (key, &entry.stored))
    }

    /// Visits the records after `after`, in the order of their keys: those of one tenant or of all,
    /// on one server or on all. Each step costs the logarithm of the number of records.
    pub fn records_after<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        server: Option<&'a ServerId>,
        after: Option<&'a MeetingKey>,
    ) -> Box<dyn Iterator<Item = (&'a MeetingKey, &'a Stored<MeetingRecord>)> + 'a> {
        match server {
            Some(server) => {
                let keys = self.records.on_after(server, tenant, after);
                Box::new(keys.filter_map(|key| Some((key, self.record(key)?))))
            }
            None => Box::new(self.records.after(tenant, after).map(|(key, entry)| (key, &entry.stored))),
        }
    }

    /// Counts the records of one tenant or of all, on one server or on all, in every state. The
    /// records of one tenant on one server are visited, all others are counted as they change.
    pub fn record_count(&self, tenant: Option<&TenantId>, server: Option<&ServerId>) -> usize {
        match (tenant, server) {
            (None, None) => self.records.iter().len(),
            (Some(tenant), None) => self.records.count_of(tenant),
            (None, Some(server)) => self.records.count_on(server),
            (Some(_), Some(server)) => self.records.on_after(server, tenant, None).count(),
        }
    }

    /// Visits the records on one server, in the order of their keys.
    pub fn records_on<'a>(
        &'a self,
        server: &ServerId,
    ) -> impl Iterator<Item = (&'a MeetingKey, &'a Stored<MeetingRecord>)> {
        self.records.on(server).filter_map(|key| Some((key, self.record(key)?)))
    }

    /// Visits the number of users that each record of a server reserves because no sample contains
    /// its meeting yet (E1); 0 for a record whose meeting is in the sample.
    pub fn reserved_on(&self, server: &ServerId) -> impl Iterator<Item = u64> {
        self.records.on(server).filter_map(|key| Some(u64::from(self.records.get(key)?.reserved)))
    }

    /// Counts the records on one server, in every state.
    pub fn record_count_on(&self, server: &ServerId) -> usize {
        self.records.count_on(server)
    }

    /// Counts the meetings that route to a server or may do so again: its records, and the
    /// *waiting* zombies there, whose replacement is not confirmed yet.
    pub fn meeting_count_on(&self, server: &ServerId) -> usize {
        let zombies = self.zombies_on(server);
        let waiting = zombies.filter(|(_, stored)| stored.value.state == ZombieState::Waiting);
        self.record_count_on(server) + waiting.count()
    }

    /// Visits the servers that records name, also those that have no entry in `servers/`.
    pub fn servers_with_records(&self) -> impl Iterator<Item = &ServerId> {
        self.records.servers()
    }

    /// Returns the zombie of this meeting and server, or `None` if there is none.
    pub fn zombie(&self, key: &ZombieKey) -> Option<&Stored<Zombie>> {
        self.zombies.get(key)
    }

    /// Returns the age of a zombie, in measured time that survives restarts.
    pub fn zombie_age(&self, key: &ZombieKey) -> Option<PersistedAge> {
        self.zombies.standing(key)
    }

    /// Visits all zombies, in the order of their keys.
    pub fn zombies(&self) -> impl ExactSizeIterator<Item = (&ZombieKey, &Stored<Zombie>)> {
        self.zombies.iter()
    }

    /// Visits the zombies after `after`, in the order of their keys.
    pub fn zombies_after(
        &self,
        after: Option<&ZombieKey>,
    ) -> impl Iterator<Item = (&ZombieKey, &Stored<Zombie>)> {
        self.zombies.after(after)
    }

    /// Visits the zombies of one meeting, in the order of their servers.
    pub fn zombies_of(&self, meeting: &MeetingKey) -> impl Iterator<Item = (ZombieKey, &Stored<Zombie>)> {
        self.zombies.of(meeting).filter_map(move |server| {
            let key = ZombieKey { meeting: meeting.clone(), server: server.clone() };
            let stored = self.zombies.get(&key)?;
            Some((key, stored))
        })
    }

    /// Returns whether an `end` may be on its way to an instance of a meeting, through any entry of
    /// the instance's server (ADR 21).
    pub fn is_being_ended(&self, meeting: &MeetingKey, instance: &InternalMeetingId) -> bool {
        self.zombies_of(meeting).any(|(_, stored)| {
            stored.value.state == ZombieState::Ending && stored.value.internal_id.as_ref() == Some(instance)
        })
    }

    /// Visits the zombies on one server, in the order of their meetings.
    pub fn zombies_on(&self, server: &ServerId) -> impl Iterator<Item = (ZombieKey, &Stored<Zombie>)> {
        self.zombies.on(server).filter_map(move |meeting| {
            let key = ZombieKey { meeting: meeting.clone(), server: server.clone() };
            let stored = self.zombies.get(&key)?;
            Some((key, stored))
        })
    }

    /// Visits the servers on which an unscoped meeting of another tenant, or a zombie of one, has
    /// the name that `meeting` would have there (ADR 12).
    pub fn namesakes_of(&self, meeting: &MeetingKey) -> impl Iterator<Item = &ServerId> {
        self.unscoped.namesakes_of(meeting)
    }

    /// Returns the meeting with a record or zombie that `instance` was created for, if servers squeeze
    /// the white space of its id, so that a list shows another one. `tenant` is the owner, if the
    /// meeting has Usher's mark.
    pub fn squeezed_meeting_of(
        &self,
        instance: &InternalMeetingId,
        tenant: Option<&TenantId>,
    ) -> Option<&MeetingKey> {
        self.squeezed.meeting_of(instance, tenant)
    }

    /// Counts the zombies on one server, in every state.
    pub fn zombie_count_on(&self, server: &ServerId) -> usize {
        self.zombies.count_on(server)
    }

    /// Counts the suspect zombies on one server: those of creates whose answers were lost, so that
    /// the meeting may not exist.
    pub fn suspects_on(&self, server: &ServerId) -> usize {
        self.zombies.suspects_on(server)
    }

    /// Returns whether the record of `key` was written or removed after revision `watermark`, so
    /// that a poll with this watermark is no evidence about it (H11).
    pub fn record_changed_since(&self, key: &MeetingKey, watermark: u64) -> bool {
        let written = self.record(key).map(|stored| stored.modified);
        written.max(self.removals.record(key)).is_some_and(|revision| revision > watermark)
    }

    /// Returns whether the zombie of `key` was written or removed after revision `watermark`, so
    /// that a poll with this watermark is no evidence about it.
    pub fn zombie_changed_since(&self, key: &ZombieKey, watermark: u64) -> bool {
        let written = self.zombie(key).map(|stored| stored.modified);
        written.max(self.removals.zombie(key)).is_some_and(|revision| revision > watermark)
    }

    /// Returns whether a server is polled: it is not disabled, or zombies are left there that have
    /// to be ended (H15).
    pub fn is_polled(&self, id: &ServerId) -> bool {
        let disabled = usher_model::server::AdminState::Disabled;
        self.server(id).is_some_and(|server| server.admin() != disabled || self.zombie_count_on(id) > 0)
    }
}
