//! Service while parts of etcd are down, and after the loss of all of its data (design 8).

use std::time::Duration;

use anyhow::{Result, ensure};
use usher_harness::{
    client::BbbTestClient,
    cluster::TestCluster,
    load::{LoadHistory, MeetingLoad},
    process::RunningProgram,
    servers::SERVER_SECRET,
    wait,
};
use usher_proto::v1::Health;

/// Runs a load during `chaos`, and for a while after it.
async fn under_load(
    cluster: &mut TestCluster,
    chaos: impl AsyncFnOnce(&mut TestCluster) -> Result<()>,
) -> Result<LoadHistory> {
    let load = MeetingLoad::new("store", (0..2).map(|edge| cluster.client(edge)).collect());
    let (history, done) = tokio::join!(load.run(4), async {
        let done = async {
            load.goes_on(20).await?;
            chaos(cluster).await?;
            load.goes_on(40).await
        };
        let done = done.await;
        load.stop();
        done
    });
    done?;
    Ok(history)
}

fn clients(cluster: &TestCluster) -> Vec<BbbTestClient> {
    (0..2).map(|edge| cluster.client(edge)).collect()
}

/// Checks that every server is online for every control plane.
async fn all_online(cluster: &TestCluster) -> Result<()> {
    for number in 0..cluster.control_planes.len() {
        for server in cluster.admin(number).servers().await? {
            ensure!(server.health() == Health::Online, "{}: {}", server.name, server.health_reason);
        }
    }
    Ok(())
}

