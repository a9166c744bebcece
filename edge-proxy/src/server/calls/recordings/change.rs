//! `publishRecordings`, `updateRecordings`, `deleteRecordings`: each server that has some of the recordings
//! makes the change of those. If a part of the change fails, the caller gets an error, and may repeat the
//! whole: a repeated change has no further effect.

use futures::future::join_all;
use tokio::time::Instant;
use usher_bbb::{
    call::{ApiCall, RecordingChange},
    reply::{self, Refusal},
};
use usher_model::routing::ServerRoute;

use super::recording_servers::{RecordingServers, SearchDeadlines, recordings_of};
use crate::{
    core::recordings::change::{BATCH, ChangeResponse, ChangeVerdict, ServerChange, verdict},
    metrics::RequestOutcome,
    server::{admission::CallTimeouts, reply::CallReply, request::VerifiedRequest},
    upstream::UploadBody,
};

/// Changes the recordings `ids` of a request's tenant, as the request wants it, on every server that has some of them.
pub(super) async fn change(
    servers: &RecordingServers<'_>,
    timeouts: CallTimeouts,
    request: &VerifiedRequest,
    (change, ids): (RecordingChange, &[String]),
) -> ChangeVerdict {
    let (begun, limit) = (Instant::now(), timeouts.call);
    let holders = servers.holders(ids, recordings_of(request), SearchDeadlines::of(timeouts)).await;
    // A long search leaves the change as much time as a short one at least.
    let deadline = (begun + limit).max(Instant::now() + limit / 2);
    if holders.missing > 0 && holders.lack_any(ids) {
        // A server that has not answered may have it.
        return ChangeVerdict::TryAgain;
    }
    let wanted = ServerChange::new(change, &request.parameters);
    let batches = holders
        .found
        .iter()
        .flat_map(|(server, found)| found.chunks(BATCH).map(move |batch| (server, batch)))
        .map(|(server, batch)| change_batch(servers, request.call, server, wanted.of(batch), deadline));
    verdict(join_all(batches).await)
}

/// Returns the answer to the caller of a change.
pub(super) fn reply_to(
    request: &VerifiedRequest,
    change: RecordingChange,
    verdict: ChangeVerdict,
) -> CallReply {
    match verdict {
        ChangeVerdict::Done => done(request, change),
        ChangeVerdict::NotFound => CallReply::refused(&Refusal::RECORDINGS_NOT_FOUND),
        ChangeVerdict::Refused(answer) => CallReply::xml(answer, RequestOutcome::refused),
        ChangeVerdict::TryAgain => CallReply::unavailable(),
    }
}

/// Makes the change of a batch of recordings on one server.
async fn change_batch(
    servers: &RecordingServers<'_>,
    call: ApiCall,
    server: &ServerRoute,
    parameters: String,
    deadline: Instant,
) -> ChangeResponse {
    match servers.call(server, call, &parameters, UploadBody::None, deadline).await {
        Ok(answer) if answer.outcome.success => ChangeResponse::Done,
        Ok(answer) if answer.outcome.key == Refusal::RECORDINGS_NOT_FOUND.key => ChangeResponse::NotFound,
        Ok(answer) => ChangeResponse::Refused(answer.text),
        Err(error) => match error.refusal(None) {
            Some(refusal) => ChangeResponse::Refused(refusal.to_xml()),
            None => ChangeResponse::Nothing,
        },
    }
}

/// Returns BBB's answer to a change that was made.
fn done(request: &VerifiedRequest, change: RecordingChange) -> CallReply {
    CallReply::success(match change {
        RecordingChange::Publish => {
            let said = request.parameters.first("publish").unwrap_or_default();
            reply::changed("published", &said)
        }
        RecordingChange::Delete => reply::changed("deleted", "true"),
        RecordingChange::Update => reply::changed("updated", "true"),
    })
}
