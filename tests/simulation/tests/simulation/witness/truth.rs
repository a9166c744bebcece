//! What the store says, folded apart from the product.

use std::collections::BTreeMap;

use usher_common::{
    id::ServerId,
    meeting::{MeetingKey, Record, RecordState, Zombie, ZombieKey},
    server::{AdminState, Health, HealthRecord},
};
use usher_control_plane::core::{
    health::colour,
    plan::{Event, Stored},
    policy::Policy,
};

pub(crate) struct Truth {
    policy: Policy,
    pub(super) records: BTreeMap<MeetingKey, Stored<Record>>,
    pub(super) zombies: BTreeMap<ZombieKey, Zombie>,
    health: BTreeMap<ServerId, HealthRecord>,
    admin: BTreeMap<ServerId, AdminState>,
}

impl Truth {
    pub(super) fn new(policy: Policy) -> Self {
        let (records, zombies, health, admin) = Default::default();
        Self { policy, records, zombies, health, admin }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.policy.clone());
    }

    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Server(id, Some(stored)) => drop(self.admin.insert(id, stored.value.admin)),
            Event::Server(id, None) => drop(self.admin.remove(&id)),
            Event::Health(id, Some(stored)) => drop(self.health.insert(id, stored.value)),
            Event::Health(id, None) => drop(self.health.remove(&id)),
            Event::Record(key, Some(stored)) => drop(self.records.insert(key, stored)),
            Event::Record(key, None) => drop(self.records.remove(&key)),
            Event::Zombie(key, Some(stored)) => drop(self.zombies.insert(key, stored.value)),
            Event::Zombie(key, None) => drop(self.zombies.remove(&key)),
            Event::Sample(..) | Event::Tenant(..) | Event::Voice(..) => {}
        }
    }

    pub(super) fn colour(&self, server: &ServerId) -> Health {
        colour(self.health.get(server), &self.policy)
    }

    pub(super) fn admin(&self, server: &ServerId) -> Option<AdminState> {
        self.admin.get(server).copied()
    }

    /// Tells whether ids of a server may be given to others.
    pub(super) fn is_given_up(&self, server: &ServerId) -> bool {
        match self.admin(server) {
            None | Some(AdminState::Disabled) => true,
            Some(_) => self.colour(server) == Health::Offline,
        }
    }

    pub(super) fn record(&self, key: &MeetingKey) -> Option<&Record> {
        self.records.get(key).map(|stored| &stored.value)
    }

    /// Tells whether a meeting on a server is known: routed, ending, or to be ended.
    pub(super) fn knows(&self, key: &MeetingKey, server: &ServerId) -> bool {
        let zombie = ZombieKey { meeting: key.clone(), server: server.clone() };
        self.record(key).is_some_and(|record| record.server == *server) || self.zombies.contains_key(&zombie)
    }

    /// Tells whether an id is confirmed on another server.
    pub(super) fn lives_elsewhere(&self, key: &MeetingKey, server: &ServerId) -> bool {
        self.record(key).is_some_and(|record| {
            record.server != *server && matches!(record.state, RecordState::Active { .. })
        })
    }
}
