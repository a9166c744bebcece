//! Creating, joining, querying and ending meetings over real sockets.

use std::time::Duration;

use crate::support::{SECRET, call, client, end, fetch, start, start_with, until};
use usher_bbb::parse;
use usher_bbb_sim::{BbbVersion, SimOptions};

const ROOM: &str = "name=Room+42&meetingID=room-42&attendeePW=ap&moderatorPW=mp";

#[tokio::test]
async fn a_meeting_is_created_joined_queried_and_ended() {
    let apps_delay = Duration::from_hours(1);
    let sim = start_with(SimOptions { apps_delay, ..SimOptions::new(SECRET) }.named("bbb-1")).await;
    let created = call(&sim, "create", ROOM).await;
    assert!(created.succeeded() && created.key().is_empty(), "{}", created.body);
    let internal = created.text("internalMeetingID");
    let expected = format!("6fea8cf5c91f71a844862ead37a54d70198c664e-{}", created.text("createTime"));
    assert_eq!(internal, expected);
    assert_eq!(created.text("parentMeetingID"), "bbb-none");
    assert_eq!(call(&sim, "isMeetingRunning", "meetingID=room-42").await.text("running"), "false");

    let joined =
        call(&sim, "join", "fullName=Ada+L.&meetingID=room-42&password=mp&userID=7&userdata-x=1").await;
    assert_eq!(joined.status, 302);
    assert!(joined.location().starts_with(&format!("{}/html5client/?sessionToken=", sim.base())));
    let cookie = joined.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("JSESSIONID=") && cookie.ends_with("; Path=/; Secure; HttpOnly"), "{cookie}");
    // The session is listed, and the user is not in the meeting before the client has connected.
    assert_eq!(call(&sim, "getSessions", "").await.text("userName"), "Ada L.");
    let info = call(&sim, "getMeetingInfo", "meetingID=room-42").await;
    assert_eq!((info.text("running"), info.text("participantCount")), ("false", "0"));
    assert_eq!((info.text("hasUserJoined"), info.text("userID")), ("false", ""));
    let page = fetch(client().get(joined.location())).await.unwrap();
    for part in ["Ada L.", "Room 42", "room-42", "bbb-1", "MODERATOR"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }

    assert_eq!(call(&sim, "isMeetingRunning", "meetingID=room-42").await.text("running"), "true");
    let info = call(&sim, "getMeetingInfo", "meetingID=room-42").await;
    assert_eq!((info.text("userID"), info.text("fullName"), info.text("role")), ("7", "Ada L.", "MODERATOR"));
    assert_eq!((info.text("participantCount"), info.text("moderatorCount"), info.text("x")), ("1", "1", "1"));
    assert_eq!((info.text("hasUserJoined"), info.text("isPresenter")), ("true", "true"));

    // The meeting is as before until the apps server has carried out the end.
    for _ in 0..2 {
        assert_eq!(call(&sim, "end", "meetingID=room-42").await.key(), "sentEndMeetingRequest");
    }
    assert!(sim.meetings()[0].ending);
    sim.settle();
    for (name, key) in [("end", "notFound"), ("getMeetingInfo", "notFound")] {
        assert_eq!(call(&sim, name, "meetingID=room-42").await.key(), key);
    }
    assert_eq!(call(&sim, "getMeetings", "").await.key(), "noMeetings");
    assert_eq!(fetch(client().get(joined.location())).await.unwrap().status, 404);
    sim.stop().await;
}

#[tokio::test]
async fn a_repeated_create_compares_only_passwords() {
    let sim = start().await;
    let first = call(&sim, "create", ROOM).await;
    for (query, key) in [
        ("name=Other&meetingID=room-42&meta_x=1", "duplicateWarning"),
        ("name=Other&meetingID=room-42&attendeePW=&moderatorPW=", "duplicateWarning"),
        (ROOM, "duplicateWarning"),
        ("name=Room&meetingID=room-42&attendeePW=ap", "idNotUnique"),
        ("name=Room&meetingID=room-42&moderatorPW=mp", "idNotUnique"),
        ("name=Room&meetingID=room-42&attendeePW=ap&moderatorPW=other", "idNotUnique"),
    ] {
        let answer = call(&sim, "create", query).await;
        assert_eq!(answer.key(), key, "{query}");
        if key == "duplicateWarning" {
            assert_eq!(answer.text("internalMeetingID"), first.text("internalMeetingID"));
            assert_eq!((answer.text("attendeePW"), answer.text("moderatorPW")), ("ap", "mp"));
        }
    }
    assert_eq!(sim.meetings().len(), 1);
    assert!(sim.meetings()[0].metadata.is_empty());
}

