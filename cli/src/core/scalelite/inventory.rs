//! The servers, tenants and meetings of a Scalelite that can be taken over.

use usher_bbb::secret::Secret;
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    server::AdminState,
    tenant::ParameterRule,
};

use super::keys::ScaleliteKeys;
use crate::core::server_list::ServerSpec;

/// A server of Scalelite.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundServer {
    /// The server as a list would name it; [`Self::admin`] has its admin state.
    pub spec: ServerSpec,
    /// Admin state of the server.
    pub admin: AdminState,
}

/// A tenant of Scalelite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTenant {
    /// Its name in Scalelite, which is its id in Usher.
    pub id: TenantId,
    /// Secrets of the tenant.
    pub secrets: Vec<Secret>,
    /// Its settings as rules, which apply to creates and joins alike.
    pub rules: Vec<ParameterRule>,
}

/// A meeting of Scalelite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMeeting {
    /// Tenant and id of the meeting.
    pub key: MeetingKey,
    /// Server on which Scalelite has the meeting.
    pub server: ServerId,
}

/// An entry that cannot be taken over. It never quotes a value, because the value may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// The key of the entry in Redis.
    pub key: String,
    /// The fault and its remedy.
    pub problem: String,
}

/// The servers, tenants and meetings of a Scalelite.
#[derive(Debug, Clone, Default)]
pub struct ScaleliteInventory {
    /// Servers in the order of their ids.
    pub servers: Vec<FoundServer>,
    /// Tenants in the order of their names.
    pub tenants: Vec<FoundTenant>,
    /// Meetings in the order of their ids.
    pub meetings: Vec<FoundMeeting>,
    /// Entries that cannot be used.
    pub faults: Vec<KeyProblem>,
    /// Entries for which Usher has no counterpart.
    pub notes: Vec<KeyProblem>,
    /// Number of ids in `meetings` whose meetings have ended: Scalelite never removes these ids.
    pub ended: usize,
}

impl ScaleliteInventory {
    pub(super) fn fault(&mut self, keys: &ScaleliteKeys, key: &str, problem: impl Into<String>) {
        self.faults.push(KeyProblem { key: format!("{}{key}", keys.prefix), problem: problem.into() });
    }

    pub(super) fn note(&mut self, keys: &ScaleliteKeys, key: &str, problem: impl Into<String>) {
        self.notes.push(KeyProblem { key: format!("{}{key}", keys.prefix), problem: problem.into() });
    }
}
