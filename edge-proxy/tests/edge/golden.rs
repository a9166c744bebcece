//! Golden answers of the calls about meetings, element by element as in wire-contract 3. `*` stands
//! for the values that a server generates: times, ids, voice bridges.

use usher_bbb::call::ApiCall;

use crate::support::{Answer, Cluster, raw, signed, tokens};

const API: &str = "/bigbluebutton/api";
const ROOM: &str = "meetingID=room-42&name=Room+42&attendeePW=ap&moderatorPW=mp&meta_endCallbackUrl=x";
const XML: [(&str, &str); 1] = [("content-type", "application/xml; charset=UTF-8")];
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

/// Compares an answer with the expected children of `<response>`.
fn assert_answer(answer: &Answer, children: &str) {
    let expected = tokens(&format!("<response>{children}</response>"));
    let found = answer.tokens();
    let alike = |(found, expected): (&String, &String)| {
        found == expected || (expected == "*" && !found.starts_with('<'))
    };
    assert!(
        found.len() == expected.len() && found.iter().zip(&expected).all(alike),
        "\nfound    {found:?}\nexpected {expected:?}"
    );
}

fn success(children: &str) -> String {
    format!("<returncode>SUCCESS</returncode>{children}")
}

fn failed(key: &str, message: &str) -> String {
    format!("<returncode>FAILED</returncode><messageKey>{key}</messageKey><message>{message}</message>")
}

fn created(key: &str, message: &str) -> String {
    success(&format!(
        "<meetingID>room-42</meetingID><internalMeetingID>*</internalMeetingID>\
         <parentMeetingID>bbb-none</parentMeetingID><attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW>\
         <createTime>*</createTime><voiceBridge>*</voiceBridge><dialNumber>613-555-1234</dialNumber>\
         <createDate>*</createDate><hasUserJoined>false</hasUserJoined><duration>0</duration>\
         <hasBeenForciblyEnded>false</hasBeenForciblyEnded><messageKey>{key}</messageKey><message>{message}</message>"
    ))
}

const MEETING: &str = "<meetingName>Room 42</meetingName><meetingID>room-42</meetingID>\
    <internalMeetingID>*</internalMeetingID><createTime>*</createTime><createDate>*</createDate>\
    <voiceBridge>*</voiceBridge><dialNumber>613-555-1234</dialNumber><attendeePW>ap</attendeePW>\
    <moderatorPW>mp</moderatorPW><running>true</running><duration>0</duration>\
    <hasUserJoined>true</hasUserJoined><recording>false</recording>\
    <hasBeenForciblyEnded>false</hasBeenForciblyEnded><startTime>*</startTime><endTime>0</endTime>\
    <participantCount>1</participantCount><listenerCount>0</listenerCount>\
    <voiceParticipantCount>0</voiceParticipantCount><videoCount>0</videoCount><maxUsers>0</maxUsers>\
    <moderatorCount>1</moderatorCount><attendees><attendee><userID>app-user-7</userID>\
    <fullName>Ada L.</fullName><role>MODERATOR</role><isPresenter>true</isPresenter>\
    <isListeningOnly>false</isListeningOnly><hasJoinedVoice>false</hasJoinedVoice><hasVideo>false</hasVideo>\
    <clientType>HTML5</clientType><customdata><bbb_skip_check_audio>true</bbb_skip_check_audio></customdata>\
    </attendee></attendees><metadata><endcallbackurl>x</endcallbackurl></metadata>\
    <isBreakout>false</isBreakout>";

async fn post(cluster: &Cluster, call: &str, query: &str) -> Answer {
    let body = format!("{query}&{}", signed(call, ""));
    cluster.client.send("POST", &format!("{API}/{call}"), &FORM, body).await
}

