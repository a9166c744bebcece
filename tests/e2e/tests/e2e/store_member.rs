//! Service while one of three etcd nodes misbehaves in a way that is not its death (X5): creates
//! pause for less than two seconds, none is refused, and no join fails.
//!
//! While etcd elects a leader, no program can write. Its timeouts are random: an election takes one to
//! two seconds with etcd's defaults, and as long again each time the remaining nodes split their votes,
//! which they do in about one election of ten. Where a leader is lost, the test measures the election and
//! limits the time that Usher adds to it.

use std::time::Duration;

use anyhow::{Result, ensure};
use usher_harness::{
    cluster::{ClusterBuilder, TestCluster},
    link::LinkCondition,
    load::MeetingLoad,
};

/// The node that the control planes use before the fault: they begin with the first endpoint.
const USED: usize = 0;

/// The longest time of 99 of 100 creates.
const PAUSE: Duration = Duration::from_secs(2);

/// The same where each of the two writes of a create takes half a second and may wait for as long.
const SLOW: Duration = Duration::from_secs(3);

/// The duration of the election where the leader of etcd stays the same.
const NO_ELECTION: Duration = Duration::ZERO;

/// The longest time that a create takes more than the election of a leader of etcd.
const BEYOND_ELECTION: Duration = Duration::from_millis(1500);

/// Runs a load before, during and after a fault, and checks its answers. `fault` prepares and injects
/// the fault and returns the duration of etcd's election, or zero; `repair` ends the fault. `creates`
/// more meetings are created meanwhile, and 99 of 100 creates take less than `limit`, or than
/// [`BEYOND_ELECTION`] more than the election.
async fn survives(
    (name, creates, limit): (&str, usize, Duration),
    cluster: &mut TestCluster,
    fault: impl AsyncFnOnce(&mut TestCluster) -> Result<Duration>,
    repair: impl AsyncFnOnce(&mut TestCluster) -> Result<()>,
) -> Result<()> {
    let clients: Vec<_> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = MeetingLoad::new(name, clients.clone());
    let (history, done) = tokio::join!(load.run(4), async {
        let done = async {
            load.goes_on(20).await?;
            let election = fault(cluster).await?;
            load.goes_on(creates).await?;
            repair(cluster).await?;
            load.goes_on(40).await?;
            Ok(election)
        };
        let done: Result<Duration> = done.await;
        load.stop();
        done
    });
    let election = done?;
    let limit = limit.max(election + BEYOND_ELECTION);
    let (slowest, count) = (history.create_times.iter().max(), history.create_times.len());
    let p99 = history.create_p99();
    println!("{name}: {count} creates, 99 % within {p99:?}, slowest {slowest:?}, election {election:?}");
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    history.check(&clients, &cluster.sims).await?;
    ensure!(p99 < limit, "99 % of the creates within {p99:?}, the election took {election:?}");
    Ok(())
}

/// Returns a cluster of three etcd nodes whose settings leave time, so that a slow create is measured
/// and not refused.
fn cluster() -> ClusterBuilder {
    TestCluster::builder().etcd(3).set("meetings.create_timeout", "10s").set("health.unhealthy_after", "20s")
}

/// X5: the etcd node in use, a follower, is frozen (SIGSTOP).
#[tokio::test]
async fn x5_a_frozen_etcd_follower_delays_creates_for_less_than_two_seconds() -> Result<()> {
    let mut cluster = cluster().start().await?;
    cluster.etcd().make_leader(USED + 1).await?;
    let freeze = async |cluster: &mut TestCluster| cluster.etcd().freeze(USED).map(|()| NO_ELECTION);
    survives(("frozen-follower", 60, PAUSE), &mut cluster, freeze, async |cluster| cluster.etcd().thaw(USED))
        .await
}

/// X5: the etcd node in use is the leader of etcd, and is frozen (SIGSTOP). The nodes have the flags
/// that deploy/README.md recommends.
#[tokio::test]
async fn x5_a_frozen_etcd_leader_delays_creates_for_less_than_two_seconds() -> Result<()> {
    let mut builder = cluster();
    for flag in ["--heartbeat-interval=50", "--election-timeout=500", "--pre-vote=true"] {
        builder = builder.etcd_flag(flag);
    }
    let mut cluster = builder.start().await?;
    cluster.etcd().make_leader(USED).await?;
    let freeze = async |cluster: &mut TestCluster| {
        cluster.etcd().freeze(USED)?;
        cluster.etcd().election_without(USED).await
    };
    survives(("frozen-leader", 60, PAUSE), &mut cluster, freeze, async |cluster| cluster.etcd().thaw(USED))
        .await
}

