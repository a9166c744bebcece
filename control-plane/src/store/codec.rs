//! Conversion between the domain and stored values: changes become events, plans become
//! transactions.
//!
//! A value may hold fields that only a newer version knows. The codec remembers them when it reads
//! a value and puts them back when it writes that value again, so that an older writer never
//! removes them (design 3). Nearly always there are none, and the memory is empty.

mod fleet;
mod meeting;
mod unknown_fields;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::{DecodeError, Message};
use usher_model::{
    id::{IdError, ServerId, TenantId},
    revision::FencingToken,
};
use usher_proto::store as pb;

use self::unknown_fields::UnknownFields;
pub(crate) use self::unknown_fields::fields as unknown_fields;
use super::keys::{self, KeyError};
use crate::{
    core::{
        plan::{self, Event, Key, Plan, Stored},
        seal::HistoryKey,
        unpolled::Names,
    },
    ports::{Change, Entry, Guard, Listing, Txn, Write},
};

/// Version of the stored values. A reader refuses a newer one.
pub const SCHEMA_VERSION: u32 = 1;

/// The reason why stored bytes are not a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// The key itself is unreadable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bytes are not the expected message.
    #[error("cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// A field holds a value outside its range, or of a newer version.
    #[error("field `{0}` holds an unknown value")]
    Field(&'static str),
    /// A field is not an identifier.
    #[error("field `{field}`: {source}")]
    Id {
        /// Name of the field.
        field: &'static str,
        /// The fault of the identifier.
        source: IdError,
    },
}

