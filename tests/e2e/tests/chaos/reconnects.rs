//! Two hundred edges lose their control plane at once.

use std::{
    cell::Cell,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use usher_edge_proxy::{
    control::{
        current_table::CurrentTable,
        subscriber::{EdgeIdentity, RoutingSubscriber, SubscriberTimeouts},
    },
    metrics::StreamMetrics,
};
use usher_harness::{cluster::TestCluster, process::RunningProgram, wait};
use usher_model::{id::EdgeId, revision::Revision};
use usher_proto::v1::Edge;
use usher_runtime::control_planes::ControlPlanes;
use usher_runtime::tasks::TaskGroup;

const EDGES: usize = 200;
const MEETINGS: usize = 400;
/// The time over which edges spread their reconnects.
const SPREAD: Duration = Duration::from_secs(5);

/// Starts an edge without its HTTP side, and returns its table.
fn edge(cluster: &TestCluster, number: usize, tasks: &TaskGroup) -> Result<Arc<CurrentTable>> {
    let current = Arc::new(CurrentTable::default());
    let id = EdgeId::parse(&format!("edge-{number}"))?;
    let subscriber = RoutingSubscriber {
        planes: ControlPlanes::new(&[format!("http://{}", cluster.control_address(0))], None)?,
        current: Arc::clone(&current),
        identity: EdgeIdentity { id, address: format!("nowhere:{number}") },
        patience: SubscriberTimeouts::default(),
        metrics: StreamMetrics::default(),
        from_disk: false,
    };
    tasks.spawn("edge", |stop| subscriber.run(stop));
    Ok(current)
}

/// Returns the processor time that a program has used.
fn worked(process: &RunningProgram) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10)) // the kernel's tick is 10 ms on all supported systems
}

fn all_at(tables: &[Arc<CurrentTable>], revision: Revision) -> Result<()> {
    let behind =
        tables.iter().filter(|current| current.revision().is_none_or(|at| !at.reaches(revision))).count();
    ensure!(behind == 0, "{behind} edges are behind");
    Ok(())
}

/// F14: a control plane with two hundred edges is restarted → the edges come back over seconds and
/// not at once, each gets the table, and no edge starves meanwhile.
#[tokio::test]
async fn f14_two_hundred_edges_come_back_over_seconds_when_their_control_plane_does() -> Result<()> {
    let mut cluster = TestCluster::builder().control_planes(1).edges(1).start().await?;
    let client = cluster.client(0);
    let creates = stream::iter(0..MEETINGS).map(|number| {
        let client = &client;
        async move { client.created(&format!("lesson-{number}")).await }
    });
    creates.buffer_unordered(16).try_collect::<Vec<_>>().await?;
    let tasks = TaskGroup::new();
    let tables = (1..=EDGES).map(|number| edge(&cluster, number, &tasks)).collect::<Result<Vec<_>>>()?;
    let revision = cluster.admin(0).status().await?.revision.context("a revision")?;
    wait::until("every edge to have the table", || async { all_at(&tables, revision.into()) }).await?;

    cluster.control_planes[0].kill()?;
    cluster.revive_control_plane(0).await?;
    let up = Instant::now();
    let admin = cluster.admin(0);
    let slowest = Cell::new(Duration::ZERO);
    let edges = wait::until("every edge to be back", || async {
        let begun = Instant::now();
        let edges = admin.edges().await?;
        slowest.set(slowest.get().max(begun.elapsed()));
        ensure!(edges.len() == EDGES + 1, "{} edges", edges.len());
        Ok(edges)
    })
    .await?;
    // Connection times as the control plane reports them, relative to the time of the query.
    let now = up.elapsed();
    let since = |edge: &Edge| edge.connection_age.and_then(|time| Duration::try_from(time).ok());
    let connected = edges.iter().filter_map(since).map(|time| now.saturating_sub(time));
    let (mut back, slowest) = (connected.collect::<Vec<_>>(), slowest.get());
    back.sort();
    client.created("after").await?;
    let revision = admin.status().await?.revision.context("a revision")?;
    wait::until("every edge to go on", || async { all_at(&tables, revision.into()) }).await?;
    let in_a_second = |from: &Duration| {
        back.iter().filter(|at| (*from..*from + Duration::from_secs(1)).contains(*at)).count()
    };
    let (first, last) = (back[0], back[back.len() - 1]);
    let most = back.iter().map(in_a_second).max().unwrap_or_default();
    let cpu = worked(&cluster.control_planes[0]);
    eprintln!(
        "measured: {EDGES} edges came back between {first:?} and {last:?} after the control plane was up, at most {most} \
         within a second; an administrator waited at most {slowest:?}; its processor time {cpu:?}"
    );
    ensure!(last > first + SPREAD.mul_f64(0.7), "they came back between {first:?} and {last:?}");
    ensure!(most < EDGES / 2, "{most} of {EDGES} came back within one second");
    tasks.shutdown().await;
    Ok(())
}
