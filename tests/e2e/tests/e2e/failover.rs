//! Service during the loss of control planes and of the store.

use anyhow::{Result, ensure};
use usher_harness::{cluster::TestCluster, wait};

/// X1, C9: every control plane is killed and etcd is stopped → joins and reads of known meetings
/// succeed at every edge, and a new id gets a retryable error.
#[tokio::test]
async fn x1_c9_edges_serve_their_tables_without_control_plane_and_etcd() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    cluster.client(0).created("algebra").await?;
    cluster.is_level().await?;
    for process in &mut cluster.control_planes {
        process.kill()?;
    }
    cluster.stop_etcd();
    for edge in 0..2 {
        let client = cluster.client(edge);
        for _ in 0..20 {
            client.joined("algebra").await?;
        }
        let info = client.get("getMeetingInfo", "meetingID=algebra").await?;
        assert_eq!(info.text("meetingID"), Some("algebra"), "{}", info.body);
        let running = client.get("isMeetingRunning", "meetingID=algebra").await?;
        assert!(running.is_success(), "{}", running.body);
        let listed = client.get("getMeetings", "").await?;
        assert_eq!(listed.texts("meetingID"), ["algebra"], "{}", listed.body);
        let fresh = client.create("geometry").await?;
        assert_eq!((fresh.status, fresh.key()), (200, "serverUnavailable"), "{}", fresh.body);
    }
    Ok(())
}

/// X1: an edge starts while no control plane answers → it serves from the table on its disk.
#[tokio::test]
async fn x1_an_edge_starts_from_its_last_good_table() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let table = folder.path().join("table");
    let mut cluster =
        TestCluster::builder().edges(1).set("edge.last_good", &table.display().to_string()).start().await?;
    cluster.client(0).created("algebra").await?;
    cluster.is_level().await?;
    cluster.edges[0].terminate().await?;
    for process in &mut cluster.control_planes {
        process.kill()?;
    }
    cluster.add_edge().await?;
    cluster.client(1).joined("algebra").await?;
    Ok(())
}

/// The leader is killed → creates go on, and another replica polls soon.
#[tokio::test]
async fn the_other_replica_leads_after_the_leader_was_killed() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let leader = usize::from(!cluster.admin(0).status().await?.leading);
    let other = 1 - leader;
    cluster.control_planes[leader].kill()?;
    for number in 0..20 {
        cluster.client(number % 2).created(&format!("during-{number}")).await?;
    }
    wait::until("the other replica to lead", || async {
        ensure!(cluster.admin(other).status().await?.leading);
        Ok(())
    })
    .await?;
    Ok(())
}

/// Every program gets SIGTERM → it stops in order and exits with 0.
#[tokio::test]
async fn programs_end_cleanly_on_sigterm() -> Result<()> {
    let mut cluster = TestCluster::builder().edges(1).control_planes(1).servers(1).start().await?;
    cluster.client(0).created("algebra").await?;
    let edge = cluster.edges[0].terminate().await?;
    let control_plane = cluster.control_planes[0].terminate().await?;
    assert!(edge.success() && control_plane.success(), "edge {edge}, control plane {control_plane}");
    Ok(())
}
