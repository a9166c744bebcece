//! The delays, defects and surroundings of a genuine server, in every version and where versions
//! differ.

use http::Method;
use usher_bbb_sim::{BbbSim, BbbVersion, SimOptions, SimRecording};

use crate::support::{CallReply, SECRET, call, client, fetch, start, start_with};

const ROOM: &str = "name=Room&meetingID=room-42&moderatorPW=mp";
const MODULES: &str = "<modules/>";

async fn of(version: BbbVersion) -> BbbSim {
    start_with(SimOptions { version, ..SimOptions::new(SECRET).at_once() }).await
}

async fn ask(sim: &BbbSim, method: Method, name: &str, query: &str) -> CallReply {
    fetch(client().request(method, sim.signed_url(name, query))).await.unwrap()
}

async fn accepting(sim: &BbbSim, accept: &str, url: String) -> CallReply {
    fetch(client().get(url).header("accept", accept))
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", sim.name()))
}

#[tokio::test]
async fn a_body_over_the_limit_of_nginx_gets_a_413_and_is_not_carried_out() {
    let sim = start_with(SimOptions { body_limit: 100, ..SimOptions::new(SECRET) }).await;
    for (length, status) in [(100, 200), (101, 413), (5 << 20, 413)] {
        let body = format!("{MODULES}{}", " ".repeat(length - MODULES.len()));
        let create = client().post(sim.signed_url("create", &format!("name=Room&meetingID=of-{length}")));
        let answer = fetch(create.header("content-type", "application/xml").body(body)).await.unwrap();
        assert_eq!(answer.status, status, "{length}");
        assert_eq!(status == 413, answer.body.contains("413 Request Entity Too Large"), "{answer:?}");
    }
    assert_eq!((sim.meetings().len(), sim.calls().len()), (1, 1));
}

#[tokio::test]
async fn an_accept_without_xml_is_an_exception_after_the_call() {
    let sim = start().await;
    for (accept, status) in [
        ("application/json", 500),
        ("text/html", 500),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
        ("*/*", 200),
        ("text/xml", 200),
    ] {
        assert_eq!(accepting(&sim, accept, sim.url()).await.status, status, "{accept}");
    }
    let answer = accepting(&sim, "application/json", sim.signed_url("create", ROOM)).await;
    assert_eq!((answer.status, sim.meetings().len()), (500, 1));
    let hooks = accepting(&sim, "application/json", sim.signed_url("hooks/list", "")).await;
    assert_eq!(hooks.status, 200, "bbb-webhooks is another program");
}

#[tokio::test]
async fn an_unknown_path_is_answered_as_the_client_accepts() {
    let sim = start().await;
    for (accept, content_type, part) in [
        ("*/*", "application/xml;charset=UTF-8", "<path>/bigbluebutton/api/nosuch</path></Map>"),
        ("application/json", "application/json", "\"path\":\"/bigbluebutton/api/nosuch\""),
        ("text/html", "text/html;charset=utf-8", "404"),
    ] {
        let answer = accepting(&sim, accept, format!("{}nosuch", sim.url())).await;
        assert_eq!((answer.status, &answer.headers["content-type"]), (404, &content_type.parse().unwrap()));
        assert!(answer.body.contains(part), "{}", answer.body);
        assert!(!answer.headers.contains_key("cache-control"));
    }
}