#[tokio::test]
async fn passwords_bridges_and_create_times_are_made_where_none_are_given() {
    let sim = start().await;
    let (mut times, mut bridges) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let created = call(&sim, "create", &format!("name=Room&meetingID=room-{number}")).await;
        assert_eq!((created.text("attendeePW").len(), created.text("moderatorPW").len()), (8, 8));
        times.push(created.text("createTime").to_owned());
        bridges.push(created.text("voiceBridge").to_owned());
    }
    for list in [&mut times, &mut bridges] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), 20);
    }
    assert!(bridges.iter().all(|bridge| bridge.len() == 5));
    let taken = format!("name=Room&meetingID=another&voiceBridge={}", bridges[0]);
    let refused = call(&sim, "create", &taken).await;
    assert_eq!((refused.text("key"), refused.key()), ("nonUniqueVoiceBridge", ""));
    assert_eq!(
        call(&sim, "create", "name=Room&meetingID=word&voiceBridge=abc").await.key(),
        "validationError"
    );
}

#[tokio::test]
async fn metadata_keys_are_lower_cased_and_bad_ones_dropped() {
    let sim = start().await;
    call(&sim, "create", &format!("{ROOM}&meta_Usher-Tenant=school&meta__bad=1&meta_2=1&meta_a.b=1")).await;
    let info = call(&sim, "getMeetingInfo", "meetingID=room-42").await;
    assert_eq!(info.text("usher-tenant"), "school");
    assert_eq!(sim.meetings()[0].metadata.len(), 1);
}

#[tokio::test]
async fn parameters_of_create_are_checked() {
    let sim = start().await;
    for (query, key) in [
        ("name=Room", "missingParamMeetingID"),
        ("name=Room&meetingID=", "missingParamMeetingID"),
        ("name=Room&meetingID=x", "validationError"),
        ("name=Room&meetingID=a%2Cb", "validationError"),
        ("name=Room&meetingID=+room", "validationError"),
        ("meetingID=room", "validationError"),
        ("name=R&meetingID=room", "validationError"),
        ("name=Room&meetingID=room&record=maybe", "validationError"),
        ("name=Room&meetingID=room&attendeePW=x", "invalidPassword"),
        ("name=Room&meetingID=room&isBreakout=true", "parentMeetingIDMissing"),
        ("name=Room&meetingID=room&isBreakout=true&parentMeetingID=zz-nothing", "parentMeetingDoesNotExist"),
    ] {
        assert_eq!(call(&sim, "create", query).await.key(), key, "{query}");
    }
    assert_eq!(sim.meetings(), []);
}

#[tokio::test]
async fn join_admits_by_role_or_password_and_each_refusal_has_its_form() {
    let sim = start().await;
    let created = call(&sim, "create", &format!("{ROOM}&maxParticipants=2")).await;
    let time = created.text("createTime").to_owned();
    let join = |rest: &str| format!("fullName=Ada&meetingID=room-42&{rest}");
    let viewer = call(&sim, "join", &join("role=viewer&redirect=false&userID=a")).await;
    assert_eq!((viewer.status, viewer.key()), (200, "successfullyJoined"));
    assert_eq!(viewer.text("meeting_id"), created.text("internalMeetingID"));
    assert!(viewer.text("user_id").starts_with("w_") && viewer.text("user_id").len() == 14);
    assert_eq!((viewer.text("session_token").len(), viewer.text("auth_token").len()), (16, 12));
    assert!(viewer.text("url").ends_with(viewer.text("session_token")));

    let no_role = call(&sim, "join", &join("userID=a")).await;
    assert_eq!((no_role.status, no_role.key()), (200, "Params required"));
    let wrong = call(&sim, "join", &join("password=zz")).await;
    assert_eq!((wrong.status, wrong.text("message")), (200, "You must enter a valid password"));
    let late = call(&sim, "join", &join("password=ap&createTime=1&redirect=false")).await;
    assert_eq!(late.key(), "mismatchCreateTimeParam");
    let late = call(&sim, "join", &join("password=ap&createTime=x")).await;
    assert!(late.status == 302 && late.location().contains("mismatchCreateTimeParam"), "{late:?}");
    assert_eq!(
        call(&sim, "join", &join(&format!("password=ap&createTime={time}&userID=b"))).await.status,
        302
    );
    let third = call(&sim, "join", &join("password=ap&userID=c&redirect=false")).await;
    assert_eq!(third.key(), "successfullyJoined", "only users who are present count");
    assert!(sim.connect(viewer.text("session_token")) && sim.connect(third.text("session_token")));
    let full = call(&sim, "join", &join("password=ap&userID=d&redirect=false")).await;
    assert_eq!(full.key(), "maxParticipantsReached");
    let again = call(&sim, "join", &join("password=ap&userID=a&redirect=false")).await;
    assert_eq!(again.key(), "successfullyJoined");
    let unknown = call(
        &sim,
        "join",
        "fullName=A&meetingID=zz-nothing&redirect=false&errorRedirectUrl=http%3A%2F%2Fa.example%2F%3Fx%3D1",
    )
    .await;
    assert_eq!(unknown.status, 302);
    assert!(unknown.location().starts_with("http://a.example/?x=1&errors="), "{}", unknown.location());
    assert!(unknown.location().contains("invalidMeetingIdentifier"));
    assert!(call(&sim, "join", "meetingID=room-42").await.location().contains("missingParamFullName"));
}

