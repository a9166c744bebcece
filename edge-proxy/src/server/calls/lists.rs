//! `getMeetings` and `getSessions`: every server is queried at once, and the lists are merged.

use usher_bbb::{
    call::EveryServerList,
    parse::{ServerReply as Parsed, meetings, sessions},
    reply,
};
use usher_model::{
    id::ServerId,
    routing::ServerRoute,
    server::{AdminState, Health},
};

use crate::{
    core::merge::{MeetingHome, ServerList, merge},
    server::{
        fleet::{
            server_calls::ServerCalls,
            survey::{FleetSurvey, survey},
        },
        reply::CallReply,
        request::VerifiedRequest,
    },
    upstream::SharedAnswer,
};

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
        match list {
            EveryServerList::Meetings => self.get_meetings(request).await,
            EveryServerList::Sessions => self.get_sessions(request).await,
        }
    }

    /// Lists the tenant's meetings on all servers.
    async fn get_meetings(&self, request: &VerifiedRequest) -> CallReply {
        if self.get_meetings_disabled {
            return CallReply::success(reply::meetings([]));
        }
        let merge = |parts: &[(ServerId, SharedAnswer)]| {
            let lists = parts.iter().filter_map(|(server, answer)| match meetings(&answer.text) {
                Ok(Parsed::Success(meetings)) => Some(ServerList { server, meetings }),
                _ => None,
            });
            merge(request.tenant.as_str(), request.meetings.scope(), lists.collect(), |id| {
                request.meetings.find(id, |found| MeetingHome {
                    server: found.place.server.id().clone(),
                    unscoped: found.place.is_unscoped(),
                })
            })
        };
        self.list(request, |text| matches!(meetings(text), Ok(Parsed::Success(_))), merge).await
    }

    /// Lists the participants of the tenant's meetings. A session names its meeting by the internal id
    /// alone, so that only meetings in the table have any.
    async fn get_sessions(&self, request: &VerifiedRequest) -> CallReply {
        // A meeting whose name is the internal id of another one is not that instance.
        let is_ours = |server: &ServerId, instance: &str| {
            let home = request
                .meetings
                .find(instance, |found| (found.name != instance).then(|| found.place.server.id().clone()));
            home.flatten().is_some_and(|home| home == *server)
        };
        let merge = |parts: &[(ServerId, SharedAnswer)]| {
            let mut shown = Vec::new();
            for (server, answer) in parts {
                let Ok(Parsed::Success(listed)) = sessions(&answer.text) else { continue };
                shown.extend(
                    listed.into_iter().filter(|one| is_ours(server, &one.internal_id)).map(|one| one.raw),
                );
            }
            reply::sessions(shown)
        };
        self.list(request, |text| matches!(sessions(text), Ok(Parsed::Success(_))), merge).await
    }

    async fn list(
        &self,
        request: &VerifiedRequest,
        is_list: impl Fn(&str) -> bool,
        merge: impl FnOnce(&[(ServerId, SharedAnswer)]) -> String,
    ) -> CallReply {
        let deadline = self.survey.deadline();
        let mut servers: Vec<_> =
            request.table.servers().into_iter().filter(|server| can_be_queried(server)).collect();
        servers.sort_by(|a, b| a.id.cmp(&b.id));
        let is_list = &is_list;
        // Without parameters the query is the same for all tenants, so that they share the answers.
        let parts = survey(servers, deadline, |server| async move {
            let caller = request.caller();
            let answer = self.servers.read(&server, request.call, "", &caller, deadline).await.ok()?;
            is_list(&answer.text).then_some(answer)
        });
        self.survey.reply(&parts.await, (&request.tenant, request.call), merge)
    }
}

fn can_be_queried(server: &ServerRoute) -> bool {
    server.admin != AdminState::Disabled && server.health != Health::Offline
}
