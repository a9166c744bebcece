//! Two tenants with equal ids on one server: each call concerns only the meetings and recordings of
//! its tenant.

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{SimRecording, SimRecordingState};
use usher_model::{id::TenantId, meeting::MeetingKey, routing::RouteState};

use super::{Caller, Way, assert_refused, said, ways};
use crate::support::{Cluster, eventually, key, raw, tenant};

const IDS: [&str; 2] = ["default", "school"];

/// Starts a server with a `room` of each tenant, and a recording of each.
async fn both() -> (Cluster, [Caller; 2], [String; 2]) {
    let cluster = Cluster::start(1).await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    let callers =
        [Caller::default(&cluster.client), Caller::tenant(&cluster.client, "school", "school-secret")];
    let mut instances = Vec::new();
    for (caller, id) in callers.iter().zip(IDS) {
        let query =
            format!("meetingID=room&name=Room+of+{id}&moderatorPW={id}&attendeePW=at-{id}&meta_of={id}");
        let created = caller.call(ApiCall::Create, &query, Way::Get).await;
        assert_eq!((created.key().as_str(), created.text("moderatorPW")), ("", id), "{created:?}");
        instances.push(created.text("internalMeetingID").to_owned());
        let meeting = MeetingKey { tenant: TenantId::parse(id).expect("is an id"), ..key("room") };
        eventually("the meeting is confirmed", async || {
            let route = cluster.plane.meeting(&meeting);
            route.is_some_and(|route| matches!(route.state, RouteState::Active(_)))
        })
        .await;
        let on_server = if id == "default" { "room".to_owned() } else { format!("{id}~room") };
        let recording = SimRecording::new(&on_server, 17).with("usher-tenant", id).with("of", id);
        cluster.sims[0].add_recording(recording);
    }
    cluster.settled().await;
    (cluster, callers, instances.try_into().expect("are two"))
}

/// Returns the meeting of one of the tenants on the server.
fn of(cluster: &Cluster, id: &str) -> usher_bbb_sim::SimMeeting {
    let meetings = cluster.sims[0].meetings();
    meetings.into_iter().find(|meeting| meeting.metadata["of"] == id).expect("runs")
}

#[tokio::test]
async fn every_call_about_a_meeting_concerns_the_callers_own() {
    let (cluster, callers, instances) = both().await;
    for (at, (caller, id)) in callers.iter().zip(IDS).enumerate() {
        let other = IDS[1 - at];
        let (own, foreign) = (&instances[at], &instances[1 - at]);
        let before = of(&cluster, other);
        for way in ways(ApiCall::Create) {
            let again = caller.call(ApiCall::Create, "meetingID=room&name=Room", way).await;
            assert_eq!((again.text("internalMeetingID"), again.text("moderatorPW")), (&**own, id), "{way:?}");
        }
        let join = "meetingID=room&role=MODERATOR&fullName=".to_owned() + id;
        let (_, query) = caller.call(ApiCall::Join, &join, Way::Get).await.location();
        let request =
            format!("GET {}/join?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", super::API);
        raw(cluster.sims[0].address(), request.as_bytes()).await;
        assert_eq!(of(&cluster, id).users, [id]);
        for call in
            [ApiCall::GetMeetingInfo, ApiCall::GetMeetings, ApiCall::GetSessions, ApiCall::IsMeetingRunning]
        {
            for way in ways(call) {
                let answer = caller.call(call, "meetingID=room", way).await;
                let body = answer.body.replace("attendee", "");
                assert!(
                    answer.is_success() && !body.contains(other) && !body.contains('~'),
                    "{call}: {answer:?}"
                );
                let shows = call == ApiCall::IsMeetingRunning || body.contains(&format!("Room of {id}"));
                assert!(
                    shows && (call != ApiCall::IsMeetingRunning || answer.text("running") == "true"),
                    "{answer:?}"
                );
            }
        }
        caller.call(ApiCall::SendChatMessage, &format!("meetingID=room&message={id}"), Way::Get).await;
        caller.call(ApiCall::InsertDocument, "meetingID=room", Way::Xml).await;
        assert_eq!(of(&cluster, id).chat.len(), 1);
        // Neither the other tenant's internal id nor the scoped id on the server reaches the other
        // tenant's meeting.
        for stolen in [foreign.as_str(), "school~room", "default~room", &foreign[..40], &foreign[..2]] {
            let query = format!("meetingID={stolen}");
            for call in [ApiCall::GetMeetingInfo, ApiCall::End] {
                let words = ("notFound", "A meeting with that ID does not exist");
                for way in ways(call) {
                    assert_refused(call, &caller.call(call, &query, way).await, words, stolen);
                }
            }
            let joined =
                caller.call(ApiCall::Join, &format!("{query}&fullName=x&role=VIEWER"), Way::Get).await;
            assert_eq!(joined.key(), "invalidMeetingIdentifier", "{stolen}");
            let said = caller.call(ApiCall::SendChatMessage, &format!("{query}&message=x"), Way::Get).await;
            assert_eq!(said.key(), "meetingNotFound", "{stolen}");
            assert!(!caller.call(ApiCall::InsertDocument, &query, Way::Xml).await.is_success(), "{stolen}");
            let running = caller.call(ApiCall::IsMeetingRunning, &query, Way::Get).await;
            assert_eq!(running.text("running"), "false", "{stolen}");
        }
        assert_eq!(of(&cluster, other), before, "whatever {id} does");
    }
    assert!(callers[1].call(ApiCall::End, "meetingID=room&password=school", Way::Form).await.is_success());
    let left: Vec<_> = cluster.sims[0].meetings().into_iter().map(|meeting| meeting.meeting_id).collect();
    assert_eq!(left, ["room"]);
}