/// A stored value that is unreadable. The fold of the store treats the value as absent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("value of `{path}`: {reason}")]
pub struct UnreadableValue {
    /// Path of the value, relative to the store's prefix.
    pub path: String,
    /// The fault of the value.
    pub reason: ValueError,
    /// The event that removes the value from a fleet; `None` when the key itself is unreadable.
    pub absent: Option<Box<Event>>,
}

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
    pub fn events(&self, listing: &Listing) -> (Vec<Event>, Vec<UnreadableValue>) {
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
    pub fn event(&self, change: &Change) -> Result<Option<Event>, UnreadableValue> {
        match change {
            Change::Put(entry) => self.put_event(entry),
            Change::Delete { key: path } => {
                self.unknown().forget(path);
                Ok(known_key(path)?.map(|key| absent(&key)))
            }
        }
    }

    fn put_event(&self, entry: &Entry) -> Result<Option<Event>, UnreadableValue> {
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
    pub fn txn(&self, plan: &Plan, fence: Option<&FencingToken>) -> Txn {
        let guards = plan.guards.iter().map(|guard| match guard {
            plan::Guard::Absent(key) => Guard::Absent(keys::path(key)),
            plan::Guard::Unchanged(key, revision) => Guard::Unchanged(keys::path(key), *revision),
        });
        let guards: Vec<Guard> = guards.chain(fence.cloned().map(Guard::Fence)).collect();
        let writes = plan.writes.iter().map(|write| self.write(write, &guards)).collect();
        Txn { guards, writes }
    }

    fn write(&self, write: &plan::Write, guards: &[Guard]) -> Write {
        let (key, mut value) = match write {
            plan::Write::Server(server) => {
                (Key::Server(server.id.clone()), fleet::server_value(server).encode_to_vec())
            }
            plan::Write::Health(id, health) => {
                (Key::Health(id.clone()), fleet::health_value(health).encode_to_vec())
            }
            plan::Write::Sample(id, sample) => {
                (Key::Sample(id.clone()), fleet::sample_value(sample).encode_to_vec())
            }
            plan::Write::Freshness(id, freshness) => {
                (Key::Freshness(id.clone()), fleet::freshness_value(*freshness).encode_to_vec())
            }
            plan::Write::Tenant(tenant) => {
                (Key::Tenant(tenant.id.clone()), fleet::tenant_value(tenant).encode_to_vec())
            }
            plan::Write::Record(key, record) => {
                (Key::Record(key.clone()), meeting::record_value(record).encode_to_vec())
            }
            plan::Write::Zombie(key, zombie) => {
                (Key::Zombie(key.clone()), meeting::zombie_value(zombie).encode_to_vec())
            }
            plan::Write::Voice(bridge, assignment) => {
                (Key::Voice(*bridge), meeting::voice_value(assignment).encode_to_vec())
            }
            plan::Write::Delete(key) => return Write::Delete(keys::path(key)),
        };
        let path = keys::path(&key);
        // A value that is created anew takes over no fields of an earlier value of the same key.
        let created = guards.iter().any(|guard| matches!(guard, Guard::Absent(absent) if *absent == path));
        if !created {
            self.unknown().append(&path, &mut value);
        }
        Write::Put(path, value.into())
    }

    fn unknown(&self) -> MutexGuard<'_, UnknownFields> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known_key(path: &str) -> Result<Option<Key>, UnreadableValue> {
    keys::parse(path).map_err(|error| UnreadableValue {
        path: path.to_owned(),
        reason: error.into(),
        absent: None,
    })
}

/// Returns the largest field number that this version knows for values of the key's family.
fn known_fields(key: &Key) -> u32 {
    match key {
        Key::Health(_) => 7,
        Key::Server(_) => 8,
        Key::Sample(_) => 4,
        Key::Freshness(_) => 1,
        Key::Voice(_) => 3,
        Key::Zombie(_) => 5,
        Key::Tenant(_) => 12,
        Key::Record(_) => 11,
    }
}

fn absent(key: &Key) -> Event {
    match key.clone() {
        Key::Server(id) => Event::Server(id, None),
        Key::Health(id) => Event::Health(id, None),
        Key::Sample(id) => Event::Sample(id, None),
        Key::Freshness(id) => Event::Freshness(id, None),
        Key::Tenant(id) => Event::Tenant(id, None),
        Key::Record(key) => Event::Record(key, None),
        Key::Zombie(key) => Event::Zombie(key, None),
        Key::Voice(bridge) => Event::Voice(bridge, None),
    }
}

fn read(key: &Key, entry: &Entry) -> Result<Event, ValueError> {
    fn stored<T>(value: T, entry: &Entry) -> Stored<T> {
        Stored { value, created: entry.create_revision, modified: entry.mod_revision }
    }
    let bytes = &*entry.value;
    Ok(match key.clone() {
        Key::Server(id) => {
            let server = fleet::server(id.clone(), pb::ServerValue::decode(bytes)?)?;
            Event::Server(id, Some(stored(server, entry)))
        }
        Key::Health(id) => {
            let health = fleet::health(pb::HealthValue::decode(bytes)?);
            Event::Health(id, Some(stored(health, entry)))
        }
        Key::Sample(id) => {
            let sample = fleet::sample(pb::SampleValue::decode(bytes)?)?;
            Event::Sample(id, Some(stored(sample, entry)))
        }
        Key::Freshness(id) => {
            let freshness = fleet::freshness(pb::FreshnessValue::decode(bytes)?);
            Event::Freshness(id, Some(stored(freshness, entry)))
        }
        Key::Tenant(id) => {
            let tenant = fleet::tenant(id.clone(), pb::TenantValue::decode(bytes)?);
            Event::Tenant(id, Some(stored(tenant, entry)))
        }
        Key::Record(key) => {
            let record = meeting::record(pb::RecordValue::decode(entry.value.clone())?)?;
            Event::Record(key, Some(stored(record, entry)))
        }
        Key::Zombie(key) => {
            let zombie = meeting::zombie(pb::ZombieValue::decode(bytes)?)?;
            Event::Zombie(key, Some(stored(zombie, entry)))
        }
        Key::Voice(bridge) => {
            let assignment = meeting::voice(pb::VoiceValue::decode(bytes)?)?;
            Event::Voice(bridge, Some(stored(assignment, entry)))
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
pub fn awaited(epoch: u64, names: &Names) -> Bytes {
    let servers = names.servers.iter().map(ToString::to_string).collect();
    let tenants = names.tenants.iter().map(ToString::to_string).collect();
    pb::Awaited { epoch, servers, tenants }.encode_to_vec().into()
}

/// Reads the value of [`keys::AWAITED`]: the epoch, and the servers and tenants that are awaited in
/// it. Malformed names are left out.
///
/// # Errors
/// The bytes are not such a value.
pub fn read_awaited(value: &[u8]) -> Result<(u64, Names), ValueError> {
    let pb::Awaited { epoch, servers, tenants } = pb::Awaited::decode(value)?;
    let servers = servers.iter().filter_map(|id| ServerId::parse(id).ok()).collect();
    let tenants = tenants.iter().filter_map(|id| TenantId::parse(id).ok()).collect();
    Ok((epoch, Names { servers, tenants }))
}

#[cfg(test)]
mod tests;
