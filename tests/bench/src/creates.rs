//! Creates at one control plane, with two writes each, beside the maximum that its store commits
//! when it is written in the same way: 64 guarded writes in a transaction.

mod etcd;
mod load;
mod redb;

use anyhow::Result;
use tokio::runtime::Runtime;

use self::{etcd::Shape, load::Creator};
use crate::{
    args::Plan,
    control_plane::{Plane, Store},
    measurement::{Pairs, medians},
    report::{Bound, Report, Row},
};

/// The writes of one create: the placement and its confirmation.
const WRITES: f64 = 2.0;

/// The least creates per second on one etcd node; a lower result is a failure.
const FLOOR: f64 = 5_000.0;

/// Adds the costs of creates on both stores to the report.
pub(crate) fn measure(plan: &Plan, runtime: &Runtime, report: &mut Report) -> Result<()> {
    on_etcd(plan, runtime, report)?;
    embedded(plan, runtime, report)
}

fn on_etcd(plan: &Plan, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let plane = runtime.block_on(async { Plane::start(Store::etcd().await?).await })?;
    let endpoints = plane.store.endpoints();
    let alone = runtime.block_on(etcd::puts(&endpoints, Shape::ALONE, plan.slice))?;
    let creator = runtime.block_on(async { Creator::connect(&plane) });
    let pairs = Pairs::take(
        plan.pairs,
        || runtime.block_on(etcd::puts(&endpoints, Shape::GATHERED, plan.slice)),
        || runtime.block_on(creator.run(plan.slice)),
    )?;
    runtime.block_on(plane.stop());
    let ratio = WRITES * pairs.rate_ratio();
    report.rows.push(Row::rate("raw etcd, guarded puts, 128 at a time", medians(&[alone])));
    report.rows.push(Row::rate("raw etcd, guarded puts, 64 to a transaction, 4 at a time", pairs.beside()));
    report.rows.push(
        Row::rate("create, one control plane on one etcd, 256 at a time", pairs.ours())
            .with_goal("writes × raw", ratio, Bound::AtLeast(0.6))
            .with_goal("creates/s", pairs.ours().rate, Bound::AtLeast(FLOOR)),
    );
    Ok(())
}

fn embedded(plan: &Plan, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let plane = runtime.block_on(Plane::start(Store::embedded()?))?;
    let creator = runtime.block_on(async { Creator::connect(&plane) });
    let pairs =
        Pairs::take(plan.pairs, || redb::puts(plan.slice), || runtime.block_on(creator.run(plan.slice)))?;
    runtime.block_on(plane.stop());
    report.rows.push(Row::rate("raw redb, puts, 64 to a durable commit", pairs.beside()));
    let row = Row::rate("create, one control plane on its embedded store, 256 at a time", pairs.ours());
    report.rows.push(row.with_goal("writes × raw", WRITES * pairs.rate_ratio(), Bound::AtLeast(0.6)));
    Ok(())
}
