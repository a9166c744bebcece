//! Checksums, bodies, methods and content types (wire-contract 1).

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    query::rebuilt_form,
    secret::Secret,
};
use usher_bbb_sim::{BbbSim, BbbVersion, SimOptions};

use crate::support::{CallReply, SECRET, call, client, fetch, start, start_with};

const FORM: &str = "application/x-www-form-urlencoded";
const XML: &str =
    "<modules><module name=\"presentation\"><document url=\"https://a.example/x.pdf\"/></module></modules>";

fn checksum(algorithm: ChecksumAlgorithm, call: &str, query: &str) -> String {
    sign(algorithm, call, query, &Secret::new(SECRET))
}

async fn get(sim: &BbbSim, path: &str) -> CallReply {
    fetch(client().get(format!("{}{path}", sim.url()))).await.unwrap()
}

async fn post(sim: &BbbSim, path: &str, content_type: &str, body: String) -> CallReply {
    let request =
        client().post(format!("{}{path}", sim.url())).header("content-type", content_type).body(body);
    fetch(request).await.unwrap()
}

#[tokio::test]
async fn every_hash_verifies_in_any_case_at_any_place() {
    let sim = start().await;
    for algorithm in ChecksumAlgorithm::ALL {
        let sum = checksum(algorithm, "isMeetingRunning", "meetingID=room-42");
        for path in [
            format!("isMeetingRunning?meetingID=room-42&checksum={sum}"),
            format!("isMeetingRunning?checksum={sum}&meetingID=room-42"),
            format!("isMeetingRunning?meetingID=room-42&checksum={}", sum.to_uppercase()),
        ] {
            assert!(get(&sim, &path).await.succeeded(), "{algorithm} {path}");
        }
        let bare = checksum(algorithm, "getMeetings", "");
        for path in [format!("getMeetings?checksum={bare}"), format!("getMeetings?&checksum={bare}")] {
            assert!(get(&sim, &path).await.succeeded(), "{algorithm} {path}");
        }
    }
}

#[tokio::test]
async fn wrong_missing_and_repeated_checksums_get_the_texts_of_bbb() {
    let sim = start().await;
    let sum = checksum(ChecksumAlgorithm::Sha256, "getMeetings", "");
    for (path, message) in [
        ("getMeetings".to_owned(), "You must provide the checksum"),
        (format!("getMeetings?checksum={}", "0".repeat(64)), "Checksums do not match"),
        ("getMeetings?checksum=abc".to_owned(), "Checksums do not match"),
        (format!("getMeetings?checksum={sum}&checksum={sum}"), "Checksums do not match"),
        (format!("getMeetings?x=1&checksum={sum}"), "Checksums do not match"),
        ("getRecordings".to_owned(), "You did not pass the checksum security check"),
    ] {
        let answer = get(&sim, &path).await;
        assert_eq!((answer.status, answer.key()), (200, "checksumError"), "{path}");
        assert_eq!(answer.text("message"), message, "{path}");
    }
    let join = get(&sim, "join?fullName=A&meetingID=room-42&redirect=false&checksum=abc").await;
    assert_eq!(join.status, 302);
    assert!(join.location().contains("checksumError"));
}

#[tokio::test]
async fn hashes_can_be_restricted_and_old_servers_know_two_and_no_capitals() {
    let only = SimOptions { algorithms: vec![ChecksumAlgorithm::Sha512], ..SimOptions::new(SECRET) };
    let old = SimOptions { version: BbbVersion::V2_4, ..SimOptions::new(SECRET) };
    let (only, old) = (start_with(only).await, start_with(old).await);
    for algorithm in ChecksumAlgorithm::ALL {
        let path = format!("getMeetings?checksum={}", checksum(algorithm, "getMeetings", ""));
        assert_eq!(
            get(&only, &path).await.succeeded(),
            algorithm == ChecksumAlgorithm::Sha512,
            "{algorithm}"
        );
        let known = matches!(algorithm, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256);
        assert_eq!(get(&old, &path).await.succeeded(), known, "{algorithm}");
    }
    let capitals = checksum(ChecksumAlgorithm::Sha1, "getMeetings", "").to_uppercase();
    assert!(!get(&old, &format!("getMeetings?checksum={capitals}")).await.succeeded());
    assert!(call(&only, "getMeetings", "").await.succeeded());
}

