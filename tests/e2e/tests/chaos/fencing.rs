//! A leader that was frozen beyond its lease: its writes after it continues, by the history of the
//! store itself.

use std::{cell::Cell, time::Duration};

use anyhow::{Result, ensure};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};
use usher_harness::{cluster::TestCluster, wait};

use crate::support::arrivals;

/// Shorter than the rest of the new leader's lease at the moment when it is stopped.
const LOOK: Duration = Duration::from_millis(1200);

fn ends(cluster: &TestCluster) -> usize {
    cluster.sims.iter().map(|sim| arrivals(sim, "end").len()).sum()
}

/// X3: a leader is frozen beyond its lease, and another replica leads → the new leader is stopped
/// too, and the old one continues. During the new leader's lease only the old one could write or
/// end a meeting → there is no write and no `end`.
#[tokio::test]
async fn x3_the_history_has_no_write_of_a_leader_after_another_took_over() -> Result<()> {
    let cluster = TestCluster::builder().edges(1).set("leader.ttl", "3s").start().await?;
    // Zombies stay due, so that every leader has writes and `end` calls to make at each poll.
    for sim in &cluster.sims {
        sim.faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::End)).await;
        sim.faults().set(SimFault::new(FaultKind::LostAnswer).on(ApiCall::Create)).await;
    }
    for number in 0..12 {
        let lost = cluster.client(0).create(&format!("lost-{number}")).await?;
        assert_eq!(lost.key(), "serverUnavailable", "{}", lost.body);
    }
    let (mut looks, mut written) = (0, 0);
    while looks < 2 {
        let old = cluster.leader().await?;
        let new = 1 - old;
        let before = ends(&cluster);
        wait::until("the leader to call `end`", || async {
            ensure!(ends(&cluster) > before);
            Ok(())
        })
        .await?;
        cluster.control_planes[old].freeze()?;
        wait::until("the other to lead", || async {
            ensure!(cluster.admin(new).status().await?.leading);
            Ok(())
        })
        .await?;
        cluster.control_planes[new].freeze()?;
        // Requests that were sent before the stop arrive now.
        let from = at_rest(&cluster).await?;
        let ended = ends(&cluster);
        cluster.control_planes[old].thaw()?;
        let claims = Cell::new(false);
        wait::holds(LOOK, "the old leader is looked at", || async {
            let admin = cluster.admin(old);
            // The process may be too busy after its continuation to answer.
            let status = tokio::time::timeout(wait::GLANCE, admin.status()).await;
            claims.set(claims.get() || matches!(status, Ok(Ok(status)) if status.leading));
            Ok(())
        })
        .await?;
        let (changes, ends_after) = (cluster.etcd().changes_since(from).await?, ends(&cluster));
        cluster.control_planes[new].thaw()?;
        if changes.iter().any(|change| change.deleted && change.key.contains("/election/")) {
            eprintln!("the machine was so slow that the new lease ran out too: looking again");
            continue;
        }
        let writes: Vec<_> = changes.iter().filter(|change| is_of_a_leader(&change.key)).collect();
        ensure!(writes.is_empty(), "the old leader wrote: {writes:?}");
        ensure!(ends_after == ended, "the old leader ended {} meetings", ends_after - ended);
        ensure!(!claims.get(), "the old leader reports that it leads");
        written += changes.len();
        looks += 1;
    }
    eprintln!("measured: a deposed leader wrote 0 keys but {written} of its own, and ended 0 meetings");
    Ok(())
}

/// Returns whether only a leader may write a key. Every replica enters the election, and states its own
/// edges and alarms (design 3).
fn is_of_a_leader(key: &str) -> bool {
    !key.contains("/election/") && !key.contains("/replicas/")
}

/// Waits until the store is unchanged for a moment, and returns its revision.
async fn at_rest(cluster: &TestCluster) -> Result<u64> {
    wait::until("the store to be unchanged", || async {
        let revision = cluster.etcd().revision().await?;
        wait::holds(Duration::from_millis(150), "no key is written", || async {
            ensure!(cluster.etcd().revision().await? == revision);
            Ok(())
        })
        .await?;
        Ok(revision)
    })
    .await
}
