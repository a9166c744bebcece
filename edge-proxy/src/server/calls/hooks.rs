//! Webhooks: what applications register, for the whole fleet, and the events that servers send. An
//! address is answered once what an application is to hear is in the store.

use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use hyper::body::{Body as _, Incoming as Body};
use tracing::{debug, warn};
use usher_bbb::{
    call::HookAction,
    reply::{self, Refusal},
};
use usher_model::callback::HookState;

use crate::server::{
    admission::body::{discard, read_small},
    inbound::callbacks::{Callbacks, fault, refusal},
    reply::Reply,
    request::Ask,
    router::Gateway,
};
use crate::{
    control::hooks::{HookClient, HookError, HookRegistration},
    core::{
        callbacks::bearer,
        hooks::{HookCall, ask, posted},
    },
    metrics::Outcome,
};

/// What is still read of an event that is too large, bytes.
const DISCARD_AT_MOST: u64 = 8 << 20;

/// Answers a call about webhooks.
pub(in crate::server) async fn answer(gateway: &Gateway, request: &Ask, action: HookAction) -> Reply {
    let Some(planes) = &gateway.hooks else { return Reply::refused(&Refusal::UNSUPPORTED_REQUEST) };
    let wanted = match ask(action, &request.parameters) {
        Ok(wanted) => wanted,
        Err(refusal) => return Reply::refused(&refusal),
    };
    let deadline = Instant::now() + gateway.limits.call;
    match wanted {
        HookCall::Create { url, meeting, events, raw } => {
            let hook = HookRegistration { callback_url: url, meeting, event_ids: events, raw };
            match planes.create(&request.tenant, hook, deadline).await {
                Ok((hook, true)) => Reply::success(reply::hook_exists(&hook.id)),
                Ok((hook, false)) => Reply::success(reply::hook_created(&hook.id, hook.raw)),
                Err(HookError::Address) => Reply::refused(&Refusal::CALLBACK_URL_INVALID),
                Err(error) => failed(&Refusal::HOOK_NOT_CREATED, error),
            }
        }
        HookCall::List(meeting) => list(planes, request, meeting.as_deref(), deadline).await,
        HookCall::Destroy(id) => match planes.delete(&request.tenant, &id, deadline).await {
            Ok(()) => Reply::success(reply::hook_destroyed()),
            Err(HookError::NotFound | HookError::Address) => Reply::refused(&Refusal::HOOK_NOT_FOUND),
            Err(error) => failed(&Refusal::HOOK_NOT_REMOVED, error),
        },
    }
}

async fn list(planes: &HookClient, request: &Ask, meeting: Option<&str>, deadline: Instant) -> Reply {
    let hooks = match planes.list(&request.tenant, deadline).await {
        Ok(hooks) => hooks,
        Err(error) => return failed(&Refusal::HOOKS_NOT_LISTED, error),
    };
    let events: Vec<String> = hooks.iter().map(|hook| hook.event_ids.join(",")).collect();
    let shown = hooks.iter().zip(&events).map(|(hook, events)| reply::HookElement {
        id: &hook.id,
        callback_url: &hook.callback_url,
        meeting_id: hook.meeting_id.as_deref(),
        event_id: Some(events.as_str()).filter(|events| !events.is_empty()),
        raw: hook.raw,
    });
    // Of a meeting, those that hear of it: its own, and those for all.
    let hears = |hook: &reply::HookElement<'_>| {
        hook.meeting_id.is_none_or(|own| meeting.is_none_or(|meeting| meeting == own))
    };
    Reply::success(reply::hooks(shown.filter(hears)))
}

/// In BBB's words; whoever reads headers is told whether it is worth another try.
fn failed(refusal: &Refusal, error: HookError) -> Reply {
    let mut reply = Reply::refused(refusal);
    if error == HookError::Unavailable {
        reply.outcome = Outcome::unavailable;
        reply.response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    reply
}

/// Takes what a server sent to an address of ours.
///
/// # Errors
/// What the server is answered: it sends again what is neither taken nor 401.
pub(in crate::server) async fn take(
    gateway: &Gateway,
    callbacks: &Callbacks,
    sealed: &str,
    parts: &Parts,
    body: Body,
) -> Result<(), StatusCode> {
    let planes = gateway.hooks.as_ref().filter(|_| parts.method == Method::POST);
    let planes = planes.ok_or(StatusCode::METHOD_NOT_ALLOWED)?;
    let (state, url) = callbacks.open_hook(sealed).await.ok_or(StatusCode::NOT_FOUND)?;
    let table = gateway.cell.load_full().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    // A server that is no part of the fleet any more forgets the hook when it is told so often enough.
    let secret = table.server(&state.server).ok_or(StatusCode::NOT_FOUND)?.secret.clone();
    let size = body.size_hint().lower();
    if (callbacks.max_body() + 1..=DISCARD_AT_MOST).contains(&size) {
        // A server that is refused sends it again for minutes, and everything behind it waits.
        warn!(server = %state.server, size, "an event is larger than callbacks.max_body and is lost");
        return discard(body, gateway.limits.client).await.map_err(fault);
    }
    let body = read_small(body, callbacks.max_body(), gateway.limits.client).await.map_err(fault)?;
    let form = std::str::from_utf8(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let query = parts.uri.query().unwrap_or_default();
    let Some(posted) = posted(&url, form, query, authorization.and_then(bearer), &secret) else {
        warn!(server = %state.server, "an event is not signed with its server's secret");
        return Err(StatusCode::UNAUTHORIZED);
    };
    let HookState { server, raw, .. } = state;
    let taken = planes.accept(&server, raw, posted, callbacks.patience()).await;
    taken.map_err(|error| {
        debug!(%server, %error, "events of a server are not taken");
        refusal(error)
    })
}