#[tokio::test]
async fn create_takes_a_form_with_all_parameters() {
    let sim = start().await;
    let sum = checksum(ChecksumAlgorithm::Sha256, "create", "");
    let body = format!("name=T%C3%A9st+1&meetingID=room-42&moderatorPW=mp&checksum={sum}");
    assert!(post(&sim, "create", FORM, body.clone()).await.succeeded());
    assert_eq!(sim.meetings()[0].name, "Tést 1");
    let query = format!("create?checksum={sum}");
    let rest = "name=Room&meetingID=room-43".to_owned();
    assert!(post(&sim, &query, &format!("{FORM}; charset=UTF-8"), rest).await.succeeded());
    // BBB 3.0 does not accept the signature over a rebuilt form.
    let rebuilt = checksum(ChecksumAlgorithm::Sha1, "create", &rebuilt_form("name=Room&meetingID=room-44"));
    let old_style = format!("name=Room&meetingID=room-44&checksum={rebuilt}");
    assert_eq!(post(&sim, "create", FORM, old_style.clone()).await.key(), "checksumError");

    let old = start_with(SimOptions { version: BbbVersion::V2_4, ..SimOptions::new(SECRET) }).await;
    assert!(post(&old, "create", FORM, old_style).await.succeeded());
    assert_eq!(post(&old, "create", FORM, body).await.key(), "checksumError");
}

#[tokio::test]
async fn create_takes_multipart_and_xml_bodies() {
    let sim = start().await;
    let sum = checksum(ChecksumAlgorithm::Sha256, "create", "");
    let part = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [part("name", "Room"), part("meetingID", "room-42"), part("checksum", &sum)].concat();
    assert!(post(&sim, "create", "multipart/form-data; boundary=B", body + "--B--\r\n").await.succeeded());

    let query = "name=Room&meetingID=room-43";
    let sum = checksum(ChecksumAlgorithm::Sha256, "create", query);
    let path = format!("create?{query}&checksum={sum}");
    for content_type in ["application/xml", "text/xml; charset=utf-8"] {
        assert!(post(&sim, &path, content_type, XML.to_owned()).await.succeeded(), "{content_type}");
    }
    let room = sim.meetings().into_iter().find(|meeting| meeting.meeting_id == "room-43").unwrap();
    assert_eq!(room.documents, ["default.pdf"]);
    assert_eq!(post(&sim, &path, "application/xml", "<modules>".to_owned()).await.status, 500);

    // A genuine server answers so: the meeting exists, and its create has failed.
    let query = "name=Room&meetingID=room-44";
    let path = format!("create?{query}&checksum={}", checksum(ChecksumAlgorithm::Sha256, "create", query));
    assert_eq!(post(&sim, &path, "application/xml", "<modules><module".to_owned()).await.status, 500);
    assert!(sim.meetings().iter().any(|meeting| meeting.meeting_id == "room-44"));
}

#[tokio::test]
async fn bodies_of_other_kinds_are_refused() {
    let sim = start().await;
    for (name, content_type) in
        [("create", "application/json"), ("create", ""), ("end", "application/xml"), ("insertDocument", FORM)]
    {
        let path = format!("{name}?checksum={}", checksum(ChecksumAlgorithm::Sha256, name, ""));
        let answer = post(&sim, &path, content_type, "x=1".to_owned()).await;
        assert_eq!(answer.key(), "unsupportedContentType", "{name} {content_type}");
    }
    // Without a body, BBB ignores the header, and a POST requires none.
    let url = sim.signed_url("getMeetings", "");
    let get = client().get(&url).header("content-type", "application/xml");
    assert!(fetch(get).await.unwrap().succeeded());
    assert!(fetch(client().post(&url)).await.unwrap().succeeded());
}

#[tokio::test]
async fn unknown_calls_and_wrong_methods_are_no_xml() {
    let sim = start().await;
    assert_eq!(call(&sim, "createe", "").await.status, 404);
    let join = client().post(sim.signed_url("join", "meetingID=room-42"));
    assert_eq!(fetch(join).await.unwrap().status, 405);
    let insert = client().get(sim.signed_url("insertDocument", "meetingID=room-42"));
    assert_eq!(fetch(insert).await.unwrap().status, 405);
}

#[tokio::test]
async fn the_root_needs_no_checksum_and_answers_are_xml() {
    let sim = start().await;
    for path in ["", "/", "/?&checksum=abc"] {
        let root = format!("{}{path}", sim.url().trim_end_matches('/'));
        let answer = fetch(client().get(root)).await.unwrap();
        assert_eq!(answer.text("version"), "2.0", "{path}");
        assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
        assert!(answer.body.starts_with("<response>\n<returncode>"));
    }
}

#[tokio::test]
async fn calls_are_logged_as_they_came_without_their_checksums() {
    let sim = start().await;
    let query = "name=R%c3%a4ume+1&meetingID=room-42";
    let url = sim.signed_url("create", query);
    let request =
        client().post(url).header("content-type", "text/xml").header("traceparent", "00-1-2-01").body(XML);
    assert!(fetch(request).await.unwrap().succeeded());
    let calls = sim.calls();
    assert_eq!((calls[0].name.as_str(), calls[0].method.as_str()), ("create", "POST"));
    assert_eq!(calls[0].query, query);
    assert_eq!(calls[0].body, XML);
    assert_eq!(calls[0].headers["traceparent"], "00-1-2-01");
    sim.forget_calls();
    assert!(sim.calls().is_empty());
}
