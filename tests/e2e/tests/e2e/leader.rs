//! The leader is killed or frozen: another replica continues its work, and the old leader does no
//! more of it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, figures::metric, load::MeetingLoad, wait,
};
use usher_proto::v1::Health;

/// Returns the values that a change of the leader must not change: health and both counters.
async fn health_of(admin: &TestAdmin) -> Result<Vec<(String, Health, u32, u32)>> {
    let servers = admin.servers().await?;
    let seen = servers.into_iter().map(|server| {
        let (health, errors, recovered) = (server.health(), server.error_count, server.recover_count);
        (server.name, health, errors, recovered)
    });
    Ok(seen.collect())
}

fn polls(sim: &BbbSim) -> usize {
    sim.calls().iter().filter(|call| call.name == "getMeetings").count()
}

fn ends(sim: &BbbSim) -> usize {
    sim.calls().iter().filter(|call| call.name == "end").count()
}

/// Returns the milliseconds since 1970, the clock of simulated servers.
fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// Waits until every server was polled after `killed`, and returns the delay of the last one. A
/// poll that was on its way at that moment does not count.
async fn polling_resumes(cluster: &TestCluster, killed: u64) -> Result<Duration> {
    const ON_ITS_WAY: u64 = 100;
    wait::until("every server to be polled again", || async {
        let first = |sim: &BbbSim| {
            let calls = sim.calls();
            let mut polls = calls.iter().filter(|call| call.name == "getMeetings").map(|call| call.at_ms);
            polls.find(|at| *at > killed + ON_ITS_WAY)
        };
        let firsts: Option<Vec<u64>> = cluster.sims.iter().map(first).collect();
        let last = firsts.and_then(|firsts| firsts.into_iter().max()).context("not all were")?;
        Ok(Duration::from_millis(last - killed))
    })
    .await
}

/// H14, F11: the leader is killed (SIGKILL) under load → no join fails, a create fails at most if
/// it was running at the killed process, polls resume soon, and no counter changes.
#[tokio::test]
async fn h14_killing_the_leader_under_load_fails_no_join_and_changes_no_health() -> Result<()> {
    const WORKERS: usize = 4;
    const TTL: Duration = Duration::from_secs(2);
    let mut cluster = TestCluster::builder().start().await?;
    let leader = cluster.leader().await?;
    let other = cluster.admin(1 - leader);
    let clients: Vec<BbbTestClient> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = MeetingLoad::new("failover", clients.clone());
    let chaos = async {
        load.goes_on(20).await?;
        let before = health_of(&other).await?;
        cluster.control_planes[leader].kill()?;
        let gap = polling_resumes(&cluster, now_ms()?).await?;
        let after = health_of(&other).await?;
        load.goes_on(20).await?;
        anyhow::Ok((before, after, gap))
    };
    let (history, seen) = tokio::join!(load.run(WORKERS), async {
        let seen = chaos.await;
        load.stop();
        seen
    });
    let (before, after, gap) = seen?;
    assert_eq!(before, after, "a change of leader changes no health and no counter");
    eprintln!(
        "measured: leader killed under load: every server polled again after {gap:?} (TTL {TTL:?}), {} requests \
         went wrong, {} creates refused with {WORKERS} in flight",
        history.wrong.len(),
        history.retryable.len()
    );
    ensure!(gap < TTL + Duration::from_secs(1), "TTL {TTL:?}, polls again after {gap:?}");
    ensure!(history.retryable.len() <= WORKERS, "no more than were under way: {:?}", history.retryable);
    history.check(&clients, &cluster.sims).await
}

/// X3: a leader is frozen beyond its lease and continues → it writes no key and ends no meeting.
#[tokio::test]
async fn x3_a_leader_frozen_beyond_its_lease_neither_writes_nor_ends() -> Result<()> {
    let cluster = TestCluster::builder().edges(1).servers(1).start().await?;
    let (leader, sim) = (cluster.leader().await?, &cluster.sims[0]);
    let (old, new) = (&cluster.control_planes[leader], cluster.admin(1 - leader));
    // The zombie stays due, so that every leader calls `end` after each poll.
    sim.faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::End)).await;
    sim.faults().set(SimFault::new(FaultKind::LostAnswer).on(ApiCall::Create).times(1)).await;
    let lost = cluster.client(0).create("lost").await?;
    assert_eq!(lost.key(), "serverUnavailable", "{}", lost.body);
    wait::until("the leader to call `end`", || async {
        ensure!(ends(sim) > 0);
        Ok(())
    })
    .await?;
    old.freeze()?;
    wait::until("the other to lead", || async {
        ensure!(new.status().await?.leading);
        Ok(())
    })
    .await?;
    let called = ends(sim);
    wait::until("the new leader to call `end`", || async {
        ensure!(ends(sim) > called);
        Ok(())
    })
    .await?;
    old.thaw()?;
    let (ended, polled) = (metric(old, "usher_ends_total").await?, polls(sim));
    wait::until("the old leader to follow, and some polls", || async {
        let old = cluster.admin(leader).status().await?;
        ensure!(!old.leading && polls(sim) > polled + 6, "leading: {}", old.leading);
        Ok(())
    })
    .await?;
    let now = metric(old, "usher_ends_total").await?;
    ensure!(now <= ended, "it called `end` {} times after another led", now - ended);
    let writes: Vec<String> =
        old.output().into_iter().filter(|line| line.contains("could not be written")).collect();
    ensure!(writes.is_empty(), "it tried to write: {writes:?}");
    ensure!(new.status().await?.leading, "the new one leads on");
    Ok(())
}

/// C2: each control plane is frozen once, the preferred one included → no create is delayed for
/// more than a moment, because the edge repeats it at another one (hedged call).
#[tokio::test]
async fn c2_a_frozen_control_plane_holds_up_no_edge() -> Result<()> {
    // Far below the time that one control plane may take to place a meeting (8 s).
    let cluster = TestCluster::builder()
        .edges(1)
        .set("meetings.create_timeout", "4s")
        .set("health.unhealthy_after", "6s")
        .start()
        .await?;
    let client = cluster.client(0);
    client.created("before").await?;
    for frozen in 0..2 {
        cluster.control_planes[frozen].freeze()?;
        for number in 0..5 {
            let id = format!("during-{frozen}-{number}");
            let begun = Instant::now();
            client.created(&id).await?;
            client.joined(&id).await?;
            let took = begun.elapsed();
            ensure!(took < Duration::from_secs(3), "create and join took {took:?}");
        }
        client.joined("before").await?;
        cluster.control_planes[frozen].thaw()?;
        cluster.leader().await?;
        cluster.is_level().await?;
    }
    let hedged = metric(&cluster.edges[0], "usher_edge_hedged_asks_total").await?;
    ensure!(hedged >= 1.0, "it got a request while it was frozen");
    Ok(())
}
