//! Waiting for what a test wants, with a deadline.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Long enough for a loaded machine; a passing test never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Time for one look at something that may be frozen.
pub const GLANCE: Duration = Duration::from_millis(500);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `condition` gives a value, and returns it.
///
/// # Errors
/// When it gave none before [`DEADLINE`], with the last reason it gave instead.
pub async fn until<T, F>(what: &str, condition: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    until_within(DEADLINE, what, condition).await
}

/// Looks for as long as `duration` whether `condition` holds, and returns once that has passed.
///
/// # Errors
/// When it did not hold at one look, with its reason.
pub async fn holds<F>(duration: Duration, what: &str, mut condition: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let (begun, mut look) = (Instant::now(), interval(LOOK));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Ok(held) = tokio::time::timeout(DEADLINE, condition()).await else {
            bail!("{what}: the condition itself did not come back");
        };
        held.with_context(|| format!("{what}, after {:?} of {duration:?}", begun.elapsed()))?;
        if begun.elapsed() >= duration {
            return Ok(());
        }
    }
}

/// As [`until`], with another deadline.
///
/// # Errors
/// When the condition gave no value before the deadline.
pub async fn until_within<T, F>(deadline: Duration, what: &str, mut condition: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let end = Instant::now() + deadline;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reason = "the condition itself did not come back".to_owned();
    loop {
        look.tick().await;
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(not_yet)) => reason = format!("{not_yet:#}"),
            Err(_) => reason.push_str(" (and the last look did not come back)"),
        }
        if Instant::now() >= end {
            bail!("waited {deadline:?} for {what}: {reason}");
        }
    }
}
