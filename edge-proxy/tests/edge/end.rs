//! `end`: after its answer, no request is routed to the meeting.

use usher_model::server::Health;

use crate::support::{Cluster, Heard, ended, eventually, key};

#[tokio::test]
async fn an_ended_meeting_is_forgotten_before_the_caller_hears_of_it() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let answer = cluster.client.call("end", "meetingID=room").await;
    assert_eq!(answer.key(), "sentEndMeetingRequest");
    assert!(cluster.plane.meeting(&key("room")).is_none());
    assert_eq!(cluster.client.join("room").await.key(), "invalidMeetingIdentifier");
    assert_eq!(cluster.client.call("end", "meetingID=room").await.key(), "notFound");
    cluster.client.create("room").await;
}

#[tokio::test]
async fn an_end_by_internal_id_ends_the_meeting_it_names() {
    let cluster = Cluster::start(1).await;
    let internal = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    cluster.confirmed("room").await;
    assert!(cluster.client.call("end", &format!("meetingID={internal}")).await.is_success());
    assert_eq!(cluster.plane.count(ended("room")), 1);
}

/// The confirmation of a create may be late or lost. If an instance ended unconfirmed, and the
/// report of its end was lost too, the id would go back to the instance that it had superseded.
#[tokio::test]
async fn i2_an_end_before_the_confirmation_confirms_first_and_names_the_instance_and_the_placement() {
    let cluster = Cluster::start(1).await;
    cluster.plane.route_confirmed(false);
    let internal = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    eventually("the create's own word is heard", async || cluster.plane.count(confirmed) == 1).await;
    let refused = cluster.client.call("end", "meetingID=room").await;
    assert!(refused.is_retryable(), "{refused:?}");
    assert_eq!(cluster.sims[0].meetings().len(), 1, "what nobody knows of is not ended");
    cluster.plane.route_confirmed(true);
    assert!(cluster.client.call("end", "meetingID=room").await.is_success());
    let heard = cluster.plane.heard();
    let placed = heard.iter().find_map(|heard| match heard {
        Heard::Placed { token, .. } => Some(token.clone()),
        _ => None,
    });
    let token = placed.expect("was placed");
    let last: Vec<_> = heard.iter().rev().filter(|heard| confirmed(heard) || ended("room")(heard)).collect();
    let (internal_id, meeting) = (internal.clone(), "room".to_owned());
    assert_eq!(
        *last[0],
        Heard::Ended { meeting, internal_id, token: token.clone(), unsent: false },
        "{heard:?}"
    );
    assert_eq!(*last[1], Heard::Confirmed { server: "s0".into(), token, internal_id: internal }, "{heard:?}");
}

fn confirmed(heard: &Heard) -> bool {
    matches!(heard, Heard::Confirmed { .. })
}

#[tokio::test]
async fn a4_on_an_offline_server_a_meeting_is_marked_and_the_caller_gets_success() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.plane.alter_server("s0", |server| server.health = Health::Offline);
    cluster.settled().await;
    let ends = cluster.calls("end");
    assert_eq!(cluster.client.call("end", "meetingID=room").await.key(), "sentEndMeetingRequest");
    // The control plane may know that the server is back: it has to end the meeting all the same.
    let unsent = |heard: &Heard| matches!(heard, Heard::Ended { unsent: true, .. });
    assert_eq!(cluster.plane.count(unsent), 1);
    assert_eq!(cluster.calls("end"), ends, "the server is not asked");
}

#[tokio::test]
async fn with_no_control_plane_a_running_meeting_is_ended_all_the_same() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.plane.kill().await;
    assert!(cluster.client.call("end", "meetingID=room").await.is_success());
    assert!(cluster.sims[0].meetings().is_empty());
}
