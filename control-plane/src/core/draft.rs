//! A plan under construction, in the terms of A5: a record moves, and a zombie stays on its old server.

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

/// A plan under construction. Every key that it writes is guarded by the value that the fleet showed.
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

    /// Adds the guards and writes of another draft of the same fleet.
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

    /// Lets the plan fail if the server was changed since the fleet showed it.
    pub(in crate::core) fn guard_server(&mut self, id: &ServerId) {
        let seen = self.fleet.server(id).map(|server| &server.stored);
        self.plan.guard_seen(FleetKey::Server(id.clone()), seen);
    }

    /// Lets the plan fail if the server or its health was changed since the fleet showed them (I7).
    pub(in crate::core) fn guard_choice(&mut self, id: &ServerId) {
        self.guard_server(id);
        if let Some(server) = self.fleet.server(id) {
            self.plan.guard_seen(FleetKey::Health(id.clone()), server.health_record.as_ref());
        }
    }

    /// Guards a server that a record reaches by another way than placement. A cordoned server is
    /// disabled once it is empty; a replica that decides so without this record must fail, therefore
    /// the server is written again unchanged, which gives it a new revision.
    pub(in crate::core) fn guard_arrival(&mut self, id: &ServerId) {
        self.guard_server(id);
        if let Some(server) = self.fleet.server(id)
            && server.admin() == AdminState::Cordoned
        {
            self.write(FleetKey::Server(id.clone()), PlanWrite::server(server.stored.value.clone()));
        }
    }

    /// Guards the arrival of an unscoped meeting ([`usher_model::scope`]) at a server. A meeting of tenant
    /// `default` with the same id must not be created there: a replica that chose this server for it
    /// earlier must choose again, therefore the server is written again unchanged.
    pub(in crate::core) fn guard_unscoped(&mut self, id: &MeetingId, server: &ServerId) {
        let namesake = MeetingKey::new(TenantId::default_tenant(), id.clone());
        self.guard_record(&namesake);
        self.guard_server(server);
        if let Some(server) = self.fleet.server(server) {
            self.write(FleetKey::Server(server.id().clone()), PlanWrite::server(server.stored.value.clone()));
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

    /// Removes the zombies that name the instance which the record names from now on, under each entry
    /// of its server: an instance that a record names is never ended (ADR 21). A zombie without an
    /// instance may come to name it; it is guarded, so that no mark of an `end` is written meanwhile.
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

    /// Writes a zombie. It replaces an earlier one of the same id and server: a server runs one instance
    /// of an id, so that the newer entry is the correct one.
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

    /// Changes the state of a zombie and keeps its reason and its time.
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

    /// Makes a record ACTIVE. It replaces every earlier instance, so that the *waiting* zombies of the
    /// id become *due* (A5).
    pub(in crate::core) fn activate(&mut self, key: &MeetingKey, record: MeetingRecord) {
        let server = record.server.clone();
        self.set_record(key, record);
        self.release_waiting(key, &server);
    }

    /// Makes the *waiting* zombies of an id *due*, except on the server `except` and except those that
    /// the plan removes.
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

    /// Removes a record that was never ACTIVE. If it had superseded an instance that is still *waiting*,
    /// the record returns to that instance, because no other one replaced it (A5). If the server of that
    /// instance is disabled, the zombie stays *waiting* and the id is free.
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
        self.set_record(
            key,
            MeetingRecord { state, server, token: String::new(), unanswered: false, ..pending.clone() },
        );
    }

    /// Sets the write of a key. A later write replaces an earlier one: a transaction may write a key once.
    fn write(&mut self, key: FleetKey, write: PlanWrite) {
        self.plan.writes.retain(|earlier| earlier.key() != key);
        self.plan.writes.push(write);
    }
}
