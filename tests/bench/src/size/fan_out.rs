//! The cost of changes for the leader and their delay, with few and with many edges.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use usher_model::revision::Revision;

use super::{cluster::SizeCluster, scale::SizeScale, streams::EdgeStreams, usage::UsageMeter};
use crate::deltas::{marks::RevisionMarks, writer};

/// The longest time until all edges have a change.
const PATIENCE: Duration = Duration::from_mins(1);

/// The changes of one slice.
pub(super) struct FanOut {
    pub(super) streams: usize,
    /// The changes per second.
    pub(super) rate: f64,
    /// The delay from the commit to the last edge, microseconds.
    pub(super) delay: Histogram<u64>,
    /// The leader's processor time for each change, beyond its use at rest, microseconds.
    pub(super) cpu_micros: f64,
}

/// Measures the changes of one slice, beside the use of `rest` cores without changes.
pub(super) async fn measure(
    cluster: &SizeCluster,
    edges: &mut EdgeStreams,
    streams: usize,
    scale: SizeScale,
    rest: f64,
) -> Result<FanOut> {
    let at = cluster.revision().await?;
    edges.reach(at, PATIENCE).await?;
    let marks = Arc::new(RevisionMarks::after(at.seq));
    edges.mark(&marks);
    let (meter, begun) = (UsageMeter::start(cluster)?, Instant::now());
    let nth = |number| scale.changed_meeting(number);
    let commits = cluster.writer.change(nth, scale.changes, scale.load, &marks).await?;
    let last = commits.iter().map(|commit| commit.revision).max().context("something was committed")?;
    edges.reach(Revision::new(at.epoch, last), PATIENCE).await?;
    let (passed, usage) = (begun.elapsed().as_secs_f64(), meter.end()?);
    let changes = (commits.len() * writer::GATHERED) as f64;
    Ok(FanOut {
        streams,
        rate: changes / passed,
        delay: marks.latencies(&commits, streams)?,
        cpu_micros: (usage.leader.cores - rest).max(0.0) * passed * 1e6 / changes,
    })
}

/// Returns the cores that the leader uses without changes, over as much time as changes are made.
pub(super) async fn at_rest(cluster: &SizeCluster, scale: SizeScale) -> Result<f64> {
    let meter = UsageMeter::start(cluster)?;
    tokio::time::sleep(scale.load).await;
    Ok(meter.end()?.leader.cores)
}
