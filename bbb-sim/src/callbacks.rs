//! The callbacks that a server sends to applications (wire-contract 6): the end of a meeting,
//! repeated for a while; a finished recording and the analytics of a meeting, sent once. Pending
//! callbacks do not outlive a restart.

mod sender;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
pub(crate) use sender::{SharedCallbacks, run};
use serde_json::json;
use usher_bbb::{query, secret::Secret};
use usher_model::callback::jwt;

use crate::{
    memory::{MemoryChange, ServerMeeting, TimedChange},
    recording::SimRecording,
};

/// One callback to send.
#[derive(Debug)]
struct PendingCallback {
    request: Request<Full<Bytes>>,
    /// Whether the callback is repeated after a failure.
    again: bool,
}

/// The result of one attempt to send a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimCallback {
    /// The address of the application.
    pub url: String,
    /// The status of the answer; `None` without an answer.
    pub status: Option<u16>,
}

/// Returns the callbacks that report a change, signed with the secret of the server.
fn of_change(reported: &TimedChange, secret: &Secret) -> Vec<PendingCallback> {
    match &reported.change {
        MemoryChange::Ended(meeting) => of_end(meeting, reported.at_ms, secret),
        MemoryChange::RecordingReady(recording) => of_recording(recording, secret).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Returns the callbacks about the end of a meeting. BBB sends none for a breakout room.
fn of_end(meeting: &ServerMeeting, at_ms: u64, secret: &Secret) -> Vec<PendingCallback> {
    if meeting.breakout.is_some() {
        return Vec::new();
    }
    let meta = meeting.metadata.get("endcallbackurl").map(|url| {
        let joint = if url.contains('?') { '&' } else { '?' };
        let id = query::encode(&meeting.external_id);
        format!("{url}{joint}recordingmarks={}&meetingID={id}", meeting.record)
    });
    let targets = meta.into_iter().chain(meeting.ended_url.clone());
    let mut pending_callbacks: Vec<PendingCallback> =
        targets.filter_map(|url| callback(Request::get(url), Bytes::new(), true)).collect();
    pending_callbacks.extend(analytics(meeting, at_ms, secret));
    pending_callbacks
}

/// Returns the analytics callback of a meeting, if its events are kept.
fn analytics(meeting: &ServerMeeting, at_ms: u64, secret: &Secret) -> Option<PendingCallback> {
    let url = meeting.metadata.get("analytics-callback-url").filter(|_| meeting.keep_events)?;
    let body = json!({
        "version": "1.0", "meeting_id": meeting.external_id, "internal_meeting_id": meeting.internal_id,
        "data": { "metadata": { "meeting_name": meeting.name }, "duration": 0, "attendees": [] },
    });
    let token = jwt::bearer(i64::try_from(at_ms).unwrap_or(0), secret).ok()?;
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "BigBlueButton Analytics Callback")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    callback(request, body.to_string().into(), false)
}

/// Returns the callback about a published recording, to the address under the first of these names
/// that is present.
fn of_recording(recording: &SimRecording, secret: &Secret) -> Option<PendingCallback> {
    let names = ["bbb-recording-ready-url", "bn-recording-ready-url", "canvas-recording-ready-url"];
    let url = names.iter().find_map(|name| recording.metadata(name))?;
    let claims = json!({ "meeting_id": recording.meeting_id, "record_id": recording.record_id });
    let token = jwt::sign_claims(claims.as_object()?, secret).ok()?;
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    callback(request, format!("signed_parameters={token}").into(), false)
}

/// Returns `None` for an address that cannot be parsed: BBB skips such a callback too.
fn callback(request: http::request::Builder, body: Bytes, again: bool) -> Option<PendingCallback> {
    let request = request.body(Full::new(body)).ok()?;
    request.uri().host()?;
    Some(PendingCallback { request, again })
}
