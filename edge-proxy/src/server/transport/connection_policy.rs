//! The decision when the edge closes a client's connection, as a pure function (S16).
//!
//! HTTP/1.1 has no way to withdraw a connection: a request that is on its way while the connection is
//! closed fails. So the answer to the last request closes the connection wherever that is possible
//! (`Connection: close`). Without an answer a connection is closed only if it has been idle for long, or
//! at the end of a shutdown that has given it time for a last request.

use std::time::{Duration, Instant};

/// Longest wait for the first request of a connection that was accepted just before the listener
/// closed. Its client connected in order to send a request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Longest wait for the answer of an idle HTTP/2 client to the announcement of the end. A silent
/// client never answers, and holds a connection for this time.
const HTTP2_CLOSING: Duration = Duration::from_secs(1);

/// The phases of a listener, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ListenerPhase {
    /// Connections stay open from request to request.
    Serving,
    /// The edge is not ready any more: each answer is the last of its connection, so that clients go
    /// elsewhere.
    Leaving,
    /// The listener accepts no connection any more, and idle connections are closed.
    Closing,
    /// The grace has ended: connections that are left are cut off.
    Ended,
}

/// The longest silences of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SilenceLimits {
    /// Limit before the first request.
    pub first: Duration,
    /// Limit in the middle of a request's head, and for reading the last answer.
    pub head: Duration,
    /// Limit between two requests.
    pub idle: Duration,
    /// Limit between the announcement of a connection's end and its end.
    pub closing: Duration,
}

impl SilenceLimits {
    /// Returns the limits of connections whose clients may take `head` for a head and be `idle` between
    /// requests. A client that connects early need not send its request at once, but no new connection
    /// may be silent for longer than one that has served its client.
    pub(super) fn new(head: Duration, idle: Duration) -> Self {
        Self { first: head.min(idle), head, idle, closing: head }
    }

