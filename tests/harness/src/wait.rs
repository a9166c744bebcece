//! Waiting for a condition, with a deadline.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Long enough for a loaded machine; a passing test never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The time for one query to a process that may be frozen.
pub const GLANCE: Duration = Duration::from_millis(500);

/// The interval between two evaluations of a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Evaluates `condition` until it returns a value, and returns the value.
///
/// # Errors
/// When it returned no value within [`DEADLINE`]; the error has the last reason.
pub async fn until<T, F>(awaited: &str, condition: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    until_within(DEADLINE, awaited, condition).await
}

/// Evaluates for the time `duration` whether `condition` holds, and returns after it.
///
/// # Errors
/// When the condition did not hold once; the error has its reason.
pub async fn holds<F>(duration: Duration, awaited: &str, mut condition: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let (begun, mut look) = (Instant::now(), interval(LOOK));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Ok(held) = tokio::time::timeout(DEADLINE, condition()).await else {
            bail!("{awaited}: the condition itself did not return");
        };
        held.with_context(|| format!("{awaited}, after {:?} of {duration:?}", begun.elapsed()))?;
        if begun.elapsed() >= duration {
            return Ok(());
        }
    }
}

/// Evaluates like [`until`], with another deadline.
///
/// # Errors
/// When the condition returned no value before the deadline.
pub async fn until_within<T, F>(
    deadline: Duration,
    awaited: &str,
    mut condition: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let end = Instant::now() + deadline;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reason = "the condition itself did not return".to_owned();
    loop {
        look.tick().await;
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(not_yet)) => reason = format!("{not_yet:#}"),
            Err(_) => reason.push_str(" (and the last evaluation did not return)"),
        }
        if Instant::now() >= end {
            bail!("waited {deadline:?} for {awaited}: {reason}");
        }
    }
}
