//! Finds a meeting's server: in the table, and if that has no usable answer, at a control plane, which may
//! know more. If no control plane answers either, the client may try again: a guess could be wrong (I13).

use usher_bbb::call::ApiCall;
use usher_model::{id::MeetingId, meeting::MeetingKey, routing::ServerRoute};
use usher_runtime::clock;

use super::meeting_owner::MeetingOwner;
use crate::{
    control::{meeting_lookups::MeetingLookups, meetings::is_internal},
    core::route::RoutingDecision,
    server::request::VerifiedRequest,
};

/// The place at which a meeting was found.
#[derive(Debug)]
pub(in crate::server) enum MeetingLocation {
    /// A server that can be called.
    At(MeetingOwner),
    /// A server that is offline: the meeting is to be ended when the server returns.
    EndLater(MeetingOwner),
    /// There is no such meeting.
    Missing,
    /// Unknown: no control plane answers.
    Unreachable,
}

/// Returns the owner of the request's meeting, if the table has it. A create takes the id literally: the
/// internal id of another meeting is the name of a new one.
pub(in crate::server) fn in_table(request: &VerifiedRequest) -> Option<MeetingOwner> {
    known(request, request.meeting.as_ref()?, request.call)
}

/// Returns the owner of a meeting of the request's tenant, if the table has it.
fn known(request: &VerifiedRequest, id: &MeetingId, call: ApiCall) -> Option<MeetingOwner> {
    request.meetings.find(id.as_str(), |found| {
        if call == ApiCall::Create && found.name != id.as_str() {
            return None;
        }
        let server = found.place.server.route();
        let key = MeetingKey::new(request.tenant.clone(), MeetingId::parse(found.name).ok()?);
        let is_create = request.call == ApiCall::Create;
        Some(MeetingOwner {
            voice_bridge: is_create.then(|| request.table.voice().of(&key)).flatten(),
            key,
            on_server: found.on_server.to_owned(),
            server: ServerRoute::clone(server.as_ref()?),
            state: found.state(),
            token: String::new(),
        })
    })?
}

/// Returns whether a call may be answered by the memory that an id is unknown. A join, and every other
/// call that follows a create at once, asks: the create may have been made at another edge a moment ago. By its
/// internal id a meeting is asked for only by a caller that has seen it.
fn may_be_remembered(id: &MeetingId, call: ApiCall) -> bool {
    call.is_read() && !is_internal(id.as_str())
}

/// Finds the servers of meetings.
#[derive(Debug, Clone)]
pub(in crate::server) struct MeetingLocator {
    lookups: MeetingLookups,
}

impl MeetingLocator {
    /// Returns a locator that looks meetings up at the control planes if the table does not suffice.
    pub(in crate::server) fn new(lookups: MeetingLookups) -> Self {
        Self { lookups }
    }

    /// Finds the server of the request's meeting.
    pub(in crate::server) async fn locate(&self, request: &VerifiedRequest) -> MeetingLocation {
        match &request.meeting {
            Some(id) => self.find(request, id, request.call).await,
            None => MeetingLocation::Missing,
        }
    }

    /// Finds the server of a meeting of the request's tenant, as `call` would have to.
    pub(in crate::server) async fn find(
        &self,
        request: &VerifiedRequest,
        id: &MeetingId,
        call: ApiCall,
    ) -> MeetingLocation {
        let known = known(request, id, call);
        let usable = known.as_ref().filter(|owner| owner.decision(call) == RoutingDecision::Forward);
        let usable = usable.filter(|owner| !owner.is_ambiguous());
        // An end needs the instance: a report of the end without it could hit a newer meeting.
        if let Some(owner) = usable
            && (call != ApiCall::End || owner.instance().is_some())
        {
            return MeetingLocation::At(owner.clone());
        }
        let unknown = request.meetings.unknown();
        if known.is_none()
            && may_be_remembered(id, request.call)
            && unknown.contains(id.as_str(), clock::now())
        {
            return MeetingLocation::Missing;
        }
        let key = MeetingKey::new(request.tenant.clone(), id.clone());
        let key = known.as_ref().map_or(key, |owner| owner.key.clone());
        let seen = unknown.creates_seen(id.as_str());
        let owner = match self.lookups.find(&key).await {
            Ok(Some(resolved)) => Some(MeetingOwner::resolved(request.meetings.scope(), resolved)),
            Ok(None) => {
                if known.is_none() {
                    unknown.remember(id.as_str(), seen, clock::now());
                }
                None
            }
            Err(_) if usable.is_some() => usable.cloned(),
            // The table says that the server is offline or disabled, which may have changed since.
            Err(_) => return MeetingLocation::Unreachable,
        };
        let Some(owner) = owner else { return MeetingLocation::Missing };
        match owner.decision(call) {
            RoutingDecision::Forward | RoutingDecision::ForwardIfRunning if owner.is_ambiguous() => {
                MeetingLocation::Unreachable
            }
            RoutingDecision::Forward | RoutingDecision::ForwardIfRunning => MeetingLocation::At(owner),
            RoutingDecision::EndLater => MeetingLocation::EndLater(owner),
            RoutingDecision::Missing | RoutingDecision::Place => MeetingLocation::Missing,
        }
    }
}
