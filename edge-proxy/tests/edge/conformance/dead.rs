//! Calls about a meeting whose server is unreachable. While Usher does not know that the server is
//! offline, every call gets the retryable error and never a wrong answer. Once the server is
//! offline, its meetings do not exist, and can be created elsewhere.

use std::time::{Duration, Instant};

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimRecording};
use usher_model::server::Health;

use super::{Caller, Way, assert_refused, calls, said, ways};
use crate::support::Cluster;

/// Starts a server with a meeting and a recording.
async fn alone() -> (Cluster, Caller, String) {
    // Calls with documents have a longer timeout, which this test shortens.
    let cluster = Cluster::start_with(1, |settings| {
        settings.meetings.upload_timeout = settings.meetings.create_timeout;
    })
    .await;
    let caller = Caller::default(&cluster.client);
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.sims[0].add_recording(SimRecording::new("room", 17));
    let id = cluster.sims[0].recordings()[0].record_id.clone();
    let query = format!(
        "meetingID=room&name=Room&fullName=Ada&role=VIEWER&message=Hi&recordID={id}&publish=false&kind=captions&lang=en"
    );
    (cluster, caller, query)
}

#[tokio::test]
async fn a_server_that_is_gone_makes_every_call_one_to_try_again() {
    for fault in [FaultKind::Refuse, FaultKind::HangOnAccept] {
        let (cluster, caller, query) = alone().await;
        cluster.sims[0].faults().set(fault).await;
        let (caller, query) = (&caller, &query);
        let made = calls().flat_map(|call| ways(call).into_iter().map(move |way| (call, way)));
        let asking = made.map(|(call, way)| async move {
            let begun = Instant::now();
            let answer = caller.call(call, query, way).await;
            let what = format!("{fault:?} {call} {way:?}: {answer:?}");
            if call == ApiCall::Join {
                answer.location(); // the browser will get the connection error
                return;
            }
            let outcome = said(call, &answer);
            assert_eq!((outcome.success, outcome.key.as_str()), (false, "serverUnavailable"), "{what}");
            assert!(answer.headers.contains_key("retry-after"), "{what}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        });
        futures::future::join_all(asking).await;
        cluster.sims[0].faults().clear().await;
        assert!(
            caller.call(ApiCall::GetMeetingInfo, "meetingID=room", Way::Get).await.is_success(),
            "it runs on"
        );
    }
}

#[tokio::test]
async fn with_an_offline_server_each_call_answers_by_the_state_of_the_fleet() {
    let (cluster, caller, query) = alone().await;
    cluster.plane.alter_server("s0", |server| server.health = Health::Offline);
    cluster.settled().await;
    cluster.sims[0].forget_calls();
    for call in calls() {
        for way in ways(call) {
            let answer = caller.call(call, &query, way).await;
            let what = format!("{call} {way:?}");
            match call {
                ApiCall::IsMeetingRunning => assert_eq!(answer.text("running"), "false", "{what}"),
                ApiCall::GetMeetingInfo => {
                    assert_refused(
                        call,
                        &answer,
                        ("notFound", "A meeting with that ID does not exist"),
                        &what,
                    );
                }
                ApiCall::Join => assert_eq!(answer.key(), "invalidMeetingIdentifier", "{what}"),
                ApiCall::SendChatMessage => assert_eq!(answer.key(), "meetingNotFound", "{what}"),
                ApiCall::InsertDocument => {
                    assert_eq!(answer.text("message"), "Meeting with id [room] not found.", "{what}");
                }
                // The first `end` is recorded until the server returns. Afterwards no meeting has
                // the id.
                ApiCall::End if way == Way::Get => {
                    assert_eq!(answer.key(), "sentEndMeetingRequest", "{what}");
                }
                ApiCall::End => assert_eq!(answer.key(), "notFound", "{what}"),
                // No reachable server has a list or accepts a meeting.
                ApiCall::GetMeetings | ApiCall::GetSessions
                    if !answer.headers.contains_key("retry-after") =>
                {
                    assert!(answer.is_success(), "{what}: {answer:?}");
                }
                // A recording still exists while its server is offline.
                _ => assert_eq!(said(call, &answer).key, "serverUnavailable", "{what}"),
            }
        }
    }
    assert!(cluster.sims[0].calls().is_empty(), "nobody waits for it");
}

#[tokio::test]
async fn a_create_of_a_meeting_of_an_offline_server_goes_elsewhere_in_every_way() {
    for way in ways(ApiCall::Create) {
        let cluster = Cluster::start(2).await;
        let caller = Caller::default(&cluster.client);
        cluster.client.create("room").await;
        cluster.confirmed("room").await;
        let home = cluster.home("room");
        cluster.plane.alter_server(&format!("s{home}"), |server| server.health = Health::Offline);
        cluster.settled().await;
        let created = caller.call(ApiCall::Create, "meetingID=room&name=Room", way).await;
        assert!(created.is_success() && created.key().is_empty(), "{way:?}: {created:?}");
        assert_eq!(cluster.sims[1 - home].meetings().len(), 1, "{way:?}");
    }
}
