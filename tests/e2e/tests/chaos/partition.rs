//! The network between edges, control planes and the store is cut.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tonic::Code;
use usher_harness::{
    client::BbbTestClient,
    cluster::{ClusterBuilder, TestCluster},
    figures::metric,
    link::LinkCondition,
    wait,
};
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
};
use usher_proto::v1::{
    Health, ResolveMeetingRequest, ResolveMeetingResponse, placement_service_client::PlacementServiceClient,
};

/// Longest time that a create may take if it must find another control plane, on a loaded machine.
/// The edge asks a second control plane long before it abandons the first one, which takes 8 s.
const DETOUR: Duration = Duration::from_secs(5);

/// Sets timeouts that let a slow create find another control plane.
fn patient(builder: ClusterBuilder) -> ClusterBuilder {
    builder.set("meetings.create_timeout", "20s").set("health.unhealthy_after", "30s")
}

async fn all_online(cluster: &TestCluster) -> Result<()> {
    for number in 0..cluster.control_planes.len() {
        for server in cluster.admin(number).servers().await? {
            ensure!(server.health() == Health::Online, "{}: {}", server.name, server.health_reason);
        }
    }
    Ok(())
}

/// Waits until the edge is connected to this control plane.
async fn connected(cluster: &TestCluster, edge: usize, control_plane: usize) -> Result<()> {
    wait::until(&format!("edge {edge} to be at control plane {control_plane}"), || async {
        let edges = cluster.admin(control_plane).edges().await?;
        let name = format!("edges/edge-{edge}");
        ensure!(edges.iter().any(|edge| edge.name == name), "{edges:?}");
        Ok(())
    })
    .await
}

/// Cuts an edge from all control planes but one.
async fn leave_it_only(cluster: &TestCluster, edge: usize, control_plane: usize) -> Result<()> {
    for (number, link) in cluster.links.planes[edge].iter().enumerate() {
        link.set(if number == control_plane { LinkCondition::Open } else { LinkCondition::Closed });
    }
    connected(cluster, edge, control_plane).await
}

async fn resolve(
    cluster: &TestCluster,
    control_plane: usize,
    id: &str,
) -> Result<ResolveMeetingResponse, Code> {
    let key = MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(id).expect("a meeting id"));
    let mut client = PlacementServiceClient::new(cluster.admin(control_plane).channel());
    let answer = client.resolve_meeting(ResolveMeetingRequest { key: Some((&key).into()) }).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.code())
}

/// X1, C9: an edge is cut from every control plane → it joins known meetings, reports the age of
/// its table, and answers new ids with the retryable error; the control planes see that it lags.
/// The network is open again → the edge has every change.
#[tokio::test]
async fn x1_an_edge_that_is_cut_off_serves_its_table_and_catches_up() -> Result<()> {
    let cluster = TestCluster::builder().link_planes().start().await?;
    let (cut_off, other) = (cluster.client(0), cluster.client(1));
    for number in 0..10 {
        cut_off.created(&format!("known-{number}")).await?;
    }
    cluster.is_level().await?;
    cluster.links.set_edge(0, LinkCondition::Cut);
    let refused = Instant::now();
    let fresh = cut_off.create("fresh").await?;
    let to_refusal = refused.elapsed();
    assert_eq!((fresh.status, fresh.key()), (200, "serverUnavailable"), "{}", fresh.body);
    other.created("meanwhile").await?;
    let (joins, slowest) = (Cell::new(0), Cell::new(Duration::ZERO));
    wait::until("its table to be seen to age", || async {
        let begun = Instant::now();
        cut_off.joined(&format!("known-{}", joins.get() % 10)).await?;
        slowest.set(slowest.get().max(begun.elapsed()));
        joins.set(joins.get() + 1);
        let age = metric(&cluster.edges[0], "usher_routing_table_age_seconds").await?;
        ensure!(age > 3.0, "its table is {age} s old");
        Ok(())
    })
    .await?;
    let (joins, slowest) = (joins.get(), slowest.get());
    let mut lag = None;
    for number in 0..2 {
        let edges = cluster.admin(number).edges().await?;
        lag = lag.or(edges.into_iter().find(|edge| edge.name == "edges/edge-0"));
    }
    ensure!(lag.as_ref().is_none_or(|edge| edge.lag > 0), "a connected edge does not lag: {lag:?}");
    cluster.links.heal();
    let healed = Instant::now();
    wait::until("the edge to have the changes of the meantime", || async {
        let age = metric(&cluster.edges[0], "usher_routing_table_age_seconds").await?;
        ensure!(age < 3.0, "its table is {age} s old");
        cut_off.joined("meanwhile").await?;
        cut_off.created("fresh").await
    })
    .await?;
    let to_level = healed.elapsed();
    cluster.is_level().await?;
    eprintln!(
        "measured: an edge without control planes: {joins} joins, 0 failed, the slowest {slowest:?}; a new id was \
         refused after {to_refusal:?}; level {to_level:?} after the network was back; seen as {lag:?}"
    );
    Ok(())
}

/// C2: an edge is cut from the control plane that it uses, and from no other → its creates go on at
/// another control plane.
#[tokio::test]
async fn c2_an_edge_that_is_cut_from_its_control_plane_goes_on_at_another() -> Result<()> {
    let cluster = patient(TestCluster::builder().edges(1).link_planes()).start().await?;
    let client = cluster.client(0);
    leave_it_only(&cluster, 0, 0).await?;
    client.created("before").await?;
    cluster.links.planes[0][1].heal();
    cluster.links.planes[0][0].set(LinkCondition::Cut);
    let mut slowest = Duration::ZERO;
    for number in 0..6 {
        let begun = Instant::now();
        client.created(&format!("during-{number}")).await?;
        slowest = slowest.max(begun.elapsed());
        client.joined(&format!("during-{number}")).await?;
        client.joined("before").await?;
    }
    cluster.links.heal();
    cluster.is_level().await?;
    eprintln!(
        "measured: an edge cut from one of two control planes: 6 creates, 0 failed, the slowest {slowest:?}"
    );
    ensure!(slowest < DETOUR, "a create took {slowest:?}");
    Ok(())
}

