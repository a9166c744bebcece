//! The leader is cut from most servers, users are not.

use std::{cell::Cell, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use usher_harness::{
    cluster::Cluster,
    figures::metric,
    link::{Condition, callers_can_be_told},
    programs::Program,
    wait,
};
use usher_proto::v1::Health;

use crate::support::arrivals;

const SERVERS: usize = 50;
const CUT: usize = 30;
/// Three times `unhealthy_after`.
const FOR: Duration = Duration::from_secs(9);
const INTERVAL: Duration = Duration::from_secs(1);
const THRESHOLD: u32 = 3;

/// H10: nothing turns red, nothing is ended, joins and creates are served, and an alarm says what is
/// wrong; once the link is open all are green again after as many polls as that takes.
#[tokio::test]
async fn h10_a_leader_that_is_cut_from_most_servers_suspects_itself() -> Result<()> {
    if !callers_can_be_told() {
        eprintln!("skipped: this system does not say whose a connection is");
        return Ok(());
    }
    let cluster = Cluster::builder()
        .control_planes(1)
        .edges(1)
        .servers(SERVERS)
        .link_servers()
        .set("health.interval", "1s")
        .set("health.deadline", "900ms")
        .start()
        .await?;
    let (client, admin, leader) = (cluster.client(0), cluster.admin(0), &cluster.control_planes[0]);
    for number in 0..SERVERS * 2 {
        client.created(&format!("before-{number}")).await?;
    }
    cluster.is_level().await?;
    for link in &cluster.links.servers[..CUT] {
        link.set_for(leader.pid(), Condition::Cut);
    }
    let cut = std::time::Instant::now();
    let raised = "usher_alarm{name=\"suspect_self\"}";
    wait::until("the alarm", || async {
        ensure!(metric(leader, raised).await? == 1.0);
        Ok(())
    })
    .await?;
    let to_alarm = cut.elapsed();
    let shown = status(&cluster).await?;
    ensure!(shown.contains("ALARM") && shown.contains("suspect_self"), "{shown}");
    let (joined, created) = (Cell::new(0), Cell::new(0));
    wait::holds(FOR, "nothing turns red", || async {
        let red = admin.status().await?.servers_offline;
        ensure!(red == 0, "{red} servers are offline");
        client.joined(&format!("before-{}", joined.get() % (SERVERS * 2))).await?;
        joined.set(joined.get() + 1);
        // On a loaded machine one may take too long; that is nobody's fault here.
        let create = client.create(&format!("during-{}", joined.get())).await?;
        ensure!(create.is_success() || create.key() == "serverUnavailable", "{}", create.body);
        created.set(created.get() + usize::from(create.is_success()));
        Ok(())
    })
    .await?;
    let (joined, created) = (joined.get(), created.get());
    ensure!(created * 10 >= joined * 8, "{created} of {joined} creates");
    let yellow = admin.status().await?.servers_unhealthy as usize;
    assert_eq!(yellow, CUT, "those that are cut, and no other");
    let highest = admin.servers().await?.iter().map(|server| server.error_count).max();
    assert_eq!(highest, Some(2), "errors stop one short of red");
    assert_eq!(metric(leader, raised).await?, 1.0, "the alarm stands");

    cluster.links.heal();
    let healed = std::time::Instant::now();
    wait::until("all to be green", || async {
        let servers = admin.servers().await?;
        let waiting = servers.iter().filter(|server| server.health() != Health::Online).count();
        ensure!(waiting == 0, "{waiting} are not");
        Ok(())
    })
    .await?;
    let to_green = healed.elapsed();
    ensure!(to_green < INTERVAL * (THRESHOLD + 2) + Duration::from_secs(4), "green after {to_green:?}");
    wait::until("the alarm to be taken back", || async {
        ensure!(metric(leader, raised).await? == 0.0);
        Ok(())
    })
    .await?;
    let ends: usize = cluster.sims.iter().map(|sim| arrivals(sim, "end").len()).sum();
    assert_eq!(ends, 0, "nothing was ended");
    let records = admin.meetings().await?.len();
    ensure!(records >= SERVERS * 2 + created, "{records} records");
    for number in 0..SERVERS * 2 {
        client.joined(&format!("before-{number}")).await?;
    }
    eprintln!(
        "measured: {CUT} of {SERVERS} servers cut from the leader for {FOR:?}: alarm after {to_alarm:?}, 0 red, \
         0 ended, {joined} joins \
         served and {created} creates, all green {to_green:?} after it was opened"
    );
    Ok(())
}

/// What `usher status` prints.
async fn status(cluster: &Cluster) -> Result<String> {
    let mut command = Command::new(Program::Usher.path()?);
    command.arg("--endpoint").arg(format!("http://{}", cluster.control_address(0))).arg("status");
    let output =
        tokio::task::spawn_blocking(move || command.output()).await?.context("run `usher status`")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
