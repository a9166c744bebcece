//! `join`: answered from the table alone, with unchanged parameters byte for byte.

use usher_bbb::{checksum::verify, query::RawQuery};
use usher_model::{
    id::ServerId,
    routing::{MeetingRoute, RouteState},
    server::{AdminState, Health},
};

use crate::support::{Cluster, Heard, ended, eventually, key, signed};

fn pending(id: &str) -> MeetingRoute {
    MeetingRoute {
        key: key(id),
        server: ServerId::parse("s0").expect("is an id"),
        state: RouteState::Pending,
        voice_bridge: None,
    }
}

#[tokio::test]
async fn c9_a_known_meeting_is_joined_without_any_other_call() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let resolved = cluster.plane.count(|heard| *heard == Heard::Resolved);
    cluster.plane.kill().await;
    cluster.sims[0].forget_calls();
    let query = "&fullName=J%c3%bcrgen+x%20'y'&meetingID=room&role=MODERATOR&userdata-a=1&userdata-a=2&x=&redirect=false";
    let answer = cluster.client.call("join", query).await;
    let (address, sent) = answer.location();
    assert_eq!(address, format!("{}join", cluster.sims[0].url()));
    let parts = RawQuery::new(&sent).take_checksum().unwrap();
    assert_eq!(parts.query, query);
    assert!(verify("join", query, &parts.checksum, [cluster.sims[0].secret()]));
    assert_eq!(cluster.plane.count(|heard| *heard == Heard::Resolved), resolved);
    assert!(cluster.sims[0].calls().is_empty());
    assert_eq!(answer.headers["cache-control"], "no-cache");
}

#[tokio::test]
async fn a_join_right_after_a_create_elsewhere_is_resolved() {
    let cluster = Cluster::start(1).await;
    cluster.plane.change(true, |delta| {
        delta.meetings.insert(key("room"), Some(pending("room")));
    });
    assert_eq!(
        cluster.client.join("room").await.redirected_query(),
        "meetingID=room&fullName=Ada&role=MODERATOR"
    );
    assert!(cluster.plane.count(|heard| *heard == Heard::Resolved) >= 1);
}

/// The caller knows the internal id from the answer to its create, whose confirmation may be under
/// way for long.
#[tokio::test]
async fn an_unconfirmed_meeting_is_used_by_the_internal_id_of_its_answer() {
    let cluster = Cluster::start(1).await;
    cluster.plane.route_confirmed(false);
    let internal = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    cluster.settled().await;
    let join = cluster.client.join(&internal).await;
    assert_eq!(join.redirected_query(), format!("meetingID={internal}&fullName=Ada&role=MODERATOR"));
    let by_internal = format!("meetingID={internal}");
    let info = cluster.client.call("getMeetingInfo", &by_internal).await;
    assert_eq!(info.text("meetingID"), "room");
    let running = cluster.client.call("isMeetingRunning", &by_internal).await;
    assert!(running.is_success(), "{running:?}");
    let other = internal.replace('-', "-1");
    let unknown = cluster.client.call("getMeetingInfo", &format!("meetingID={other}")).await;
    assert_eq!(unknown.key(), "notFound", "the server knows which instance runs");
    assert!(cluster.client.call("end", &by_internal).await.is_retryable(), "it is not confirmed");
    cluster.plane.route_confirmed(true);
    assert!(cluster.client.call("end", &format!("meetingID={other}")).await.key() == "notFound");
    assert_eq!(cluster.sims[0].meetings().len(), 1);
    assert!(cluster.client.call("end", &by_internal).await.is_success());
    assert!(cluster.sims[0].meetings().is_empty());
}

