//! The delay of a change from the store's commit to the last of many edges: a real etcd, a real
//! control plane, and the edges' own subscribers and tables, on one machine.

mod edges;
pub(crate) mod marks;
pub(crate) mod writer;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use usher_model::revision::Revision;

use self::{
    edges::SubscribedEdges,
    marks::RevisionMarks,
    writer::{RecordWriter, WrittenFleet},
};
use crate::{
    args::BenchPlan,
    control_plane::{BenchControlPlane, BenchStore},
    report::{BenchReport, GoalBound, ReportRow},
    synthetic,
};

/// The number of changes per second.
const CHANGES: usize = 2_000;

/// Longest time until all edges have the whole table, or the last change.
const PATIENCE: Duration = Duration::from_mins(1);

/// Adds the delay of the last edge to the report.
pub(crate) async fn measure(plan: &BenchPlan, report: &mut BenchReport) -> Result<()> {
    let plane = BenchControlPlane::start(BenchStore::etcd().await?).await?;
    let fleet = WrittenFleet { meetings: plan.meetings, servers: synthetic::SERVERS };
    let writer = RecordWriter::connect(&plane.store.endpoints(), fleet)?;
    let filled = writer.fill().await?;
    let epoch = plane.admin().status().await?.revision.context("a status has a revision")?.epoch;
    let edges = SubscribedEdges::subscribe(plane.address(), plan.streams)?;
    edges.reach(Revision::new(epoch, filled), PATIENCE).await?;

    let marks = Arc::new(RevisionMarks::after(filled));
    edges.mark(&marks);
    let before = plane.worker().cpu()?;
    let commits = writer.change(|nth| nth % plan.meetings, CHANGES, plan.slice * 2, &marks).await?;
    let last = commits.iter().map(|commit| commit.revision).max().context("something was committed")?;
    edges.reach(Revision::new(epoch, last), PATIENCE).await?;
    let used = plane.worker().cpu()?.saturating_sub(before);
    edges.stop().await;
    plane.stop().await;

    let late = marks.latencies(&commits, plan.streams)?;
    let changes = (commits.len() * writer::GATHERED) as f64;
    let p99 = late.value_at_quantile(0.99) as f64;
    report.rows.push(ReportRow {
        p50_micros: Some(late.value_at_quantile(0.5) as f64),
        p99_micros: Some(p99),
        cpu_micros: Some(used.as_secs_f64() * 1e6 / changes),
        ..ReportRow::figure(
            format!(
                "change, committed to applied on the last of {} edges, {} meetings",
                plan.streams, plan.meetings
            ),
            changes / (plan.slice * 2).as_secs_f64(),
            "/s",
        )
        .with_goal("p99 ms", p99 / 1000.0, GoalBound::AtMost(10.0))
    });
    Ok(())
}
