//! Refusals of the meeting's own server reach the application unchanged, and the effect of a call
//! is the same in every way to make it.

use usher_bbb::{call::ApiCall, parse::outcome, query::RawQuery};
use usher_bbb_sim::{SimRecording, SimRecordingState};

use super::{Caller, Way, assert_refused, ways};
use crate::support::{Cluster, raw};

/// Follows the redirect of a join to the server, as a browser does.
async fn follow(cluster: &Cluster, query: &str) -> String {
    let (address, query) =
        Caller::default(&cluster.client).call(ApiCall::Join, query, Way::Get).await.location();
    assert_eq!(address, format!("{}join", cluster.sims[0].url()));
    let request = format!("GET {}/join?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", super::API);
    raw(cluster.sims[0].address(), request.as_bytes()).await
}

#[tokio::test]
async fn a_second_create_compares_passwords_only() {
    let cluster = Cluster::start(2).await;
    let caller = Caller::default(&cluster.client);
    let room = "meetingID=room&name=Room&attendeePW=ap&moderatorPW=mp";
    let first = caller.call(ApiCall::Create, room, Way::Get).await.text("internalMeetingID").to_owned();
    cluster.confirmed("room").await;
    let taken =
        ("idNotUnique", "A meeting already exists with that meeting ID. Please use a different meeting ID.");
    for (passwords, same) in [
        ("", true),
        ("&attendeePW=&moderatorPW=", true),
        ("&attendeePW=ap&moderatorPW=mp", true),
        ("&attendeePW=ap", false),
        ("&moderatorPW=mp", false),
        ("&attendeePW=ap&moderatorPW=other", false),
    ] {
        for way in ways(ApiCall::Create) {
            let query = format!("meetingID=room&name=Other&record=true&meta_new=1{passwords}");
            let answer = caller.call(ApiCall::Create, &query, way).await;
            if same {
                assert_eq!(
                    (answer.key().as_str(), answer.text("internalMeetingID")),
                    ("duplicateWarning", &*first)
                );
                assert_eq!((answer.text("attendeePW"), answer.text("moderatorPW")), ("ap", "mp"), "{query}");
            } else {
                assert_refused(ApiCall::Create, &answer, taken, &format!("{way:?} {query}"));
            }
        }
    }
    assert_eq!(cluster.sims.iter().map(|sim| sim.meetings().len()).sum::<usize>(), 1);
}

/// The browser reaches the server with every parameter of the application.
#[tokio::test]
async fn a_join_is_refused_by_the_server_in_its_words() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    let created = caller
        .call(
            ApiCall::Create,
            "meetingID=room&name=Room&attendeePW=ap&moderatorPW=mp&maxParticipants=1",
            Way::Get,
        )
        .await;
    let time: u64 = created.text("createTime").parse().expect("is a number");
    caller.call(ApiCall::Create, "meetingID=closed&name=Room&guestPolicy=ALWAYS_DENY", Way::Get).await;
    cluster.confirmed("room").await;
    cluster.confirmed("closed").await;
    let room = "meetingID=room&fullName=Ada&redirect=false";
    for (query, key) in [
        (format!("{room}&role=VIEWER&createTime={}", time + 1), "mismatchCreateTimeParam"),
        (format!("{room}&role=VIEWER&createTime=x"), "mismatchCreateTimeParam"),
        (format!("{room}&password=neither"), "Params required"),
        (format!("{room}&role=KING"), "Params required"),
        ("meetingID=closed&fullName=Ada&role=VIEWER&redirect=false".into(), "guestDeniedAccess"),
        (format!("{room}&role=viewer&createTime={time}&userID=1"), "successfullyJoined"),
        (format!("{room}&role=VIEWER&userID=2"), "maxParticipantsReached"),
    ] {
        let answer = follow(&cluster, &query).await;
        let body = answer.split_once("\r\n\r\n").expect("has a body").1;
        assert_eq!(outcome(body).expect("is XML").key, key, "{query}: {answer}");
    }
}

/// If a server has lost a meeting and Usher does not know it yet, the server's own refusal reaches
/// the application.
#[tokio::test]
async fn a_server_that_forgot_a_meeting_says_so_itself() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.sims[0].restart();
    let not_found = ("notFound", "A meeting with that ID does not exist");
    for (call, query, words) in [
        (ApiCall::GetMeetingInfo, "meetingID=room", not_found),
        (ApiCall::End, "meetingID=room", not_found),
        (ApiCall::SendChatMessage, "meetingID=room&message=Hi", ("meetingNotFound", "Meeting not found")),
    ] {
        for way in ways(call) {
            assert_refused(call, &caller.call(call, query, way).await, words, &format!("{call} {way:?}"));
        }
    }
    let inserted = caller.call(ApiCall::InsertDocument, "meetingID=room", Way::Xml).await;
    assert_eq!(inserted.text("message"), "Meeting with id [room] not found.");
    let running = caller.call(ApiCall::IsMeetingRunning, "meetingID=room", Way::Form).await;
    assert_eq!(running.text("running"), "false");
}

