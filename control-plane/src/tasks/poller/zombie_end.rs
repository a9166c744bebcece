//! The outcome of a request to end a zombie, with its words in the log and its metric label.

use tokio::time::error::Elapsed;

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
    /// Returns the outcome of a call with a deadline.
    pub(super) fn of(answer: Result<Result<EndCallOutcome, BbbCallError>, Elapsed>) -> Self {
        match answer {
            Ok(Ok(EndCallOutcome::Requested)) => Self::Requested,
            Ok(Ok(EndCallOutcome::NotFound)) => Self::Gone,
            Ok(Err(error)) => Self::Failed(error),
            Err(Elapsed { .. }) => Self::TimedOut,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn c6_only_a_meeting_that_the_server_no_longer_knows_is_reported_as_ended() {
        let late = tokio::time::timeout(Duration::from_secs(1), std::future::pending()).await;
        let failed = BbbCallError::Failed("notFoundYet".to_owned());
        for (answer, label, ended) in [
            (Ok(Ok(EndCallOutcome::NotFound)), "not_found", true),
            (Ok(Ok(EndCallOutcome::Requested)), "requested", false),
            (Ok(Err(failed)), "failed", false),
            (late, "timeout", false),
        ] {
            let outcome = ZombieEndOutcome::of(answer);
            assert_eq!(outcome.label(), label);
            assert_eq!(outcome.message() == "zombie ended", ended, "{outcome:?}");
            assert_eq!(outcome.error().is_some(), matches!(label, "failed" | "timeout"), "{outcome:?}");
        }
    }
}
