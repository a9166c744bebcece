//! `publishRecordings`, `updateRecordings`, `deleteRecordings`: each server that has some of the
//! recordings is told of those. All of it is done, or the caller hears of an error; trying again does no
//! harm.

use std::sync::Arc;

use futures::future::join_all;
use tokio::time::Instant;
use usher_bbb::{
    call::{ApiCall, RecordingChange},
    query::RawQuery,
    reply::{self, Refusal},
};
use usher_model::routing::ServerRoute;

use super::{recording_servers::Fleet, whose};
use crate::{
    core::recordings::change::{BATCH, ChangeResponse, ChangeVerdict, ServerChange, ids, verdict},
    metrics::Outcome,
    server::{reply::Reply, request::Ask, router::Gateway},
    upstream::UploadBody,
};

pub(super) async fn change(gateway: &Arc<Gateway>, ask: &Ask, change: RecordingChange) -> Reply {
    let (fleet, ids) = (Fleet::of(gateway, ask), ids(&ask.parameters));
    // A server that hangs while it is asked must leave time for the change elsewhere.
    let (begun, limit) = (Instant::now(), gateway.limits.call);
    let holders = fleet.holders(&ids, whose(ask), begun + limit / 2).await;
    if holders.missing > 0 && holders.lack_any(&ids) {
        // Who did not answer may have it.
        return Reply::unavailable();
    }
    let wanted = ServerChange::new(change, &ask.parameters);
    let batches = holders
        .found
        .iter()
        .flat_map(|(server, found)| found.chunks(BATCH).map(move |batch| (server, batch)))
        .map(|(server, batch)| tell(&fleet, ask.call, server, wanted.of(batch), begun + limit));
    match verdict(join_all(batches).await) {
        ChangeVerdict::Done => done(ask, change),
        ChangeVerdict::NotFound => Reply::refused(&Refusal::RECORDINGS_NOT_FOUND),
        ChangeVerdict::Refused(answer) => Reply::xml(answer, Outcome::refused),
        ChangeVerdict::TryAgain => Reply::unavailable(),
    }
}

async fn tell(
    fleet: &Fleet<'_>,
    call: ApiCall,
    server: &ServerRoute,
    parameters: String,
    deadline: Instant,
) -> ChangeResponse {
    match fleet.call(server, call, &parameters, UploadBody::None, deadline).await {
        Ok(answer) if answer.outcome.success => ChangeResponse::Done,
        Ok(answer) if answer.outcome.key == Refusal::RECORDINGS_NOT_FOUND.key => ChangeResponse::NotFound,
        Ok(answer) => ChangeResponse::Refused(answer.text),
        Err(_) => ChangeResponse::Nothing,
    }
}

fn done(ask: &Ask, change: RecordingChange) -> Reply {
    Reply::success(match change {
        RecordingChange::Publish => {
            let said = RawQuery::new(&ask.parameters).first("publish").unwrap_or_default();
            reply::changed("published", &said)
        }
        RecordingChange::Delete => reply::changed("deleted", "true"),
        RecordingChange::Update => reply::changed("updated", "true"),
    })
}
