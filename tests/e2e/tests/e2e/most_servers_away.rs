//! E5: most of a site is away at once, and what is well is used. The mass guard holds all the while: it
//! protects the meetings that run, and costs no new one.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use usher_bbb_sim::{BbbSim, FaultKind};
use usher_harness::{admin::Admin, client::BbbClient, cluster::Cluster, standalone::Standalone, wait};
use usher_proto::v1::Health;

const SERVERS: usize = 6;
/// Those that go away: two thirds of them.
const AWAY: usize = 4;
const CREATES: usize = 99;

/// Everything that the servers run, by place.
fn running(sims: &[BbbSim]) -> Vec<Vec<String>> {
    sims.iter().map(|sim| sim.meetings().into_iter().map(|meeting| meeting.internal_id).collect()).collect()
}

async fn the_two_that_are_well_take_every_create(
    client: &BbbClient,
    admin: &Admin,
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
    assert_eq!(now[..AWAY], before[..AWAY], "those that are away got none");
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

#[tokio::test]
async fn e5_with_four_of_six_servers_away_the_other_two_take_every_create_on_etcd() -> Result<()> {
    for fault in [FaultKind::Refuse, FaultKind::HangOnAccept, FaultKind::Hang] {
        let cluster = Cluster::builder().servers(SERVERS).start().await?;
        let (client, admin) = (cluster.client(0), cluster.admin(0));
        the_two_that_are_well_take_every_create(&client, &admin, &cluster.sims, fault).await?;
    }
    Ok(())
}

#[tokio::test]
async fn e5_with_four_of_six_servers_away_the_other_two_take_every_create_on_the_embedded_store() -> Result<()>
{
    for fault in [FaultKind::Refuse, FaultKind::HangOnAccept, FaultKind::Hang] {
        let usher = Standalone::start(SERVERS, &[]).await?;
        the_two_that_are_well_take_every_create(&usher.client(), &usher.admin(), &usher.sims, fault).await?;
    }
    Ok(())
}

/// Before any poll has noticed: every try that meets a server that is away is followed by another.
#[tokio::test]
async fn e5_creates_go_on_past_servers_that_no_poll_has_missed_yet() -> Result<()> {
    let rare = [
        ("health.interval", "60s"),
        ("health.deadline", "5s"),
        ("health.unhealthy_after", "180s"),
        ("meetings.create_timeout", "10s"),
    ];
    let usher = Standalone::start(SERVERS, &rare).await?;
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
