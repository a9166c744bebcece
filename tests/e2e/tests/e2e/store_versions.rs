//! A rolling upgrade of etcd, nodes of etcd with wrong clocks, and a snapshot that etcd's own tool restores.
//! The later versions of etcd are built from their Go modules: `cargo xtask test-etcd-versions` runs these
//! tests.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use usher_harness::{
    cluster::{ClusterBuilder, TestCluster},
    etcd::EtcdVersion,
    load::MeetingLoad,
};

use crate::backup::{comes_back, creates, epoch, instances, names};

/// The lease of the leader of the control planes in tests.
const TTL: Duration = Duration::from_secs(2);

/// The longest time of 99 of 100 creates.
const PAUSE: Duration = Duration::from_secs(2);

fn cluster(members: usize) -> ClusterBuilder {
    TestCluster::builder()
        .etcd(members)
        .set("meetings.create_timeout", "10s")
        .set("health.unhealthy_after", "20s")
}

/// X5: three nodes of etcd are upgraded one after another, to each later version → no request fails.
#[tokio::test]
#[ignore = "needs etcd 3.5 and 3.6: cargo xtask test-etcd-versions"]
async fn x5_a_rolling_upgrade_of_etcd_fails_no_request() -> Result<()> {
    let mut cluster = cluster(3).start().await?;
    let clients: Vec<_> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = MeetingLoad::new("upgrade", clients.clone());
    let first = cluster.etcd().version().await?;
    let (history, done) = tokio::join!(load.run(4), async {
        let done = async {
            load.goes_on(20).await?;
            for version in EtcdVersion::later()? {
                for node in 0..3 {
                    cluster.etcd_mut().upgrade(node, &version).await?;
                    load.goes_on(40).await?;
                }
                cluster.etcd().has_version(&version).await?;
            }
            load.goes_on(40).await
        };
        let done: Result<()> = done.await;
        load.stop();
        done
    });
    done?;
    let (p99, count) = (history.create_p99(), history.create_times.len());
    let last = cluster.etcd().version().await?;
    println!("etcd {first} to {last}: {count} creates, 99 % within {p99:?}");
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    history.check(&clients, &cluster.sims).await?;
    ensure!(p99 < PAUSE, "99 % of the creates within {p99:?}");
    Ok(())
}

/// X5: the wall clocks of etcd's nodes are wrong, each in another way, and each node leads etcd once →
/// no request fails, the leader of the control planes stays, and its lease still ends when it is killed.
#[tokio::test]
#[ignore = "needs etcd 3.5 and 3.6: cargo xtask test-etcd-versions"]
async fn x5_wrong_clocks_of_etcd_fail_no_request_and_end_no_term() -> Result<()> {
    let version = EtcdVersion::later()?.swap_remove(0);
    let mut cluster = cluster(3).start().await?;
    let clients: Vec<_> = (0..2).map(|edge| cluster.client(edge)).collect();
    for node in 0..3 {
        cluster.etcd_mut().upgrade(node, &version).await?;
    }
    cluster.etcd().has_version(&version).await?;
    let leader = cluster.leader().await?;
    let load = MeetingLoad::new("clock", clients.clone());
    let (history, done) = tokio::join!(load.run(4), async {
        let done = async {
            load.goes_on(20).await?;
            for (node, seconds) in [3_600, -3_600, 25 * 3_600].into_iter().enumerate() {
                let etcd = cluster.etcd_mut();
                if etcd.leader().await? == node {
                    etcd.make_leader((node + 1) % 3).await?;
                }
                etcd.set_clock(node, &version, seconds).await?;
                let difference = etcd.clock_difference(node).await?;
                ensure!((difference - seconds).abs() < 60, "the clock differs by {difference} s");
                etcd.make_leader(node).await?;
                // Longer than the lease of the leader of the control planes.
                let begun = Instant::now();
                while begun.elapsed() < 2 * TTL {
                    load.goes_on(20).await?;
                }
                ensure!(cluster.leader().await? == leader, "another leader with a clock {seconds} s wrong");
            }
            cluster.control_planes[leader].kill()?;
            load.goes_on(200).await
        };
        let done: Result<()> = done.await;
        load.stop();
        done
    });
    done?;
    ensure!(cluster.leader().await? != leader, "the lease of the killed leader did not end");
    let (p99, count) = (history.create_p99(), history.create_times.len());
    println!("wrong clocks: {count} creates, 99 % within {p99:?}");
    ensure!(p99 < PAUSE, "99 % of the creates within {p99:?}");
    history.check(&clients, &cluster.sims).await
}

/// I10: etcd is restored by its own tool from a snapshot, while all programs run → no meeting that was
/// created since is lost.
#[tokio::test]
#[ignore = "needs etcd 3.5 and 3.6: cargo xtask test-etcd-versions"]
async fn i10_a_snapshot_that_etcds_tool_restores_loses_no_meeting() -> Result<()> {
    for version in EtcdVersion::later()? {
        let mut cluster = cluster(1).start().await?;
        cluster.etcd_mut().upgrade(0, &version).await?;
        let before = epoch(&cluster, 0).await?;
        creates(&cluster, &names("kept")).await?;
        let folder = tempfile::tempdir()?;
        let snapshot = folder.path().join("snapshot.db");
        cluster.etcd().save_snapshot(&snapshot).await?;
        creates(&cluster, &names("later")).await?;
        let running = instances(&cluster);
        cluster.etcd_mut().restore_snapshot(&snapshot, &version).await?;
        comes_back(&cluster, &running, before).await?;
    }
    Ok(())
}