/// Each call about a meeting, in each way, is made once, at the meeting's server, with the same
/// parameters.
#[tokio::test]
async fn every_way_to_make_a_call_does_the_same() {
    let cluster = Cluster::start(2).await;
    let caller = Caller::default(&cluster.client);
    let odd = "%C3%A9+%26%3D%25";
    for (number, way) in ways(ApiCall::Create).into_iter().enumerate() {
        let id = format!("room-{number}");
        let query = format!("meetingID={id}&name={odd}&meta_note={odd}&welcome=");
        let created = caller.call(ApiCall::Create, &query, way).await;
        assert!(created.is_success(), "{way:?}: {created:?}");
        cluster.confirmed(&id).await;
        let sim = &cluster.sims[cluster.home(&id)];
        let meeting = sim.meetings().into_iter().find(|meeting| meeting.meeting_id == id).expect("runs");
        assert_eq!((meeting.name.as_str(), meeting.metadata["note"].as_str()), ("é &=%", "é &=%"), "{way:?}");
        let page = cluster.client.join(&id).await.location();
        let request =
            format!("GET {}/join?{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", super::API, page.1);
        raw(sim.address(), request.as_bytes()).await;
        for call in
            [ApiCall::IsMeetingRunning, ApiCall::GetMeetingInfo, ApiCall::GetMeetings, ApiCall::GetSessions]
        {
            for way in ways(call) {
                let answer = caller.call(call, &format!("meetingID={id}"), way).await;
                let held = match call {
                    ApiCall::IsMeetingRunning => answer.text("running") == "true",
                    ApiCall::GetSessions => answer.body.contains("<userName>Ada</userName>"),
                    _ => answer.body.contains("<note>é &amp;=%</note>"),
                };
                assert!(answer.is_success() && held, "{call} {way:?}: {answer:?}");
            }
        }
        let before = cluster.calls("end");
        let end = ways(ApiCall::End);
        let ended =
            caller.call(ApiCall::End, &format!("meetingID={id}&password=x"), end[number % end.len()]).await;
        assert_eq!((ended.key().as_str(), cluster.calls("end")), ("sentEndMeetingRequest", before + 1));
        assert!(sim.meetings().iter().all(|meeting| meeting.meeting_id != id));
    }
}

#[tokio::test]
async fn every_way_to_ask_for_recordings_and_to_change_them_does_the_same() {
    let cluster = Cluster::start(2).await;
    let caller = Caller::default(&cluster.client);
    cluster.sims[1].add_recording(SimRecording::new("room", 17));
    let id = cluster.sims[1].recordings()[0].record_id.clone();
    for way in ways(ApiCall::GetRecordings) {
        let listed = caller.call(ApiCall::GetRecordings, "meetingID=none,room&state=published", way).await;
        assert_eq!(listed.text("recordID"), id, "{way:?}");
    }
    for (number, way) in ways(ApiCall::UpdateRecordings).into_iter().enumerate() {
        let query = format!("recordID={id}&meta_Step={number}&meta_note=%C3%A9+%26");
        assert_eq!(
            caller.call(ApiCall::UpdateRecordings, &query, way).await.text("updated"),
            "true",
            "{way:?}"
        );
        let kept = &cluster.sims[1].recordings()[0];
        assert_eq!((kept.metadata("step"), kept.metadata("note")), (Some(&*number.to_string()), Some("é &")));
    }
    for publish in ["false", "true"] {
        let query = format!("recordID={id}&publish={publish}");
        assert_eq!(
            caller.call(ApiCall::PublishRecordings, &query, Way::Get).await.text("published"),
            publish
        );
    }
    let put = caller
        .call(ApiCall::PutRecordingTextTrack, &format!("recordID={id}&kind=captions&lang=de"), Way::File)
        .await;
    assert_eq!(put.json().key, "upload_text_track_success", "{put:?}");
    for way in ways(ApiCall::GetRecordingTextTracks) {
        let tracks = caller.call(ApiCall::GetRecordingTextTracks, &format!("recordID={id}"), way).await;
        assert!(tracks.json().success && tracks.body.contains("\"lang\":\"de\""), "{way:?}: {tracks:?}");
    }
    assert_eq!(
        caller.call(ApiCall::DeleteRecordings, &format!("recordID={id}"), Way::Get).await.text("deleted"),
        "true"
    );
    assert_eq!(cluster.sims[1].recordings()[0].state, SimRecordingState::Deleted);
}

/// The edge never forwards a `meetingID` by which the server would find another meeting.
#[tokio::test]
async fn forwarded_parameters_name_one_meeting() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let caller = Caller::default(&cluster.client);
    cluster.sims[0].forget_calls();
    for query in [
        "meeting%49D=room&MeetingID=other&meetingid=x",
        "a=b%26meetingID=other&meetingID=room",
        "meetingID=room;meetingID=other",
    ] {
        caller.call(ApiCall::GetMeetingInfo, query, Way::Get).await;
    }
    let asked = cluster.sims[0].calls();
    assert_eq!(asked.len(), 2, "the last is another id: {asked:?}");
    assert!(
        asked.iter().all(|call| RawQuery::new(&call.query).first("meetingID").as_deref() == Some("room"))
    );
}
