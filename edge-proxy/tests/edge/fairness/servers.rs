//! The calls under way at one server.

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};

use super::crowd::{Crowd, cluster, crowd_call, is_served, shed};
use crate::support::{Client, eventually, signed};

#[tokio::test]
async fn reads_that_wait_for_a_hung_server_take_half_of_its_places_and_no_more() {
    let cluster = cluster(1, |_| {}).await;
    assert!(crowd_call(&cluster, "create", "meetingID=theirs&name=Room").await.is_success());
    let hung = SimFault::new(FaultKind::Hang).on(ApiCall::IsMeetingRunning);
    cluster.sims[0].faults().set(hung).await;
    let each = |number: usize| format!("meetingID=theirs&number={number}");
    let mut crowd = Crowd::of(&cluster, 500, "isMeetingRunning", each);
    crowd.is_refused(500 - 128).await;
    assert_eq!((crowd.further_answers(), shed(&cluster, "server_concurrency")), (0, 372.0));
    is_served(&cluster, "beside").await;
    assert!(crowd_call(&cluster, "getMeetings", "").await.is_success(), "its other calls are served");
    // Another tenant waits for the same server on its own account.
    let client = Client::new(cluster.client.address);
    let waiting = tokio::spawn(async move {
        client
            .get(&format!(
                "/bigbluebutton/api/isMeetingRunning?{}",
                signed("isMeetingRunning", "meetingID=room")
            ))
            .await
    });
    eventually("its read reaches the server", async || cluster.calls("isMeetingRunning") == 129).await;
    waiting.abort();
}

#[tokio::test]
async fn creates_of_a_crowd_at_a_hung_server_leave_places_for_others() {
    let cluster = cluster(1, |_| {}).await;
    cluster.sims[0].faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::Create)).await;
    let mut crowd = Crowd::of(&cluster, 100, "create", |number| format!("meetingID=room-{number}&name=Room"));
    crowd.is_refused(100 - 64).await;
    assert_eq!((cluster.calls("create"), shed(&cluster, "server_concurrency")), (1 + 64, 36.0));
    let client = Client::new(cluster.client.address);
    let waiting = tokio::spawn(async move { client.call("create", "meetingID=other&name=Room").await });
    eventually("a create of another tenant reaches the server", async || cluster.calls("create") == 66).await;
    waiting.abort();
    assert_eq!(crowd.further_answers(), 0);
    cluster.client.join("room").await.location();
    assert!(cluster.client.call("getMeetings", "").await.is_success());
}
