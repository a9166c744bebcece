//! The simulator's own controls below `/sim/`, for operators and for tests in other processes.

use http::{Method, Response, StatusCode};
use usher_bbb::query::RawQuery;

use crate::{
    body::SimBody,
    faults::{ConnectionGate, SimFault},
    hooks::{SimHook, SimHookPost},
    http::response,
    memory::SimEndResult,
    state::ServerState,
    time,
    view::SimMeeting,
};

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
                state.set_fault(fault);
                settle(state).await;
                json(&list_faults(state))
            }
            Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        },
        ("DELETE", "faults") => {
            state.clear_faults(params.first("kind").as_deref());
            settle(state).await;
            json(&list_faults(state))
        }
        ("GET", "calls") => {
            json(&state.calls().iter().map(crate::SimCall::to_json).collect::<Vec<_>>().into())
        }
        ("DELETE", "calls") => {
            state.forget_calls();
            text(StatusCode::OK, "")
        }
        ("GET", "meetings") => {
            let memory = state.memory();
            json(
                &memory
                    .meetings()
                    .map(|meeting| SimMeeting::from(meeting).to_json())
                    .collect::<Vec<_>>()
                    .into(),
            )
        }
        ("POST", "end") => found(end(state, &meeting_id)),
        ("POST", "recording-ready") => found(publish(state, &meeting_id)),
        ("POST", "leave") => {
            let name = params.first("fullName").unwrap_or_default();
            found(leave(state, &meeting_id, &name))
        }
        ("GET", "hooks") => json(&state.hooks().iter().map(SimHook::to_json).collect::<Vec<_>>().into()),
        ("DELETE", "hooks") => {
            state.forget_hooks();
            text(StatusCode::OK, "")
        }
        ("GET", "hook-posts") => {
            json(&state.hook_posts().iter().map(SimHookPost::to_json).collect::<Vec<_>>().into())
        }
        ("GET", "callbacks") => {
            let made = state.callbacks().into_iter();
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

/// Ends a meeting without its password, as its last moderator does. Returns whether it existed.
pub(crate) fn end(state: &ServerState, id: &str) -> bool {
    let mut memory = state.memory();
    let password = memory.find(id).map(|meeting| meeting.moderator_password.clone());
    let outcome = memory.end(id, password.as_deref(), time::now_ms());
    drop(memory);
    drop(state.memory()); // queues the callbacks and events of the end
    outcome == SimEndResult::Ended
}

/// Publishes the recording of a meeting that has ended and sends the callback. Returns whether the
/// meeting existed.
pub(crate) fn publish(state: &ServerState, id: &str) -> bool {
    let known = state.memory().publish(id, time::now_ms());
    drop(state.memory());
    known
}

/// Opens a breakout room of a meeting; returns `None` if there is no such meeting.
pub(crate) fn add_breakout(state: &ServerState, parent: &str) -> Option<SimMeeting> {
    let opened = state.memory().add_breakout(parent, time::now_ms()).map(SimMeeting::from);
    drop(state.memory()); // queues the events of the new meeting
    opened
}

/// Removes all users with this full name from a meeting. Returns whether there was one.
pub(crate) fn leave(state: &ServerState, id: &str, full_name: &str) -> bool {
    let left = state.memory().leave(id, full_name, time::now_ms());
    drop(state.memory()); // queues the events of the users who left
    left
}

/// Sets the number of simulated participants, who count but have no names.
pub(crate) fn set_crowd(state: &ServerState, id: &str, users: usize) -> bool {
    let now_ms = time::now_ms();
    let mut memory = state.memory();
    let Some(meeting) = memory.find_mut(id) else { return false };
    meeting.crowd = users;
    if users > 0 && !meeting.has_user_joined {
        meeting.has_user_joined = true;
        meeting.start_time_ms = now_ms;
    }
    true
}

/// Waits until the listener has applied the current faults. Returns at once if the server stops:
/// then no listener is left to wait for.
pub(crate) async fn settle(state: &ServerState) {
    let mut gate = state.gate.subscribe();
    let wanted = |gate: &ConnectionGate| *gate == state.wanted_gate().0;
    // `wait_for` cannot fail: `state` holds the sender.
    let _settled = gate.wait_for(wanted).await;
}

fn list_faults(state: &ServerState) -> serde_json::Value {
    let faults = state.faults().into_iter().map(|fault| {
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
