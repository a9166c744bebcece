//! A burst of creates over servers with uneven load, and the leader killed in its middle.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use usher_bbb_sim::BbbSim;
use usher_harness::{cluster::TestCluster, figures::metric, standalone::RunningStandalone, wait};

const SERVERS: usize = 20;
const CREATES: usize = 500;
/// The number of creates that run at the same time.
const AT_ONCE: usize = 16;
/// The least number of users that a young meeting counts (the floor).
const FLOOR: usize = 15;

/// Gives a server a meeting of another balancer with this number of users.
async fn crowd(sim: &BbbSim, users: usize) -> Result<()> {
    let query = "name=Base&meetingID=base&attendeePW=ap&moderatorPW=mp";
    let answer = reqwest::get(sim.signed_url("create", query)).await?.text().await?;
    ensure!(answer.contains("SUCCESS"), "{answer}");
    ensure!(sim.set_crowd("base", users), "the meeting is there");
    Ok(())
}

/// F11, F2: twenty servers have a base load of 0 to 200 users each → five hundred meetings are
/// created, and the leader is killed meanwhile → its reservations still count, and the load becomes
/// even.
#[tokio::test]
async fn f11_a_leader_killed_in_an_uneven_burst_takes_no_reservation_with_it() -> Result<()> {
    let mut cluster = TestCluster::builder()
        .servers(SERVERS)
        .set("placement.slow_start", "0s")
        // A poll that a loaded machine delays would make its server unhealthy, and the placement
        // would then prefer the others.
        .set("health.interval", "3s")
        .set("health.deadline", "2900ms")
        .start()
        .await?;
    let mut chance = StdRng::seed_from_u64(11);
    let base: Vec<usize> = (0..SERVERS).map(|_| chance.random_range(0..=200)).collect();
    for (sim, users) in cluster.sims.iter().zip(&base) {
        crowd(sim, *users).await?;
    }
    let admins = [cluster.admin(0), cluster.admin(1)];
    wait::until("the base load to be known", || async {
        for admin in &admins {
            let users = admin.status().await?.users as usize;
            ensure!(users == base.iter().sum::<usize>(), "{users} users");
        }
        Ok(())
    })
    .await?;
    let leader = cluster.leader().await?;
    let clients = [cluster.client(0), cluster.client(1)];
    let begun = Instant::now();
    let create = |number: usize| {
        let client = clients[number % 2].clone();
        async move {
            let answer = client.create(&format!("lesson-{number}")).await?;
            anyhow::Ok(usize::from(!answer.is_success()))
        }
    };
    let burst = async |numbers: std::ops::Range<usize>| {
        let all = stream::iter(numbers).map(create).buffer_unordered(AT_ONCE);
        all.try_fold(0, async |sum, failed| Ok(sum + failed)).await
    };
    let (first, killed) = tokio::join!(burst(0..CREATES / 2), async {
        let half = CREATES / 4;
        wait::until("a quarter of them", || async {
            let made: usize = cluster.sims.iter().map(|sim| sim.meetings().len() - 1).sum();
            ensure!(made >= half, "{made}");
            Ok(())
        })
        .await?;
        cluster.control_planes[leader].kill()
    });
    killed?;
    let failed = first? + burst(CREATES / 2..CREATES).await?;
    let took = begun.elapsed();
    let placed: Vec<usize> = cluster.sims.iter().map(|sim| sim.meetings().len() - 1).collect();
    let load: Vec<usize> = base.iter().zip(&placed).map(|(base, placed)| base + FLOOR * placed).collect();
    let (most, sum) = (load.iter().max().context("servers")?, load.iter().sum::<usize>());
    let uneven = (most * SERVERS) as f64 / sum as f64;
    eprintln!(
        "measured: {CREATES} creates in {took:?} over a base of {base:?} users, leader killed: max/mean {uneven:.3}, \
         {failed} failed"
    );
    ensure!(failed <= AT_ONCE, "{failed} creates failed, more than were under way");
    ensure!(uneven <= 1.05, "max/mean {uneven:.3}: {load:?}");
    Ok(())
}

/// F10: three servers have uneven load → `/metrics` and `usher status` show the same imbalance at
/// once. The alarm after five minutes is a rule of `core::load` and is tested there.
#[tokio::test]
async fn f10_imbalance_is_shown() -> Result<()> {
    let usher = RunningStandalone::start(3, &[]).await?;
    crowd(&usher.sims[0], 150).await?;
    let seen = wait::until("the imbalance to be seen", || async {
        let shown = metric(&usher.process, "usher_placement_imbalance").await?;
        ensure!((shown - 3.0).abs() < 0.01, "{shown}");
        usher.admin().status().await
    })
    .await?;
    ensure!((seen.placement_imbalance - 3.0).abs() < 0.01, "{}", seen.placement_imbalance);
    ensure!(seen.alarms.is_empty(), "it has not lasted: {:?}", seen.alarms);
    // The meetings that are created now make the load even.
    for number in 0..20 {
        usher.client().created(&format!("lesson-{number}")).await?;
    }
    let placed: Vec<usize> = usher.sims.iter().map(|sim| sim.meetings().len()).collect();
    ensure!(placed[0] == 1, "{placed:?}");
    wait::until("it to be level", || async {
        let shown = metric(&usher.process, "usher_placement_imbalance").await?;
        ensure!(shown < 1.1, "{shown}");
        Ok(())
    })
    .await?;
    ensure!(metric(&usher.process, "usher_alarm{name=\"placement_imbalance\"}").await? == 0.0);
    Ok(())
}
