//! A fleet of the largest size for which one cluster is made: a thousand servers, of which a tenth
//! hang, a million meetings, 500 edges. It shows what the programs use while no meeting begins or
//! ends, how long they take to start, whether polls are on time, and what a change costs.

mod cluster;
mod fan_out;
mod punctuality;
mod scale;
mod servers;
mod streams;
mod usage;

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;

use self::{
    cluster::SizeCluster,
    fan_out::FanOut,
    scale::{HANGING, SizeScale},
    streams::EdgeStreams,
    usage::{ClusterUsage, UsageMeter},
};
use crate::{
    args::BenchArgs,
    report::{BenchReport, GoalBound, ReportRow},
};

/// The longest time from the start of a control plane to its readiness, seconds.
const START: f64 = 10.0;
/// The most cores that the leader may use at rest.
const LEADER_CORES: f64 = 0.5;
/// The most memory for a meeting on a control plane, bytes.
const MEETING_BYTES: f64 = 1024.0;
/// The most that a change may cost with many edges, compared with a tenth of them.
const FAN_OUT_RATIO: f64 = 4.0;
/// The least share of servers that are polled on time.
const ON_TIME: f64 = 0.99;

/// The figures of one run.
struct SizeFigures {
    scale: SizeScale,
    /// From the start of the first and of the second control plane to its readiness.
    starts: [Duration; 2],
    edge_start: Duration,
    settled: Duration,
    /// The resident memory of a control plane without a fleet, bytes.
    empty: u64,
    rest: ClusterUsage,
    on_time: f64,
    few: FanOut,
    many: FanOut,
}

/// Adds the costs of a large fleet to the report.
pub(crate) fn measure(args: &BenchArgs, runtime: &Runtime, report: &mut BenchReport) -> Result<()> {
    let scale = SizeScale::of(args);
    ensure!(
        scale.servers >= HANGING && scale.servers.is_multiple_of(HANGING),
        "the number of servers is a multiple of {HANGING}"
    );
    let figures = runtime.block_on(run(scale))?;
    add_rows(&figures, report);
    Ok(())
}

async fn run(scale: SizeScale) -> Result<SizeFigures> {
    let mut cluster = SizeCluster::start(scale).await?;
    let leader = cluster.add_control_plane().await?;
    let follower = cluster.add_control_plane().await?;
    let settled = cluster.settle().await?;
    let edge_start = cluster.start_edge().await?;

    let [few, many] = scale.streams;
    let mut edges = EdgeStreams::open(cluster.address(0), few, cluster.revision().await?);
    let idle = fan_out::at_rest(&cluster, scale).await?;
    let few = fan_out::measure(&cluster, &mut edges, few, scale, idle).await?;
    edges.stop().await;

    let mut edges = EdgeStreams::open(cluster.address(0), many, cluster.revision().await?);
    cluster.servers.take_polls();
    let meter = UsageMeter::start(&cluster)?;
    tokio::time::sleep(scale.rest).await;
    let rest = meter.end()?;
    let on_time = punctuality::share_on_time(&cluster.servers.take_polls(), scale.interval, scale.rest);
    let many = fan_out::measure(&cluster, &mut edges, many, scale, rest.leader.cores).await?;
    edges.stop().await;
    let empty = cluster.empty;
    cluster.stop().await;
    Ok(SizeFigures {
        scale,
        starts: [leader, follower],
        edge_start,
        settled,
        empty,
        rest,
        on_time,
        few,
        many,
    })
}

fn add_rows(figures: &SizeFigures, report: &mut BenchReport) {
    let SizeFigures { scale, starts, edge_start, settled, empty, rest, on_time, few, many } = figures;
    let (servers, meetings, hanging) = (scale.servers, scale.meetings, scale.servers / HANGING);
    let mut add = |row| report.rows.push(row);
    let [leader, follower] = starts.map(|start| start.as_secs_f64());
    add(ReportRow::figure(format!("control plane, start to ready, {meetings} records"), leader, " s")
        .with_goal("seconds", leader, GoalBound::AtMost(START)));
    add(ReportRow::figure("second control plane, start to ready, beside the first polls", follower, " s"));
    let settled = settled.as_secs_f64();
    add(ReportRow::figure(
        format!("health of {servers} servers known, {hanging} of them hang"),
        settled,
        " s",
    ));
    add(ReportRow::figure(
        format!("edge, start to a table of {meetings} meetings"),
        edge_start.as_secs_f64(),
        " s",
    ));
    let streams = many.streams;
    let around = format!("{servers} servers, {meetings} meetings, {streams} edges, at rest");
    add(ReportRow::figure(format!("leader: {around}"), rest.leader.cores, " cores").with_goal(
        "cores",
        rest.leader.cores,
        GoalBound::AtMost(LEADER_CORES),
    ));
    add(ReportRow::figure("follower, beside it", rest.follower.cores, " cores"));
    add(ReportRow::figure("etcd, beside it", rest.etcd.cores, " cores"));
    for (name, usage) in [("leader", rest.leader), ("follower", rest.follower)] {
        let each = usage.resident.saturating_sub(*empty) as f64 / meetings as f64;
        let row = ReportRow::figure(format!("{name}'s memory for each meeting"), each, " B");
        add(row.with_goal("resident bytes", each, GoalBound::AtMost(MEETING_BYTES)));
    }
    let mib = rest.etcd.resident as f64 / f64::from(1 << 20);
    add(ReportRow::figure("etcd's memory", mib, " MiB"));
    add(ReportRow::figure(
        "servers whose polls all start on time, within a tenth of the interval",
        on_time * 100.0,
        " %",
    )
    .with_goal("share", *on_time, GoalBound::AtLeast(ON_TIME)));
    for fan_out in [few, many] {
        let streams = fan_out.streams;
        let mut row = ReportRow {
            p50_micros: Some(fan_out.delay.value_at_quantile(0.5) as f64),
            p99_micros: Some(fan_out.delay.value_at_quantile(0.99) as f64),
            cpu_micros: Some(fan_out.cpu_micros),
            ..ReportRow::figure(
                format!("change, committed to received on the last of {streams} edges"),
                fan_out.rate,
                "/s",
            )
        };
        if streams == many.streams {
            let name = "leader's CPU × fewer edges";
            let ratio = many.cpu_micros / few.cpu_micros.max(1.0);
            row = row.with_goal(name, ratio, GoalBound::AtMost(FAN_OUT_RATIO));
        }
        add(row);
    }
}