#[tokio::test]
async fn guests_wait_or_are_denied_as_the_policy_says() {
    let sim = start().await;
    call(&sim, "create", "name=Room&meetingID=asks&guestPolicy=ASK_MODERATOR").await;
    call(&sim, "create", "name=Room&meetingID=denies&guestPolicy=ALWAYS_DENY").await;
    let waits = call(&sim, "join", "fullName=A&meetingID=asks&role=viewer&redirect=false").await;
    assert_eq!(waits.text("guestStatus"), "WAIT");
    let moderator = call(&sim, "join", "fullName=A&meetingID=asks&role=moderator&redirect=false").await;
    assert_eq!(moderator.text("guestStatus"), "ALLOW");
    let denied = call(&sim, "join", "fullName=A&meetingID=denies&role=viewer&redirect=false").await;
    assert_eq!(denied.key(), "guestDeniedAccess");
}

#[tokio::test]
async fn meetings_are_found_by_internal_id_and_by_its_beginning() {
    let sim = start().await;
    let internal = call(&sim, "create", ROOM).await.text("internalMeetingID").to_owned();
    for id in [&internal, &internal[..40], &internal[..5]] {
        let info = call(&sim, "getMeetingInfo", &format!("meetingID={id}")).await;
        assert_eq!(info.text("meetingID"), "room-42", "{id}");
    }
    assert!(end(&sim, &format!("meetingID={internal}")).await.succeeded());
    let again = call(&sim, "create", ROOM).await;
    assert_eq!(again.key(), "");
    assert_ne!(again.text("internalMeetingID"), internal);
    assert_eq!(call(&sim, "end", &format!("meetingID={internal}")).await.key(), "notFound");
    assert_eq!(sim.meetings().len(), 1);
}

#[tokio::test]
async fn an_ended_meeting_is_listed_during_the_delay_and_its_id_is_free_at_once() {
    let options = SimOptions { end_delay: Duration::from_millis(300), ..SimOptions::new(SECRET) };
    let sim = start_with(options).await;
    let first = call(&sim, "create", ROOM).await.text("internalMeetingID").to_owned();
    assert!(end(&sim, "meetingID=room-42").await.succeeded());
    assert!(sim.meetings()[0].ending);
    let refused = call(&sim, "join", "fullName=A&meetingID=room-42&role=viewer").await;
    assert!(refused.location().contains("meetingForciblyEnded"));
    let second = call(&sim, "create", ROOM).await;
    assert_eq!(second.key(), "");
    assert_ne!(second.text("internalMeetingID"), first);
    until(|| sim.meetings().len() == 1).await;
    assert!(!sim.meetings()[0].ending);
}

#[tokio::test]
async fn a_meeting_without_a_join_expires() {
    let options = SimOptions { unjoined_expiry: Duration::from_millis(50), ..SimOptions::new(SECRET) };
    let sim = start_with(options).await;
    call(&sim, "create", ROOM).await;
    until(|| sim.meetings().is_empty()).await;
    call(&sim, "create", &format!("{ROOM}&meetingExpireIfNoUserJoinedInMinutes=5")).await;
    assert_eq!(sim.meetings().len(), 1);
}

#[tokio::test]
async fn breakout_rooms_are_listed_with_their_parent() {
    let sim = start().await;
    let parent = call(&sim, "create", &format!("{ROOM}&meta_usher-tenant=school")).await;
    let room = sim.add_breakout("room-42").unwrap();
    let list = call(&sim, "getMeetings", "").await;
    let Ok(parse::ServerReply::Success(listed)) = parse::meetings(&list.body) else {
        panic!("{}", list.body)
    };
    let breakout = listed.iter().find(|meeting| meeting.is_breakout).unwrap();
    assert_eq!(breakout.internal_id, room.internal_id);
    assert_eq!(breakout.parent_internal_id.as_deref(), Some(parent.text("internalMeetingID")));
    assert_eq!(breakout.tenant(), Some("school"));
    let info = call(&sim, "getMeetingInfo", "meetingID=room-42").await;
    assert_eq!(info.text("breakout"), room.meeting_id);
    assert!(sim.add_breakout("zz-nothing").is_none());
}