/// Neither the placement nor the confirmation has come to the table of the edge that is asked.
#[tokio::test]
async fn a_meeting_of_another_edge_is_used_by_its_internal_id_before_the_table_knows_it() {
    let cluster = Cluster::start(1).await;
    cluster.plane.fall_silent();
    let internal = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    eventually("the create is confirmed", async || {
        cluster.plane.meeting(&key("room")).is_some_and(|meeting| meeting.state != RouteState::Pending)
    })
    .await;
    cluster.client.join(&internal).await.location();
    let by_internal = format!("meetingID={internal}");
    assert_eq!(cluster.client.call("getMeetingInfo", &by_internal).await.text("meetingID"), "room");
    assert!(cluster.client.call("end", &by_internal).await.is_success());
    assert!(cluster.sims[0].meetings().is_empty());
    assert_eq!(cluster.plane.count(ended("room")), 1);
}

#[tokio::test]
async fn pending_meetings_and_internal_ids_are_joined() {
    let cluster = Cluster::start(1).await;
    cluster.plane.set_meeting(pending("early"));
    cluster.settled().await;
    cluster.client.join("early").await.location();
    let internal = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    cluster.confirmed("room").await;
    cluster.client.join(&internal).await.location();
    let prefix = &internal[..40];
    assert_eq!(cluster.client.join(prefix).await.key(), "invalidMeetingIdentifier", "never by a prefix");
}

#[tokio::test]
async fn meetings_of_offline_and_disabled_servers_are_not_joined_those_of_others_are() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    for (admin, health, joinable) in [
        (AdminState::Enabled, Health::Unhealthy, true),
        (AdminState::Cordoned, Health::Online, true),
        (AdminState::Enabled, Health::Offline, false),
        (AdminState::Disabled, Health::Online, false),
        (AdminState::Enabled, Health::Online, true),
    ] {
        cluster.plane.alter_server("s0", |server| (server.admin, server.health) = (admin, health));
        cluster.settled().await;
        let answer = cluster.client.join("room").await;
        assert_eq!(answer.status == 302, joinable, "{admin:?} {health:?}");
        if !joinable {
            assert_eq!(answer.key(), "invalidMeetingIdentifier");
        }
    }
}

#[tokio::test]
async fn without_a_control_plane_an_unknown_meeting_is_retryable_for_every_call() {
    let cluster = Cluster::start(1).await;
    cluster.plane.kill().await;
    assert!(cluster.client.join("none").await.is_retryable());
    for call in ["getMeetingInfo", "isMeetingRunning", "end"] {
        assert!(cluster.client.call(call, "meetingID=none").await.is_retryable(), "{call}");
    }
}

/// The table may be old: the edge must not report that a meeting does not exist while it runs
/// elsewhere.
#[tokio::test]
async fn i13_without_a_control_plane_a_meeting_of_an_offline_server_is_retryable() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.plane.alter_server("s0", |server| server.health = Health::Offline);
    cluster.settled().await;
    cluster.plane.kill().await;
    assert!(cluster.client.join("room").await.is_retryable());
    for call in ["getMeetingInfo", "isMeetingRunning", "end"] {
        assert!(cluster.client.call(call, "meetingID=room").await.is_retryable(), "{call}");
    }
}

#[tokio::test]
async fn error_redirects_are_followed_only_after_the_checksum_verified() {
    let cluster = Cluster::start(1).await;
    let query = "meetingID=none&fullName=a&role=VIEWER&errorRedirectUrl=https%3A%2F%2Fapp.test%2F";
    let (address, errors) = cluster.client.call("join", query).await.location();
    assert_eq!(address, "https://app.test/");
    assert!(errors.starts_with("errors=[%7B%22key%22:%22invalidMeetingIdentifier%22"), "{errors}");
    let forged = format!("/bigbluebutton/api/join?{query}&checksum={}", "0".repeat(40));
    assert_eq!(cluster.client.get(&forged).await.key(), "checksumError");
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_and_a_body_is_never_read() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let query = signed("join", "meetingID=room&fullName=a&role=VIEWER");
    let path = format!("/bigbluebutton/api/join?{query}");
    cluster.client.send("HEAD", &path, &[], "").await.location();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = cluster.client.send("GET", &path, &form, "fullName=evil&role=MODERATOR").await;
    assert_eq!(answer.redirected_query(), "meetingID=room&fullName=a&role=VIEWER");
    assert_eq!(cluster.client.send("POST", &path, &form, "x=1").await.key(), "unsupportedRequest");
}
