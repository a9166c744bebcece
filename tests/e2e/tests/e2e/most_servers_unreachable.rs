//! E5: most servers are unreachable at once → the healthy ones are used. Meanwhile the mass guard
//! protects the running meetings, and refuses no new one.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use usher_bbb_sim::{BbbSim, FaultKind};
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, standalone::RunningStandalone, wait,
};
use usher_proto::v1::Health;

const SERVERS: usize = 6;
/// The number of unreachable servers: two thirds of all.
const AWAY: usize = 4;
const CREATES: usize = 99;

/// Returns the running instances of each server.
fn running(sims: &[BbbSim]) -> Vec<Vec<String>> {
    sims.iter().map(|sim| sim.meetings().into_iter().map(|meeting| meeting.internal_id).collect()).collect()
}

async fn the_two_reachable_servers_take_every_create(
    client: &BbbTestClient,
    admin: &TestAdmin,
    sims: &[BbbSim],
    fault: FaultKind,
) -> Result<()> {
    let live: Vec<String> = (0..3 * SERVERS).map(|number| format!("live-{number}")).collect();
    for id in &live {
        client.created(id).await?;
    }
    let before = running(sims);
    ensure!(before.iter().all(|meetings| !meetings.is_empty()), "each runs some: {before:?}");
    for sim in &sims[..AWAY] {
        sim.faults().set(fault).await;
    }
    wait::until("four servers to be unhealthy", || async {
        let servers = admin.servers().await?;
        let unhealthy = servers.iter().filter(|server| server.health() == Health::Unhealthy).count();
        ensure!(unhealthy == AWAY, "{unhealthy}");
        Ok(())
    })
    .await?;
    let creates = (0..CREATES).map(|number| async move { client.created(&format!("new-{number}")).await });
    try_join_all(creates).await?;
    let now = running(sims);
    assert_eq!(now[..AWAY], before[..AWAY], "the unreachable servers got none");
    let new: usize = (AWAY..SERVERS).map(|place| now[place].len() - before[place].len()).sum();
    assert_eq!(new, CREATES);
    for server in admin.servers().await? {
        assert_ne!(server.health(), Health::Offline, "the guard holds: {}", server.name);
    }
    for sim in &sims[..AWAY] {
        sim.faults().clear().await;
    }
    wait::until("every server to be online again", || async {
        for server in admin.servers().await? {
            ensure!(server.health() == Health::Online, "{}: {}", server.name, server.health_reason);
        }
        Ok(())
    })
    .await?;
    for id in &live {
        client.joined(id).await?;
    }
    let after = running(sims);
    assert!(before.iter().flatten().all(|id| after.iter().flatten().any(|other| other == id)), "all run on");
    Ok(())
}

/// E5: on etcd, four of six servers become unreachable → the other two get every create, no server
/// becomes offline, and all meetings run on.
#[tokio::test]
async fn e5_with_four_of_six_unreachable_the_other_two_take_every_create_on_etcd() -> Result<()> {
    for fault in [FaultKind::Refuse, FaultKind::HangOnAccept, FaultKind::Hang] {
        let cluster = TestCluster::builder().servers(SERVERS).start().await?;
        let (client, admin) = (cluster.client(0), cluster.admin(0));
        the_two_reachable_servers_take_every_create(&client, &admin, &cluster.sims, fault).await?;
    }
    Ok(())
}

/// E5: on the embedded store, four of six servers become unreachable → the other two get every
/// create, no server becomes offline, and all meetings run on.
#[tokio::test]
async fn e5_with_four_of_six_unreachable_the_other_two_take_every_create_on_the_embedded_store() -> Result<()>
{
    for fault in [FaultKind::Refuse, FaultKind::HangOnAccept, FaultKind::Hang] {
        let usher = RunningStandalone::start(SERVERS, &[]).await?;
        the_two_reachable_servers_take_every_create(&usher.client(), &usher.admin(), &usher.sims, fault)
            .await?;
    }
    Ok(())
}

/// E5: servers become unreachable, and no poll has noticed it → a create that reaches one of them
/// is placed again on another server.
#[tokio::test]
async fn e5_creates_go_on_past_servers_that_no_poll_has_missed_yet() -> Result<()> {
    let rare = [
        ("health.interval", "60s"),
        ("health.deadline", "5s"),
        ("health.unhealthy_after", "180s"),
        ("meetings.create_timeout", "10s"),
    ];
    let usher = RunningStandalone::start(SERVERS, &rare).await?;
    for sim in &usher.sims[..AWAY] {
        sim.faults().set(FaultKind::Refuse).await;
    }
    let client = &usher.client();
    let creates = (0..CREATES).map(|number| async move { client.created(&format!("new-{number}")).await });
    try_join_all(creates).await?;
    let now = running(&usher.sims);
    assert_eq!(now[AWAY..].iter().map(Vec::len).sum::<usize>(), CREATES);
    Ok(())
}