#[tokio::test]
async fn a_breakout_room_of_an_application_has_the_requested_internal_id_and_ends_with_its_parent() {
    let sim = start().await;
    let parent = call(&sim, "create", ROOM).await.text("internalMeetingID").to_owned();
    let id = "27a5a05c01ee6e7b614f4055d6908eaee91d9c95-7"; // SHA-1 of the text "room"
    let query = format!("name=Room&meetingID={id}&isBreakout=true&sequence=1&parentMeetingID=room-42");
    let room = call(&sim, "create", &query).await;
    assert_eq!((room.text("internalMeetingID"), room.text("parentMeetingID")), (id, parent.as_str()));
    assert!(room.text("meetingID").ends_with("-7"), "{room:?}");
    for known_by in [id, "room"] {
        let info = call(&sim, "getMeetingInfo", &format!("meetingID={known_by}")).await;
        assert_eq!(info.text("internalMeetingID"), id, "{known_by}");
    }
    assert!(call(&sim, "create", &query).await.succeeded());
    assert_eq!(sim.meetings().len(), 2, "there is one of an internal id");
    assert!(end(&sim, "meetingID=room-42").await.succeeded());
    assert_eq!(call(&sim, "getMeetingInfo", "meetingID=room").await.key(), "notFound");
}

#[tokio::test]
async fn bbb_2_4_wants_the_moderator_password_to_end_and_passwords_to_repeat_a_create() {
    let options = SimOptions { version: BbbVersion::V2_4, ..SimOptions::new(SECRET) };
    let sim = start_with(options).await;
    call(&sim, "create", ROOM).await;
    assert_eq!(call(&sim, "create", "name=Room&meetingID=room-42").await.key(), "idNotUnique");
    assert!(sim.set_crowd("room-42", 1234));
    let list = call(&sim, "getMeetings", "").await;
    assert_eq!(list.text("participantCount"), "1,234");
    let Ok(parse::ServerReply::Success(listed)) = parse::meetings(&list.body) else {
        panic!("{}", list.body)
    };
    assert_eq!(listed[0].participants, 1234);
    for query in ["meetingID=room-42", "meetingID=room-42&password=ap"] {
        assert_eq!(call(&sim, "end", query).await.key(), "invalidPassword", "{query}");
    }
    assert!(call(&sim, "end", "meetingID=room-42&password=mp").await.succeeded());
}

#[tokio::test]
async fn chat_documents_and_sessions_are_answered() {
    let sim = start().await;
    assert_eq!(call(&sim, "getSessions", "").await.key(), "noSessions");
    call(&sim, "create", ROOM).await;
    let chat = "meetingID=room-42&message=Hello%20%F0%9F%91%8B";
    assert_eq!(call(&sim, "sendChatMessage", chat).await.key(), "meetingNotFound");
    call(&sim, "join", "fullName=Ada&meetingID=room-42&role=viewer").await;
    assert_eq!(call(&sim, "sendChatMessage", chat).await.key(), "meetingNotFound");
    assert!(sim.connect_all("room-42"));
    assert!(call(&sim, "sendChatMessage", chat).await.succeeded());
    assert_eq!(call(&sim, "sendChatMessage", "meetingID=room-42").await.key(), "validationError");
    assert_eq!(sim.meetings()[0].chat, [("System".to_owned(), "Hello 👋".to_owned())]);
    assert_eq!(call(&sim, "getSessions", "").await.text("userName"), "Ada");

    let xml =
        "<modules><module name=\"presentation\"><document name=\"a.txt\">aGk=</document></module></modules>";
    let insert = |id: &str, body: &'static str| {
        let url = sim.signed_url("insertDocument", &format!("meetingID={id}"));
        fetch(client().post(url).header("content-type", "application/xml; charset=UTF-8").body(body))
    };
    assert!(insert("room-42", xml).await.unwrap().succeeded());
    assert_eq!(sim.meetings()[0].documents, ["a.txt"]);
    let missing = insert("zz-nothing", xml).await.unwrap();
    assert!(missing.body.contains("Meeting with id [zz-nothing] not found."));
    assert_eq!(insert("room-42", "<modules>").await.unwrap().status, 500);
    assert!(insert("room-42", "").await.unwrap().succeeded(), "a genuine server answers so");
}

#[tokio::test]
async fn many_servers_live_in_one_process_and_each_forgets_on_its_own() {
    let mut sims = Vec::new();
    for _ in 0..10 {
        sims.push(start().await);
    }
    for sim in &sims {
        assert!(call(sim, "create", ROOM).await.succeeded());
    }
    sims[0].restart();
    let counts: Vec<_> = sims.iter().map(|sim| sim.meetings().len()).collect();
    assert_eq!(counts, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    let address = sims[0].address();
    for sim in sims {
        sim.stop().await;
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
