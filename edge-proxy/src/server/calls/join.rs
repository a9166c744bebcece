//! `join`: the browser is redirected to the meeting's server, by a URL that is signed again. This is the hot path:
//! it uses the table alone, without a task, a span or a wait, and never reads a body.

use std::sync::Arc;

use http::Request;
use usher_bbb::{
    call::ApiCall,
    query::{ParameterList, QueryEdit},
    reply::Refusal,
};
use usher_model::{
    id::TenantId,
    routing::{RouteState, ServerRoute, TenantRoute},
    scope::looks_internal,
};

use crate::{
    control::{current_table::CurrentTable, table::TenantSlot},
    core::{
        resign::join_url,
        route::{KnownMeeting, RoutingDecision, decide},
        rules::DeploymentRules,
    },
    metrics::RequestOutcome,
    server::{
        fleet::meeting_locator::{MeetingLocation, MeetingLocator},
        reply::{CallReply, join_refused},
        request::{CallHead, RequestTenant, VerifiedRequest},
    },
};

/// Answers `join`.
#[derive(Debug)]
pub(in crate::server) struct JoinCalls {
    pub(in crate::server) current: Arc<CurrentTable>,
    pub(in crate::server) locator: MeetingLocator,
    pub(in crate::server) rules: Arc<DeploymentRules>,
}

impl JoinCalls {
    /// Reads the head of a join; `None` for any other request.
    pub(in crate::server) fn head<B>(request: &Request<B>) -> Option<CallHead<'_>> {
        CallHead::read(request.method(), request.uri(), request.headers())
            .filter(|head| head.call() == ApiCall::Join)
    }

    /// Answers a join that the table alone decides; `None` for a meeting that the table does not know or not
    /// as reachable.
    pub(in crate::server) fn answer_at_once(&self, head: &CallHead<'_>) -> Option<CallReply> {
        let table = self.current.load();
        let tenants = table.as_ref()?.tenants();
        self.answer_known(head, head.tenant(&tenants)?)
    }

    /// Answers a join of a tenant that only this cell has, if the table alone decides it.
    pub(in crate::server) fn answer_tenants(
        &self,
        head: &CallHead<'_>,
        tenant: &TenantId,
    ) -> Option<CallReply> {
        let table = self.current.load();
        let tenants = table.as_ref()?.tenants();
        self.answer_known(head, RequestTenant::of(tenants.by_id(tenant.as_str())?)?)
    }

    fn answer_known(&self, head: &CallHead<'_>, tenant: RequestTenant<'_>) -> Option<CallReply> {
        let signed = match head.signed(tenant, head.query(), None) {
            Ok(signed) => signed.into_url_safe(),
            Err(refusal) => return Some(*refusal),
        };
        let id = match signed.meeting_id() {
            Ok(id) => id.unwrap_or_default(),
            Err(refusal) => return Some(*refusal),
        };
        tenant.slot.meetings.find(&id, |found| {
            let server = found.place.server.route();
            let server = server.as_ref()?;
            let known = KnownMeeting {
                confirmed: found.place.is_confirmed(),
                admin: server.admin,
                health: server.health,
            };
            let instance;
            let edit = if found.name != id {
                None // its internal id, by which the server knows the meeting too
            } else if looks_internal(found.on_server) {
                // The server might take such an id for the internal id of another meeting.
                let RouteState::Active(internal) = found.state() else { return None };
                instance = internal;
                Some(QueryEdit::Set("meetingID", instance.as_str()))
            } else {
                (found.on_server != found.name).then_some(QueryEdit::Set("meetingID", found.on_server))
            };
            (decide(ApiCall::Join, Some(known)) == RoutingDecision::Forward).then(|| {
                let tenant = (tenant.slot, &**tenant.route);
                self.redirect(tenant, (found.name, server), signed.list(), edit)
            })
        })?
    }

    /// Answers a join that needs a control plane.
    pub(in crate::server) async fn answer(&self, request: &VerifiedRequest) -> CallReply {
        match self.locator.locate(request).await {
            MeetingLocation::At(owner) => {
                let given = request.meeting.as_ref().map_or("", |id| id.as_str());
                let tenant = (&request.slot, &*request.route);
                let place = (owner.key.meeting.as_str(), &owner.server);
                self.redirect(tenant, place, &request.parameters, owner.edit(given))
            }
            MeetingLocation::Missing | MeetingLocation::EndLater(_) => {
                join_refused(request.parameters.text(), &Refusal::INVALID_MEETING)
            }
            MeetingLocation::Unreachable => CallReply::unavailable(),
        }
    }

    fn redirect(
        &self,
        (slot, tenant): (&TenantSlot, &TenantRoute),
        (meeting, server): (&str, &ServerRoute),
        parameters: &ParameterList<'_>,
        id: Option<QueryEdit<'_>>,
    ) -> CallReply {
        if !slot.admits(tenant, meeting, parameters) {
            return join_refused(parameters.text(), &Refusal::FULL);
        }
        let sent = self.rules.join(parameters, &tenant.policy, id);
        CallReply::redirect(join_url(server, &sent), RequestOutcome::success)
    }
}

#[cfg(test)]
mod tests;
