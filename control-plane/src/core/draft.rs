//! A plan in the making, in the terms of A5: records move, zombies stay behind.

use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::AdminState,
    voice::VoiceBridge,
};

use crate::core::{
    fleet::Fleet,
    instance::create_time_of,
    plan::{FleetKey, Plan, PlanWrite},
    voice::VoiceAssignment,
};

/// A plan in the making. Everything written is guarded as it was seen.
pub(in crate::core) struct PlanDraft<'a> {
    fleet: &'a Fleet,
    now_ms: i64,
    plan: Plan,
}

impl<'a> PlanDraft<'a> {
    pub(in crate::core) fn new(fleet: &'a Fleet, now_ms: i64) -> Self {
        Self { fleet, now_ms, plan: Plan::default() }
    }

    pub(in crate::core) fn into_plan(self) -> Plan {
        self.plan
    }

    /// Adds what another draft of the same fleet came to.
    pub(in crate::core) fn append(&mut self, other: Self) {
        for guard in other.plan.guards {
            if !self.plan.guards.contains(&guard) {
                self.plan.guards.push(guard);
            }
        }
        for write in other.plan.writes {
            self.write(write.key(), write);
        }
    }

    /// Returns the number of writes so far.
    pub(in crate::core) fn len(&self) -> usize {
        self.plan.writes.len()
    }

    /// Makes the plan hold only while a server is as it was seen.
    pub(in crate::core) fn guard_server(&mut self, id: &ServerId) {
        let seen = self.fleet.server(id).map(|server| &server.stored);
        self.plan.guard_seen(FleetKey::Server(id.clone()), seen);
    }

    /// Makes the plan hold only while a server and its health are as they were seen (I7).
    pub(in crate::core) fn guard_choice(&mut self, id: &ServerId) {
        self.guard_server(id);
        if let Some(server) = self.fleet.server(id) {
            self.plan.guard_seen(FleetKey::Health(id.clone()), server.health_record.as_ref());
        }
    }

    /// Guards a server that a record comes to by another way than placement. A cordoned server is
    /// disabled when it is empty; that was decided without this record, so it must fail from now on:
    /// the server is written anew as it was.
    pub(in crate::core) fn guard_arrival(&mut self, id: &ServerId) {
        self.guard_server(id);
        if let Some(server) = self.fleet.server(id)
            && server.admin() == AdminState::Cordoned
        {
            self.write(FleetKey::Server(id.clone()), PlanWrite::Server(server.stored.value.clone()));
        }
    }

    /// Guards the arrival of a bare meeting ([`usher_model::scope`]) at a server. Tenant `default`'s
    /// meeting of that id must not be created there: whoever chose the server for it before must choose
    /// anew, so the server is written as it was.
    pub(in crate::core) fn guard_unscoped(&mut self, id: &MeetingId, server: &ServerId) {
        let namesake = MeetingKey::new(TenantId::default_tenant(), id.clone());
        self.guard_record(&namesake);
        self.guard_server(server);
        if let Some(server) = self.fleet.server(server) {
            self.write(FleetKey::Server(server.id().clone()), PlanWrite::Server(server.stored.value.clone()));
        }
    }

    pub(in crate::core) fn guard_record(&mut self, key: &MeetingKey) {
        self.plan.guard_seen(FleetKey::Record(key.clone()), self.fleet.record(key));
    }

    pub(in crate::core) fn guard_zombie(&mut self, key: &ZombieKey) {
        self.plan.guard_seen(FleetKey::Zombie(key.clone()), self.fleet.zombie(key));
    }

    pub(in crate::core) fn set_record(&mut self, key: &MeetingKey, record: MeetingRecord) {
        self.guard_record(key);
        if let RecordState::Active { internal_id, .. } = &record.state {
            self.claim(key, internal_id);
        }
        self.write(FleetKey::Record(key.clone()), PlanWrite::Record(key.clone(), record));
    }

    /// Takes out the zombies of an id that name the instance which its record names from now on, on
    /// whichever entry of the instance's server they stand: what a record names is not ended. A zombie
    /// that may come to name it is guarded, so that no mark of an `end` slips in between.
    fn claim(&mut self, key: &MeetingKey, instance: &InternalMeetingId) {
        let fleet = self.fleet;
        for (zombie, stored) in fleet.zombies_of(key) {
            match &stored.value.internal_id {
                Some(named) if named == instance => self.remove_zombie(&zombie),
                Some(_) => {}
                None => self.guard_zombie(&zombie),
            }
        }
    }

    pub(in crate::core) fn remove_record(&mut self, key: &MeetingKey) {
        self.guard_record(key);
        self.write(FleetKey::Record(key.clone()), PlanWrite::Delete(FleetKey::Record(key.clone())));
    }

