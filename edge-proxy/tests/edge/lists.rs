//! `getMeetings`: all servers at once, the answers that arrive by the deadline, each meeting once.

use std::time::{Duration, Instant};

use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign_query},
    parse::{ServerReply as Parsed, meetings},
    secret::Secret,
};
use usher_bbb_sim::{FaultKind, SimFault};
use usher_model::server::Health;

use crate::{
    support::{Answer, Cluster, tenant},
    tenants::Tenant,
};

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
    let cluster = Cluster::start_with(3, |settings| settings.meetings.share_lists_for = Duration::ZERO).await;
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
    let slow = FaultKind::Slow(Duration::from_millis(300));
    for sim in &cluster.sims {
        sim.faults().set(SimFault::new(slow).on(ApiCall::GetMeetings)).await;
    }
    let asking = (0..30).map(|_| cluster.client.call("getMeetings", ""));
    assert!(futures::future::join_all(asking).await.iter().all(Answer::is_success));
    let calls = cluster.calls("getMeetings");
    assert!((2..=4).contains(&calls), "{calls} calls for 30 lists of 2 servers");
}

/// Lists what a tenant sees, as its client.
async fn listed(tenant: &Tenant, call: &str) -> Vec<String> {
    let answer = tenant.call(call, "").await;
    assert!(answer.is_success(), "{answer:?}");
    let Ok(Parsed::Success(listed)) = meetings(&answer.body) else { panic!("{answer:?}") };
    listed.into_iter().map(|meeting| meeting.meeting_id).collect()
}

/// The interval is long, so that the test does not depend on the speed of the machine.
async fn sharing_cluster(servers: usize) -> Cluster {
    let long = Duration::from_mins(10);
    Cluster::start_with(servers, |settings| settings.meetings.share_lists_for = long).await
}

#[tokio::test]
async fn equal_lists_of_all_tenants_within_the_interval_are_one_call_to_each_server() {
    let cluster = sharing_cluster(2).await;
    let mut tenants = Vec::new();
    for id in ["default", "school", "hall"] {
        let tenant = Tenant::join_cluster(&cluster, id).await;
        let created = tenant.call("create", &format!("meetingID=of-{id}&name=Room")).await;
        assert!(created.is_success(), "{created:?}");
        tenants.push((id, tenant));
    }
    cluster.settled().await;
    for _ in 0..5 {
        for (id, tenant) in &tenants {
            assert_eq!(listed(tenant, "getMeetings").await, [format!("of-{id}")]);
            assert!(tenant.call("getSessions", "").await.is_success());
        }
    }
    assert_eq!((cluster.calls("getMeetings"), cluster.calls("getSessions")), (2, 2));
    assert!(cluster.metric("usher_edge_shared_reads_total") >= 50.0);
}

#[tokio::test]
async fn a_tenants_own_create_and_end_are_in_its_next_list_and_cost_others_no_call() {
    let cluster = sharing_cluster(1).await;
    let default = Tenant::join_cluster(&cluster, "default").await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    for round in 1..=3 {
        assert!(listed(&school, "getMeetings").await.is_empty(), "round {round}");
        assert!(default.call("create", "meetingID=room&name=Room").await.is_success());
        assert_eq!(listed(&default, "getMeetings").await, ["room"]);
        let calls = cluster.calls("getMeetings");
        assert!(listed(&school, "getMeetings").await.is_empty());
        cluster.confirmed("room").await;
        assert!(default.call("end", "meetingID=room").await.is_success());
        assert!(listed(&school, "getMeetings").await.is_empty());
        assert_eq!(cluster.calls("getMeetings"), calls, "another tenant's changes");
        assert!(listed(&default, "getMeetings").await.is_empty());
    }
}

#[tokio::test]
async fn without_an_interval_every_list_is_asked() {
    let cluster = Cluster::start_with(1, |settings| settings.meetings.share_lists_for = Duration::ZERO).await;
    for calls in 1..=3 {
        assert!(cluster.client.call("getMeetings", "").await.is_success());
        assert_eq!(cluster.calls("getMeetings"), calls);
    }
}

#[tokio::test]
async fn a_server_that_failed_is_asked_again_by_the_next_list() {
    let cluster = sharing_cluster(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let home = cluster.home("room");
    cluster.sims[home].faults().set(FaultKind::Html).await;
    assert!(ids(&cluster.client.call("getMeetings", "").await).is_empty());
    cluster.sims[home].faults().clear().await;
    assert_eq!(ids(&cluster.client.call("getMeetings", "").await), ["room"]);
    assert_eq!(cluster.sims[1 - home].calls().iter().filter(|call| call.name == "getMeetings").count(), 1);
}
