//! Conversion between the domain and stored values: changes become events, plans become
//! transactions.
//!
//! A value may hold fields that only a newer version knows. The codec remembers them when it reads
//! a value and puts them back when it writes that value again, so that an older writer never
//! removes them (design 3). Nearly always there are none, and the memory is empty.

mod fleet;
mod meeting;
mod unknown_fields;
mod value_error;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::Message;
use usher_model::{
    id::{ServerId, TenantId},
    revision::FencingToken,
};
use usher_proto::store as pb;

use self::unknown_fields::UnknownFields;
pub(crate) use self::unknown_fields::fields as unknown_fields;
pub use self::value_error::{UnreadableValue, ValueError};
use super::keys;
use crate::{
    core::{
        plan::{self, FleetEvent, FleetKey, Plan, Stored},
        seal::HistoryKey,
        unpolled::RememberedNames,
    },
    ports::{KeyChange, StoreEntry, StoreListing, StoreTxn, TxnGuard, TxnWrite},
};

/// Version of the stored values. A reader refuses a newer one.
pub const SCHEMA_VERSION: u32 = 1;

/// Reads changes and writes plans. The follower and the committer of one program share one codec.
#[derive(Debug, Default)]
pub struct StoreCodec {
    unknown: Mutex<UnknownFields>,
}

impl StoreCodec {
    /// Returns a codec that remembers no unknown fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole listing. Each unreadable value is reported, and the others become events.
    pub fn events(&self, listing: &StoreListing) -> (Vec<FleetEvent>, Vec<UnreadableValue>) {
        self.unknown().clear();
        let (mut events, mut bad) = (Vec::with_capacity(listing.entries.len()), Vec::new());
        for entry in &listing.entries {
            match self.put_event(entry) {
                Ok(event) => events.extend(event),
                Err(fault) => bad.push(fault),
            }
        }
        (events, bad)
    }

    /// Reads one change; `None` when its key is of no family that the fleet folds.
    pub fn event(&self, change: &KeyChange) -> Result<Option<FleetEvent>, UnreadableValue> {
        match change {
            KeyChange::Put(entry) => self.put_event(entry),
            KeyChange::Delete { key: path } => {
                self.unknown().forget(path);
                Ok(known_key(path)?.map(|key| absent(&key)))
            }
        }
    }

    fn put_event(&self, entry: &StoreEntry) -> Result<Option<FleetEvent>, UnreadableValue> {
        let Some(key) = known_key(&entry.key)? else { return Ok(None) };
        let event = read(&key, entry).map_err(|reason| UnreadableValue {
            path: entry.key.clone(),
            reason,
            absent: Some(Box::new(absent(&key))),
        })?;
        self.unknown().remember(&entry.key, unknown_fields::fields(&entry.value, known_fields(&key)));
        Ok(Some(event))
    }

    /// Writes a plan as a transaction; a leader's plan carries its fencing token.
    pub fn txn(&self, plan: &Plan, fence: Option<&FencingToken>) -> StoreTxn {
        let guards = plan.guards.iter().map(|guard| match guard {
            plan::PlanGuard::Absent(key) => TxnGuard::Absent(keys::path(key)),
            plan::PlanGuard::Unchanged(key, revision) => TxnGuard::Unchanged(keys::path(key), *revision),
        });
        let guards: Vec<TxnGuard> = guards.chain(fence.cloned().map(TxnGuard::Fence)).collect();
        let writes = plan.writes.iter().map(|write| self.write(write, &guards)).collect();
        StoreTxn { guards, writes }
    }

    fn write(&self, write: &plan::PlanWrite, guards: &[TxnGuard]) -> TxnWrite {
        let (key, mut value) = match write {
            plan::PlanWrite::Server(server) => {
                (FleetKey::Server(server.id.clone()), fleet::server_value(server).encode_to_vec())
            }
            plan::PlanWrite::Health(id, health) => {
                (FleetKey::Health(id.clone()), fleet::health_value(health).encode_to_vec())
            }
            plan::PlanWrite::Sample(id, sample) => {
                (FleetKey::Sample(id.clone()), fleet::sample_value(sample).encode_to_vec())
            }
            plan::PlanWrite::Tenant(tenant) => {
                (FleetKey::Tenant(tenant.id.clone()), fleet::tenant_value(tenant).encode_to_vec())
            }
            plan::PlanWrite::Record(key, record) => {
                (FleetKey::Record(key.clone()), meeting::record_value(record).encode_to_vec())
            }
            plan::PlanWrite::Zombie(key, zombie) => {
                (FleetKey::Zombie(key.clone()), meeting::zombie_value(zombie).encode_to_vec())
            }
            plan::PlanWrite::Voice(bridge, assignment) => {
                (FleetKey::Voice(*bridge), meeting::voice_value(assignment).encode_to_vec())
            }
            plan::PlanWrite::Delete(key) => return TxnWrite::Delete(keys::path(key)),
        };
        let path = keys::path(&key);
        // A value that is created anew takes over no fields of an earlier value of the same key.
        let created = guards.iter().any(|guard| matches!(guard, TxnGuard::Absent(absent) if *absent == path));
        if !created {
            self.unknown().append(&path, &mut value);
        }
        TxnWrite::Put(path, value.into())
    }

    fn unknown(&self) -> MutexGuard<'_, UnknownFields> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known_key(path: &str) -> Result<Option<FleetKey>, UnreadableValue> {
    keys::parse(path).map_err(|error| UnreadableValue {
        path: path.to_owned(),
        reason: error.into(),
        absent: None,
    })
}

