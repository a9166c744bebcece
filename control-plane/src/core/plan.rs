//! One guarded transaction in terms of the domain. A plan leaves no choice to its executor. A plan that
//! is committed twice, late or beside a newer one does no harm, because its guards fail (style P2).

use usher_model::{
    id::{ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, Zombie, ZombieKey},
    routing::TenantRoute,
    server::{HealthRecord, Server, ServerSample},
    voice::VoiceBridge,
};

use crate::core::voice::VoiceAssignment;

/// A value with the revisions of the store that created and last changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The value as the store holds it.
    pub value: T,
    /// Revision that created the key.
    pub created: u64,
    /// Revision that last changed it.
    pub modified: u64,
}

/// The key of one stored value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FleetKey {
    /// `servers/ID`
    Server(ServerId),
    /// `health/ID`
    Health(ServerId),
    /// `load/ID`
    Sample(ServerId),
    /// `tenants/ID`
    Tenant(TenantId),
    /// `meetings/TENANT/ID`
    Record(MeetingKey),
    /// `zombies/TENANT/ID/SERVER`
    Zombie(ZombieKey),
    /// `voice/NUMBER`
    Voice(VoiceBridge),
}

/// A condition of the whole plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanGuard {
    /// The key must not exist.
    Absent(FleetKey),
    /// The key must exist, and its last change must be the one of this revision.
    Unchanged(FleetKey, u64),
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanWrite {
    /// Sets `servers/ID`.
    Server(Server),
    /// Sets `health/ID`.
    Health(ServerId, HealthRecord),
    /// Sets `load/ID`.
    Sample(ServerId, ServerSample),
    /// Sets `tenants/ID`.
    Tenant(TenantRoute),
    /// Sets `meetings/TENANT/ID`.
    Record(MeetingKey, MeetingRecord),
    /// Sets `zombies/TENANT/ID/SERVER`.
    Zombie(ZombieKey, Zombie),
    /// Sets `voice/NUMBER`.
    Voice(VoiceBridge, VoiceAssignment),
    /// Removes a key.
    Delete(FleetKey),
}

/// A guarded transaction: all writes are applied if every guard holds, else none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The conditions, all of which must hold.
    pub guards: Vec<PlanGuard>,
    /// The changes, at most one for each key.
    pub writes: Vec<PlanWrite>,
}

impl Plan {
    /// Returns whether the plan has no write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Guards a key by its observed state: unchanged if it existed, absent if it did not. A key that has
    /// a guard keeps it, because the first observation is the one of the decision.
    pub fn guard_seen<T>(&mut self, key: FleetKey, seen: Option<&Stored<T>>) {
        let stands = |guard: &PlanGuard| match guard {
            PlanGuard::Absent(guarded) | PlanGuard::Unchanged(guarded, _) => *guarded == key,
        };
        if !self.guards.iter().any(stands) {
            self.guards.push(match seen {
                Some(stored) => PlanGuard::Unchanged(key, stored.modified),
                None => PlanGuard::Absent(key),
            });
        }
    }
}

/// One change of the store, as the fleet folds it; `None` when the key was deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum FleetEvent {
    /// `servers/ID`
    Server(ServerId, Option<Stored<Server>>),
    /// `health/ID`
    Health(ServerId, Option<Stored<HealthRecord>>),
    /// `load/ID`
    Sample(ServerId, Option<Stored<ServerSample>>),
    /// `tenants/ID`
    Tenant(TenantId, Option<Stored<TenantRoute>>),
    /// `meetings/TENANT/ID`
    Record(MeetingKey, Option<Stored<MeetingRecord>>),
    /// `zombies/TENANT/ID/SERVER`
    Zombie(ZombieKey, Option<Stored<Zombie>>),
    /// `voice/NUMBER`
    Voice(VoiceBridge, Option<Stored<VoiceAssignment>>),
}

impl PlanWrite {
    /// Returns the key that this write sets or removes.
    pub fn key(&self) -> FleetKey {
        match self {
            Self::Server(server) => FleetKey::Server(server.id.clone()),
            Self::Health(id, _) => FleetKey::Health(id.clone()),
            Self::Sample(id, _) => FleetKey::Sample(id.clone()),
            Self::Tenant(tenant) => FleetKey::Tenant(tenant.id.clone()),
            Self::Record(key, _) => FleetKey::Record(key.clone()),
            Self::Zombie(key, _) => FleetKey::Zombie(key.clone()),
            Self::Voice(bridge, _) => FleetKey::Voice(*bridge),
            Self::Delete(key) => key.clone(),
        }
    }
}

impl FleetEvent {
    /// Returns the changed key.
    pub fn key(&self) -> FleetKey {
        match self {
            Self::Server(id, _) => FleetKey::Server(id.clone()),
            Self::Health(id, _) => FleetKey::Health(id.clone()),
            Self::Sample(id, _) => FleetKey::Sample(id.clone()),
            Self::Tenant(id, _) => FleetKey::Tenant(id.clone()),
            Self::Record(key, _) => FleetKey::Record(key.clone()),
            Self::Zombie(key, _) => FleetKey::Zombie(key.clone()),
            Self::Voice(bridge, _) => FleetKey::Voice(*bridge),
        }
    }

    /// Returns the revision that last changed the value; `None` if the key was deleted.
    pub fn modified(&self) -> Option<u64> {
        match self {
            Self::Server(_, stored) => stored.as_ref().map(|stored| stored.modified),
            Self::Health(_, stored) => stored.as_ref().map(|stored| stored.modified),
            Self::Sample(_, stored) => stored.as_ref().map(|stored| stored.modified),
            Self::Tenant(_, stored) => stored.as_ref().map(|stored| stored.modified),
            Self::Record(_, stored) => stored.as_ref().map(|stored| stored.modified),
            Self::Zombie(_, stored) => stored.as_ref().map(|stored| stored.modified),
            Self::Voice(_, stored) => stored.as_ref().map(|stored| stored.modified),
        }
    }

    /// Returns the event that deletes `key`.
    pub fn deleted(key: FleetKey) -> Self {
        match key {
            FleetKey::Server(id) => Self::Server(id, None),
            FleetKey::Health(id) => Self::Health(id, None),
            FleetKey::Sample(id) => Self::Sample(id, None),
            FleetKey::Tenant(id) => Self::Tenant(id, None),
            FleetKey::Record(key) => Self::Record(key, None),
            FleetKey::Zombie(key) => Self::Zombie(key, None),
            FleetKey::Voice(bridge) => Self::Voice(bridge, None),
        }
    }
}
