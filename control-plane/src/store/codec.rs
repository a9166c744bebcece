//! Conversion between the domain and stored values: changes become events, plans become
//! transactions.
//!
//! A value may hold fields that only a newer version knows. The codec remembers them when it reads
//! a value and puts them back when it writes that value again, so that an older writer never
//! removes them (design 3). Nearly always there are none, and the memory is empty.

mod shared_ids;
mod unknown_fields;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::Message;
use usher_model::{
    id::{ServerId, TenantId},
    revision::FencingToken,
};
use usher_proto::store as pb;

pub use self::shared_ids::SharedIds;
use self::unknown_fields::UnknownFields;
pub(crate) use self::unknown_fields::fields as unknown_fields;
pub use super::value_error::{UnreadableValue, ValueError};
use super::{key_family::KeyFamily, keys};
use crate::{
    core::{
        epoch::Epoch,
        families::with_families,
        plan::{self, FleetEvent, FleetKey, Plan, PlanWrite, Stored},
        seal::HistoryKey,
        unpolled::RememberedNames,
    },
    ports::{KeyChange, StoreEntry, StoreTxn, TxnGuard, TxnWrite},
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

    /// Begins the reading of a listing. Writes may be encoded while it is read.
    pub fn begin_listing(&self) {
        self.unknown().begin_listing();
    }

    /// Ends a listing that was read completely: values that it did not contain are gone.
    pub fn end_listing(&self) {
        self.unknown().end_listing();
    }

    /// Reads a part of a listing, whose events share `ids`. Each unreadable value is reported, and the
    /// others become events.
    pub fn events(
        &self,
        entries: &[StoreEntry],
        ids: &mut SharedIds,
    ) -> (Vec<FleetEvent>, Vec<UnreadableValue>) {
        let (mut events, mut bad) = (Vec::with_capacity(entries.len()), Vec::new());
        for entry in entries {
            match self.put_event(entry) {
                Ok(Some(mut event)) => {
                    ids.share(&mut event);
                    events.push(event);
                }
                Ok(None) => {}
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
                Ok(known_key(path)?.map(FleetEvent::deleted))
            }
        }
    }

    fn put_event(&self, entry: &StoreEntry) -> Result<Option<FleetEvent>, UnreadableValue> {
        let Some(key) = known_key(&entry.key)? else { return Ok(None) };
        let known = known_fields(&key);
        let event = read(key.clone(), entry).map_err(|reason| UnreadableValue {
            path: entry.key.clone(),
            reason,
            absent: Some(Box::new(FleetEvent::deleted(key))),
        })?;
        self.unknown().remember(&entry.key, unknown_fields::fields(&entry.value, known));
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

    fn write(&self, write: &PlanWrite, guards: &[TxnGuard]) -> TxnWrite {
        let path = keys::path(&write.key());
        let Some(mut value) = encoded(write) else { return TxnWrite::Delete(path) };
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

macro_rules! family_values {
    ($($(#[$doc:meta])* $family:ident($key:ty) => $value:ty;)*) => {
        /// Returns the encoded value of a write; `None` for a deletion.
        fn encoded(write: &PlanWrite) -> Option<Vec<u8>> {
            match write {
                $(PlanWrite::$family(_, value) => Some(value.to_message().encode_to_vec()),)*
                PlanWrite::Delete(_) => None,
            }
        }

        /// Returns the largest field number that this version knows for values of the key's family.
        fn known_fields(key: &FleetKey) -> u32 {
            match key {
                $(FleetKey::$family(_) => <$value as KeyFamily>::KNOWN_FIELDS,)*
            }
        }

        fn read(key: FleetKey, entry: &StoreEntry) -> Result<FleetEvent, ValueError> {
            match key {
                $(FleetKey::$family(key) => {
                    let message = Message::decode(entry.value.clone())?;
                    let value = <$value as KeyFamily>::from_message(&key, message)?;
                    let (created, modified) = (entry.create_revision, entry.mod_revision);
                    Ok(FleetEvent::$family(key, Some(Stored { value, created, modified })))
                })*
            }
        }
    };
}

with_families!(family_values);

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

/// Returns the guard of a decision that was made in `epoch`: a store that was emptied or set back
/// meanwhile refuses it (ADR 8).
pub fn epoch_guard(epoch: Epoch) -> TxnGuard {
    TxnGuard::Unchanged(keys::META.into(), epoch.begun)
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
