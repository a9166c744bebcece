//! The outcome of a request to end a zombie, with its words in the log and its metric label.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use usher_runtime::clock;

use crate::ports::{BbbCallError, EndCallOutcome};

/// The outcome of a request to end a zombie. Only a server that no longer knows the meeting proves
/// the end (C6): after every other outcome the zombie stays due.
#[derive(Debug)]
pub(super) enum ZombieEndOutcome {
    /// The server accepted the request; a later poll shows the end.
    Requested,
    /// The server knows no such meeting.
    Gone,
    /// The server refused the request or could not be reached.
    Failed(BbbCallError),
    /// No answer came within the time that the lease allows (X3).
    TimedOut,
}

impl ZombieEndOutcome {
    /// Returns the outcome of a call, `None` if its time ran out.
    pub(super) fn of(answer: Option<Result<EndCallOutcome, BbbCallError>>) -> Self {
        match answer {
            Some(Ok(EndCallOutcome::Requested)) => Self::Requested,
            Some(Ok(EndCallOutcome::NotFound)) => Self::Gone,
            Some(Err(error)) => Self::Failed(error),
            None => Self::TimedOut,
        }
    }

    /// Returns the message of the log line.
    pub(super) const fn message(&self) -> &'static str {
        match self {
            Self::Requested => "zombie end requested",
            Self::Gone => "zombie ended",
            Self::Failed(_) | Self::TimedOut => "zombie not ended, it stays due",
        }
    }

    /// Returns the error, if the request has none of the two answers of a server.
    pub(super) fn error(&self) -> Option<String> {
        match self {
            Self::Requested | Self::Gone => None,
            Self::Failed(error) => Some(error.to_string()),
            Self::TimedOut => Some("no answer in time".to_owned()),
        }
    }

    /// Returns the value of the metric label `outcome`.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Gone => "not_found",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timeout",
        }
    }
}

/// Waits for a call, at most `timeout`. Once the time is over the call is not polled again, so that
/// a process that was frozen beyond its lease sends no request afterwards (X3). The timeout of the
/// runtime alone does not hold this: it polls the call before it looks at the time.
pub(super) async fn call_within<T>(timeout: Duration, call: impl Future<Output = T>) -> Option<T> {
    let deadline = clock::now() + timeout;
    let mut call = pin!(call);
    let bounded = poll_fn(|context| {
        if clock::now() < deadline { call.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
    });
    tokio::time::timeout(timeout, bounded).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn x3_a_call_whose_time_passed_while_the_process_was_frozen_is_not_continued() {
        let polls = Rc::new(Cell::new(0));
        let seen = Rc::clone(&polls);
        let call = poll_fn(move |_| {
            seen.set(seen.get() + 1);
            if seen.get() == 1 { Poll::Pending } else { Poll::Ready(()) }
        });
        let mut bounded = Box::pin(call_within(Duration::from_secs(3), call));
        assert_eq!(bounded.as_mut().now_or_never(), None);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(bounded.as_mut().now_or_never(), Some(None));
        assert_eq!(polls.get(), 1, "the call was continued after its deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn c6_only_a_meeting_that_the_server_no_longer_knows_is_reported_as_ended() {
        let late = call_within(Duration::from_secs(1), std::future::pending()).await;
        let failed = BbbCallError::Failed("notFoundYet".to_owned());
        for (answer, label, ended) in [
            (Some(Ok(EndCallOutcome::NotFound)), "not_found", true),
            (Some(Ok(EndCallOutcome::Requested)), "requested", false),
            (Some(Err(failed)), "failed", false),
            (late, "timeout", false),
        ] {
            let outcome = ZombieEndOutcome::of(answer);
            assert_eq!(outcome.label(), label);
            assert_eq!(outcome.message() == "zombie ended", ended, "{outcome:?}");
            assert_eq!(outcome.error().is_some(), matches!(label, "failed" | "timeout"), "{outcome:?}");
        }
    }
}
