//! When the edge closes a client's connection.
//!
//! HTTP/1.1 has no way to take a connection back: a request that is on its way while the connection
//! is closed fails. So a connection is closed by the answer to its last request wherever that can be
//! (`Connection: close`), and without one only when it has been idle for long, or at the end of a
//! shutdown that gave it time for a last request.

use std::time::{Duration, Instant};

/// Longest wait for the first request of a connection that was accepted just before the listener
/// closed: its client connected in order to send one.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Where the listener is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Connections stay open from request to request.
    Serving,
    /// Not ready: each answer is the last of its connection, so that clients go elsewhere.
    Leaving,
    /// Nothing is accepted any more, and idle connections are closed.
    Closing,
    /// The grace is over: what is left is cut off.
    Over,
}

/// How long a client may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silence {
    /// In the middle of a request's head, and before the first one.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// A request is being answered.
    pub busy: bool,
    /// A part of the next request has come.
    pub begun: bool,
    /// A request has been answered.
    pub served: bool,
    /// Since when it is idle or `begun`.
    pub since: Instant,
    /// Since when it is being closed.
    pub closing: Option<Instant>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Look again by then, or when something happens.
    Wait(Instant),
    /// Finish the request that is being answered, if any, and close.
    Close,
    /// End it as it is.
    Cut,
}

/// Decides about a connection.
pub(super) fn decide(phase: Phase, silence: Silence, seen: Seen, now: Instant) -> Step {
    let look_again = now + silence.head;
    match (phase, seen.closing) {
        (Phase::Over, _) => return Step::Cut,
        (_, Some(_)) if seen.busy => return Step::Wait(look_again),
        // The client does not take its answer, or does not see that the connection is closed.
        (_, Some(since)) => return wait_until(since.max(seen.since) + silence.head, Step::Cut, now),
        (Phase::Closing, None) if seen.busy => return Step::Close,
        (_, None) if seen.busy => return Step::Wait(look_again),
        (_, None) => {}
    }
    if seen.begun {
        return wait_until(seen.since + silence.head, Step::Cut, now);
    }
    let patience = match (phase, seen.served) {
        (Phase::Closing, true) => Duration::ZERO,
        (Phase::Closing, false) => FIRST_REQUEST.min(silence.head),
        (_, true) => silence.idle,
        (_, false) => silence.head,
    };
    match wait_until(seen.since + patience, Step::Close, now) {
        // A head that begins meanwhile is not to be found only then.
        Step::Wait(until) => Step::Wait(until.min(look_again)),
        step => step,
    }
}

fn wait_until(end: Instant, then: Step, now: Instant) -> Step {
    if now < end { Step::Wait(end) } else { then }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SILENCE: Silence = Silence { head: Duration::from_secs(15), idle: Duration::from_secs(75) };

    fn after(phase: Phase, seconds: u64, change: impl FnOnce(&mut Seen)) -> Step {
        let since = Instant::now();
        let mut seen = Seen { busy: false, begun: false, served: true, since, closing: None };
        change(&mut seen);
        decide(phase, SILENCE, seen, since + Duration::from_secs(seconds))
    }

    #[test]
    fn an_idle_connection_outlives_the_head_timeout_and_no_more_than_the_idle_one() {
        assert!(matches!(after(Phase::Serving, 20, |_| {}), Step::Wait(_)));
        assert_eq!(after(Phase::Serving, 75, |_| {}), Step::Close);
        assert_eq!(after(Phase::Serving, 15, |seen| seen.begun = true), Step::Cut);
        assert_eq!(after(Phase::Serving, 15, |seen| seen.served = false), Step::Close);
    }

    #[test]
    fn s16_leaving_closes_no_idle_connection_and_closing_does() {
        assert!(matches!(after(Phase::Leaving, 20, |_| {}), Step::Wait(_)));
        assert_eq!(after(Phase::Closing, 0, |_| {}), Step::Close);
        assert!(matches!(after(Phase::Closing, 0, |seen| seen.begun = true), Step::Wait(_)));
        assert!(matches!(after(Phase::Closing, 0, |seen| seen.served = false), Step::Wait(_)));
        assert_eq!(after(Phase::Closing, 1, |seen| seen.served = false), Step::Close);
    }

    #[test]
    fn who_does_not_take_the_last_answer_is_cut_off() {
        let asked = |busy| move |seen: &mut Seen| (seen.closing, seen.busy) = (Some(seen.since), busy);
        assert!(matches!(after(Phase::Closing, 14, asked(false)), Step::Wait(_)));
        assert_eq!(after(Phase::Closing, 15, asked(false)), Step::Cut);
        assert!(
            matches!(after(Phase::Closing, 100, asked(true)), Step::Wait(_)),
            "its answer is not there yet"
        );
        assert_eq!(after(Phase::Over, 0, asked(true)), Step::Cut);
    }

    proptest! {
        /// A request that is being answered is cut off by nothing but the end of the grace, and the
        /// connection is looked at again before a head could have taken too long.
        #[test]
        fn a_request_is_answered_and_time_is_kept(
            busy: bool, begun: bool, served: bool, closing: bool, phase in 0..3, age in 0_u64..200,
        ) {
            let phase = [Phase::Serving, Phase::Leaving, Phase::Closing][phase as usize];
            let since = Instant::now();
            let now = since + Duration::from_secs(age);
            let seen = Seen { busy, begun, served, since, closing: closing.then_some(since) };
            match decide(phase, SILENCE, seen, now) {
                Step::Cut => prop_assert!(!busy),
                Step::Wait(until) => prop_assert!(now < until && until <= now + SILENCE.head),
                Step::Close => prop_assert!(!begun || busy),
            }
        }
    }
}
