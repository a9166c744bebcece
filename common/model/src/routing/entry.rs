//! The entries of a routing table.

use crate::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    server::{AdminState, Health},
    tenant::TenantPolicy,
    voice::VoiceBridge,
};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

/// A server as edges see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRoute {
    /// Its name.
    pub id: ServerId,
    /// Base of its API, ending in `/bigbluebutton/api/`.
    pub url: String,
    /// Its shared secret.
    pub secret: Secret,
    /// What operators decided.
    pub admin: AdminState,
    /// What checks saw.
    pub health: Health,
    /// Hash by which requests to it are signed.
    pub algorithm: ChecksumAlgorithm,
}

/// A tenant as edges see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRoute {
    /// Its name.
    pub id: TenantId,
    /// Secrets its requests may be signed with; the first signs what Usher sends it.
    pub secrets: Vec<Secret>,
    /// Host names by which requests belong to it.
    pub hosts: Vec<String>,
    /// Requests of a tenant that is not enabled are refused.
    pub enabled: bool,
    /// Rules, limits and the like.
    pub policy: TenantPolicy,
    /// Users in its meetings, as polls saw them: told to edges where the policy limits them, else and
    /// in the store 0.
    pub users: u32,
}

impl TenantRoute {
    /// Returns a tenant that may do nothing yet: no secret, no host, enabled, no rules.
    pub fn new(id: TenantId) -> Self {
        Self {
            id,
            secrets: Vec::new(),
            hosts: Vec::new(),
            enabled: true,
            policy: TenantPolicy::default(),
            users: 0,
        }
    }
}

/// Whether the server has confirmed the meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// Placed, not confirmed: creates and joins are forwarded all the same.
    Pending,
    /// Confirmed as this instance.
    Active(InternalMeetingId),
}

/// Where a meeting is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRoute {
    /// The meeting.
    pub key: MeetingKey,
    /// Its server.
    pub server: ServerId,
    /// Pending or active.
    pub state: RouteState,
    /// The number callers reach it by, where Usher gave or knows it.
    pub voice_bridge: Option<VoiceBridge>,
}
