//! The simulator's own controls below `/sim/`, for operators and for tests in other processes.

use http::{Method, Response, StatusCode};
use usher_bbb::query::RawQuery;

use crate::{
    body::SimBody,
    callbacks::SimCallback,
    calls,
    faults::{FaultKind, SimFault},
    hooks::{SimHook, SimHookPost},
    response::response,
    state::ServerState,
    time,
    view::{SimCall, SimMeeting},
};

/// The path prefix of the controls.
pub(crate) const PATH: &str = "/sim/";

/// Answers a request to `/sim/NAME`.
pub(crate) async fn answer(
    state: &ServerState,
    method: &Method,
    name: &str,
    query: &str,
) -> Response<SimBody> {
    let params = RawQuery::new(query);
    let meeting_id = params.first("meetingID").unwrap_or_default();
    match (method.as_str(), name) {
        ("GET", "faults") => json(&list_faults(state)),
        ("POST", "faults") => match SimFault::from_query(query) {
            Ok(fault) => {
                set_fault(state, fault).await;
                json(&list_faults(state))
            }
            Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        },
        ("DELETE", "faults") => {
            clear_faults(state, params.first("kind").as_deref()).await;
            json(&list_faults(state))
        }
        ("GET", "calls") => json(&state.calls().iter().map(SimCall::to_json).collect::<Vec<_>>().into()),
        ("DELETE", "calls") => {
            state.forget_calls();
            text(StatusCode::OK, "")
        }
        ("GET", "meetings") => {
            let meetings = SimMeeting::all_of(&state.memory());
            json(&meetings.iter().map(SimMeeting::to_json).collect::<Vec<_>>().into())
        }
        ("POST", "end") => found(end(state, &meeting_id)),
        ("POST", "recording-ready") => found(publish(state, &meeting_id)),
        ("POST", "connect") => found(match params.first("sessionToken") {
            Some(token) => connect(state, &token),
            None => connect_all(state, &meeting_id),
        }),
        ("POST", "settle") => {
            settle(state);
            text(StatusCode::OK, "")
        }
        ("POST", "leave") => {
            let name = params.first("fullName").unwrap_or_default();
            found(leave(state, &meeting_id, &name))
        }
        ("GET", "hooks") => {
            json(&state.hooks.registry().hooks().iter().map(SimHook::to_json).collect::<Vec<_>>().into())
        }
        ("DELETE", "hooks") => {
            state.hooks.registry().forget();
            text(StatusCode::OK, "")
        }
        ("GET", "hook-posts") => {
            json(&hook_posts(state).iter().map(SimHookPost::to_json).collect::<Vec<_>>().into())
        }
        ("GET", "callbacks") => {
            let made = callbacks(state).into_iter();
            let made = made.map(|made| serde_json::json!({ "url": made.url, "status": made.status }));
            json(&made.collect::<Vec<_>>().into())
        }
        ("POST", "restart") => {
            state.memory().forget();
            text(StatusCode::OK, "")
        }
        ("POST", "breakouts") => found(add_breakout(state, &meeting_id).is_some()),
        ("POST", "crowd") => {
            let users = params.first("users").and_then(|users| users.parse().ok());
            users.map_or_else(
                || text(StatusCode::BAD_REQUEST, "`users` is no number\n"),
                |users| found(set_crowd(state, &meeting_id, users)),
            )
        }
        _ => text(StatusCode::NOT_FOUND, "unknown control\n"),
    }
}

/// Ends a meeting at once, as its last moderator does. Returns whether it existed.
pub(crate) fn end(state: &ServerState, id: &str) -> bool {
    let existed = state.memory().end_now(id, time::now_ms());
    state.report_changes();
    existed
}

/// Connects the client of the user who joined with this session token. Returns whether there is
/// such a session.
pub(crate) fn connect(state: &ServerState, session_token: &str) -> bool {
    let is_known = state.memory().connect(session_token, time::now_ms()).is_some();
    state.report_changes();
    is_known
}

/// Connects the clients of all users who joined a meeting. Returns whether the meeting exists.
pub(crate) fn connect_all(state: &ServerState, id: &str) -> bool {
    let exists = state.memory().connect_all(id, time::now_ms());
    state.report_changes();
    exists
}

/// Lets the apps server confirm every create and carry out every end that was accepted.
pub(crate) fn settle(state: &ServerState) {
    state.memory().settle(time::now_ms());
    state.report_changes();
}

/// Publishes the recording of a meeting that has ended and sends the callback. Returns whether the
/// meeting existed.
pub(crate) fn publish(state: &ServerState, id: &str) -> bool {
    let known = state.memory().publish(id, time::now_ms());
    state.report_changes();
    known
}

/// Opens a breakout room of a meeting; returns `None` if there is no such meeting.
pub(crate) fn add_breakout(state: &ServerState, parent: &str) -> Option<SimMeeting> {
    let opened = state.memory().add_breakout(parent, time::now_ms()).map(SimMeeting::of_new);
    state.report_changes();
    opened
}

/// Removes all users with this full name from a meeting. Returns whether there was one.
pub(crate) fn leave(state: &ServerState, id: &str, full_name: &str) -> bool {
    let left = state.memory().leave(id, full_name, time::now_ms());
    state.report_changes();
    left
}

/// Sets the number of simulated participants, who count but have no names.
pub(crate) fn set_crowd(state: &ServerState, id: &str, users: usize) -> bool {
    state.memory().set_crowd(id, users, time::now_ms())
}

/// Sets a fault. The fault is active when this returns.
pub(crate) async fn set_fault(state: &ServerState, fault: SimFault) {
    let frozen = (fault.kind == FaultKind::FrozenList).then(|| calls::meetings(&state.memory()));
    state.faults.set(fault, frozen);
    state.faults.settle().await;
}

/// Clears the faults of one kind, or all, and waits until the listener has applied the rest.
pub(crate) async fn clear_faults(state: &ServerState, kind: Option<&str>) {
    state.faults.clear(kind);
    state.faults.settle().await;
}

/// Returns the results of the latest attempts to send callbacks.
pub(crate) fn callbacks(state: &ServerState) -> Vec<SimCallback> {
    state.report_changes();
    state.callbacks.results()
}

/// Returns the latest requests to hooks.
pub(crate) fn hook_posts(state: &ServerState) -> Vec<SimHookPost> {
    state.report_changes();
    state.hooks.posts()
}

fn list_faults(state: &ServerState) -> serde_json::Value {
    let faults = state.faults.list().into_iter().map(|fault| {
        serde_json::json!({
            "kind": fault.kind.name(), "call": fault.call.map(usher_bbb::call::ApiCall::name),
            "count": fault.count,
        })
    });
    faults.collect::<Vec<_>>().into()
}

fn found(found: bool) -> Response<SimBody> {
    if found { text(StatusCode::OK, "") } else { text(StatusCode::NOT_FOUND, "no such meeting\n") }
}

fn json(value: &serde_json::Value) -> Response<SimBody> {
    response(StatusCode::OK, "application/json", format!("{value}\n"))
}

fn text(status: StatusCode, text: &str) -> Response<SimBody> {
    response(status, "text/plain;charset=utf-8", text.to_owned())
}
