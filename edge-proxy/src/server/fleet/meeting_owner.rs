//! A meeting and the server that runs it.

use usher_bbb::{call::ApiCall, query::QueryEdit};
use usher_model::{
    id::InternalMeetingId,
    meeting::MeetingKey,
    routing::{MeetingRoute, RouteState, ServerRoute},
    scope::{TenantScope, looks_internal},
    voice::VoiceBridge,
};

use crate::{
    control::{
        placement::{EndNotice, ResolvedMeeting},
        table::LiveTable,
    },
    core::route::{KnownMeeting, RoutingDecision, decide},
};

/// A meeting with its server, the owner.
#[derive(Debug, Clone)]
pub(in crate::server) struct MeetingOwner {
    /// The meeting, by its own id even if the caller gave the internal one.
    pub(in crate::server) key: MeetingKey,
    /// The `meetingID` by which the server knows the meeting.
    pub(in crate::server) on_server: String,
    pub(in crate::server) server: ServerRoute,
    pub(in crate::server) state: RouteState,
    /// The token of the placement, if a control plane reported that it is not confirmed; else empty.
    pub(in crate::server) token: String,
    /// The number by which callers reach the meeting. Only creates and dial-ins look it up.
    pub(in crate::server) voice_bridge: Option<VoiceBridge>,
}

impl MeetingOwner {
    /// Returns the owner that a control plane has found.
    pub(in crate::server) fn resolved(scope: &TenantScope, resolved: ResolvedMeeting) -> Self {
        let ResolvedMeeting { meeting: MeetingRoute { key, state, voice_bridge, .. }, server, token } =
            resolved;
        let mut owner = Self { key, on_server: String::new(), server, state, token, voice_bridge };
        owner.on_server = scope.on_server(owner.key.meeting.as_str(), owner.instance()).to_string();
        owner
    }

    /// Returns the meeting that callers reach by a number, if the table has it.
    pub(in crate::server) fn by_number(table: &LiveTable, bridge: VoiceBridge) -> Option<Self> {
        let key = table.voice().meeting(bridge)?;
        let tenants = table.tenants();
        let slot = tenants.any(key.tenant.as_str())?;
        slot.meetings.find(key.meeting.as_str(), |found| {
            let server = found.place.server.route();
            Some(Self {
                on_server: found.on_server.to_owned(),
                server: ServerRoute::clone(server.as_ref()?),
                state: found.state(),
                token: String::new(),
                voice_bridge: Some(bridge),
                key: key.clone(),
            })
        })?
    }

    /// Returns the id by which its server finds the meeting, and cannot take it for another one's.
    pub(in crate::server) fn address(&self) -> &str {
        match &self.state {
            RouteState::Active(instance) if looks_internal(&self.on_server) => instance.as_str(),
            _ => &self.on_server,
        }
    }

    /// Returns whether another balancer created the meeting, so that its server does not know it by the
    /// scoped id (ADR 12).
    pub(in crate::server) fn is_unscoped(&self, scope: &TenantScope) -> bool {
        self.instance().is_some_and(|instance| scope.is_unscoped(self.key.meeting.as_str(), instance))
    }

    /// Returns whether its server might take the id for another meeting's internal id, and no better one
    /// is known yet.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.state == RouteState::Pending && looks_internal(&self.on_server)
    }

    /// Returns the internal id, if the server has confirmed the meeting.
    pub(in crate::server) fn instance(&self) -> Option<&InternalMeetingId> {
        match &self.state {
            RouteState::Active(instance) => Some(instance),
            RouteState::Pending => None,
        }
    }

    /// Returns the notice that its server has ended the meeting, as this instance.
    pub(in crate::server) fn end_notice<'o>(
        &'o self,
        instance: Option<&'o InternalMeetingId>,
    ) -> EndNotice<'o> {
        EndNotice { key: &self.key, server: &self.server.id, instance, token: &self.token, unsent: false }
    }

    /// Returns the change of the parameters of a call that names the meeting by `given`, for its server.
    /// An internal id needs none.
    pub(in crate::server) fn edit<'o>(&'o self, given: &str) -> Option<QueryEdit<'o>> {
        let (own, address) = (self.key.meeting.as_str(), self.address());
        (given == own && address != own).then_some(QueryEdit::Set("meetingID", address))
    }

    /// Decides about a call that concerns the meeting, by the state of its server (A4).
    pub(in crate::server) fn decision(&self, call: ApiCall) -> RoutingDecision {
        let confirmed = matches!(self.state, RouteState::Active(_));
        decide(call, Some(KnownMeeting { confirmed, admin: self.server.admin, health: self.server.health }))
    }
}
