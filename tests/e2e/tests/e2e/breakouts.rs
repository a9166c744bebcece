//! Breakout rooms that applications create themselves: meetings beside their parents, known by
//! their own ids.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::{BbbSim, FaultKind};
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, standalone::RunningStandalone, wait,
};
use usher_proto::v1::{Health, Meeting, RecordState};

use crate::store_faults::metric;

const ROOMS: [&str; 3] = ["group-1", "group-2", "cafe"];

/// Creates a breakout room as soon as its parent allows it, and returns its internal id.
async fn made(client: &BbbTestClient, id: &str, parent: &str) -> Result<String> {
    let query = format!(
        "name=Group&meetingID={id}&attendeePW=ap&moderatorPW=mp&isBreakout=true&sequence=1&parentMeetingID={parent}"
    );
    wait::until("the breakout room to be made", || async {
        let answer = client.get("create", &query).await?;
        ensure!(answer.is_success(), "{}", answer.body);
        Ok(answer.text("internalMeetingID").context("has an instance")?.to_owned())
    })
    .await
}

/// Returns the ids and internal ids of all confirmed records of breakout rooms.
async fn rooms(admin: &TestAdmin) -> Result<BTreeMap<String, String>> {
    let is_room = |meeting: &Meeting| meeting.breakout && meeting.state() == RecordState::Active;
    let meetings = admin.meetings().await?.into_iter().filter(is_room);
    Ok(meetings.map(|meeting| (meeting.meeting_id, meeting.internal_id)).collect())
}

/// Checks that every call about a breakout room reaches it, at every edge.
async fn reached(cluster: &TestCluster, instances: &BTreeMap<String, String>, home: &BbbSim) -> Result<()> {
    for edge in 0..cluster.edges.len() {
        for (id, instance) in instances {
            let client = cluster.client(edge);
            let location = client.joined(id).await?;
            ensure!(location.starts_with(home.base()), "{id} is sent to {location}");
            client.open(&location).await?;
            let about = format!("meetingID={id}");
            let info = client.get("getMeetingInfo", &about).await?;
            ensure!(info.text("internalMeetingID") == Some(instance), "{id}: {}", info.body);
            ensure!(!info.body.contains("usher-"), "{}", info.body);
            let running = client.get("isMeetingRunning", &about).await?;
            ensure!(running.text("running") == Some("true"), "{id}: {}", running.body);
            let said = client.get("sendChatMessage", &format!("{about}&message=Hi")).await?;
            ensure!(said.is_success(), "{id}: {}", said.body);
        }
    }
    Ok(())
}

/// Three breakout rooms are created by `meetingID` or internal id of their parent → they are on the
/// server of the parent, every edge reaches them by their own ids, they survive polls and the loss
/// of all records, and they end with the parent.
#[tokio::test]
async fn breakout_rooms_survive_a_lost_store_and_end_with_their_parent() -> Result<()> {
    let cluster = TestCluster::builder().start().await?;
    let parent = cluster.client(0).created("lesson").await?;
    let parent = parent.text("internalMeetingID").context("has an instance")?;
    let mut instances = BTreeMap::new();
    for (id, parent) in ROOMS.into_iter().zip(["lesson", parent, "lesson"]) {
        instances.insert(id.to_owned(), made(&cluster.client(1), id, parent).await?);
    }
    wait::until("the rooms to be confirmed", || async {
        ensure!(rooms(&cluster.admin(0)).await? == instances);
        Ok(())
    })
    .await?;
    cluster.is_level().await?;
    let home = cluster.sims.iter().find(|sim| sim.meetings().len() == 4).context("they are on one server")?;
    reached(&cluster, &instances, home).await?;
    for _ in 0..4 {
        cluster.admin(0).poll("-").await?;
        ensure!(rooms(&cluster.admin(0)).await? == instances, "polls keep them");
    }

    let before = metric(&cluster.control_planes[0], "usher_rebuilds_total").await?;
    cluster.etcd().delete("/usher/meetings/").await?;
    wait::until("the loss to be noticed and the records to be back", || async {
        let now = metric(&cluster.control_planes[0], "usher_rebuilds_total").await?;
        ensure!(now > before, "{now} rebuilds");
        ensure!(rooms(&cluster.admin(0)).await? == instances);
        ensure!(cluster.admin(0).meetings().await?.len() == 4);
        Ok(())
    })
    .await?;
    cluster.is_level().await?;
    reached(&cluster, &instances, home).await?;
    let fresh = made(&cluster.client(0), "group-3", "lesson").await?;
    instances.insert("group-3".to_owned(), fresh);
    ensure!(home.meetings().len() == 5, "the lesson goes on where it was");

    let ended = cluster.client(0).get("end", "meetingID=group-3&password=mp").await?;
    ensure!(ended.is_success(), "{}", ended.body);
    let ended = cluster.client(1).get("end", "meetingID=lesson&password=mp").await?;
    ensure!(ended.is_success(), "{}", ended.body);
    wait::until("the records to be removed", || async {
        let left = cluster.admin(0).meetings().await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await?;
    cluster.is_level().await?;
    for id in ROOMS {
        let join = cluster.client(0).join(id).await?;
        assert_eq!(join.key(), "invalidMeetingIdentifier", "{}", join.body);
    }
    assert_eq!(cluster.admin(0).status().await?.zombies, 0);
    Ok(())
}

/// A parent with a breakout room is created again because its server is offline → the breakout room
/// is created beside it, and the instances on the old server are ended when it returns.
#[tokio::test]
async fn a_breakout_room_follows_its_parent_and_the_old_instances_are_ended() -> Result<()> {
    let usher = RunningStandalone::start(2, &[]).await?;
    let (client, admin) = (usher.client(), usher.admin());
    let becomes = async |server: &str, health: Health| {
        wait::until("the server to change its colour", || async {
            ensure!(admin.server(server).await?.health() == health);
            Ok(())
        })
        .await
    };
    client.created("lesson").await?;
    let old = made(&client, "group", "lesson").await?;
    let home = usher.sims.iter().position(|sim| sim.meetings().len() == 2).context("they are together")?;
    let name = format!("bbb-{home}");
    usher.sims[home].faults().set(FaultKind::HangOnAccept).await;
    becomes(&name, Health::Offline).await?;
    wait::until("the lesson to be made elsewhere", || async { client.created("lesson").await }).await?;
    let new = made(&client, "group", "lesson").await?;
    assert_ne!(old, new, "another instance, and distinct from the old one");
    let other = &usher.sims[1 - home];
    let here = |wanted: &str| other.meetings().iter().any(|meeting| meeting.internal_id == wanted);
    assert!(here(&new));
    let location = client.joined("group").await?;
    assert!(location.starts_with(other.base()), "{location}");

    usher.sims[home].faults().clear().await;
    wait::until("the remaining instances to be ended", || async {
        ensure!(usher.sims[home].meetings().is_empty(), "{:?}", usher.sims[home].meetings());
        ensure!(admin.status().await?.zombies == 0);
        Ok(())
    })
    .await?;
    assert!(here(&new), "the new one goes on");
    assert_eq!(rooms(&admin).await?, BTreeMap::from([("group".to_owned(), new)]));
    Ok(())
}
