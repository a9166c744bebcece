//! What a Scalelite keeps in its Redis, read into what can be taken over. Values may be from any version
//! of it and half gone: what cannot be used is named with its key, and the rest goes on.

mod meetings;
mod servers;
mod tenants;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use usher_bbb::secret::Secret;
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    server::AdminState,
    tenant::ParameterRule,
};

use super::server_list::ServerSpec;

/// The fields of a hash.
pub type HashFields = BTreeMap<String, String>;

/// One hash, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisHash {
    /// There is none: it went away since it was named, or its time was over.
    Missing,
    /// Something else than a hash of text.
    Unreadable,
    /// Its fields.
    Fields(HashFields),
}

/// Scalelite's keys, without the namespace.
#[derive(Debug, Clone, Default)]
pub struct ScaleliteKeys {
    /// What every key begins with.
    pub prefix: String,
    /// `servers`, with each `server:ID`.
    pub servers: BTreeMap<String, RedisHash>,
    /// `server_enabled`
    pub enabled: BTreeSet<String>,
    /// Members of `cordoned_server_load`.
    pub cordoned: BTreeSet<String>,
    /// `tenants`, with each `tenant:ID`.
    pub tenants: BTreeMap<String, RedisHash>,
    /// The `id` of each `tenant_name:NAME`.
    pub tenant_names: BTreeMap<String, String>,
    /// `tenant_settings:TENANT`, with each `tenant_setting:ID`.
    pub settings: BTreeMap<String, BTreeMap<String, RedisHash>>,
    /// `meetings`, with each `meeting:ID`.
    pub meetings: BTreeMap<String, RedisHash>,
}

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundServer {
    /// What operators described; enabled or not is said by `admin`.
    pub spec: ServerSpec,
    /// What they decided.
    pub admin: AdminState,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTenant {
    /// Its name there, which is its id here.
    pub id: TenantId,
    /// Its secrets.
    pub secrets: Vec<Secret>,
    /// Its settings; they hold for creates and joins alike.
    pub rules: Vec<ParameterRule>,
}

/// A meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMeeting {
    /// Whose it is, and its id.
    pub key: MeetingKey,
    /// Where it is said to run.
    pub server: ServerId,
}

/// Something that cannot be taken over. Never quotes a value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// The key in Redis.
    pub key: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// What there is to take over.
#[derive(Debug, Clone, Default)]
pub struct ScaleliteInventory {
    /// Its servers, by id.
    pub servers: Vec<FoundServer>,
    /// Its tenants, by name.
    pub tenants: Vec<FoundTenant>,
    /// Its meetings, by id.
    pub meetings: Vec<FoundMeeting>,
    /// What cannot be used.
    pub faults: Vec<KeyProblem>,
    /// What Usher has nothing for.
    pub notes: Vec<KeyProblem>,
    /// Ids in `meetings` whose meetings are over: Scalelite never takes them out.
    pub ended: usize,
}

/// Reads everything.
pub fn read(keys: &ScaleliteKeys) -> ScaleliteInventory {
    let mut found = ScaleliteInventory::default();
    servers::read(keys, &mut found);
    let tenants = tenants::read(keys, &mut found);
    meetings::read(keys, &tenants, &mut found);
    found
}

impl ScaleliteInventory {
    fn fault(&mut self, keys: &ScaleliteKeys, key: &str, problem: impl Into<String>) {
        self.faults.push(KeyProblem { key: format!("{}{key}", keys.prefix), problem: problem.into() });
    }

    fn note(&mut self, keys: &ScaleliteKeys, key: &str, problem: impl Into<String>) {
        self.notes.push(KeyProblem { key: format!("{}{key}", keys.prefix), problem: problem.into() });
    }
}

/// Returns a field that says something.
fn field<'f>(fields: &'f HashFields, name: &str) -> Option<&'f str> {
    fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}
