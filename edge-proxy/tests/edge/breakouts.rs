//! Breakout rooms that an application creates itself: beside their parent, and nowhere else.

use usher_bbb_sim::FaultKind;
use usher_common::{
    bbb::query::RawQuery,
    server::{AdminState, Health},
};

use crate::support::{Cluster, Heard};

/// Creates a breakout room of `parent`.
fn breakout(id: &str, parent: &str) -> String {
    format!("meetingID={id}&name=Room&isBreakout=true&sequence=1&freeJoin=true&parentMeetingID={parent}")
}

/// Where breakout rooms are, and of which instance.
fn rooms(cluster: &Cluster) -> Vec<(usize, String)> {
    let of = |(at, sim): (usize, &usher_bbb_sim::BbbSim)| {
        let rooms = sim.meetings().into_iter().filter_map(move |meeting| Some((at, meeting.parent?)));
        rooms.collect::<Vec<_>>()
    };
    cluster.sims.iter().enumerate().flat_map(of).collect()
}

fn placed(heard: &Heard) -> bool {
    matches!(heard, Heard::Placed { .. } | Heard::Confirmed { .. })
}

#[tokio::test]
async fn a_breakout_room_is_made_on_its_parents_server_and_is_no_meeting_of_its_own() {
    let cluster = Cluster::start(4).await;
    let mut wanted = Vec::new();
    for number in 0..3 {
        let id = format!("parent-{number}");
        let instance = cluster.client.create(&id).await.text("internalMeetingID").to_owned();
        cluster.confirmed(&id).await;
        wanted.push((cluster.home(&id), id, instance));
    }
    let before = cluster.plane.count(placed);
    for (home, id, instance) in &wanted {
        for parent in [id, instance] {
            let query = breakout(&format!("breakout-of-{parent}"), parent);
            let created = cluster.client.call("create", &query).await;
            assert_eq!(created.text("parentMeetingID"), instance, "{created:?}");
            let call = cluster.sims[*home].calls().into_iter().rev().find(|call| call.name == "create");
            let got = call.expect("was asked").query;
            assert_eq!(RawQuery::new(&got).first("parentMeetingID").as_deref(), Some(parent.as_str()));
            assert!(
                got.contains("sequence=1&freeJoin=true") && got.contains("meta_usher-tenant=default"),
                "{got}"
            );
        }
    }
    let mut expected: Vec<_> = wanted
        .iter()
        .flat_map(|(home, _, instance)| [(*home, instance.clone()), (*home, instance.clone())])
        .collect();
    let mut found = rooms(&cluster);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(cluster.plane.count(placed), before, "no record is made for it");
    let listed = cluster.client.call("getMeetings", "").await;
    assert_eq!(listed.body.matches("<isBreakout>true").count(), 6, "{listed:?}");
}

/// An id that looks like an internal one could name any meeting on the server.
#[tokio::test]
async fn the_parent_is_named_so_that_the_server_takes_it_for_no_other() {
    let cluster = Cluster::start(1).await;
    let other = cluster.client.create("other").await.text("internalMeetingID").to_owned();
    let id = &other[..2];
    let instance = cluster.client.create(id).await.text("internalMeetingID").to_owned();
    cluster.confirmed(id).await;
    let created = cluster.client.call("create", &breakout("breakout", id)).await;
    assert_eq!(created.text("parentMeetingID"), instance, "{created:?}");
}

#[tokio::test]
async fn without_its_parents_server_there_is_no_breakout_room_anywhere() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("parent").await;
    cluster.confirmed("parent").await;
    let home = cluster.home("parent");
    let server = format!("s{home}");
    // One that takes no new meetings takes the rooms of those it has.
    cluster.plane.alter_server(&server, |server| server.admin = AdminState::Cordoned);
    cluster.settled().await;
    assert!(cluster.client.call("create", &breakout("one", "parent")).await.is_success());
    for fault in [FaultKind::Refuse, FaultKind::Status500, FaultKind::ChecksumError] {
        cluster.sims[home].faults().set(fault).await;
        assert!(cluster.client.call("create", &breakout("two", "parent")).await.is_retryable(), "{fault:?}");
        cluster.sims[home].faults().clear().await;
    }
    cluster.plane.alter_server(&server, |server| server.health = Health::Offline);
    cluster.settled().await;
    let answer = cluster.client.call("create", &breakout("three", "parent")).await;
    assert_eq!(answer.key(), "parentMeetingDoesNotExist");
    cluster.plane.kill().await;
    assert!(
        cluster.client.call("create", &breakout("four", "parent")).await.is_retryable(),
        "nobody can say"
    );
    assert_eq!(rooms(&cluster).len(), 1);
    assert!(cluster.sims[1 - home].meetings().is_empty());
}
