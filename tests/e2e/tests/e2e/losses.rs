//! An operator deletes parts of the stored data by hand, and the lost data come back step by step
//! (F7, design 8).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use usher_harness::{cluster::TestCluster, process::RunningProgram, servers::SERVER_SECRET, wait};

use crate::{backup::instances, store_faults::metric};

type Instances = BTreeMap<(usize, String), String>;

async fn with_meetings(count: usize) -> Result<(TestCluster, Instances)> {
    let cluster = TestCluster::builder().start().await?;
    for number in 0..count {
        cluster.client(0).created(&format!("running-{number}")).await?;
    }
    cluster.is_level().await?;
    let running = instances(&cluster);
    Ok((cluster, running))
}

/// Checks that every meeting is joined at every edge.
async fn joinable(cluster: &TestCluster, running: &Instances) -> Result<()> {
    for (server, id) in running.keys() {
        for edge in 0..cluster.edges.len() {
            let location = cluster.client(edge).joined(id).await?;
            let base = cluster.sims[*server].base();
            ensure!(location.starts_with(base), "{id} runs at {base}, its users are sent to {location}");
        }
    }
    Ok(())
}

async fn every_plane_noticed(planes: &[RunningProgram]) -> Result<()> {
    for process in planes {
        ensure!(metric(process, "usher_rebuilds_total").await? > 0.0, "not noticed");
    }
    Ok(())
}

/// Waits until every part has noticed the loss and every record is back; meanwhile joins succeed,
/// and no create of a known id makes a second instance.
async fn comes_back(cluster: &TestCluster, running: &Instances) -> Result<()> {
    let since = Instant::now();
    wait::until("the loss to be noticed and the records to be back", || async {
        joinable(cluster, running).await?;
        for ((_, id), instance) in running {
            let again = cluster.client(1).create(id).await?;
            let same = again.text("internalMeetingID") == Some(instance);
            ensure!(same || again.key() == "serverUnavailable", "{id}: {}", again.body);
        }
        every_plane_noticed(&cluster.control_planes).await?;
        let records = cluster.admin(1).meetings().await?.len();
        ensure!(records == running.len(), "{records} of {} records", running.len());
        Ok(())
    })
    .await?;
    println!("back after {:?}", since.elapsed());
    wait::until("creates to work again", || async { cluster.client(0).created("fresh").await }).await?;
    cluster.is_level().await?;
    joinable(cluster, running).await?;
    let mut now = instances(cluster);
    now.retain(|(_, id), _| id != "fresh");
    assert_eq!(now, *running, "no meeting was ended, and none runs twice");
    Ok(())
}

/// F7: each family of keys is deleted alone → each loss is noticed, and the data come back without
/// an operator.
#[tokio::test]
async fn f7_any_family_of_keys_may_be_deleted_alone() -> Result<()> {
    let (cluster, running) = with_meetings(6).await?;
    for family in ["meetings/", "tenants/", "load/bbb-0"] {
        let before = metric(&cluster.control_planes[0], "usher_rebuilds_total").await?;
        cluster.etcd().delete(&format!("/usher/{family}")).await?;
        wait::until(&format!("the loss of {family} to be noticed"), || async {
            let now = metric(&cluster.control_planes[0], "usher_rebuilds_total").await?;
            ensure!(now > before, "{now} rebuilds");
            Ok(())
        })
        .await?;
        comes_back(&cluster, &running).await?;
        cluster.client(0).get("end", "meetingID=fresh&password=mp").await?;
        wait::until("`fresh` to be removed", || async {
            let records = cluster.admin(0).meetings().await?.len();
            ensure!(records == running.len(), "{records} records");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// F7: all keys are deleted, and the servers are added one by one while control planes restart →
/// the tables of the edges name the missing servers, and no id that may run there is placed before
/// they are back.
#[tokio::test]
async fn f7_servers_come_back_one_by_one_and_no_meeting_is_split() -> Result<()> {
    let (mut cluster, running) = with_meetings(9).await?;
    for process in &mut cluster.control_planes {
        process.kill()?;
    }
    cluster.etcd().delete("/usher/").await?;
    for number in 0..2 {
        cluster.revive_control_plane(number).await?;
    }
    // Until the edges are connected again, no part knows of the lost data (docs/faults.md).
    wait::until("both edges to be back", || async {
        let mut back = 0;
        for number in 0..2 {
            back += cluster.admin(number).edges().await?.len();
        }
        ensure!(back == 2, "{back} edges");
        Ok(())
    })
    .await?;
    // An edge that starts now has no table, and requests every id from a control plane.
    cluster.add_edge().await?;
    for number in 0..3 {
        cluster
            .admin(0)
            .add_server(&format!("bbb-{number}"), &cluster.sims[number].url(), SERVER_SECRET)
            .await?;
        if number == 0 {
            cluster.restart_control_plane(1).await?;
        }
        wait::until("the server to be polled", || async {
            let server = cluster.admin(0).server(&format!("bbb-{number}")).await?;
            ensure!(server.sample_age.is_some(), "not polled");
            Ok(())
        })
        .await?;
        for ((_, id), instance) in &running {
            for edge in 0..3 {
                let again = cluster.client(edge).create(id).await?;
                let same = again.text("internalMeetingID") == Some(instance);
                ensure!(same || again.key() == "serverUnavailable", "{id} at edge {edge}: {}", again.body);
            }
        }
        for (_, id) in running.keys() {
            cluster.client(0).joined(id).await?;
            cluster.client(1).joined(id).await?;
        }
    }
    let since = Instant::now();
    wait::until_within(Duration::from_mins(1), "every record to be back", || async {
        let records = cluster.admin(1).meetings().await?.len();
        ensure!(records == running.len(), "{records} of {} records", running.len());
        joinable(&cluster, &running).await
    })
    .await?;
    println!("all back {:?} after the last server", since.elapsed());
    wait::until("creates to work again", || async { cluster.client(2).created("fresh").await }).await?;
    let mut now = instances(&cluster);
    now.retain(|(_, id), _| id != "fresh");
    assert_eq!(now, running, "no meeting was ended, and none runs twice");
    Ok(())
}
