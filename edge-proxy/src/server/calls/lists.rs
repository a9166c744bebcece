//! `getMeetings` and `getSessions`: every server is asked at once.

use std::sync::Arc;

use usher_bbb::{
    parse::{ServerReply as Parsed, meetings, sessions},
    reply,
};
use usher_model::{
    id::ServerId,
    routing::ServerRoute,
    server::{AdminState, Health},
};

use crate::server::{
    fleet::survey::{deadline, read, survey},
    reply::Reply,
    request::Ask,
    router::Gateway,
};
use crate::{
    core::merge::{MeetingHome, ServerList, merge},
    upstream::SharedAnswer,
};

/// Lists the tenant's meetings on all servers.
pub(in crate::server) async fn get_meetings(gateway: &Arc<Gateway>, ask: &Ask) -> Reply {
    if gateway.limits.get_meetings_disabled {
        return Reply::success(reply::meetings([]));
    }
    let merge = |answers: &[(ServerId, SharedAnswer)]| {
        let lists = answers.iter().filter_map(|(server, answer)| match meetings(&answer.text) {
            Ok(Parsed::Success(meetings)) => Some(ServerList { server, meetings }),
            _ => None,
        });
        merge(ask.tenant.as_str(), ask.meetings.scope(), lists.collect(), |id| {
            ask.meetings.find(id, |found| MeetingHome {
                server: found.place.server.id().clone(),
                bare: found.place.is_bare(),
            })
        })
    };
    list(gateway, ask, |text| matches!(meetings(text), Ok(Parsed::Success(_))), merge).await
}

/// Lists who is in the tenant's meetings. A session names its meeting by the internal id alone, so only
/// meetings of the table have any.
pub(in crate::server) async fn get_sessions(gateway: &Arc<Gateway>, ask: &Ask) -> Reply {
    // What is called like somebody's internal id is not that instance.
    let is_ours = |server: &ServerId, instance: &str| {
        let home = ask
            .meetings
            .find(instance, |found| (found.name != instance).then(|| found.place.server.id().clone()));
        home.flatten().is_some_and(|home| home == *server)
    };
    let merge = |answers: &[(ServerId, SharedAnswer)]| {
        let mut shown = Vec::new();
        for (server, answer) in answers {
            let Ok(Parsed::Success(listed)) = sessions(&answer.text) else { continue };
            shown.extend(
                listed.into_iter().filter(|one| is_ours(server, &one.internal_id)).map(|one| one.raw),
            );
        }
        reply::sessions(shown)
    };
    list(gateway, ask, |text| matches!(sessions(text), Ok(Parsed::Success(_))), merge).await
}

async fn list(
    gateway: &Arc<Gateway>,
    ask: &Ask,
    is_list: impl Fn(&str) -> bool,
    merge: impl FnOnce(&[(ServerId, SharedAnswer)]) -> String,
) -> Reply {
    let deadline = deadline(gateway);
    let mut servers: Vec<_> = ask.table.servers().into_iter().filter(|server| can_be_asked(server)).collect();
    servers.sort_by(|a, b| a.id.cmp(&b.id));
    // All tenants ask the same, so that they share the answers.
    let is_list = &is_list;
    let survey = survey(servers, deadline, |server| async move {
        let answer = read(gateway, &server, ask.call, "", &ask.caller(), deadline).await?;
        is_list(&answer.text).then_some(answer)
    });
    survey.await.reply(gateway, (&ask.tenant, ask.call), merge)
}

fn can_be_asked(server: &ServerRoute) -> bool {
    server.admin != AdminState::Disabled && server.health != Health::Offline
}
