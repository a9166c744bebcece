//! The content of the store, folded by code that the product does not use.

use std::collections::BTreeMap;

use usher_control_plane::core::{
    health::health_of,
    plan::{FleetEvent, Stored},
    policy::Policy,
};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey},
    server::{AdminState, Health, HealthRecord},
};

use crate::servers::home;

pub(crate) struct StoreFold {
    policy: Policy,
    pub(super) records: BTreeMap<MeetingKey, Stored<MeetingRecord>>,
    pub(super) zombies: BTreeMap<ZombieKey, Zombie>,
    health: BTreeMap<ServerId, HealthRecord>,
    admin: BTreeMap<ServerId, AdminState>,
}

impl StoreFold {
    pub(super) fn new(policy: Policy) -> Self {
        let (records, zombies, health, admin) = Default::default();
        Self { policy, records, zombies, health, admin }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.policy.clone());
    }

    pub(super) fn apply(&mut self, event: FleetEvent) {
        match event {
            FleetEvent::Server(id, Some(stored)) => drop(self.admin.insert(id, stored.value.admin)),
            FleetEvent::Server(id, None) => drop(self.admin.remove(&id)),
            FleetEvent::Health(id, Some(stored)) => drop(self.health.insert(id, stored.value)),
            FleetEvent::Health(id, None) => drop(self.health.remove(&id)),
            FleetEvent::Record(key, Some(stored)) => drop(self.records.insert(key, stored)),
            FleetEvent::Record(key, None) => drop(self.records.remove(&key)),
            FleetEvent::Zombie(key, Some(stored)) => drop(self.zombies.insert(key, stored.value)),
            FleetEvent::Zombie(key, None) => drop(self.zombies.remove(&key)),
            FleetEvent::Sample(..) | FleetEvent::Tenant(..) | FleetEvent::Voice(..) => {}
        }
    }

    pub(super) fn health(&self, server: &ServerId) -> Health {
        health_of(self.health.get(server), &self.policy)
    }

    pub(super) fn judged_health(&self, health: &HealthRecord) -> Health {
        health_of(Some(health), &self.policy)
    }

    pub(super) fn admin(&self, server: &ServerId) -> Option<AdminState> {
        self.admin.get(server).copied()
    }

    /// Returns whether ids of a server may be given to others.
    pub(super) fn is_replaceable(&self, server: &ServerId) -> bool {
        match self.admin(server) {
            None | Some(AdminState::Disabled) => true,
            Some(_) => self.health(server) == Health::Offline,
        }
    }

    pub(super) fn record(&self, key: &MeetingKey) -> Option<&MeetingRecord> {
        self.records.get(key).map(|stored| &stored.value)
    }

    /// Returns whether any entry of a server is abandoned.
    pub(super) fn is_home_abandoned(&self, server: &ServerId) -> bool {
        let entries = self.admin.keys().filter(|entry| home(entry) == *server);
        entries.clone().next().is_none() || entries.clone().any(|entry| self.is_replaceable(entry))
    }

    /// Returns the zombies of a meeting on a server, under any of its entries.
    pub(super) fn zombies_at(&self, key: &MeetingKey, server: &ServerId) -> impl Iterator<Item = &Zombie> {
        let here = move |zombie: &ZombieKey| zombie.meeting == *key && home(&zombie.server) == *server;
        self.zombies.iter().filter(move |(zombie, _)| here(zombie)).map(|(_, zombie)| zombie)
    }

    /// Returns whether a meeting on a server is known: routed, ending, or to be ended.
    pub(super) fn knows(&self, key: &MeetingKey, server: &ServerId) -> bool {
        self.record(key).is_some_and(|record| home(&record.server) == *server)
            || self.zombies_at(key, server).next().is_some()
    }

    /// Returns whether an id is confirmed on another server than a zombie's, or on the same one
    /// with another instance than the one that the zombie names.
    pub(super) fn is_replaced(&self, zombie: &ZombieKey, instance: Option<&InternalMeetingId>) -> bool {
        self.record(&zombie.meeting).is_some_and(|record| {
            let elsewhere = home(&record.server) != home(&zombie.server);
            let another = record.server != zombie.server && instance.is_some_and(|id| !record.names(id));
            matches!(record.state, RecordState::Active { .. }) && (elsewhere || another)
        })
    }
}
