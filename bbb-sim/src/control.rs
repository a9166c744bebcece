//! The simulator's own controls below `/sim/`, for operators and for tests in other processes.

use http::{Method, Response, StatusCode};
use usher_bbb::query::RawQuery;

use crate::{
    body::SimBody,
    faults::{Fault, Gate},
    hooks::{SimHook, SimHookPost},
    http::response,
    memory::EndOutcome,
    state::Shared,
    time,
    view::SimMeeting,
};

/// Answers a request to `/sim/NAME`.
pub(crate) async fn answer(shared: &Shared, method: &Method, name: &str, query: &str) -> Response<SimBody> {
    let params = RawQuery::new(query);
    let meeting_id = params.first("meetingID").unwrap_or_default();
    match (method.as_str(), name) {
        ("GET", "faults") => json(&list_faults(shared)),
        ("POST", "faults") => match Fault::from_query(query) {
            Ok(fault) => {
                shared.set_fault(fault);
                settle(shared).await;
                json(&list_faults(shared))
            }
            Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        },
        ("DELETE", "faults") => {
            shared.clear_faults(params.first("kind").as_deref());
            settle(shared).await;
            json(&list_faults(shared))
        }
        ("GET", "calls") => {
            json(&shared.calls().iter().map(crate::SimCall::to_json).collect::<Vec<_>>().into())
        }
        ("DELETE", "calls") => {
            shared.forget_calls();
            text(StatusCode::OK, "")
        }
        ("GET", "meetings") => {
            let world = shared.world();
            json(
                &world
                    .meetings()
                    .map(|meeting| SimMeeting::from(meeting).to_json())
                    .collect::<Vec<_>>()
                    .into(),
            )
        }
        ("POST", "end") => found(end(shared, &meeting_id)),
        ("POST", "recording-ready") => found(publish(shared, &meeting_id)),
        ("POST", "leave") => {
            let name = params.first("fullName").unwrap_or_default();
            found(leave(shared, &meeting_id, &name))
        }
        ("GET", "hooks") => json(&shared.hooks().iter().map(SimHook::to_json).collect::<Vec<_>>().into()),
        ("DELETE", "hooks") => {
            shared.forget_hooks();
            text(StatusCode::OK, "")
        }
        ("GET", "hook-posts") => {
            json(&shared.hook_posts().iter().map(SimHookPost::to_json).collect::<Vec<_>>().into())
        }
        ("GET", "callbacks") => {
            let made = shared.callbacks().into_iter();
            let made = made.map(|made| serde_json::json!({ "url": made.url, "status": made.status }));
            json(&made.collect::<Vec<_>>().into())
        }
        ("POST", "restart") => {
            shared.world().forget();
            text(StatusCode::OK, "")
        }
        ("POST", "breakouts") => found(add_breakout(shared, &meeting_id).is_some()),
        ("POST", "crowd") => {
            let users = params.first("users").and_then(|users| users.parse().ok());
            users.map_or_else(
                || text(StatusCode::BAD_REQUEST, "`users` is no number\n"),
                |users| found(set_crowd(shared, &meeting_id, users)),
            )
        }
        _ => text(StatusCode::NOT_FOUND, "unknown control\n"),
    }
}

/// Ends a meeting without its password, as its last moderator does. Returns whether it existed.
pub(crate) fn end(shared: &Shared, id: &str) -> bool {
    let mut world = shared.world();
    let password = world.find(id).map(|meeting| meeting.moderator_password.clone());
    let outcome = world.end(id, password.as_deref(), time::now_ms());
    drop(world);
    drop(shared.world()); // queues the callbacks and events of the end
    outcome == EndOutcome::Ended
}

/// Publishes the recording of a meeting that has ended and sends the callback. Returns whether the
/// meeting existed.
pub(crate) fn publish(shared: &Shared, id: &str) -> bool {
    let known = shared.world().publish(id, time::now_ms());
    drop(shared.world());
    known
}

/// Opens a breakout room of a meeting; returns `None` if there is no such meeting.
pub(crate) fn add_breakout(shared: &Shared, parent: &str) -> Option<SimMeeting> {
    let opened = shared.world().add_breakout(parent, time::now_ms()).map(SimMeeting::from);
    drop(shared.world()); // queues the events of the new meeting
    opened
}

/// Removes all users with this full name from a meeting. Returns whether there was one.
pub(crate) fn leave(shared: &Shared, id: &str, full_name: &str) -> bool {
    let left = shared.world().leave(id, full_name, time::now_ms());
    drop(shared.world()); // queues the events of the users who left
    left
}

/// Sets the number of simulated participants, who count but have no names.
pub(crate) fn set_crowd(shared: &Shared, id: &str, users: usize) -> bool {
    let now_ms = time::now_ms();
    let mut world = shared.world();
    let Some(meeting) = world.find_mut(id) else { return false };
    meeting.crowd = users;
    if users > 0 && !meeting.has_user_joined {
        meeting.has_user_joined = true;
        meeting.start_time_ms = now_ms;
    }
    true
}

/// Waits until the listener has applied the current faults. Returns at once if the server stops:
/// then no listener is left to wait for.
pub(crate) async fn settle(shared: &Shared) {
    let mut gate = shared.gate.subscribe();
    let wanted = |gate: &Gate| *gate == shared.wanted_gate().0;
    // `wait_for` cannot fail: `shared` holds the sender.
    let _settled = gate.wait_for(wanted).await;
}

fn list_faults(shared: &Shared) -> serde_json::Value {
    let faults = shared.faults().into_iter().map(|fault| {
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
