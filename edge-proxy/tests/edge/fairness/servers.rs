//! The calls under way at one server.

use std::time::{Duration, Instant};

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};

use super::crowd::{Crowd, cluster, crowd_call, is_served, shed};
use crate::support::{Client, Cluster, Heard, eventually, signed};

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
    // Creates outlive their clients, and keep their places until the server has answered.
    drop(crowd);
    eventually("the clients have gone", async || cluster.metric("usher_edge_connections") <= 2.0).await;
    assert!(crowd_call(&cluster, "create", "meetingID=more&name=Room").await.is_retryable());
    assert_eq!((cluster.calls("create"), shed(&cluster, "server_concurrency")), (66, 37.0));
}

/// A server gets one large document of an edge at a time, each for 0.1 s at most, and the tenants take turns.
#[tokio::test]
async fn large_documents_of_a_crowd_reach_a_server_one_after_the_other() {
    const PAUSE: Duration = Duration::from_millis(200);
    let cluster = cluster(1, |_| {}).await;
    let document = "QUFB".repeat(192 << 10);
    let body = format!(
        "<modules><module name=\"presentation\"><document name=\"a.pdf\">{document}</document></module></modules>"
    );
    cluster.sims[0].faults().set(SimFault::new(FaultKind::Slow(PAUSE)).on(ApiCall::Create)).await;
    let begun = Instant::now();
    let each = |number: usize| format!("meetingID=room-{number}&name=Room");
    let mut crowd = Crowd::with_body(&cluster, 8, "create", each, &body);
    eventually("the first documents have reached the server", async || cluster.calls("create") >= 3).await;
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=own&name=Room"));
    let own = cluster.client.send("POST", &path, &[("content-type", "application/xml")], body.clone()).await;
    assert!(own.is_success(), "{own:?}");
    assert!(crowd.further_answers() < 8, "the other tenant does not wait for the whole crowd");
    eventually("all are there", async || cluster.sims[0].meetings().len() == 10).await;
    assert!(begun.elapsed() >= PAUSE * 4, "nine documents, one every 100 ms: {:?}", begun.elapsed());
}

/// Returns the numbers of placements and of abandoned ones.
fn placements(cluster: &Cluster) -> (usize, usize) {
    let heard = cluster.plane.heard();
    let placed = heard.iter().filter(|heard| matches!(heard, Heard::Placed { .. })).count();
    let abandoned = heard.iter().filter(|heard| matches!(heard, Heard::Abandoned { .. })).count();
    (placed, abandoned)
}

#[tokio::test]
async fn no_create_is_placed_on_a_server_that_has_no_place_for_it() {
    let cluster = cluster(2, |_| {}).await;
    let home = cluster.home("room");
    let hang = SimFault::new(FaultKind::Hang).on(ApiCall::Create);
    cluster.sims[home].faults().set(hang).await;
    // One after the other, so that the other server has places for all that it gets.
    let of = |size: usize, begin: &'static str| {
        Crowd::of(&cluster, size, "create", move |number| format!("meetingID={begin}-{number}&name=Room"))
    };
    let mut crowds = Vec::new();
    for (size, begin, answered) in [(100, "first", 50), (60, "second", 60 - (64 - 50))] {
        let mut crowd = of(size, begin);
        for _ in 0..answered {
            let answer = crowd.answers.recv().await.expect("is answered");
            assert!(answer.is_success(), "{answer:?}");
        }
        crowds.push(crowd);
    }
    let (placed, abandoned) = placements(&cluster);
    for number in 0..5 {
        let created = crowd_call(&cluster, "create", &format!("meetingID=late-{number}&name=Room")).await;
        assert!(created.is_success(), "{created:?}");
    }
    assert_eq!(placements(&cluster), (placed + 5, abandoned), "each is placed once, on the other server");
    cluster.sims[1 - home].faults().set(hang).await;
    let mut more = of(80, "more");
    more.is_refused(80 - 64).await;
    let ((placed, abandoned), before) = (placements(&cluster), shed(&cluster, "server_concurrency"));
    for number in 0..5 {
        let query = format!("meetingID=last-{number}&name=Room");
        assert!(crowd_call(&cluster, "create", &query).await.is_retryable());
    }
    assert_eq!(placements(&cluster), (placed, abandoned), "no control plane is asked");
    assert_eq!(shed(&cluster, "server_concurrency") - before, 5.0);
    // The other tenant has its places, and an id that exists is not refused for it.
    let other = Client::new(cluster.client.address);
    let waiting = tokio::spawn(async move { other.call("create", "meetingID=other&name=Room").await });
    eventually("another tenant's create is placed", async || placements(&cluster).0 == placed + 1).await;
    waiting.abort();
}