async fn create_and_join(from: &BbbTestClient, at: &BbbTestClient, id: &str) -> Result<()> {
    from.created(id).await?;
    at.joined(id).await?;
    Ok(())
}

/// X3, X5: the leader is cut from the store, but not from its edge → another replica leads. The
/// stale replica refuses queries that it could only answer from old data, so that its edge asks
/// another one. No meeting is split, and no server becomes offline.
#[tokio::test]
async fn x5_a_leader_cut_from_the_store_alone_neither_leads_nor_denies() -> Result<()> {
    let cluster = patient(TestCluster::builder().link_planes().link_stores()).start().await?;
    let stale = cluster.leader().await?;
    let (leading, clients) = (1 - stale, [cluster.client(0), cluster.client(1)]);
    leave_it_only(&cluster, 0, stale).await?;
    leave_it_only(&cluster, 1, leading).await?;
    create_and_join(&clients[0], &clients[1], "before").await?;
    cluster.links.planes.iter().flatten().for_each(usher_harness::link::FaultyLink::heal);
    cluster.links.set_store(stale, LinkCondition::Cut);
    let cut = Instant::now();
    let (created, slowest, leads) = (Cell::new(0), Cell::new(Duration::ZERO), Cell::new(None));
    let creates = wait::until("the other to lead, and some creates", || async {
        let (begun, number) = (Instant::now(), created.get());
        created.set(number + 1);
        create_and_join(&clients[1], &clients[0], &format!("during-{number}")).await?;
        clients[0].joined("before").await?;
        slowest.set(slowest.get().max(begun.elapsed()));
        ensure!(leads.get().is_some() && number >= 4);
        Ok(())
    });
    let leading = wait::until("the other to lead", || async {
        ensure!(cluster.admin(leading).status().await?.leading);
        leads.set(Some(cut.elapsed()));
        Ok(())
    });
    let (creates, leading) = tokio::join!(creates, leading);
    creates.and(leading)?;
    let (created, slowest, to_leader) = (created.get(), slowest.get(), leads.get());
    ensure!(!cluster.admin(stale).status().await?.leading, "two report that they lead");
    // The stale replica may know the record that it wrote; it must not deny a record that was
    // written since.
    let resolved = resolve(&cluster, stale, "during-0").await;
    let denied = matches!(&resolved, Ok(answer) if answer.meeting.is_none());
    ensure!(!denied, "it denies a running meeting");
    create_and_join(&clients[0], &clients[1], "stale-side").await.context("an edge of the stale one")?;
    all_online(&cluster).await?;
    cluster.links.heal();
    let healed = Instant::now();
    cluster.is_level().await?;
    let to_level = healed.elapsed();
    ensure!(resolve(&cluster, stale, "during-0").await.is_ok_and(|answer| answer.meeting.is_some()));
    let leaders = [cluster.admin(0).status().await?.leading, cluster.admin(1).status().await?.leading];
    ensure!(leaders.iter().filter(|leads| **leads).count() == 1, "{leaders:?}");
    let runs: usize = cluster.sims.iter().map(|sim| sim.meetings().len()).sum();
    assert_eq!(runs, created + 2, "no meeting runs twice, and none was ended");
    eprintln!(
        "measured: a leader cut from the store: another led after {to_leader:?}, {created} creates and joins \
         meanwhile, 0 failed, the slowest {slowest:?}; level {to_level:?} after it was back"
    );
    ensure!(slowest < DETOUR * 2, "a create and two joins took {slowest:?}");
    Ok(())
}

/// X5: the leader is cut from every edge, but not from the store → it still leads, and its edges
/// use the other control plane.
#[tokio::test]
async fn x5_a_leader_cut_from_the_edges_alone_leads_on() -> Result<()> {
    let cluster = patient(TestCluster::builder().link_planes().link_stores()).start().await?;
    let leader = cluster.leader().await?;
    let clients = [cluster.client(0), cluster.client(1)];
    for edge in 0..2 {
        leave_it_only(&cluster, edge, leader).await?;
    }
    create_and_join(&clients[0], &clients[1], "before").await?;
    cluster.links.planes.iter().flatten().for_each(usher_harness::link::FaultyLink::heal);
    cluster.links.set_plane(leader, LinkCondition::Cut);
    let mut slowest = Duration::ZERO;
    for number in 0..6 {
        let begun = Instant::now();
        create_and_join(&clients[number % 2], &clients[1 - number % 2], &format!("during-{number}")).await?;
        slowest = slowest.max(begun.elapsed());
        clients[number % 2].joined("before").await?;
    }
    ensure!(cluster.admin(leader).status().await?.leading, "it has the store and its lease");
    all_online(&cluster).await?;
    cluster.links.heal();
    cluster.is_level().await?;
    let runs: usize = cluster.sims.iter().map(|sim| sim.meetings().len()).sum();
    assert_eq!(runs, 7, "no meeting runs twice, and none was ended");
    eprintln!(
        "measured: a leader cut from its edges: 6 creates, 0 failed, the slowest with its join {slowest:?}"
    );
    ensure!(slowest < DETOUR, "a create and a join took {slowest:?}");
    Ok(())
}