/// Each tenant creates breakout rooms in its `room`, by the same ids.
#[tokio::test]
async fn every_call_about_a_breakout_room_concerns_the_callers_own() {
    let (cluster, callers, _) = both().await;
    let mut rooms = Vec::new();
    for (caller, id) in callers.iter().zip(IDS) {
        let room = "meetingID=cell&name=Cell&isBreakout=true&sequence=1&parentMeetingID=room&meta_of=";
        let created = caller.call(ApiCall::Create, &format!("{room}cell-{id}"), Way::Get).await;
        assert!(created.is_success(), "{created:?}");
        let meeting = MeetingKey { tenant: TenantId::parse(id).expect("is an id"), ..key("cell") };
        eventually("the breakout room is confirmed", async || {
            let route = cluster.plane.meeting(&meeting);
            route.is_some_and(|route| matches!(route.state, RouteState::Active(_)))
        })
        .await;
        rooms.push(created.text("internalMeetingID").to_owned());
    }
    cluster.settled().await;
    for (at, (caller, id)) in callers.iter().zip(IDS).enumerate() {
        let (own, foreign) = (&rooms[at], &rooms[1 - at]);
        let other = format!("cell-{}", IDS[1 - at]);
        let before = of(&cluster, &other);
        for way in ways(ApiCall::GetMeetingInfo) {
            let info = caller.call(ApiCall::GetMeetingInfo, "meetingID=cell", way).await;
            assert_eq!(info.text("internalMeetingID"), own, "{way:?}");
            assert!(!info.body.contains('~') && !info.body.contains("usher-"), "{info:?}");
        }
        for way in ways(ApiCall::GetMeetings) {
            let listed = caller.call(ApiCall::GetMeetings, "", way).await;
            assert!(listed.body.contains(own.as_str()) && !listed.body.contains(foreign.as_str()), "{way:?}");
        }
        let join = format!("meetingID=cell&role=MODERATOR&fullName={id}");
        let (_, query) = caller.call(ApiCall::Join, &join, Way::Get).await.location();
        let request =
            format!("GET {}/join?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", super::API);
        raw(cluster.sims[0].address(), request.as_bytes()).await;
        assert_eq!(of(&cluster, &format!("cell-{id}")).users, [id]);
        let running = caller.call(ApiCall::IsMeetingRunning, "meetingID=cell", Way::Get).await;
        assert_eq!(running.text("running"), "true");
        caller.call(ApiCall::SendChatMessage, &format!("meetingID=cell&message={id}"), Way::Get).await;
        caller.call(ApiCall::InsertDocument, "meetingID=cell", Way::Xml).await;
        for stolen in [foreign.as_str(), "school~cell", "default~cell", &foreign[..40], &foreign[..2]] {
            let query = format!("meetingID={stolen}");
            for call in [ApiCall::GetMeetingInfo, ApiCall::End] {
                for way in ways(call) {
                    let words = ("notFound", "A meeting with that ID does not exist");
                    assert_refused(call, &caller.call(call, &query, way).await, words, stolen);
                }
            }
        }
        assert_eq!(of(&cluster, &other), before, "whatever {id} does");
    }
    assert!(callers[1].call(ApiCall::End, "meetingID=cell&password=x", Way::Form).await.is_success());
    assert!(cluster.sims[0].meetings().iter().all(|meeting| meeting.internal_id != rooms[1]));
    assert_eq!(of(&cluster, "cell-default").internal_id, rooms[0]);
}

