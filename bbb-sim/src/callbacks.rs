//! The callbacks that a server sends to applications (wire-contract 6): the end of a meeting,
//! repeated for a while; a finished recording and the analytics of a meeting, sent once. Pending
//! callbacks do not outlive a restart.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use usher_bbb::{query, secret::Secret};
use usher_model::callback::jwt;
use usher_runtime::tasks::TaskGroup;

use crate::{memory::ServerMeeting, recording::SimRecording, state::ServerState, time};

/// Longest wait for one answer. BBB waits longer; a test must not.
const PATIENCE: Duration = Duration::from_mins(1);

/// One callback to send.
#[derive(Debug)]
pub(crate) struct PendingCallback {
    pub(crate) request: Request<Full<Bytes>>,
    /// Whether the callback is repeated after a failure.
    pub(crate) again: bool,
}

/// The result of one attempt to send a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimCallback {
    /// The address of the application.
    pub url: String,
    /// The status of the answer; `None` without an answer.
    pub status: Option<u16>,
}

/// Returns the callbacks about the end of a meeting. BBB sends none for a breakout room.
pub(crate) fn of_end(meeting: &ServerMeeting, secret: &Secret) -> Vec<PendingCallback> {
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
    pending_callbacks.extend(analytics(meeting, secret));
    pending_callbacks
}

/// Returns the analytics callback of a meeting, if its events are kept.
fn analytics(meeting: &ServerMeeting, secret: &Secret) -> Option<PendingCallback> {
    let url = meeting.metadata.get("analytics-callback-url").filter(|_| meeting.keep_events)?;
    let body = json!({
        "version": "1.0", "meeting_id": meeting.external_id, "internal_meeting_id": meeting.internal_id,
        "data": { "metadata": { "meeting_name": meeting.name }, "duration": 0, "attendees": [] },
    });
    let token = jwt::bearer(i64::try_from(time::now_ms()).unwrap_or(0), secret).ok()?;
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "BigBlueButton Analytics Callback")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    callback(request, body.to_string().into(), false)
}

/// Returns the callback about a published recording, to the address under the first of these names
/// that is present.
pub(crate) fn of_recording(recording: &SimRecording, secret: &Secret) -> Option<PendingCallback> {
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

/// Sends callbacks until `stop`.
pub(crate) async fn run(
    state: Arc<ServerState>,
    mut pending_callbacks: mpsc::UnboundedReceiver<PendingCallback>,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    loop {
        let callback = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            callback = pending_callbacks.recv() => match callback {
                Some(callback) => callback,
                None => return Ok(()),
            },
        };
        let sending = send(Arc::clone(&state), client.clone(), callback);
        let stop = stop.clone();
        tasks.spawn_short("sim-callback", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sending => {}
            }
        });
    }
}

async fn send(
    state: Arc<ServerState>,
    client: Client<HttpConnector, Full<Bytes>>,
    callback: PendingCallback,
) {
    let mut pauses = state.options.callback_pauses.iter().filter(|_| callback.again);
    loop {
        let status = attempt(&client, &callback.request).await;
        let url = callback.request.uri().to_string();
        debug!(?status, "a callback was made");
        state.record_callback(SimCallback { url, status });
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return;
        }
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return,
        }
    }
}

async fn attempt(client: &Client<HttpConnector, Full<Bytes>>, request: &Request<Full<Bytes>>) -> Option<u16> {
    debug_assert!(matches!(*request.method(), Method::GET | Method::POST));
    let exchange = async {
        let response = client.request(request.clone()).await.ok()?;
        let status = response.status().as_u16();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    tokio::time::timeout(PATIENCE, exchange).await.ok().flatten()
}