/// Returns the largest field number that this version knows for values of the key's family.
fn known_fields(key: &FleetKey) -> u32 {
    match key {
        FleetKey::Health(_) => 7,
        FleetKey::Server(_) => 9,
        FleetKey::Sample(_) => 5,
        FleetKey::Voice(_) => 3,
        FleetKey::Zombie(_) => 5,
        FleetKey::Tenant(_) => 15,
        FleetKey::Record(_) => 12,
    }
}

fn absent(key: &FleetKey) -> FleetEvent {
    match key.clone() {
        FleetKey::Server(id) => FleetEvent::Server(id, None),
        FleetKey::Health(id) => FleetEvent::Health(id, None),
        FleetKey::Sample(id) => FleetEvent::Sample(id, None),
        FleetKey::Tenant(id) => FleetEvent::Tenant(id, None),
        FleetKey::Record(key) => FleetEvent::Record(key, None),
        FleetKey::Zombie(key) => FleetEvent::Zombie(key, None),
        FleetKey::Voice(bridge) => FleetEvent::Voice(bridge, None),
    }
}

fn read(key: &FleetKey, entry: &StoreEntry) -> Result<FleetEvent, ValueError> {
    fn stored<T>(value: T, entry: &StoreEntry) -> Stored<T> {
        Stored { value, created: entry.create_revision, modified: entry.mod_revision }
    }
    let bytes = &*entry.value;
    Ok(match key.clone() {
        FleetKey::Server(id) => {
            let server = fleet::server(id.clone(), pb::ServerValue::decode(bytes)?)?;
            FleetEvent::Server(id, Some(stored(server, entry)))
        }
        FleetKey::Health(id) => {
            let health = fleet::health(pb::HealthValue::decode(bytes)?);
            FleetEvent::Health(id, Some(stored(health, entry)))
        }
        FleetKey::Sample(id) => {
            let sample = fleet::sample(pb::SampleValue::decode(bytes)?)?;
            FleetEvent::Sample(id, Some(stored(sample, entry)))
        }
        FleetKey::Tenant(id) => {
            let tenant = fleet::tenant(id.clone(), pb::TenantValue::decode(bytes)?);
            FleetEvent::Tenant(id, Some(stored(tenant, entry)))
        }
        FleetKey::Record(key) => {
            let record = meeting::record(pb::RecordValue::decode(entry.value.clone())?)?;
            FleetEvent::Record(key, Some(stored(record, entry)))
        }
        FleetKey::Zombie(key) => {
            let zombie = meeting::zombie(pb::ZombieValue::decode(bytes)?)?;
            FleetEvent::Zombie(key, Some(stored(zombie, entry)))
        }
        FleetKey::Voice(bridge) => {
            let assignment = meeting::voice(pb::VoiceValue::decode(bytes)?)?;
            FleetEvent::Voice(bridge, Some(stored(assignment, entry)))
        }
    })
}

/// The value of [`keys::META`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreMeta {
    /// Random number of the epoch.
    pub epoch: u64,
    /// Number of the store cluster on which the epoch began.
    pub cluster_id: u64,
}

/// Writes the value of [`keys::META`].
pub fn meta(StoreMeta { epoch, cluster_id }: StoreMeta) -> Bytes {
    pb::Meta { schema_version: SCHEMA_VERSION, epoch, cluster_id }.encode_to_vec().into()
}

/// Reads the value of [`keys::META`].
///
/// # Errors
/// The bytes are not such a value, or its schema is unknown to this version.
pub fn read_meta(value: &[u8]) -> Result<StoreMeta, ValueError> {
    let meta = pb::Meta::decode(value)?;
    if meta.schema_version == SCHEMA_VERSION {
        Ok(StoreMeta { epoch: meta.epoch, cluster_id: meta.cluster_id })
    } else {
        Err(ValueError::Field("schema_version"))
    }
}

/// Writes the value of [`keys::HISTORY_KEY`].
pub fn history_key(key: &HistoryKey) -> Bytes {
    pb::HistoryKeyValue { key: key.as_bytes().to_vec() }.encode_to_vec().into()
}

/// Reads the value of [`keys::HISTORY_KEY`].
///
/// # Errors
/// The bytes are not such a value.
pub fn read_history_key(value: &[u8]) -> Result<HistoryKey, ValueError> {
    let key = pb::HistoryKeyValue::decode(value)?.key;
    let key = <[u8; HistoryKey::LEN]>::try_from(key.as_slice()).map_err(|_| ValueError::Field("key"))?;
    Ok(HistoryKey::new(key))
}

/// Writes the value of [`keys::AWAITED`].
pub fn awaited(epoch: u64, names: &RememberedNames) -> Bytes {
    let servers = names.servers.iter().map(ToString::to_string).collect();
    let tenants = names.tenants.iter().map(ToString::to_string).collect();
    pb::Awaited { epoch, servers, tenants }.encode_to_vec().into()
}

/// Reads the value of [`keys::AWAITED`]: the epoch, and the servers and tenants that are awaited in
/// it. Malformed names are left out.
///
/// # Errors
/// The bytes are not such a value.
pub fn read_awaited(value: &[u8]) -> Result<(u64, RememberedNames), ValueError> {
    let pb::Awaited { epoch, servers, tenants } = pb::Awaited::decode(value)?;
    let servers = servers.iter().filter_map(|id| ServerId::parse(id).ok()).collect();
    let tenants = tenants.iter().filter_map(|id| TenantId::parse(id).ok()).collect();
    Ok((epoch, RememberedNames { servers, tenants }))
}

#[cfg(test)]
mod tests;
