//! The rest of a connection: before its first request, and between requests that are far apart. It has
//! neither a buffer nor a state of HTTP, so that thousands of silent clients take little memory.

use std::{future, pin::pin, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    sync::watch,
    time::{sleep_until, timeout},
};
use usher_runtime::clock;

use super::{
    client_stream::{ClientStream, SocketStream},
    connection_activity::ConnectionActivity,
    connection_error::ConnectionError,
    connection_policy::{ConnectionStep, ListenerPhase, SilenceLimits, next_step},
    silent_connections::{GIVES_WAY_AFTER, SilentConnection, SilentConnections},
};

/// Pause before an idle connection is examined again because unread bytes were found on it.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The end of a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestEnd {
    /// Bytes have come, and can be read from the stream.
    Bytes,
    /// The connection is closed.
    Closed,
}

/// Waits for bytes, and closes the connection as [`next_step`] decides. If it is one of `silent`, it gives
/// way to a new connection on request.
///
/// # Errors
/// Returns an error if the connection broke, was cut off, or gives way.
pub(super) async fn rest<S: SocketStream>(
    stream: &mut ClientStream<S>,
    activity: &ConnectionActivity,
    silence: SilenceLimits,
    phase: &mut watch::Receiver<ListenerPhase>,
    silent: Option<&SilentConnections>,
) -> Result<RestEnd, ConnectionError> {
    if !stream.below().ahead().is_empty() {
        return Ok(RestEnd::Bytes);
    }
    let silent = silent.map(SilentConnections::enter);
    let requested = || async {
        match &silent {
            Some(silent) => silent.requested().await,
            None => future::pending().await,
        }
    };
    let mut must_give_way = pin!(requested());
    let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
    loop {
        let (now, phase_now) = (clock::now(), *phase.borrow_and_update());
        let next_look = match next_step(phase_now, silence, activity.state(None), now) {
            ConnectionStep::Wait(until) => until,
            ConnectionStep::Cut => return Err(ConnectionError::Silent),
            // A request may be in the socket's buffer that the reactor has not reported yet, and to close
            // the connection now would lose it (S16).
            ConnectionStep::Close if stream.has_unread() => now + LOOK_AGAIN,
            ConnectionStep::Close => {
                close(stream, silence, phase).await;
                return Ok(RestEnd::Closed);
            }
        };
        timer.as_mut().reset(next_look.into());
        tokio::select! {
            biased;
            read = stream.below().read_ahead() => {
                return Ok(if read? { RestEnd::Bytes } else { RestEnd::Closed });
            }
            _ = phase.changed() => {}
            () = timer.as_mut() => {}
            () = must_give_way.as_mut() => {
                let silence = clock::now().saturating_duration_since(activity.state(None).since);
                // Without a lingering end: it has no answer that could be lost, and the new connection
                // waits for its place.
                if silence >= GIVES_WAY_AFTER && !stream.has_unread() {
                    silent.iter().for_each(SilentConnection::gives_way);
                    return Err(ConnectionError::GivesWay);
                }
                must_give_way.set(requested());
            }
        }
    }
}

/// Closes a connection that has nothing to send, and gives its client the time to notice.
async fn close<S: SocketStream>(
    stream: &mut ClientStream<S>,
    silence: SilenceLimits,
    phase: &mut watch::Receiver<ListenerPhase>,
) {
    let ended = phase.wait_for(|now| *now == ListenerPhase::Ended);
    // The client may have closed it meanwhile: then there is no connection any more to be closed.
    tokio::select! {
        _ = Box::pin(timeout(silence.closing, stream.shutdown())) => {}
        _ = ended => {}
    }
}
