//! `getMeetings`: every server is asked at once, and what has come by the deadline is the answer
//! (S8). Only where no server answers at all is the caller told to try again.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;
use tracing::warn;
use usher_common::{
    bbb::{
        call::Call,
        parse::{Answer as Parsed, meetings},
        reply,
    },
    id::ServerId,
    routing::ServerRoute,
    server::{AdminState, Health},
};

use super::{gateway::Gateway, reply::Reply, request::Ask};
use crate::{
    core::{
        merge::{ServerList, merge},
        resign::outgoing,
    },
    upstream::{SharedAnswer, Upload},
};

/// Time kept for merging and sending the answer.
const MARGIN: Duration = Duration::from_millis(100);

/// Lists the tenant's meetings on all servers.
pub(super) async fn get_meetings(gateway: &Arc<Gateway>, ask: &Ask) -> Reply {
    if gateway.limits.get_meetings_disabled {
        return Reply::success(reply::meetings([]));
    }
    let deadline = Instant::now() + gateway.limits.call.saturating_sub(MARGIN);
    let servers: Vec<_> = ask.table.servers().into_iter().filter(|server| can_be_asked(server)).collect();
    let asked = servers.len();
    let answers: Vec<_> = join_all(servers.into_iter().map(|server| list(gateway, server, deadline))).await;
    let lists: Vec<ServerList<'_>> = answers
        .iter()
        .filter_map(|(server, answer)| {
            let Ok(Parsed::Success(meetings)) = meetings(&answer.as_ref()?.xml) else { return None };
            Some(ServerList { server, meetings })
        })
        .collect();
    let missing = asked - lists.len();
    if missing > 0 {
        gateway.metrics.partial_lists.inc_by(missing as u64);
        warn!(asked, missing, "the list of meetings is partial");
    }
    if asked > 0 && lists.is_empty() {
        return Reply::unavailable();
    }
    Reply::success(merge(ask.tenant.as_str(), ask.meetings.scope(), lists, |id| {
        ask.meetings.find(id, |found| found.place.server.id().clone())
    }))
}

fn can_be_asked(server: &ServerRoute) -> bool {
    server.admin != AdminState::Disabled && server.health != Health::Offline
}

/// The list of one server, which all tenants share.
async fn list(
    gateway: &Gateway,
    server: Arc<ServerRoute>,
    deadline: Instant,
) -> (ServerId, Option<SharedAnswer>) {
    let (id, upstream) = (server.id.clone(), gateway.upstream.clone());
    let fetch = move || async move {
        let outgoing = outgoing(&server, Call::GetMeetings, "", &[]);
        upstream.call(&server, Call::GetMeetings, outgoing, Upload::None, deadline).await.map(Arc::new)
    };
    let read = gateway.reads.read(&id, Call::GetMeetings, "", fetch);
    // A shared read may have begun with a later deadline than this caller's.
    let answer = tokio::time::timeout_at(deadline, read).await;
    (id, answer.ok().and_then(Result::ok))
}
