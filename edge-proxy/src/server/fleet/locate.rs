//! Finding a meeting's server: in the table, and where that says no, at the control plane, which may
//! know more. Nobody is told a lie (I13): where nobody can say, the client may try again.

use usher_bbb::{call::ApiCall, query::QueryEdit};
use usher_model::{
    id::{InternalMeetingId, MeetingId},
    meeting::MeetingKey,
    routing::{MeetingRoute, RouteState, ServerRoute},
    scope::{TenantScope, looks_internal},
    voice::VoiceBridge,
};

use crate::server::{request::Ask, router::Gateway};
use crate::{
    control::{placement::ResolvedMeeting, table::LiveTable},
    core::route::{KnownMeeting, RoutingDecision, decide},
};

/// A meeting and its server.
#[derive(Debug, Clone)]
pub(in crate::server) struct Owner {
    /// The meeting, by its own id even where the caller gave the internal one.
    pub(in crate::server) key: MeetingKey,
    /// Its `meetingID`, as its server knows it.
    pub(in crate::server) on_server: String,
    pub(in crate::server) server: ServerRoute,
    pub(in crate::server) state: RouteState,
    /// Names the placement where the control plane said that it is not confirmed; else empty.
    pub(in crate::server) token: String,
    /// The number callers reach it by; looked up for creates and callers alone.
    pub(in crate::server) voice_bridge: Option<VoiceBridge>,
}

impl Owner {
    /// Names the owner that a control plane told of.
    pub(in crate::server) fn resolved(scope: &TenantScope, resolved: ResolvedMeeting) -> Self {
        let ResolvedMeeting { meeting: MeetingRoute { key, state, voice_bridge, .. }, server, token } =
            resolved;
        let mut owner = Self { key, on_server: String::new(), server, state, token, voice_bridge };
        owner.on_server = scope.on_server(owner.key.meeting.as_str(), owner.instance()).to_string();
        owner
    }

    /// Finds the meeting that callers reach by a number.
    pub(in crate::server) fn by_number(table: &LiveTable, bridge: VoiceBridge) -> Option<Self> {
        let key = table.voice().meeting(bridge)?;
        let tenants = table.tenants();
        let (_, slot) = tenants.iter().find(|(id, _)| **id == key.tenant)?;
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

    /// Returns the id by which its server is asked about it, and takes it for no other.
    pub(in crate::server) fn address(&self) -> &str {
        match &self.state {
            RouteState::Active(instance) if looks_internal(&self.on_server) => instance.as_str(),
            _ => &self.on_server,
        }
    }

    /// Tells whether another balancer created it, so that its server does not know it by its scoped id.
    pub(in crate::server) fn is_bare(&self, scope: &TenantScope) -> bool {
        self.instance().is_some_and(|instance| scope.is_bare(self.key.meeting.as_str(), instance))
    }

    /// Tells whether its server might take its id for another meeting's, and no better one is known yet.
    fn is_ambiguous(&self) -> bool {
        self.state == RouteState::Pending && looks_internal(&self.on_server)
    }

    /// Returns the instance, where it is known.
    pub(in crate::server) fn instance(&self) -> Option<&InternalMeetingId> {
        match &self.state {
            RouteState::Active(instance) => Some(instance),
            RouteState::Pending => None,
        }
    }

    /// Returns how the parameters of a call that names the meeting by `given` are changed for its server;
    /// an internal id stays as it is.
    pub(in crate::server) fn edit<'o>(&'o self, given: &str) -> Option<QueryEdit<'o>> {
        let (own, address) = (self.key.meeting.as_str(), self.address());
        (given == own && address != own).then_some(QueryEdit::Set("meetingID", address))
    }

    /// Decides about a call that concerns the meeting.
    pub(in crate::server) fn decision(&self, call: ApiCall) -> RoutingDecision {
        let confirmed = matches!(self.state, RouteState::Active(_));
        decide(call, Some(KnownMeeting { confirmed, admin: self.server.admin, health: self.server.health }))
    }
}

/// Where a meeting was found.
#[derive(Debug)]
pub(in crate::server) enum Located {
    /// On a server that can be asked.
    At(Owner),
    /// On a server that is offline: it is to be ended when that returns.
    EndLater(Owner),
    /// There is none.
    Missing,
    /// Nobody can say.
    Unreachable,
}

/// Returns what the table knows of the meeting that `ask` concerns. A create means the id it says:
/// another meeting's internal id is a new meeting's name to it.
pub(in crate::server) fn in_table(ask: &Ask) -> Option<Owner> {
    known(ask, ask.meeting.as_ref()?, ask.call)
}

/// Returns what the table knows of a meeting of the same tenant.
fn known(ask: &Ask, id: &MeetingId, call: ApiCall) -> Option<Owner> {
    ask.meetings.find(id.as_str(), |found| {
        if call == ApiCall::Create && found.name != id.as_str() {
            return None;
        }
        let server = found.place.server.route();
        let key = MeetingKey::new(ask.tenant.clone(), MeetingId::parse(found.name).ok()?);
        let is_create = ask.call == ApiCall::Create;
        Some(Owner {
            voice_bridge: is_create.then(|| ask.table.voice().of(&key)).flatten(),
            key,
            on_server: found.on_server.to_owned(),
            server: ServerRoute::clone(server.as_ref()?),
            state: found.state(),
            token: String::new(),
        })
    })?
}

/// Finds the server of the meeting that `ask` concerns.
pub(in crate::server) async fn locate(gateway: &Gateway, ask: &Ask) -> Located {
    match &ask.meeting {
        Some(id) => find(gateway, ask, id, ask.call).await,
        None => Located::Missing,
    }
}

/// Finds the server of a meeting of the tenant that `ask` is of, as `call` would have to.
pub(in crate::server) async fn find(gateway: &Gateway, ask: &Ask, id: &MeetingId, call: ApiCall) -> Located {
    let known = known(ask, id, call);
    let known_enough = known.as_ref().filter(|owner| owner.decision(call) == RoutingDecision::Forward);
    let known_enough = known_enough.filter(|owner| !owner.is_ambiguous());
    // What is to end has to be named, or the report of its end could hit a newer meeting.
    if let Some(owner) = known_enough
        && (call != ApiCall::End || owner.instance().is_some())
    {
        return Located::At(owner.clone());
    }
    let key = MeetingKey::new(ask.tenant.clone(), id.clone());
    let key = known.as_ref().map_or(key, |owner| owner.key.clone());
    let owner = match gateway.placement.resolve(&key).await {
        Ok(Some(resolved)) => Some(Owner::resolved(ask.meetings.scope(), resolved)),
        Ok(None) => None,
        Err(_) if known_enough.is_some() => known_enough.cloned(),
        // That its server is offline or disabled may have been true a while ago.
        Err(_) => return Located::Unreachable,
    };
    match owner {
        None => Located::Missing,
        Some(owner) => match owner.decision(call) {
            RoutingDecision::Forward | RoutingDecision::ForwardIfRunning if owner.is_ambiguous() => {
                Located::Unreachable
            }
            RoutingDecision::Forward | RoutingDecision::ForwardIfRunning => Located::At(owner),
            RoutingDecision::EndLater => Located::EndLater(owner),
            RoutingDecision::Missing | RoutingDecision::Place => Located::Missing,
        },
    }
}
