//! The keys of a Scalelite in Redis, as they were read.

use std::collections::{BTreeMap, BTreeSet};

/// The fields of a Redis hash, by name.
pub type HashFields = BTreeMap<String, String>;

/// The result of reading one Redis hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisHash {
    /// The hash does not exist: it was removed after its id was listed, or it expired.
    Missing,
    /// The key has another type, or the hash holds other bytes than text.
    Unreadable,
    /// The fields of the hash.
    Fields(HashFields),
}

/// The keys of Scalelite and their values, named without the namespace.
#[derive(Debug, Clone, Default)]
pub struct ScaleliteKeys {
    /// The namespace before every key, with its colon.
    pub prefix: String,
    /// Members of `servers`, with each `server:ID`.
    pub servers: BTreeMap<String, RedisHash>,
    /// Members of `server_enabled`, the enabled servers.
    pub enabled: BTreeSet<String>,
    /// Members of `cordoned_server_load`, the cordoned servers.
    pub cordoned: BTreeSet<String>,
    /// Members of `tenants`, with each `tenant:ID`.
    pub tenants: BTreeMap<String, RedisHash>,
    /// The `id` of each `tenant_name:NAME`.
    pub tenant_names: BTreeMap<String, String>,
    /// Members of each `tenant_settings:TENANT`, with each `tenant_setting:ID`.
    pub settings: BTreeMap<String, BTreeMap<String, RedisHash>>,
    /// Members of `meetings`, with each `meeting:ID`.
    pub meetings: BTreeMap<String, RedisHash>,
}

/// Returns the trimmed text of a field that is not empty.
pub(super) fn field<'f>(fields: &'f HashFields, name: &str) -> Option<&'f str> {
    fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}
