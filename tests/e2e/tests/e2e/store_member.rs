//! Service while one of three etcd nodes misbehaves in a way that is not its death (X5): creates
//! pause for less than two seconds, none is refused, and no join fails.

use std::time::Duration;

use anyhow::{Result, ensure};
use usher_harness::{cluster::TestCluster, load::MeetingLoad};

/// The node that the control planes use before the fault: they begin with the first endpoint.
const USED: usize = 0;

/// The longest pause of a create.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs a load before, during and after a fault, and checks its answers. `fault` prepares and
/// injects the fault, `repair` ends it.
async fn survives(
    name: &str,
    cluster: &mut TestCluster,
    fault: impl AsyncFnOnce(&mut TestCluster) -> Result<()>,
    repair: impl AsyncFnOnce(&mut TestCluster) -> Result<()>,
) -> Result<()> {
    let clients: Vec<_> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = MeetingLoad::new(name, clients.clone());
    let (history, done) = tokio::join!(load.run(4), async {
        let done = async {
            load.goes_on(20).await?;
            fault(cluster).await?;
            load.goes_on(60).await?;
            repair(cluster).await?;
            load.goes_on(40).await
        };
        let done = done.await;
        load.stop();
        done
    });
    done?;
    let (slowest, count) = (history.create_times.iter().max(), history.create_times.len());
    println!("{name}: {count} creates, 99 % within {:?}, slowest {slowest:?}", history.create_p99());
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    history.check(&clients, &cluster.sims).await?;
    ensure!(history.create_p99() < PAUSE, "99 % of the creates within {:?}", history.create_p99());
    Ok(())
}

async fn cluster() -> Result<TestCluster> {
    // The settings leave time, so that a slow create is measured and not refused.
    TestCluster::builder()
        .etcd(3)
        .set("meetings.create_timeout", "10s")
        .set("health.unhealthy_after", "20s")
        .start()
        .await
}

/// X5: the etcd node in use, a follower, is frozen (SIGSTOP).
#[tokio::test]
async fn x5_a_frozen_etcd_follower_delays_creates_for_less_than_two_seconds() -> Result<()> {
    let mut cluster = cluster().await?;
    cluster.etcd().make_leader(USED + 1).await?;
    let freeze = async |cluster: &mut TestCluster| cluster.etcd().freeze(USED);
    survives("frozen-follower", &mut cluster, freeze, async |cluster| cluster.etcd().thaw(USED)).await
}

/// X5: the etcd node in use is the leader of etcd, and is frozen (SIGSTOP).
#[tokio::test]
async fn x5_a_frozen_etcd_leader_delays_creates_for_less_than_two_seconds() -> Result<()> {
    let mut cluster = cluster().await?;
    cluster.etcd().make_leader(USED).await?;
    let freeze = async |cluster: &mut TestCluster| cluster.etcd().freeze(USED);
    survives("frozen-leader", &mut cluster, freeze, async |cluster| cluster.etcd().thaw(USED)).await
}
