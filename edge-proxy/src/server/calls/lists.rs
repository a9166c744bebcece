//! `getMeetings` and `getSessions`: every server is queried at once, and the tenant's parts of the lists are merged.

use std::sync::Arc;

use usher_bbb::{call::EveryServerList, reply};
use usher_model::{
    id::ServerId,
    routing::ServerRoute,
    server::{AdminState, Health},
};

use crate::{
    control::meetings::TenantMeetings,
    core::merge::{MeetingHome, merge},
    server::{
        fleet::{
            server_calls::ServerCalls,
            survey::{FleetSurvey, MissingParts, SurveyParts, survey},
        },
        reply::CallReply,
        request::VerifiedRequest,
    },
    upstream::ListPart,
};

/// The cost of looking one meeting of a list up, as bytes that are read.
const LOOKUP_COST: usize = 64;

/// Answers the calls that list meetings or their participants.
#[derive(Debug)]
pub(in crate::server) struct ListCalls {
    pub(in crate::server) servers: ServerCalls,
    pub(in crate::server) survey: FleetSurvey,
    /// Whether `getMeetings` is answered with an empty list, without a call to any server.
    pub(in crate::server) get_meetings_disabled: bool,
}

impl ListCalls {
    /// Answers a call that lists.
    pub(in crate::server) async fn answer(
        &self,
        request: &VerifiedRequest,
        list: EveryServerList,
    ) -> CallReply {
        if list == EveryServerList::Meetings && self.get_meetings_disabled {
            return CallReply::success(reply::meetings([]));
        }
        let survey = self.parts(request, list).await;
        let (tenant, meetings) = (request.tenant.clone(), Arc::clone(&request.meetings));
        let size = survey.parts.iter().map(|(_, part)| size_of(part, tenant.as_str())).sum();
        let merge = move |parts: &[(ServerId, Arc<ListPart>)]| match list {
            EveryServerList::Meetings => own_meetings(tenant.as_str(), &meetings, parts),
            EveryServerList::Sessions => own_sessions(&meetings, parts),
        };
        let subject = (&request.tenant, request.call);
        self.survey.reply(survey, subject, MissingParts::Tolerated, size, merge).await
    }

    async fn parts(&self, request: &VerifiedRequest, list: EveryServerList) -> SurveyParts<Arc<ListPart>> {
        let deadline = self.survey.deadline();
        let mut servers: Vec<_> =
            request.table.servers().into_iter().filter(|server| can_be_queried(server)).collect();
        servers.sort_by(|a, b| a.id.cmp(&b.id));
        let caller = &request.caller();
        survey(servers, deadline, |server| async move {
            self.servers.list(&server, (list, request.call), caller, deadline).await
        })
        .await
    }
}

/// Returns the tenant's meetings in the lists of all servers.
fn own_meetings(tenant: &str, meetings: &TenantMeetings, parts: &[(ServerId, Arc<ListPart>)]) -> String {
    let lists = parts.iter().filter_map(|(server, part)| Some((server, part.meetings()?)));
    merge(tenant, meetings.scope(), lists, |id| {
        meetings.find(id, |found| MeetingHome {
            server: found.place.server.id().clone(),
            unscoped: found.place.is_unscoped(),
        })
    })
}

/// Returns the sessions of the tenant's meetings in the lists of all servers. A session names its meeting by the
/// internal id alone, so that only meetings in the table have any.
fn own_sessions(meetings: &TenantMeetings, parts: &[(ServerId, Arc<ListPart>)]) -> String {
    // A meeting whose name is the internal id of another one is not that instance, and of an unconfirmed one
    // the instance is unknown.
    let is_own = |server: &ServerId, instance: &str| {
        let home = meetings.find(instance, |found| {
            (found.name != instance && found.place.is_confirmed()).then(|| found.place.server.id().clone())
        });
        home.flatten().is_some_and(|home| home == *server)
    };
    let lists = parts.iter().filter_map(|(server, part)| Some((server, part.sessions()?)));
    reply::sessions(lists.flat_map(|(server, list)| list.of(move |instance| is_own(server, instance))))
}

/// Returns the cost of a tenant's part of a list, as bytes that are read.
fn size_of(part: &ListPart, tenant: &str) -> usize {
    part.meetings().map_or(0, |list| list.size_of(tenant))
        + part.sessions().map_or(0, |list| list.meetings() * LOOKUP_COST)
}

fn can_be_queried(server: &ServerRoute) -> bool {
    server.admin != AdminState::Disabled && server.health != Health::Offline
}
