//! The entries of a routing table: servers, tenants and meetings as edges need them.

use crate::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    request_mark::RequestMark,
    server::{AdminState, Health},
    tenant::TenantPolicy,
    voice::VoiceBridge,
};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

/// A server in the routing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRoute {
    /// Id of the server.
    pub id: ServerId,
    /// Base URL of its API, ending in `/bigbluebutton/api/`.
    pub url: String,
    /// Shared secret of the server.
    pub secret: Secret,
    /// Admin state of the server.
    pub admin: AdminState,
    /// Health by the polls of the leader.
    pub health: Health,
    /// Hash that signs calls to the server.
    pub algorithm: ChecksumAlgorithm,
}

/// A tenant in the routing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRoute {
    /// Id of the tenant.
    pub id: TenantId,
    /// Secrets that may sign its requests. The first one signs the messages of Usher to the tenant.
    pub secrets: Vec<Secret>,
    /// Host names whose requests belong to the tenant.
    pub hosts: Vec<String>,
    /// Whether requests of the tenant are served; else they are refused.
    pub enabled: bool,
    /// Rules, limits and other decisions of operators about the tenant.
    pub policy: TenantPolicy,
    /// Users in its meetings in the last polls. It is 0 in the store, and for edges unless the policy limits the
    /// users of the tenant.
    pub users: u32,
    /// The request that created the tenant, if it is known. Edges do not get it.
    pub created_by: Option<RequestMark>,
}

impl TenantRoute {
    /// Returns an enabled tenant without secrets, hosts and rules. No request can be signed for it yet.
    pub fn new(id: TenantId) -> Self {
        Self {
            id,
            secrets: Vec::new(),
            hosts: Vec::new(),
            enabled: true,
            policy: TenantPolicy::default(),
            users: 0,
            created_by: None,
        }
    }
}

/// Whether the server has confirmed the meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// Placed, but not confirmed by the server. Creates and joins are forwarded nevertheless.
    Pending,
    /// Confirmed by the server as this instance.
    Active(InternalMeetingId),
}

/// The route of a meeting: its server and its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRoute {
    /// Tenant and id of the meeting.
    pub key: MeetingKey,
    /// Server of the meeting.
    pub server: ServerId,
    /// Whether the server has confirmed the meeting.
    pub state: RouteState,
    /// Voice bridge of the meeting, if Usher assigned or learnt it.
    pub voice_bridge: Option<VoiceBridge>,
}
