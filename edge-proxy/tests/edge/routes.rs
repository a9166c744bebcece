//! The routing stream: lost deltas, restarts, old and shrunken tables, the copy on disk.

use std::os::unix::fs::PermissionsExt;

use usher_edge_proxy::app::Edge;
use usher_model::{
    revision::Revision,
    routing::{RoutingDelta, RoutingTable},
};
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

use crate::support::{Client, Cluster, Heard, eventually, key};

fn resyncs(cluster: &Cluster) -> usize {
    cluster.plane.count(|heard| matches!(heard, Heard::Resync(_)))
}

#[tokio::test]
async fn x4_a_lost_delta_is_repaired_by_a_resync() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.plane.change(true, |delta| {
        delta.meetings.insert(key("room"), None);
    });
    cluster.plane.change(false, |_| {});
    eventually("the edge asks for a snapshot", async || resyncs(&cluster) == 1).await;
    cluster.settled().await;
    assert_eq!(cluster.client.join("room").await.key(), "invalidMeetingIdentifier");
    assert!(cluster.metric("usher_edge_resyncs_total") >= 1.0);
}

#[tokio::test]
async fn x1_joins_go_on_without_any_control_plane_and_the_tables_age_is_a_metric() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.plane.kill().await;
    eventually("the table ages", async || cluster.metric("usher_routing_table_age_seconds") > 0.2).await;
    for _ in 0..20 {
        cluster.client.join("room").await.location();
    }
    assert!(cluster.ops.ready().passed(), "an old table is a table");
}

#[tokio::test]
async fn an_edge_finds_a_restarted_control_plane_and_resumes() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.plane.kill().await;
    let again = cluster.plane.restart().await;
    eventually("the edge is back", async || again.acked() == Some(again.revision())).await;
    assert_eq!(again.heard()[0], Heard::Hello { had_table: true });
    cluster.client.create("other").await;
}

#[tokio::test]
async fn x2_old_and_shrunken_snapshots_are_refused_and_counted() {
    let cluster = Cluster::start(4).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let good = cluster.plane.table();
    let rejected = "usher_edge_tables_rejected_total";
    let mut small = RoutingTable::empty(Revision::new(good.revision().epoch, 0));
    let mut delta = RoutingDelta::new(small.revision(), Revision::new(good.revision().epoch, 1_000));
    delta.tenants = good.tenants().map(|tenant| (tenant.id.clone(), Some(tenant.clone()))).collect();
    small.apply(&delta).unwrap();
    cluster.plane.send_snapshot(&small, false);
    eventually("the empty table is refused", async || cluster.metric(rejected) >= 1.0).await;
    cluster.client.join("room").await.location();
    eventually("the edge is back", async || {
        cluster.plane.count(|heard| matches!(heard, Heard::Hello { .. })) == 2
    })
    .await;
    cluster.settled().await;
    cluster.plane.send_snapshot(&RoutingTable::empty(Revision::new(good.revision().epoch, 2)), true);
    eventually("the old table is refused", async || cluster.metric(rejected) >= 2.0).await;
    cluster.client.join("room").await.location();
}

#[tokio::test]
async fn x1_an_edge_starts_from_the_table_on_disk_without_a_control_plane() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    let cluster = Cluster::start_with(1, |settings| settings.edge.last_good = Some(path.clone())).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let written = || std::fs::read(&path).is_ok_and(|bytes| bytes.windows(4).any(|part| part == b"room"));
    eventually("the table is on disk", async || written()).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    cluster.plane.kill().await;
    cluster.edge.shutdown().await;
    cluster.tasks.shutdown().await;

    let mut settings = crate::support::settings(&cluster.plane);
    settings.edge.last_good = Some(path);
    let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
    let edge = Edge::start(&settings, &ops, &tasks).await.unwrap();
    edge.ready().await;
    let client = Client::new(edge.api_addr());
    client.join("room").await.location();
    assert!(client.call("getMeetingInfo", "meetingID=room").await.is_success());
    let again = cluster.plane.restart().await;
    eventually("a control plane takes over", async || again.acked() == Some(again.revision())).await;
    assert_eq!(again.heard()[0], Heard::Hello { had_table: false }, "deltas never follow a table from disk");
}

#[tokio::test]
async fn an_edge_without_a_table_is_not_ready_and_says_try_again() {
    let cluster = Cluster::start(0).await;
    let mut settings = crate::support::settings(&cluster.plane);
    settings.edge.control_plane = vec!["http://127.0.0.1:1".into()];
    let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
    let edge = Edge::start(&settings, &ops, &tasks).await.unwrap();
    assert!(!ops.ready().passed());
    let client = Client::new(edge.api_addr());
    assert!(client.join("room").await.is_retryable());
    assert!(client.call("create", "meetingID=room&name=Room").await.is_retryable());
}