    /// Leaves a zombie. The one that stood at its place gives way: a server runs one instance of an
    /// id, so the newer entry is the true one.
    pub(in crate::core) fn set_zombie(
        &mut self,
        key: ZombieKey,
        state: ZombieState,
        internal_id: Option<InternalMeetingId>,
        reason: &str,
    ) {
        self.guard_zombie(&key);
        let reason = reason.to_owned();
        let zombie = Zombie { state, internal_id, reason, since_ms: self.now_ms, stood_ms: 0 };
        self.write(FleetKey::Zombie(key.clone()), PlanWrite::Zombie(key, zombie));
    }

    /// Moves a zombie on, keeping why and since when it stands.
    pub(in crate::core) fn move_zombie(
        &mut self,
        key: &ZombieKey,
        state: ZombieState,
        internal_id: Option<InternalMeetingId>,
    ) {
        let Some(old) = self.fleet.zombie(key) else { return };
        self.guard_zombie(key);
        let zombie = Zombie { state, internal_id, ..old.value.clone() };
        self.write(FleetKey::Zombie(key.clone()), PlanWrite::Zombie(key.clone(), zombie));
    }

    pub(in crate::core) fn remove_zombie(&mut self, key: &ZombieKey) {
        self.guard_zombie(key);
        self.write(FleetKey::Zombie(key.clone()), PlanWrite::Delete(FleetKey::Zombie(key.clone())));
    }

    pub(in crate::core) fn guard_voice(&mut self, bridge: VoiceBridge) {
        self.plan.guard_seen(FleetKey::Voice(bridge), self.fleet.voice().get(bridge));
    }

    pub(in crate::core) fn set_voice(&mut self, bridge: VoiceBridge, assignment: VoiceAssignment) {
        self.guard_voice(bridge);
        self.write(FleetKey::Voice(bridge), PlanWrite::Voice(bridge, assignment));
    }

    pub(in crate::core) fn remove_voice(&mut self, bridge: VoiceBridge) {
        self.guard_voice(bridge);
        self.write(FleetKey::Voice(bridge), PlanWrite::Delete(FleetKey::Voice(bridge)));
    }

    /// Makes a record ACTIVE: its replacement confirmed, the *waiting* zombies of the id become *due*.
    pub(in crate::core) fn activate(&mut self, key: &MeetingKey, record: MeetingRecord) {
        let server = record.server.clone();
        self.set_record(key, record);
        self.release_waiting(key, &server);
    }

    /// Makes the *waiting* zombies of an id *due*, other than on `except` and those the plan takes out.
    pub(in crate::core) fn release_waiting(&mut self, key: &MeetingKey, except: &ServerId) {
        let fleet = self.fleet;
        for (zombie, stored) in fleet.zombies_of(key) {
            let removed = PlanWrite::Delete(FleetKey::Zombie(zombie.clone()));
            if zombie.server != *except
                && stored.value.state == ZombieState::Waiting
                && !self.plan.writes.contains(&removed)
            {
                self.move_zombie(&zombie, ZombieState::Due, stored.value.internal_id.clone());
            }
        }
    }

    /// Takes out a record that was never ACTIVE. If it had superseded an instance that is still only
    /// *waiting*, the record returns to it: nothing replaced it after all. Where that server is
    /// disabled the zombie goes on waiting; the id is free.
    pub(in crate::core) fn drop_pending(&mut self, key: &MeetingKey, pending: &MeetingRecord) {
        let fleet = self.fleet;
        let usable =
            |id: &ServerId| fleet.server(id).is_some_and(|server| server.admin() != AdminState::Disabled);
        let waiting = fleet.zombies_of(key).find_map(|(zombie, stored)| {
            let returns = stored.value.state == ZombieState::Waiting
                && zombie.server != pending.server
                && usable(&zombie.server);
            let internal_id = stored.value.internal_id.clone().filter(|_| returns)?;
            (!fleet.is_being_ended(key, &internal_id)).then_some((zombie, internal_id))
        });
        let Some((zombie, internal_id)) = waiting else { return self.remove_record(key) };
        let server = zombie.server.clone();
        let create_time_ms = create_time_of(&internal_id);
        let state = RecordState::Active { internal_id, create_time_ms };
        self.guard_arrival(&server);
        self.remove_zombie(&zombie);
        self.set_record(key, MeetingRecord { state, server, token: String::new(), ..pending.clone() });
    }

    /// Sets what is to be written to a key; the last word counts.
    fn write(&mut self, key: FleetKey, write: PlanWrite) {
        self.plan.writes.retain(|earlier| earlier.key() != key);
        self.plan.writes.push(write);
    }
}
