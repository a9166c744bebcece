//! `getRecordingTextTracks` and `putRecordingTextTrack`: sent to a server that has the recording, whose answer
//! in JSON is passed on. The addresses in it are the server's own.

use std::sync::Arc;

use tokio::time::Instant;
use usher_bbb::{query::ParameterEdit, reply::Refusal};
use usher_model::routing::ServerRoute;
use usher_runtime::repeated_warnings::RequestWarnings;

use super::recording_servers::{RecordingServers, SearchDeadlines, recordings_of};
use crate::{
    metrics::RequestOutcome,
    server::{
        admission::{CallTimeouts, document::RequestDocument},
        fleet::server_calls::ServerCalls,
        reply::CallReply,
        request::VerifiedRequest,
    },
    upstream::{ServerAnswer, UploadBody},
};

/// Returns the subtitles and captions of a recording.
pub(super) async fn get(
    servers: &RecordingServers<'_>,
    timeouts: CallTimeouts,
    request: &VerifiedRequest,
) -> CallReply {
    let holders = match find(servers, timeouts, request, Refusal::no_recording).await {
        Ok(holders) => holders,
        Err(reply) => return reply,
    };
    let (parameters, deadline) = (parameters(request), Instant::now() + timeouts.call / 2);
    let mut reply = CallReply::unavailable_to(request.call);
    for server in &holders {
        match servers.call(server, request.call, &parameters, UploadBody::None, deadline).await {
            Ok(answer) => return passed_on(&answer),
            Err(error) => reply = CallReply::unanswered(request.call, &error, None),
        }
    }
    reply
}

/// Sends subtitles or captions to a server that has the recording.
pub(super) async fn put(
    (calls, warnings): (&ServerCalls, &RequestWarnings),
    timeouts: CallTimeouts,
    mut request: VerifiedRequest,
) -> CallReply {
    let servers = RecordingServers::of((calls, warnings), &request);
    let holders = match find(&servers, timeouts, &request, Refusal::no_recording_to_caption).await {
        Ok(holders) => holders,
        Err(reply) => return reply,
    };
    let mut document = std::mem::replace(&mut request.document, RequestDocument::None);
    let kind = request.content_type.take();
    let (Some(server), upload) = (holders.first(), document.multipart(kind)) else {
        return CallReply::unavailable_to(request.call);
    };
    let deadline = Instant::now() + timeouts.upload;
    let servers = RecordingServers::of((calls, warnings), &request);
    let answer = servers.call(server, request.call, &parameters(&request), upload, deadline).await;
    match answer {
        Ok(answer) => passed_on(&answer),
        Err(error) => CallReply::undelivered(request.call, &error, &document),
    }
}

/// Returns the servers that have the recording.
///
/// # Errors
/// Returns the refusal `missing` if no server has it, and the retryable one if that is unknown.
async fn find(
    servers: &RecordingServers<'_>,
    timeouts: CallTimeouts,
    request: &VerifiedRequest,
    missing: impl Fn(&str) -> Refusal,
) -> Result<Vec<Arc<ServerRoute>>, CallReply> {
    let ids = [record_id(request)];
    let holders = servers.holders(&ids, recordings_of(request), SearchDeadlines::of(timeouts)).await;
    match (holders.found.is_empty(), holders.missing) {
        (false, _) => Ok(holders.found.into_iter().map(|(server, _)| server).collect()),
        (true, 0) => Err(CallReply::refused_to(request.call, &missing(&ids[0]))),
        (true, _) => Err(CallReply::unavailable_to(request.call)),
    }
}

/// Returns the id of the recording. These calls take a single one, in which a comma is an ordinary character.
fn record_id(request: &VerifiedRequest) -> String {
    request.parameters.first("recordID").unwrap_or_default().trim().to_owned()
}

fn parameters(request: &VerifiedRequest) -> String {
    let mut sent = request.parameters.edited();
    sent.apply([ParameterEdit::Set("recordID".into(), record_id(request).into())]);
    sent.to_text()
}

/// Passes a server's answer on. Some of its refusals are XML.
fn passed_on(answer: &ServerAnswer) -> CallReply {
    let outcome = if answer.outcome.success { RequestOutcome::success } else { RequestOutcome::refused };
    if answer.text.trim_start().starts_with('{') {
        CallReply::json(answer.text.clone(), outcome)
    } else {
        CallReply::xml(answer.text.clone(), outcome)
    }
}