#[tokio::test]
async fn a_head_has_the_headers_of_a_get() {
    for version in BbbVersion::ALL {
        let sim = of(version).await;
        let answer = ask(&sim, Method::HEAD, "getMeetings", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{version:?}");
        assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
    }
}

#[tokio::test]
async fn before_3_0_most_calls_take_every_method() {
    for version in BbbVersion::ALL {
        let (sim, old) = (of(version).await, version < BbbVersion::V3_0);
        let by_put = if old { 200 } else { 405 };
        assert_eq!(ask(&sim, Method::PUT, "create", ROOM).await.status, by_put, "{version:?}");
        assert_eq!(sim.meetings().len(), usize::from(old));
        call(&sim, "create", ROOM).await;
        let join = ask(&sim, Method::POST, "join", "fullName=Ada&meetingID=room-42&role=viewer").await;
        assert_eq!(join.status, if old { 302 } else { 405 }, "{version:?}");
        let list = ask(&sim, Method::PUT, "getMeetings", "").await;
        assert_eq!(list.text("version"), if old { "2.0" } else { "" }, "{version:?}");
        let publish = ask(&sim, Method::POST, "publishRecordings", "recordID=a&publish=true").await;
        assert_eq!(publish.status, if old { 500 } else { 405 }, "{version:?}");
        let chat = call(&sim, "sendChatMessage", "meetingID=room-42&message=Hi").await;
        assert_eq!(chat.status, if old { 404 } else { 200 }, "{version:?}");
    }
}

#[tokio::test]
async fn a_refused_join_goes_to_the_address_of_the_request_or_to_the_server() {
    for version in BbbVersion::ALL {
        let sim = of(version).await;
        call(&sim, "create", ROOM).await;
        let join = "fullName=Ada&meetingID=room-42&guest=maybe&role=viewer";
        let errors = "errors=[%7B%22message%22:%22Guest%20must%20be%20a%20boolean%20value%20(true%20or%20false)%22,\
                      %22key%22:%22validationError%22%7D]";
        let at = async |more: &str| call(&sim, "join", &format!("{join}{more}")).await.location().to_owned();
        assert_eq!(at("").await, format!("{}?{errors}", sim.base()));
        let out = "&logoutURL=https%3A%2F%2Fa.example%2Fout%3Fx%3D1";
        assert_eq!(at(out).await, format!("https://a.example/out?x=1&{errors}"));
        assert_eq!(at("&logoutURL=no+address").await, format!("{}?{errors}", sim.base()));
        let both = at(&format!("{out}&errorRedirectUrl=https%3A%2F%2Fb.example")).await;
        let knows = version >= BbbVersion::V2_7;
        assert_eq!(both.starts_with("https://b.example?errors=["), knows, "{version:?}: {both}");
        let unsigned = format!("{}join?{join}{out}&checksum=abc", sim.url());
        let answer = fetch(client().get(unsigned)).await.unwrap();
        assert!(
            answer.location().starts_with("https://a.example/out?x=1&errors=["),
            "also unsigned: {answer:?}"
        );
        let late =
            call(&sim, "join", "fullName=A&meetingID=room-42&role=viewer&createTime=1&redirect=false").await;
        assert_eq!(late.status, if version < BbbVersion::V3_0 { 302 } else { 200 }, "{version:?}");
    }
}

#[tokio::test]
async fn a_client_opens_the_page_of_its_version() {
    for version in BbbVersion::ALL {
        let sim = of(version).await;
        call(&sim, "create", &format!("{ROOM}&guestPolicy=ASK_MODERATOR")).await;
        let join = async |role: &str| {
            call(&sim, "join", &format!("fullName=Ada&meetingID=room-42&role={role}&redirect=false")).await
        };
        let (inside, waits) = (join("moderator").await, join("viewer").await);
        let (page, lobby, key) = match version {
            BbbVersion::V3_0 => ("", "", "successfullyJoined"),
            _ => ("join", "guestWait", "guestWait"),
        };
        for (answer, page) in [(&inside, page), (&waits, lobby)] {
            let url =
                format!("{}/html5client/{page}?sessionToken={}", sim.base(), answer.text("session_token"));
            assert_eq!(answer.text("url"), url, "{version:?}");
            assert!(answer.headers.contains_key("set-cookie"), "{version:?}");
            assert_eq!(fetch(client().get(url)).await.unwrap().status, 200);
        }
        assert_eq!((inside.key(), waits.key()), ("successfullyJoined", key), "{version:?}");
        assert_eq!(sim.meetings()[0].participants, 1);
    }
}

#[tokio::test]
async fn breakout_rooms_of_applications_differ() {
    for version in BbbVersion::ALL {
        let sim = of(version).await;
        call(&sim, "create", &format!("{ROOM}&voiceBridge=71234")).await;
        let id = "27a5a05c01ee6e7b614f4055d6908eaee91d9c95-7";
        let query = format!("name=Room&meetingID={id}&isBreakout=true&sequence=2&voiceBridge=60000");
        let made = call(&sim, "create", &format!("{query}&parentMeetingID=room-42")).await;
        let expected = match version {
            BbbVersion::V2_5 => ("60000", ""),
            BbbVersion::V2_6 => ("", "parentMeetingIdMissing"),
            _ => ("712342", ""),
        };
        assert_eq!((made.text("voiceBridge"), made.key()), expected, "{version:?}");
        let orphan = call(&sim, "create", &format!("{query}&parentMeetingID=zz-nothing")).await;
        let expected = match version {
            BbbVersion::V2_5 => (500, ""),
            BbbVersion::V2_6 => (200, "parentMeetingIdMissing"),
            _ => (200, "parentMeetingDoesNotExist"),
        };
        assert_eq!((orphan.status, orphan.key()), expected, "{version:?}");
    }
}

#[tokio::test]
async fn counters_have_commas_in_lists_of_2_x_only() {
    for version in BbbVersion::ALL {
        let sim = of(version).await;
        call(&sim, "create", ROOM).await;
        assert!(sim.set_crowd("room-42", 1500));
        let listed = call(&sim, "getMeetings", "").await;
        let expected = if version < BbbVersion::V3_0 { "1,500" } else { "1500" };
        assert_eq!(listed.text("participantCount"), expected, "{version:?}");
        let info = call(&sim, "getMeetingInfo", "meetingID=room-42").await;
        assert_eq!(info.text("participantCount"), "1500", "{version:?}");
    }
}

#[tokio::test]
async fn the_same_checksum_twice_is_one_before_3_0() {
    for version in BbbVersion::ALL {
        let sim = of(version).await;
        let url = sim.signed_url("isMeetingRunning", "meetingID=room-42");
        let (_, checksum) = url.rsplit_once("checksum=").unwrap();
        let twice = fetch(client().get(format!("{url}&checksum={checksum}"))).await.unwrap();
        assert_eq!(twice.succeeded(), version < BbbVersion::V3_0, "{version:?}");
        let other = fetch(client().get(format!("{url}&checksum=0{}", &checksum[1..]))).await.unwrap();
        assert_eq!(other.key(), "checksumError", "{version:?}");
    }
}

#[tokio::test]
async fn a_recording_is_written_anew_when_its_state_changes() {
    let recording = SimRecording { name: "A & B".into(), ..SimRecording::new("room-42", 17) };
    let id = recording.record_id.clone();
    let sim = start_with(SimOptions { recordings: vec![recording], ..SimOptions::new(SECRET) }).await;
    let listed = async || call(&sim, "getRecordings", "meetingID=room-42").await;
    let before = listed().await;
    assert_eq!(before.text("name"), "A &amp; B");
    let url = before.text("url").to_owned();
    assert_eq!(url.trim(), url);
    for (publish, name) in
        [("false", "A &amp;amp; B"), ("false", "A &amp;amp; B"), ("true", "A &amp;amp;amp; B")]
    {
        call(&sim, "publishRecordings", &format!("recordID={id}&publish={publish}")).await;
        let after = listed().await;
        assert_eq!(after.text("name"), name);
        assert_eq!(after.text("url").trim(), url);
        assert!(after.text("url").starts_with("\n        "), "{after:?}");
        assert!(after.body.contains("thumb-1.png\n"), "{after:?}");
    }
}

#[tokio::test]
async fn metadata_is_listed_in_hash_order_and_values_are_squeezed() {
    let sim = start().await;
    let query = "name=A++B&meetingID=a++b&meta_bbb-origin=x++y&meta_empty=&meta_Moodle-Course=z";
    assert_eq!(call(&sim, "create", query).await.text("meetingID"), "a b");
    let info = call(&sim, "getMeetingInfo", "meetingID=a++b").await;
    assert_eq!((info.text("meetingName"), info.text("meetingID")), ("A B", "a b"));
    let metadata =
        "<metadata>\n<moodle-course>z</moodle-course>\n<bbb-origin>x y</bbb-origin>\n<empty></empty>\n";
    assert!(info.body.contains(metadata), "{}", info.body);
    assert_eq!(sim.meetings()[0].meeting_id, "a  b");
}

#[tokio::test]
async fn an_end_is_carried_out_although_no_request_follows() {
    let receiver = crate::receiver::RequestReceiver::start().await;
    let sim = start().await;
    let url = usher_bbb::query::encode(&receiver.url("/over"));
    call(&sim, "create", &format!("{ROOM}&meetingEndedURL={url}")).await;
    assert!(call(&sim, "end", "meetingID=room-42").await.succeeded());
    crate::support::until(|| receiver.received().len() == 1).await;
}
