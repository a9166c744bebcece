//! Calls that the meeting's own server answers.

use std::time::{Duration, Instant};

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};

use crate::support::{Answer, Cluster};

#[tokio::test]
async fn info_comes_from_the_owner_without_our_metadata() {
    let cluster = Cluster::start(2).await;
    assert!(cluster.client.call("create", "meetingID=room&name=Room&meta_a=b").await.is_success());
    cluster.confirmed("room").await;
    let info = cluster.client.call("getMeetingInfo", "meetingID=room").await;
    assert_eq!((info.text("meetingName"), info.text("a")), ("Room", "b"));
    assert!(!info.body.contains("usher"), "{info:?}");
    let internal = info.text("internalMeetingID").to_owned();
    let by_internal = cluster.client.call("getMeetingInfo", &format!("meetingID={internal}")).await;
    assert_eq!(by_internal.text("meetingID"), "room");
    assert_eq!(cluster.client.call("isMeetingRunning", "meetingID=room").await.text("running"), "false");
    let chat = cluster.client.call("sendChatMessage", "meetingID=room&message=hi").await;
    assert!(chat.headers.contains_key("content-type"));
}

#[tokio::test]
async fn identical_reads_at_once_share_one_call() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let slow = SimFault::new(FaultKind::Slow(Duration::from_millis(300))).on(ApiCall::GetMeetingInfo);
    cluster.sims[0].faults().set(slow).await;
    let asking = (0..40).map(|_| cluster.client.call("getMeetingInfo", "meetingID=room"));
    assert!(futures::future::join_all(asking).await.iter().all(Answer::is_success));
    assert!(cluster.calls("getMeetingInfo") <= 3, "{} calls", cluster.calls("getMeetingInfo"));
    assert!(cluster.metric("usher_edge_shared_reads_total") >= 30.0);
}

#[tokio::test]
async fn c2_every_fault_of_a_server_ends_in_the_retryable_error_in_time() {
    for kind in [
        FaultKind::Refuse,
        FaultKind::HangOnAccept,
        FaultKind::Hang,
        FaultKind::Trickle(Duration::from_millis(400)),
        FaultKind::LostAnswer,
        FaultKind::Status500,
        FaultKind::Html,
        FaultKind::CutXml,
        FaultKind::EmptyBody,
        FaultKind::ChecksumError,
    ] {
        let cluster = Cluster::start(1).await;
        cluster.client.create("room").await;
        cluster.confirmed("room").await;
        cluster.sims[0].faults().set(kind).await;
        for call in ["getMeetingInfo", "isMeetingRunning", "end"] {
            let begun = Instant::now();
            let answer = cluster.client.call(call, "meetingID=room").await;
            assert!(answer.is_retryable(), "{kind:?} {call}: {answer:?}");
            assert!(begun.elapsed() < Duration::from_millis(1_600), "{kind:?} {call}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn c1_a_server_that_hangs_does_not_slow_the_joins_of_others() {
    let cluster = Cluster::start(2).await;
    for index in 0..4 {
        cluster.client.create(&format!("room-{index}")).await;
        cluster.confirmed(&format!("room-{index}")).await;
    }
    let hung = cluster.home("room-0");
    cluster.sims[hung].faults().set(FaultKind::Hang).await;
    let asking = (0..50).map(|_| cluster.client.call("getMeetingInfo", "meetingID=room-0"));
    let joining = async {
        let mut times = Vec::new();
        for round in 0..200 {
            let begun = Instant::now();
            cluster.client.join(&format!("room-{}", round % 4)).await.location();
            times.push(begun.elapsed());
        }
        times.sort();
        times[197]
    };
    let (_, p99) = futures::join!(futures::future::join_all(asking), joining);
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
}
