//! Joins at one edge on one core, beside a bare hyper server on the same core that answers with a
//! constant redirect of the same size. The two take turns, so that other load of the machine
//! affects both.

mod constant;
mod load;
mod request;

use std::sync::Arc;

use anyhow::Result;
use tokio::runtime::Runtime;

use self::{constant::ConstantServer, load::JoinLoad};
use crate::{
    args::BenchPlan,
    edge_program,
    machine::{self, CpuWorker},
    measurement::SlicePairs,
    report::{BenchReport, GoalBound, ReportRow},
    routes::{RouteServer, StreamedTable},
};

/// The number of meetings that are joined in turn.
const JOINED: usize = 1_000;

/// The changes per second of a table that must not slow joins.
const CHANGES: usize = 2_000;

/// The results of the smallest table, with which larger ones are compared.
#[derive(Debug, Clone, Copy)]
struct SmallestTable {
    meetings: usize,
    resident: u64,
    rate_ratio: f64,
}

/// Adds the cost of joins to the report, by the size of the table and with changes to it.
pub(crate) fn measure(plan: &BenchPlan, runtime: &Runtime, report: &mut BenchReport) -> Result<()> {
    let mut smallest = None;
    for &meetings in plan.tables {
        let table = StreamedTable { meetings, changes: 0 };
        smallest = Some(one_table(plan, table, runtime, smallest, report)?);
    }
    if let Some(&meetings) = plan.tables.last() {
        let table = StreamedTable { meetings, changes: CHANGES };
        one_table(plan, table, runtime, smallest, report)?;
    }
    Ok(())
}

fn one_table(
    plan: &BenchPlan,
    table: StreamedTable,
    runtime: &Runtime,
    smallest: Option<SmallestTable>,
    report: &mut BenchReport,
) -> Result<SmallestTable> {
    let routes = runtime.block_on(RouteServer::start(table))?;
    let edge = edge_program::start(routes.address, &[])?;
    let worker = CpuWorker::Process(edge.pid());
    let joins = JoinLoad {
        to: edge.address("listen"),
        server: worker,
        requests: Arc::from(request::prepare(JOINED, table.meetings)),
        own_location: true,
        warm_up: plan.warm_up,
        time: plan.slice,
    };
    let bare = ConstantServer::start(joins.one()?.len())?;
    let constant = JoinLoad { to: bare.address, server: bare.worker, own_location: false, ..joins.clone() };
    let pairs = SlicePairs::take(plan.pairs, || constant.run(), || joins.run())?;
    let resident = machine::resident(edge.pid())?;
    bare.stop()?;
    drop(edge);
    runtime.block_on(routes.stop());

    let now = SmallestTable { meetings: table.meetings, resident, rate_ratio: pairs.rate_ratio() };
    report.rows.push(ReportRow::rate("bare hyper, constant 302 of the same size", pairs.beside()));
    report.rows.push(row(table, &pairs, smallest));
    if let Some(smallest) =
        smallest.filter(|smallest| smallest.meetings < table.meetings && table.changes == 0)
    {
        report.rows.push(memory(smallest, now));
    }
    Ok(smallest.unwrap_or(now))
}

fn row(table: StreamedTable, pairs: &SlicePairs, smallest: Option<SmallestTable>) -> ReportRow {
    let changes = if table.changes > 0 { format!(", {} changes/s", table.changes) } else { String::new() };
    let what = format!("join, {} meetings in the table{changes}", table.meetings);
    let row = ReportRow::rate(what, pairs.ours());
    match smallest {
        None => row.with_goal("rate × bare", pairs.rate_ratio(), GoalBound::AtLeast(0.85)).with_goal(
            "p99 × bare",
            pairs.p99_ratio(),
            GoalBound::AtMost(2.0),
        ),
        Some(smallest) => {
            let kept = pairs.rate_ratio() / smallest.rate_ratio;
            row.with_goal("rate × smallest table", kept, GoalBound::AtLeast(0.9))
        }
    }
}

fn memory(smallest: SmallestTable, now: SmallestTable) -> ReportRow {
    let more = now.resident.saturating_sub(smallest.resident) as f64;
    let each = more / (now.meetings - smallest.meetings) as f64;
    ReportRow::figure(format!("edge's memory for each of {} meetings", now.meetings), each, " B").with_goal(
        "resident bytes",
        each,
        GoalBound::AtMost(160.0),
    )
}
