//! Creates at one control plane, with two writes each, beside the maximum that its store commits
//! when it is written in the same way: 64 guarded writes in a transaction.

mod etcd;
mod load;
mod redb;

use anyhow::Result;
use tokio::runtime::Runtime;

use self::{etcd::PutShape, load::CreateLoad};
use crate::{
    args::BenchPlan,
    control_plane::{BenchControlPlane, BenchStore},
    measurement::{SlicePairs, medians},
    report::{BenchReport, GoalBound, ReportRow},
};

/// The writes of one create: the placement and its confirmation.
const WRITES: f64 = 2.0;

/// The least creates per second on one etcd node; a lower result is a failure.
const FLOOR: f64 = 5_000.0;

/// Adds the costs of creates on both stores to the report.
pub(crate) fn measure(plan: &BenchPlan, runtime: &Runtime, report: &mut BenchReport) -> Result<()> {
    on_etcd(plan, runtime, report)?;
    embedded(plan, runtime, report)
}

fn on_etcd(plan: &BenchPlan, runtime: &Runtime, report: &mut BenchReport) -> Result<()> {
    let plane = runtime.block_on(async { BenchControlPlane::start(BenchStore::etcd().await?).await })?;
    let endpoints = plane.store.endpoints();
    let alone = runtime.block_on(etcd::puts(&endpoints, PutShape::ALONE, plan.slice))?;
    let creator = runtime.block_on(async { CreateLoad::connect(&plane) });
    let pairs = SlicePairs::take(
        plan.pairs,
        || runtime.block_on(etcd::puts(&endpoints, PutShape::GATHERED, plan.slice)),
        || runtime.block_on(creator.run(plan.slice)),
    )?;
    runtime.block_on(plane.stop());
    let ratio = WRITES * pairs.rate_ratio();
    report.rows.push(ReportRow::rate("raw etcd, guarded puts, 128 at a time", medians(&[alone])));
    report
        .rows
        .push(ReportRow::rate("raw etcd, guarded puts, 64 to a transaction, 4 at a time", pairs.beside()));
    report.rows.push(
        ReportRow::rate("create, one control plane on one etcd, 256 at a time", pairs.ours())
            .with_goal("writes × raw", ratio, GoalBound::AtLeast(0.6))
            .with_goal("creates/s", pairs.ours().rate, GoalBound::AtLeast(FLOOR)),
    );
    Ok(())
}

fn embedded(plan: &BenchPlan, runtime: &Runtime, report: &mut BenchReport) -> Result<()> {
    let plane = runtime.block_on(BenchControlPlane::start(BenchStore::embedded()?))?;
    let creator = runtime.block_on(async { CreateLoad::connect(&plane) });
    let pairs = SlicePairs::take(
        plan.pairs,
        || redb::puts(plan.slice),
        || runtime.block_on(creator.run(plan.slice)),
    )?;
    runtime.block_on(plane.stop());
    report.rows.push(ReportRow::rate("raw redb, puts, 64 to a durable commit", pairs.beside()));
    let row = ReportRow::rate("create, one control plane on its embedded store, 256 at a time", pairs.ours());
    report.rows.push(row.with_goal("writes × raw", WRITES * pairs.rate_ratio(), GoalBound::AtLeast(0.6)));
    Ok(())
}
