//! The leader is cut from most servers, users are not.

use std::{cell::Cell, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use usher_harness::{
    cluster::TestCluster,
    figures::metric,
    link::{LinkCondition, caller_lookup_is_supported},
    programs::ProgramKind,
    wait,
};
use usher_proto::v1::Health;

use crate::support::arrivals;

const SERVERS: usize = 50;
const CUT: usize = 30;
/// The duration of the cut: three times `unhealthy_after`.
const FOR: Duration = Duration::from_secs(9);
const INTERVAL: Duration = Duration::from_secs(1);
const THRESHOLD: u32 = 3;

/// H10: the leader is cut from 30 of 50 servers for three times `unhealthy_after` → no server
/// becomes offline, no meeting is ended, joins and creates are served, and an alarm names the
/// cause. The link is open again → all servers are online after the usual number of polls.
#[tokio::test]
async fn h10_a_leader_that_is_cut_from_most_servers_suspects_itself() -> Result<()> {
    if !caller_lookup_is_supported() {
        eprintln!("skipped: this system does not report the owner of a connection");
        return Ok(());
    }
    let cluster = TestCluster::builder()
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
        link.set_for(leader.pid(), LinkCondition::Cut);
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
    wait::holds(FOR, "no server becomes offline", || async {
        let offline = admin.status().await?.servers_offline;
        ensure!(offline == 0, "{offline} servers are offline");
        client.joined(&format!("before-{}", joined.get() % (SERVERS * 2))).await?;
        joined.set(joined.get() + 1);
        // On a loaded machine a create may time out; that is no failure of the rule.
        let create = client.create(&format!("during-{}", joined.get())).await?;
        ensure!(create.is_success() || create.key() == "serverUnavailable", "{}", create.body);
        created.set(created.get() + usize::from(create.is_success()));
        Ok(())
    })
    .await?;
    let (joined, created) = (joined.get(), created.get());
    ensure!(created * 10 >= joined * 8, "{created} of {joined} creates");
    let unhealthy = admin.status().await?.servers_unhealthy as usize;
    assert_eq!(unhealthy, CUT, "those that are cut, and no other");
    let highest = admin.servers().await?.iter().map(|server| server.error_count).max();
    assert_eq!(highest, Some(2), "errors stop one below offline");
    assert_eq!(metric(leader, raised).await?, 1.0, "the alarm is raised");

    cluster.links.heal();
    let healed = std::time::Instant::now();
    wait::until("all servers to be online", || async {
        let servers = admin.servers().await?;
        let waiting = servers.iter().filter(|server| server.health() != Health::Online).count();
        ensure!(waiting == 0, "{waiting} are not");
        Ok(())
    })
    .await?;
    let to_online = healed.elapsed();
    ensure!(to_online < INTERVAL * (THRESHOLD + 2) + Duration::from_secs(4), "online after {to_online:?}");
    wait::until("the alarm to be taken back", || async {
        ensure!(metric(leader, raised).await? == 0.0);
        Ok(())
    })
    .await?;
    let ends: usize = cluster.sims.iter().map(|sim| arrivals(sim, "end").len()).sum();
    assert_eq!(ends, 0, "no meeting was ended");
    let records = admin.meetings().await?.len();
    ensure!(records >= SERVERS * 2 + created, "{records} records");
    for number in 0..SERVERS * 2 {
        client.joined(&format!("before-{number}")).await?;
    }
    eprintln!(
        "measured: {CUT} of {SERVERS} servers cut from the leader for {FOR:?}: alarm after {to_alarm:?}, 0 offline, \
         0 ended, {joined} joins \
         served and {created} creates, all online {to_online:?} after it was opened"
    );
    Ok(())
}

/// Returns the output of `usher status`.
async fn status(cluster: &TestCluster) -> Result<String> {
    let mut command = Command::new(ProgramKind::Usher.path()?);
    command.arg("--endpoint").arg(format!("http://{}", cluster.control_address(0))).arg("status");
    let output =
        tokio::task::spawn_blocking(move || command.output()).await?.context("run `usher status`")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