/// Reads one metric of a process, summed over its labels.
pub(crate) async fn metric(of: &RunningProgram, name: &str) -> Result<f64> {
    let url = format!("http://{}/metrics", of.address("ops"));
    let text = BbbTestClient::new(of.address("ops"), "").fetch(&url).await?.body;
    let lines = text.lines().filter(|line| line.starts_with(name));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// X5: one of three etcd nodes, a follower, is killed → no request fails.
#[tokio::test]
async fn x5_the_loss_of_an_etcd_follower_fails_no_request() -> Result<()> {
    let mut cluster = TestCluster::builder().etcd(3).start().await?;
    let history = under_load(&mut cluster, async |cluster| {
        let follower = (cluster.etcd().leader().await? + 1) % 3;
        cluster.etcd_mut().kill(follower)
    })
    .await?;
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    history.check(&clients(&cluster), &cluster.sims).await?;
    all_online(&cluster).await
}

/// X5: the leading etcd node is killed → creates pause, joins do not, and no meeting is lost.
#[tokio::test]
async fn x5_the_loss_of_the_etcd_leader_is_a_pause() -> Result<()> {
    let mut cluster = TestCluster::builder()
        .etcd(3)
        .set("meetings.create_timeout", "10s")
        .set("health.unhealthy_after", "20s")
        .start()
        .await?;
    let history = under_load(&mut cluster, async |cluster| {
        let leader = cluster.etcd().leader().await?;
        cluster.etcd_mut().kill(leader)
    })
    .await?;
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    history.check(&clients(&cluster), &cluster.sims).await?;
    all_online(&cluster).await
}

/// X5, C8: etcd has no quorum → joins and reads succeed, new ids get the retryable error, polls
/// continue in memory, no server becomes offline, and no record is removed; quorum is back → every
/// call works again without an operator.
#[tokio::test]
async fn c8_x5_without_quorum_known_meetings_go_on_and_health_is_kept() -> Result<()> {
    let mut cluster = TestCluster::builder().etcd(3).start().await?;
    for number in 0..4 {
        cluster.client(0).created(&format!("known-{number}")).await?;
    }
    cluster.is_level().await?;
    let leader = cluster.leader().await?;
    for member in [0, 1] {
        cluster.etcd_mut().kill(member)?;
    }
    let before: Vec<usize> = cluster.sims.iter().map(|sim| sim.calls().len()).collect();
    wait::until("polls to go on past every deadline of the lease", || async {
        for number in 0..4 {
            cluster.client(number % 2).joined(&format!("known-{number}")).await?;
        }
        let now = cluster.sims.iter().map(|sim| sim.calls().len());
        let more: Vec<usize> = now.zip(&before).map(|(now, before)| now - before).collect();
        ensure!(more.iter().all(|more| *more > 10), "{more:?} calls");
        Ok(())
    })
    .await?;
    // Control planes serve tables from memory: to connected edges, and to one that starts now.
    for edge in &cluster.edges {
        let age = metric(edge, "usher_routing_table_age_seconds").await?;
        ensure!(age < 10.0, "the table was vouched for {age} s ago");
    }
    cluster.add_edge().await?;
    cluster.client(2).joined("known-3").await?;
    let fresh = cluster.client(1).create("fresh").await?;
    assert_eq!((fresh.status, fresh.key()), (200, "serverUnavailable"), "{}", fresh.body);
    let info = cluster.client(1).get("getMeetingInfo", "meetingID=known-1").await?;
    ensure!(info.is_success(), "{}", info.body);
    assert_eq!(cluster.admin(leader).meetings().await?.len(), 4, "no record was removed");
    all_online(&cluster).await?;
    let failed = metric(&cluster.control_planes[leader], "usher_store_failures_total").await?;
    ensure!(failed > 0.0, "no failure of the store is counted");
    for member in [0, 1] {
        cluster.etcd_mut().revive(member)?;
    }
    wait::until("creates to work again", || async { cluster.client(1).created("fresh").await }).await?;
    cluster.leader().await?;
    for number in 0..4 {
        cluster.client(number % 2).joined(&format!("known-{number}")).await?;
    }
    all_online(&cluster).await
}

/// F7, design 8: every key is deleted under a running cluster → running meetings can be joined;
/// after the servers are added again, polls restore the records, and a counter reports the rebuild.
#[tokio::test]
async fn f7_running_meetings_outlive_the_loss_of_every_key() -> Result<()> {
    let cluster = TestCluster::builder().start().await?;
    let meetings: Vec<String> = (0..9).map(|number| format!("running-{number}")).collect();
    for id in &meetings {
        cluster.client(0).created(id).await?;
    }
    cluster.is_level().await?;
    let joinable = async || {
        for id in &meetings {
            cluster.client(0).joined(id).await?;
            cluster.client(1).joined(id).await?;
        }
        anyhow::Ok(())
    };
    cluster.etcd().delete("/usher/").await?;
    wait::until("the loss to be noticed", || async {
        for process in &cluster.control_planes {
            ensure!(metric(process, "usher_rebuilds_total").await? > 0.0);
        }
        Ok(())
    })
    .await?;
    joinable().await?;
    let fresh = cluster.client(0).create("fresh").await?;
    assert_eq!(fresh.key(), "serverUnavailable", "{}", fresh.body);
    let admin = cluster.admin(0);
    for (number, sim) in cluster.sims.iter().enumerate() {
        admin.add_server(&format!("bbb-{number}"), &sim.url(), SERVER_SECRET).await?;
        joinable().await?;
    }
    wait::until_within(Duration::from_secs(10), "the records to be back", || async {
        joinable().await?;
        let records = cluster.admin(1).meetings().await?.len();
        ensure!(records == meetings.len(), "{records} of {} records", meetings.len());
        Ok(())
    })
    .await?;
    wait::until("creates to work again", || async { cluster.client(0).created("fresh").await }).await?;
    cluster.is_level().await?;
    joinable().await?;
    let on: usize = cluster.sims.iter().map(|sim| sim.meetings().len()).sum();
    assert_eq!(on, meetings.len() + 1, "no meeting was ended, and none runs twice");
    Ok(())
}

/// F7: all keys that polls can restore are deleted, the servers are kept → the data come back
/// without an operator.
#[tokio::test]
async fn f7_derived_keys_come_back_automatically() -> Result<()> {
    let cluster = TestCluster::builder().start().await?;
    for number in 0..6 {
        cluster.client(0).created(&format!("running-{number}")).await?;
    }
    cluster.is_level().await?;
    for family in ["health/", "load/", "meetings/"] {
        cluster.etcd().delete(&format!("/usher/{family}")).await?;
    }
    wait::until_within(Duration::from_secs(10), "the records to be back", || async {
        for number in 0..6 {
            cluster.client(number % 2).joined(&format!("running-{number}")).await?;
        }
        let records = cluster.admin(1).meetings().await?.len();
        ensure!(records == 6, "{records} of 6 records");
        ensure!(metric(&cluster.control_planes[1], "usher_rebuilds_total").await? > 0.0);
        Ok(())
    })
    .await?;
    cluster.is_level().await?;
    cluster.client(1).created("fresh").await?;
    Ok(())
}
