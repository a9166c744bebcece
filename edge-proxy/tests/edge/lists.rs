//! `getMeetings`: all servers at once, the answers that arrive by the deadline, each meeting once.

use std::time::Instant;

use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign_query},
    parse::{ServerReply as Parsed, meetings},
    secret::Secret,
};
use usher_bbb_sim::{FaultKind, SimFault};
use usher_model::server::Health;

use crate::support::{Answer, Cluster, tenant};

fn ids(answer: &Answer) -> Vec<String> {
    assert!(answer.is_success(), "{answer:?}");
    let Ok(Parsed::Success(listed)) = meetings(&answer.body) else { panic!("{answer:?}") };
    listed.into_iter().map(|meeting| meeting.meeting_id).collect()
}

#[tokio::test]
async fn the_lists_of_all_servers_are_one_without_our_metadata() {
    let cluster = Cluster::start(3).await;
    for index in 0..6 {
        cluster.client.create(&format!("room-{index}")).await;
        cluster.confirmed(&format!("room-{index}")).await;
    }
    let answer = cluster.client.call("getMeetings", "").await;
    let mut listed = ids(&answer);
    listed.sort();
    assert_eq!(listed, ["room-0", "room-1", "room-2", "room-3", "room-4", "room-5"]);
    assert!(!answer.body.contains("usher"), "{answer:?}");
    assert_eq!(ids(&answer), ids(&cluster.client.call("getMeetings", "x=1").await), "the order is stable");
}

#[tokio::test]
async fn s8_one_server_that_hangs_neither_fails_nor_delays_the_others() {
    let cluster = Cluster::start(3).await;
    for index in 0..3 {
        cluster.client.create(&format!("room-{index}")).await;
        cluster.confirmed(&format!("room-{index}")).await;
    }
    let hung = cluster.home("room-0");
    cluster.sims[hung].faults().set(FaultKind::HangOnAccept).await;
    let begun = Instant::now();
    let listed = ids(&cluster.client.call("getMeetings", "").await);
    assert!(begun.elapsed().as_millis() < 1_500, "{:?}", begun.elapsed());
    assert_eq!(listed.len(), 2);
    assert!(cluster.metric("usher_edge_partial_lists_total") >= 1.0);
    for sim in &cluster.sims {
        sim.faults().set(FaultKind::Status500).await;
    }
    assert!(cluster.client.call("getMeetings", "").await.is_retryable(), "an empty list would be a lie");
}

#[tokio::test]
async fn s9_a_meeting_that_runs_twice_is_listed_once() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let home = cluster.home("room");
    let name = format!("s{home}");
    cluster.plane.alter_server(&name, |server| server.health = Health::Offline);
    cluster.settled().await;
    let active = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    cluster.confirmed("room").await;
    cluster.plane.alter_server(&name, |server| server.health = Health::Online);
    cluster.settled().await;
    let answer = cluster.client.call("getMeetings", "").await;
    assert_eq!(ids(&answer), ["room"]);
    assert_eq!(answer.text("internalMeetingID"), active);
}

#[tokio::test]
async fn a_tenant_sees_no_meeting_of_another() {
    let cluster = Cluster::start(1).await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.client.create("room").await;
    cluster.settled().await;
    let query =
        sign_query(ChecksumAlgorithm::Sha256, "getMeetings", String::new(), &Secret::new("school-secret"));
    let answer = cluster.client.get(&format!("/school/bigbluebutton/api/getMeetings?{query}")).await;
    assert_eq!((ids(&answer).len(), answer.key().as_str()), (0, "noMeetings"));
}

#[tokio::test]
async fn the_list_can_be_switched_off() {
    let cluster = Cluster::start_with(1, |settings| settings.meetings.get_meetings_disabled = true).await;
    cluster.client.create("room").await;
    assert_eq!(cluster.client.call("getMeetings", "").await.key(), "noMeetings");
    assert_eq!(cluster.calls("getMeetings"), 0);
}

#[tokio::test]
async fn simultaneous_list_requests_are_one_call_to_each_server() {
    let cluster = Cluster::start(2).await;
    let slow = FaultKind::Slow(std::time::Duration::from_millis(300));
    for sim in &cluster.sims {
        sim.faults().set(SimFault::new(slow).on(ApiCall::GetMeetings)).await;
    }
    let asking = (0..30).map(|_| cluster.client.call("getMeetings", ""));
    assert!(futures::future::join_all(asking).await.iter().all(Answer::is_success));
    let calls = cluster.calls("getMeetings");
    assert!((2..=4).contains(&calls), "{calls} calls for 30 lists of 2 servers");
}