#[tokio::test]
async fn every_call_answers_as_one_server_would() {
    let cluster = Cluster::start(2).await;
    let client = &cluster.client;
    let none = "<messageKey>noMeetings</messageKey><message>no meetings were found on this server</message>";
    assert_answer(&client.call("getMeetings", "").await, &success(&format!("<meetings/>{none}")));
    let none = "<messageKey>noSessions</messageKey><message>no sessions were found on this serverr</message>";
    assert_answer(&client.call("getSessions", "").await, &success(&format!("<sessions/>{none}")));

    assert_answer(&post(&cluster, "create", ROOM).await, &created("", ""));
    cluster.confirmed("room-42").await;
    let again = "This conference was already in existence and may currently be in progress.";
    assert_answer(&client.call("create", ROOM).await, &created("duplicateWarning", again));
    let taken = "A meeting already exists with that meeting ID. Please use a different meeting ID.";
    let other = ROOM.replace("=mp", "=other");
    assert_answer(&client.call("create", &other).await, &failed("idNotUnique", taken));

    let join = "meetingID=room-42&fullName=Ada+L.&role=MODERATOR&userID=app-user-7\
                &userdata-bbb_skip_check_audio=true&redirect=false";
    let home = cluster.home("room-42");
    let (address, query) = client.call("join", join).await.location();
    assert_eq!(address, format!("{}join", cluster.sims[home].url()));
    let path = format!("GET {API}/join?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(raw(cluster.sims[home].address(), path.as_bytes()).await.contains("successfullyJoined"));

    for (call, expected) in [
        ("isMeetingRunning", "<running>true</running>".to_owned()),
        ("getMeetingInfo", MEETING.to_owned()),
        ("getMeetings", format!("<meetings><meeting>{MEETING}</meeting></meetings>")),
        (
            "getSessions",
            "<sessions><meeting><meetingID>*</meetingID><meetingName>Room 42</meetingName>\
             <userName>Ada L.</userName></meeting></sessions>"
                .to_owned(),
        ),
    ] {
        assert_answer(&client.call(call, "meetingID=room-42").await, &success(&expected));
        assert_answer(&post(&cluster, call, "meetingID=room-42").await, &success(&expected));
    }
    let chat = client.call("sendChatMessage", "meetingID=room-42&message=Hello").await;
    assert_answer(&chat, &success("<messageKey></messageKey><message></message>"));
    let path = format!("{API}/insertDocument?{}", signed("insertDocument", "meetingID=room-42"));
    let inserted = client.send("POST", &path, &XML, "<modules></modules>").await;
    assert_answer(&inserted, &success("<message>Presentation is being uploaded</message>"));
    let ended = "A request to end the meeting was sent. Please wait a few seconds, and then use the \
                 getMeetingInfo or isMeetingRunning API calls to verify that it was ended.";
    let ended = format!("<messageKey>sentEndMeetingRequest</messageKey><message>{ended}</message>");
    assert_answer(&post(&cluster, "end", "meetingID=room-42&password=mp").await, &success(&ended));
    let unknown = failed("notFound", "A meeting with that ID does not exist");
    for call in ["end", "getMeetingInfo"] {
        assert_answer(&client.call(call, "meetingID=room-42").await, &unknown);
    }
}

#[tokio::test]
async fn failures_of_servers_keep_their_shape() {
    let cluster = Cluster::start(1).await;
    let bridged = |id: &str| format!("meetingID={id}&name=Room&voiceBridge=48213");
    assert!(cluster.client.call("create", &bridged("one")).await.is_success());
    let taken = cluster.client.call("create", &bridged("two")).await;
    let message = "The selected voice bridge is already in use.";
    let shape = format!("<error><key>nonUniqueVoiceBridge</key><message>{message}</message></error>");
    assert_answer(&taken, &format!("<returncode>FAILED</returncode><errors>{shape}</errors>"));
    let orphan = "meetingID=room&name=Room&isBreakout=true";
    let message = "No parent meeting ID was provided for the breakout room";
    assert_answer(&cluster.client.call("create", orphan).await, &failed("parentMeetingIDMissing", message));
}

#[tokio::test]
async fn the_root_answers_in_json_if_requested() {
    let cluster = Cluster::start(0).await;
    let asked = cluster.client.send("GET", API, &[("content-type", "application/json")], "").await;
    assert!(asked.json().success && asked.body.contains("\"version\":\"2.0\""), "{asked:?}");
    for kind in ["application/json; charset=utf-8", "application/xml"] {
        let answer = cluster.client.send("GET", API, &[("content-type", kind)], "").await;
        let version = "<version>2.0</version><apiVersion>2.0</apiVersion><bbbVersion></bbbVersion>";
        assert_answer(&answer, &success(version));
    }
}

#[tokio::test]
async fn calls_of_sessions_and_of_the_past_are_not_supported() {
    let cluster = Cluster::start(1).await;
    let unsupported = failed("unsupportedRequest", "This request is not supported.");
    let sessions =
        [ApiCall::GetJoinUrl, ApiCall::LearningDashboard, ApiCall::Stuns, ApiCall::SignOut, ApiCall::Enter];
    let past = [
        ApiCall::GuestWait,
        ApiCall::Feedback,
        ApiCall::GetDefaultConfigXml,
        ApiCall::SetConfigXml,
        ApiCall::SetPollXml,
    ];
    let names =
        sessions.into_iter().chain(past).map(ApiCall::name).chain(["rap/publish", "createX", "CREATE"]);
    for name in names {
        for method in ["GET", "POST"] {
            let path = format!("{API}/{name}?{}", signed(name, "meetingID=room&sessionToken=x"));
            let answer = cluster.client.send(method, &path, &[], "").await;
            if ApiCall::parse(name).is_some_and(ApiCall::answers_json) {
                let json = answer.json();
                assert_eq!(
                    (json.success, json.key.as_str()),
                    (false, "unsupportedRequest"),
                    "{method} {name}"
                );
                assert_eq!(json.message, "This request is not supported.");
            } else {
                assert_answer(&answer, &unsupported);
            }
        }
    }
    assert!(cluster.sims[0].calls().is_empty());
}

/// Unknown parameters reach the server unchanged and in order, including repeated and empty ones.
#[tokio::test]
async fn unknown_parameters_pass_unchanged() {
    let cluster = Cluster::start(1).await;
    let odd = "z=1&meetingID=room&a=%7e%7E&z=2&welcome=&name=A+b%20c&future4.0=x%2Cy&lone&meta_X=&a=|[]";
    assert!(cluster.client.call("create", odd).await.is_success());
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").expect("was sent");
    assert_eq!(call.query, format!("{odd}&meta_usher-tenant=default"));
    cluster.confirmed("room").await;
    let join = "x=1&fullName=a%20b+c&meetingID=room&x=2&role=VIEWER&userdata-bbb_a-b=&future";
    assert_eq!(cluster.client.call("join", join).await.redirected_query(), join);
}