/// Cuts the node in use from its peers, but not from the control planes.
async fn survives_a_cut(name: &str, leader: usize) -> Result<()> {
    // etcd's default since 3.5. Without it, the node that comes back forces a second election.
    let mut cluster = cluster().link_etcd_peers().etcd_flag("--pre-vote=true").start().await?;
    cluster.etcd().make_leader(leader).await?;
    let cut = async |cluster: &mut TestCluster| {
        cluster.etcd().set_peers_of(USED, LinkCondition::Cut)?;
        if leader == USED { cluster.etcd().election_without(USED).await } else { Ok(NO_ELECTION) }
    };
    let heal = async |cluster: &mut TestCluster| cluster.etcd().set_peers_of(USED, LinkCondition::Open);
    survives((name, 60, PAUSE), &mut cluster, cut, heal).await
}

/// X5: the etcd node in use, a follower, is cut from its peers.
#[tokio::test]
async fn x5_an_etcd_follower_cut_from_its_peers_delays_creates_for_less_than_two_seconds() -> Result<()> {
    survives_a_cut("cut-follower", USED + 1).await
}

/// X5: the etcd node in use is the leader of etcd, and is cut from its peers.
#[tokio::test]
async fn x5_an_etcd_leader_cut_from_its_peers_delays_creates_for_less_than_two_seconds() -> Result<()> {
    survives_a_cut("cut-leader", USED).await
}

/// X5: each write of etcd takes half a second, because its leader is slow.
#[tokio::test]
async fn x5_an_etcd_leader_that_takes_half_a_second_a_write_fails_no_request() -> Result<()> {
    let mut cluster = cluster().link_etcd_peers().start().await?;
    cluster.etcd().make_leader(USED).await?;
    let slow = LinkCondition::Delay(Duration::from_millis(250));
    let delay = async |cluster: &mut TestCluster| {
        cluster.etcd().set_peers_of(USED, slow)?;
        Ok(NO_ELECTION)
    };
    let heal = async |cluster: &mut TestCluster| cluster.etcd().set_peers_of(USED, LinkCondition::Open);
    survives(("slow-leader", 20, SLOW), &mut cluster, delay, heal).await
}

/// X5: the etcd node in use takes half a second for each answer to the control planes.
#[tokio::test]
async fn x5_an_etcd_member_that_answers_after_half_a_second_fails_no_request() -> Result<()> {
    let mut cluster = cluster().link_stores().start().await?;
    let set = |cluster: &TestCluster, condition| {
        cluster.links.stores.iter().for_each(|links| links[USED].set(condition));
    };
    let slow = LinkCondition::Delay(Duration::from_millis(250));
    let delay = async |cluster: &mut TestCluster| {
        set(cluster, slow);
        Ok(NO_ELECTION)
    };
    let heal = async |cluster: &mut TestCluster| {
        set(cluster, LinkCondition::Open);
        Ok(())
    };
    survives(("slow-member", 60, PAUSE), &mut cluster, delay, heal).await
}

/// X5: the etcd node in use answers reads, and writes are lost on their way to it.
#[tokio::test]
async fn x5_an_etcd_member_that_answers_reads_alone_delays_creates_for_less_than_two_seconds() -> Result<()> {
    let mut cluster = cluster().filter_store_writes().start().await?;
    let set = |cluster: &TestCluster, hang| cluster.links.store_writes[USED].set_writes_hang(hang);
    let hang = async |cluster: &mut TestCluster| {
        set(cluster, true);
        Ok(NO_ELECTION)
    };
    let heal = async |cluster: &mut TestCluster| {
        set(cluster, false);
        Ok(())
    };
    survives(("reads-alone", 200, PAUSE), &mut cluster, hang, heal).await
}

/// X5: the etcd node in use is lost with its data and replaced by an empty one.
#[tokio::test]
async fn x5_a_replaced_etcd_member_fails_no_request() -> Result<()> {
    let mut cluster = cluster().start().await?;
    cluster.etcd().make_leader(USED + 1).await?;
    let replace = async |cluster: &mut TestCluster| {
        cluster.etcd_mut().replace(USED).await?;
        Ok(NO_ELECTION)
    };
    survives(("replaced", 60, PAUSE), &mut cluster, replace, async |_| Ok(())).await
}