    /// Returns the limits of an HTTP/2 connection. Its client learns by a frame which requests were not
    /// taken, so that no long wait follows the announcement of the end.
    pub(super) fn http2(self) -> Self {
        Self { closing: self.head.min(HTTP2_CLOSING), ..self }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionState {
    /// A request is being answered.
    pub busy: bool,
    /// A part of the next request has come.
    pub begun: bool,
    /// A request has been answered.
    pub served: bool,
    /// Time at which the connection became idle or `begun`.
    pub since: Instant,
    /// Time at which its end was requested.
    pub closing: Option<Instant>,
}

/// The next step with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionStep {
    /// Decide again at that time, or earlier if the phase changes.
    Wait(Instant),
    /// Finish the request that is being answered, if any, and close.
    Close,
    /// End the connection at once.
    Cut,
}

/// Returns the next step with a connection in state `seen`, at the time `now`.
pub(super) fn next_step(
    phase: ListenerPhase,
    silence: SilenceLimits,
    seen: ConnectionState,
    now: Instant,
) -> ConnectionStep {
    let look_again = now + silence.head;
    match (phase, seen.closing) {
        (ListenerPhase::Ended, _) => return ConnectionStep::Cut,
        (_, Some(_)) if seen.busy => return ConnectionStep::Wait(look_again),
        // The client does not read its answer, or does not notice that the connection is closed. While
        // the edge serves, only a client that has long been silent comes here; at a shutdown, one that may
        // just have begun to read.
        (phase, Some(since)) => {
            let read = if phase == ListenerPhase::Serving { since } else { seen.since + silence.head };
            return wait_until(read.max(since + silence.closing), ConnectionStep::Cut, now);
        }
        (ListenerPhase::Closing, None) if seen.busy => return ConnectionStep::Close,
        (_, None) if seen.busy => return ConnectionStep::Wait(look_again),
        (_, None) => {}
    }
    if seen.begun {
        return wait_until(seen.since + silence.head, ConnectionStep::Cut, now);
    }
    let patience = match (phase, seen.served) {
        (ListenerPhase::Closing, true) => Duration::ZERO,
        (ListenerPhase::Closing, false) => FIRST_REQUEST.min(silence.first),
        (_, true) => silence.idle,
        (_, false) => silence.first,
    };
    match wait_until(seen.since + patience, ConnectionStep::Close, now) {
        // A head that begins meanwhile has to be noticed before its own limit has passed.
        ConnectionStep::Wait(until) => ConnectionStep::Wait(until.min(look_again)),
        step => step,
    }
}

fn wait_until(end: Instant, then: ConnectionStep, now: Instant) -> ConnectionStep {
    if now < end { ConnectionStep::Wait(end) } else { then }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SILENCE: SilenceLimits = SilenceLimits {
        first: Duration::from_secs(15),
        head: Duration::from_secs(15),
        idle: Duration::from_secs(75),
        closing: Duration::from_secs(15),
    };

    fn after(
        phase: ListenerPhase,
        seconds: u64,
        change: impl FnOnce(&mut ConnectionState),
    ) -> ConnectionStep {
        let since = Instant::now();
        let mut seen = ConnectionState { busy: false, begun: false, served: true, since, closing: None };
        change(&mut seen);
        next_step(phase, SILENCE, seen, since + Duration::from_secs(seconds))
    }

    #[test]
    fn an_idle_connection_outlives_the_head_timeout_and_no_more_than_the_idle_one() {
        assert!(matches!(after(ListenerPhase::Serving, 20, |_| {}), ConnectionStep::Wait(_)));
        assert_eq!(after(ListenerPhase::Serving, 75, |_| {}), ConnectionStep::Close);
        assert_eq!(after(ListenerPhase::Serving, 15, |seen| seen.begun = true), ConnectionStep::Cut);
        assert_eq!(after(ListenerPhase::Serving, 15, |seen| seen.served = false), ConnectionStep::Close);
    }

    #[test]
    fn s16_leaving_closes_no_idle_connection_and_closing_does() {
        assert!(matches!(after(ListenerPhase::Leaving, 20, |_| {}), ConnectionStep::Wait(_)));
        assert_eq!(after(ListenerPhase::Closing, 0, |_| {}), ConnectionStep::Close);
        assert!(matches!(
            after(ListenerPhase::Closing, 0, |seen| seen.begun = true),
            ConnectionStep::Wait(_)
        ));
        assert!(matches!(
            after(ListenerPhase::Closing, 0, |seen| seen.served = false),
            ConnectionStep::Wait(_)
        ));
        assert_eq!(after(ListenerPhase::Closing, 1, |seen| seen.served = false), ConnectionStep::Close);
    }

    #[test]
    fn a_client_that_does_not_read_the_last_answer_is_cut_off() {
        let closing =
            |busy| move |seen: &mut ConnectionState| (seen.closing, seen.busy) = (Some(seen.since), busy);
        assert!(matches!(after(ListenerPhase::Closing, 14, closing(false)), ConnectionStep::Wait(_)));
        assert_eq!(after(ListenerPhase::Closing, 15, closing(false)), ConnectionStep::Cut);
        assert!(
            matches!(after(ListenerPhase::Closing, 100, closing(true)), ConnectionStep::Wait(_)),
            "its answer is not there yet"
        );
        assert_eq!(after(ListenerPhase::Ended, 0, closing(true)), ConnectionStep::Cut);
    }

    #[test]
    fn an_http2_client_that_ignores_the_end_is_cut_off_soon_unless_it_reads_an_answer() {
        let silence = SilenceLimits::new(Duration::from_secs(15), Duration::from_secs(3)).http2();
        let since = Instant::now();
        let seen = ConnectionState { busy: false, begun: false, served: false, since, closing: None };
        let step = |seen, seconds| {
            next_step(ListenerPhase::Serving, silence, seen, since + Duration::from_secs(seconds))
        };
        assert!(matches!(step(seen, 2), ConnectionStep::Wait(_)));
        assert_eq!(step(seen, 3), ConnectionStep::Close, "no request is no reason to be patient");
        let closing = Some(since + Duration::from_secs(30));
        assert!(matches!(step(ConnectionState { closing, ..seen }, 30), ConnectionStep::Wait(_)));
        assert_eq!(step(ConnectionState { closing, ..seen }, 31), ConnectionStep::Cut);
        let reads = ConnectionState { closing, served: true, since: since + Duration::from_secs(30), ..seen };
        let at =
            |seconds| next_step(ListenerPhase::Leaving, silence, reads, since + Duration::from_secs(seconds));
        assert!(matches!(at(44), ConnectionStep::Wait(_)));
        assert_eq!(at(45), ConnectionStep::Cut);
    }

    proptest! {
        /// Only the end of the grace cuts off a request that is being answered, and the connection is
        /// examined again before a head could have taken too long.
        #[test]
        fn a_request_is_answered_and_time_is_kept(
            busy: bool, begun: bool, served: bool, closing: bool, phase in 0..3, age in 0_u64..200,
        ) {
            let phase = [ListenerPhase::Serving, ListenerPhase::Leaving, ListenerPhase::Closing][phase as usize];
            let since = Instant::now();
            let now = since + Duration::from_secs(age);
            let seen = ConnectionState { busy, begun, served, since, closing: closing.then_some(since) };
            match next_step(phase, SILENCE, seen, now) {
                ConnectionStep::Cut => prop_assert!(!busy),
                ConnectionStep::Wait(until) => prop_assert!(now < until && until <= now + SILENCE.head),
                ConnectionStep::Close => prop_assert!(!begun || busy),
            }
        }
    }
}