#[tokio::test]
async fn every_call_about_recordings_concerns_the_callers_own() {
    let (cluster, callers, _) = both().await;
    let records = cluster.sims[0].recordings().into_iter().map(|one| one.record_id).collect::<Vec<_>>();
    for (at, (caller, id)) in callers.iter().zip(IDS).enumerate() {
        let (own, foreign) = (&records[at], &records[1 - at]);
        for query in
            ["", "meetingID=room", "meetingID=room,school~room", "state=any", "meta_of=default%2Cschool"]
        {
            for way in ways(ApiCall::GetRecordings) {
                let listed = caller.call(ApiCall::GetRecordings, query, way).await;
                assert!(!listed.body.contains(foreign.as_str()), "{way:?} {query}: {listed:?}");
                assert_eq!(listed.body.contains(own.as_str()), !query.starts_with("meta"), "{way:?} {query}");
            }
        }
        for way in ways(ApiCall::GetRecordings) {
            let listed = caller
                .call(ApiCall::GetRecordings, &format!("recordID={foreign},{}", &foreign[..40]), way)
                .await;
            assert_eq!(said(ApiCall::GetRecordings, &listed).key, "noRecordings", "{way:?}");
        }
        let not_found = ("notFound", "We could not find recordings");
        for call in [ApiCall::PublishRecordings, ApiCall::UpdateRecordings, ApiCall::DeleteRecordings] {
            let query = format!("recordID={foreign}&publish=false&meta_stolen=1");
            for way in ways(call) {
                assert_refused(call, &caller.call(call, &query, way).await, not_found, id);
            }
        }
        let query = format!("recordID={foreign}&kind=captions&lang=en");
        for call in [ApiCall::GetRecordingTextTracks, ApiCall::PutRecordingTextTrack] {
            for way in ways(call) {
                assert_eq!(said(call, &caller.call(call, &query, way).await).key, "noRecordings", "{call}");
            }
        }
        let mixed = format!("recordID={foreign},{own}&publish=false&meta_by={id}");
        assert!(caller.call(ApiCall::UpdateRecordings, &mixed, Way::Get).await.is_success());
        assert!(caller.call(ApiCall::PublishRecordings, &mixed, Way::Get).await.is_success());
        let kept = cluster.sims[0].recordings();
        assert_eq!((kept[at].metadata("by"), kept[at].state), (Some(id), SimRecordingState::Unpublished));
        assert_ne!(kept[1 - at].metadata("by"), Some(id));
        assert!(kept.iter().all(|one| one.tracks.is_empty() && one.metadata("stolen").is_none()));
    }
    assert!(
        callers[0]
            .call(ApiCall::DeleteRecordings, &format!("recordID={}", records.join(",")), Way::Get)
            .await
            .is_success()
    );
    let states: Vec<_> = cluster.sims[0].recordings().into_iter().map(|one| one.state).collect();
    assert_eq!(states, [SimRecordingState::Deleted, SimRecordingState::Unpublished]);
}
