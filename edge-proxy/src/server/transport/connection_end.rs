//! Serving a connection of HTTP until it ends: by its client, by silence, or by a shutdown.

use std::{
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use futures::poll;
use hyper_util::server::graceful::GracefulConnection;
use tokio::{
    sync::watch,
    time::{Sleep, sleep_until},
};
use usher_runtime::clock;

use super::{
    connection_activity::ConnectionActivity,
    connection_error::ConnectionError,
    connection_policy::{ConnectionState, ConnectionStep, ListenerPhase, SilenceLimits, next_step},
    connection_rest::LOOK_AGAIN,
};

/// Silence after which the buffers of an HTTP/1 connection are released. A client that sends its next
/// request sooner finds them in place; to make them anew costs about a microsecond.
const REST_AFTER: Duration = Duration::from_millis(100);
/// Interval at which a connection with a request under way is examined, so that its buffers are released
/// soon after the answer.
const EXAMINE_BUSY: Duration = Duration::from_secs(1);

/// The result of serving an HTTP/1 connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http1End {
    /// The connection has ended.
    Ended,
    /// The client is silent between two requests: the connection may rest without buffers.
    Idle,
}

/// Serves an HTTP/1 connection, and closes it as [`next_step`] decides.
///
/// # Errors
/// Returns an error if the connection broke, or was cut off.
pub(super) async fn serve_http1<C>(
    mut connection: Pin<&mut C>,
    activity: &ConnectionActivity,
    silence: SilenceLimits,
    phase: &mut watch::Receiver<ListenerPhase>,
) -> Result<Http1End, ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
    let mut closing = None;
    loop {
        let (now, state, phase_now) = (clock::now(), activity.state(closing), *phase.borrow_and_update());
        let next_look = match next_step(phase_now, silence, state, now) {
            ConnectionStep::Wait(_) if may_rest(activity, state, now) => return Ok(Http1End::Idle),
            ConnectionStep::Wait(until) if state.busy || state.begun => until.min(now + EXAMINE_BUSY),
            ConnectionStep::Wait(until) => until.min(now.max(state.since) + REST_AFTER),
            ConnectionStep::Cut => return Err(ConnectionError::Silent),
            ConnectionStep::Close
                if !state.busy && has_new_bytes(connection.as_mut(), activity, state).await? =>
            {
                now + LOOK_AGAIN
            }
            ConnectionStep::Close => {
                connection.as_mut().graceful_shutdown();
                closing = Some(now);
                continue;
            }
        };
        if has_ended(connection.as_mut(), phase, timer.as_mut(), next_look).await? {
            return Ok(Http1End::Ended);
        }
    }
}

/// Returns whether a connection in `state` has been idle for long, with nothing left to send.
fn may_rest(activity: &ConnectionActivity, state: ConnectionState, now: Instant) -> bool {
    let idle = state.served && !state.busy && !state.begun && state.closing.is_none();
    idle && now >= state.since + REST_AFTER && !activity.is_unwritten() && !activity.is_refused()
}

/// Serves an HTTP/2 connection. Its end loses no request: the protocol says which requests were taken,
/// and the client sends the others elsewhere. Only requests count against silence: pings, settings, and
/// parts of a head are signs of a client that runs, and would keep a connection for ever.
///
/// # Errors
/// Returns an error if the connection broke, or was cut off.
pub(super) async fn serve_http2<C>(
    connection: C,
    activity: &ConnectionActivity,
    silence: SilenceLimits,
    phase: &mut watch::Receiver<ListenerPhase>,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
    let mut closing = None;
    // A connection that was opened while the edge was leaving serves until the listener closes.
    let last_phase = if *phase.borrow_and_update() == ListenerPhase::Leaving {
        ListenerPhase::Closing
    } else {
        ListenerPhase::Leaving
    };
    loop {
        let (now, state, phase_now) = (clock::now(), activity.state(closing), *phase.borrow_and_update());
        let is_last = closing.is_none() && phase_now >= last_phase && phase_now < ListenerPhase::Ended;
        let step = if is_last { ConnectionStep::Close } else { next_step(phase_now, silence, state, now) };
        let next_look = match step {
            ConnectionStep::Wait(until) => until,
            ConnectionStep::Cut => return Err(ConnectionError::Silent),
            ConnectionStep::Close => {
                connection.as_mut().graceful_shutdown();
                closing = Some(now);
                continue;
            }
        };
        if has_ended(connection.as_mut(), phase, timer.as_mut(), next_look).await? {
            return Ok(());
        }
    }
}

/// Serves a connection until its end, or until it has to be examined again: at a new phase, or at `next_look`.
/// Returns whether it has ended.
async fn has_ended<C>(
    connection: Pin<&mut C>,
    phase: &mut watch::Receiver<ListenerPhase>,
    mut timer: Pin<&mut Sleep>,
    next_look: Instant,
) -> Result<bool, ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    timer.as_mut().reset(next_look.into());
    tokio::select! {
        biased;
        ended = connection => Ok(ended.map(|()| true)?),
        _ = phase.changed() => Ok(false),
        () = timer => Ok(false),
    }
}

/// Returns whether bytes have come over a connection that was idle in state `before`. The connection is
/// polled once more, because a request may be in the socket's buffer that hyper has not read yet, and to
/// close the connection now would lose it (S16).
async fn has_new_bytes<C>(
    mut connection: Pin<&mut C>,
    activity: &ConnectionActivity,
    before: ConnectionState,
) -> Result<bool, ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    activity.request_look();
    let ended = poll!(connection.as_mut());
    let unread = activity.take_unread();
    if let std::task::Poll::Ready(ended) = ended {
        ended?;
        return Err(ConnectionError::Gone);
    }
    Ok(unread || activity.state(None) != before)
}
