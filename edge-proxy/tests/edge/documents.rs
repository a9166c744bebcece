//! Calls that bring documents: servers fetch the documents before they answer, which may take
//! minutes.

use std::time::Duration;

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    routing::{MeetingRoute, RouteState},
};

use crate::support::{Answer, Cluster, Heard, key, signed};

const XML: [(&str, &str); 1] = [("content-type", "application/xml")];
const MODULES: &str =
    "<modules><module name=\"presentation\"><document name=\"a\">QUJD</document></module></modules>";

/// Starts a cluster whose server takes three times the timeout of creates and other calls.
async fn slow(call: ApiCall) -> Cluster {
    let cluster = Cluster::start_with(1, |settings| {
        settings.meetings.create_timeout = Duration::from_millis(300);
        settings.meetings.call_timeout = Duration::from_millis(300);
        settings.meetings.upload_timeout = Duration::from_secs(20);
    })
    .await;
    cluster.sims[0].faults().set(SimFault::new(FaultKind::Slow(Duration::from_millis(900))).on(call)).await;
    cluster
}

/// Changes the table as a poll does that has found the meeting.
async fn list(cluster: &Cluster, id: &str) {
    let internal = InternalMeetingId::parse(&format!("{id}-17")).expect("is an id");
    let server = ServerId::parse("s0").expect("is an id");
    let state = RouteState::Active(internal);
    cluster.plane.set_meeting(MeetingRoute { key: key(id), server, state, voice_bridge: None });
    cluster.settled().await;
}

async fn create(cluster: &Cluster, query: &str, body: &'static str) -> Answer {
    let path = format!("/bigbluebutton/api/create?{}", signed("create", query));
    cluster.client.send("POST", &path, &XML, body).await
}

#[tokio::test]
async fn a_create_whose_meeting_is_listed_may_take_as_long_as_its_documents() {
    let cluster = slow(ApiCall::Create).await;
    list(&cluster, "room").await;
    assert!(create(&cluster, "meetingID=room&name=Room", MODULES).await.is_success());
    list(&cluster, "second").await;
    let named = "meetingID=second&name=Room&preUploadedPresentation=https%3A%2F%2Fa.test%2Fa.pdf";
    assert!(cluster.client.call("create", named).await.is_success());
    list(&cluster, "third").await;
    let plain = cluster.client.call("create", "meetingID=third&name=Room").await;
    assert!(plain.is_retryable(), "without documents there is nothing to wait for: {plain:?}");
}

#[tokio::test]
async fn h13_a_create_of_an_unseen_meeting_is_abandoned_in_time() {
    let cluster = slow(ApiCall::Create).await;
    assert!(create(&cluster, "meetingID=room&name=Room", MODULES).await.is_retryable());
    let heard = cluster.plane.heard();
    assert!(heard.iter().any(|heard| matches!(heard, Heard::Abandoned { definite: false, .. })), "{heard:?}");
}

#[tokio::test]
async fn a_document_may_be_inserted_slowly() {
    let cluster = slow(ApiCall::InsertDocument).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let path = format!("/bigbluebutton/api/insertDocument?{}", signed("insertDocument", "meetingID=room"));
    assert!(cluster.client.send("POST", &path, &XML, MODULES).await.is_success());
}
