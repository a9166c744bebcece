//! Joins at one edge on one core, beside a bare hyper server on the same core that answers with a
//! constant redirect of the same size. The two take turns, so that other load of the machine
//! affects both.

mod answer_head;
mod constant;
mod load;
mod request;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};
use usher_harness::{
    process::{Environment, Process},
    programs::Program,
};

use self::{constant::Constant, load::Load};
use crate::{
    args::Plan,
    machine::{self, Worker},
    measurement::Pairs,
    report::{Bound, Report, Row},
    routes::{Routes, Table},
};

/// The number of meetings that are joined in turn.
const JOINED: usize = 1_000;

/// The changes per second of a table that must not slow joins.
const CHANGES: usize = 2_000;

/// The results of the smallest table, with which larger ones are compared.
#[derive(Debug, Clone, Copy)]
struct Smallest {
    meetings: usize,
    resident: u64,
    rate_ratio: f64,
}

/// Adds the cost of joins to the report, by the size of the table and with changes to it.
pub(crate) fn measure(plan: &Plan, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let mut smallest = None;
    for &meetings in plan.tables {
        let table = Table { meetings, changes: 0 };
        smallest = Some(one_table(plan, table, runtime, smallest, report)?);
    }
    if let Some(&meetings) = plan.tables.last() {
        let table = Table { meetings, changes: CHANGES };
        one_table(plan, table, runtime, smallest, report)?;
    }
    Ok(())
}

fn one_table(
    plan: &Plan,
    table: Table,
    runtime: &Runtime,
    smallest: Option<Smallest>,
    report: &mut Report,
) -> Result<Smallest> {
    let routes = runtime.block_on(Routes::start(table))?;
    let edge = start_edge(routes.address)?;
    let worker = Worker::Process(edge.pid());
    let joins = Load {
        to: edge.address("listen"),
        server: worker,
        requests: Arc::from(request::prepare(JOINED, table.meetings)),
        own_location: true,
        warm_up: plan.warm_up,
        time: plan.slice,
    };
    let bare = Constant::start(joins.one()?.len())?;
    let constant = Load { to: bare.address, server: bare.worker, own_location: false, ..joins.clone() };
    let pairs = Pairs::take(plan.pairs, || constant.run(), || joins.run())?;
    let resident = machine::resident(edge.pid())?;
    bare.stop()?;
    drop(edge);
    runtime.block_on(routes.stop());

    let now = Smallest { meetings: table.meetings, resident, rate_ratio: pairs.rate_ratio() };
    report.rows.push(Row::rate("bare hyper, constant 302 of the same size", pairs.beside()));
    report.rows.push(row(table, &pairs, smallest));
    if let Some(smallest) =
        smallest.filter(|smallest| smallest.meetings < table.meetings && table.changes == 0)
    {
        report.rows.push(memory(smallest, now));
    }
    Ok(smallest.unwrap_or(now))
}

fn row(table: Table, pairs: &Pairs, smallest: Option<Smallest>) -> Row {
    let changes = if table.changes > 0 { format!(", {} changes/s", table.changes) } else { String::new() };
    let what = format!("join, {} meetings in the table{changes}", table.meetings);
    let row = Row::rate(what, pairs.ours());
    match smallest {
        None => row.with_goal("rate × bare", pairs.rate_ratio(), Bound::AtLeast(0.85)).with_goal(
            "p99 × bare",
            pairs.p99_ratio(),
            Bound::AtMost(2.0),
        ),
        Some(smallest) => {
            let kept = pairs.rate_ratio() / smallest.rate_ratio;
            row.with_goal("rate × smallest table", kept, Bound::AtLeast(0.9))
        }
    }
}

fn memory(smallest: Smallest, now: Smallest) -> Row {
    let more = now.resident.saturating_sub(smallest.resident) as f64;
    let each = more / (now.meetings - smallest.meetings) as f64;
    Row::figure(format!("edge's memory for each of {} meetings", now.meetings), each, " B").with_goal(
        "resident bytes",
        each,
        Bound::AtMost(160.0),
    )
}

/// Starts the real program on the server's core; with one core it has one worker thread.
fn start_edge(control_plane: SocketAddr) -> Result<Process> {
    let settings: Environment = [
        ("USHER_LISTEN", "127.0.0.1:0".to_owned()),
        ("USHER_OPS", "127.0.0.1:0".to_owned()),
        ("USHER_EDGE__ID", "bench".to_owned()),
        ("USHER_EDGE__CONTROL_PLANE", format!("http://{control_plane}")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    machine::on_core(machine::SERVER_CORE, || {
        let start = Process::start("edge", Program::EdgeProxy, &[], &settings);
        Builder::new_current_thread().enable_all().build()?.block_on(start).map(Process::unheard)
    })
}
