//! Joins and creates of one well-behaved tenant, alone and beside crowds of another tenant, at one
//! edge with the real control plane, etcd and simulated servers.
//!
//! The edge has a core of its own. All other parts share the other cores: on a machine with two
//! cores the well-behaved tenant waits also for the load generator and the simulated servers.

mod cluster;
mod connection;
mod kinds;
mod load;
mod neighbour;
mod requests;

use std::sync::atomic::Ordering;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

use self::{
    cluster::{CrowdCluster, MEMORY_BUDGET},
    kinds::CrowdKind,
    neighbour::NeighbourResult,
};
use crate::{
    args::BenchPlan,
    machine,
    measurement::{LoadSlice, SliceMedians, medians},
    report::{BenchReport, GoalBound, ReportRow},
};

/// The most that a crowd may add: p99 of joins and creates beside it, divided by p99 alone.
const P99_RATIO: f64 = 3.0;

/// The most that an idle connection may cost, KiB.
const IDLE_KIB: f64 = 12.0;

/// One crowd, and the well-behaved tenant beside it.
struct CrowdResult {
    kind: CrowdKind,
    beside: NeighbourResult,
    /// The answers of the crowd in the slice, per second.
    rate: f64,
    /// The counts of the crowd in words.
    counts: String,
    /// Connections that were open at the end of the slice.
    open: u64,
    /// The edge's memory before the crowd, and its peak beside it, bytes.
    memory: (u64, u64),
}

/// Adds the cost of crowds for their neighbour to the report.
pub(crate) fn measure(plan: &BenchPlan, report: &mut BenchReport) -> Result<()> {
    machine::beside_core(machine::SERVER_CORE, || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // Clients of the control plane need a runtime already when they are made.
        let _context = runtime.enter();
        let cluster = CrowdCluster::start(&runtime)?;
        let (mut alone, mut results) = (Vec::new(), Vec::new());
        for kind in CrowdKind::ALL {
            alone.push(cluster.neighbour.run(plan.warm_up, plan.crowd_slice)?);
            results.push(beside(kind, plan, &runtime, &cluster)?);
        }
        runtime.block_on(cluster.stop());
        add_rows(&alone, &results, report);
        Ok(())
    })
}

fn beside(
    kind: CrowdKind,
    plan: &BenchPlan,
    runtime: &Runtime,
    cluster: &CrowdCluster,
) -> Result<CrowdResult> {
    let load = runtime.block_on(kind.prepare(cluster, plan.crowd_divisor))?;
    let edge = cluster.edge().pid();
    let before = machine::resident(edge)?;
    machine::forget_peak(edge)?;
    let crowd = runtime.block_on(load.start())?;
    let answered =
        || crowd.counts.served.load(Ordering::Relaxed) + crowd.counts.refused.load(Ordering::Relaxed);
    let begun = answered();
    let beside = cluster.neighbour.run(plan.warm_up, plan.crowd_slice)?;
    let rate = (answered() - begun) as f64 / (plan.warm_up + plan.crowd_slice).as_secs_f64();
    let open = crowd.counts.open.load(Ordering::Relaxed);
    let memory = (before, machine::peak(edge)?);
    let counts = runtime.block_on(crowd.stop()).to_string();
    runtime.block_on(kind.clean_up(cluster))?;
    Ok(CrowdResult { kind, beside, rate, counts, open, memory })
}

fn add_rows(alone: &[NeighbourResult], results: &[CrowdResult], report: &mut BenchReport) {
    let joins = medians(&slices(alone, |slice| &slice.joins));
    let creates = medians(&slices(alone, |slice| &slice.creates));
    report.rows.push(ReportRow::rate("join, alone", joins));
    report.rows.push(ReportRow::rate("create, alone", creates));
    for result in results {
        let label = result.kind.label();
        let refused = result.beside.refused as f64;
        for (what, alone, beside) in
            [("join", joins, &result.beside.joins), ("create", creates, &result.beside.creates)]
        {
            let beside = medians(std::slice::from_ref(beside));
            let mut row = ReportRow::rate(format!("{what} beside {label}"), beside);
            if result.kind.has_goal() {
                row = row
                    .with_goal("p99 × alone", ratio(beside, alone), GoalBound::AtMost(P99_RATIO))
                    .with_goal("refused", refused, GoalBound::AtMost(0.0));
            }
            report.rows.push(row);
        }
        report.rows.push(ReportRow::figure(format!("these {label}: {}", result.counts), result.rate, "/s"));
        report.rows.push(memory(result));
    }
}

fn memory(result: &CrowdResult) -> ReportRow {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (before, peak) = result.memory;
    let more = peak.saturating_sub(before);
    let row = ReportRow::figure(
        format!("edge's peak memory beside these, {:.1} MiB before", mib(before)),
        mib(peak),
        " MiB",
    );
    if result.kind == CrowdKind::IdleConnections {
        let each = more as f64 / 1024.0 / (result.open as f64).max(1.0);
        return row.with_goal("KiB for each", each, GoalBound::AtMost(IDLE_KIB));
    }
    row.with_goal("MiB more", mib(more), GoalBound::AtMost(mib(MEMORY_BUDGET)))
}

fn slices(alone: &[NeighbourResult], of: impl Fn(&NeighbourResult) -> &LoadSlice) -> Vec<LoadSlice> {
    alone.iter().map(|slice| of(slice).clone()).collect()
}

fn ratio(beside: SliceMedians, alone: SliceMedians) -> f64 {
    beside.p99_micros / alone.p99_micros
}
