//! Refusals that need no server: each call, in every way to make it.

use usher_bbb::{call::ApiCall, query::encode};

use super::{API, Caller, Way, assert_refused, calls, said, ways};
use crate::support::Cluster;

type Words = (&'static str, &'static str);

const MISSING_ID: Words = ("missingParamMeetingID", "You must provide a meeting ID");
const ID_LENGTH: Words = ("validationError", "Meeting ID must be between 2 and 256 characters");
const ID_COMMA: Words = ("validationError", "Meeting ID cannot contain ','");
const ID_INVALID: Words = ("validationError", "Invalid meeting ID");
const NAME: Words = ("validationError", "You must provide a meeting name");
const NAME_LENGTH: Words = ("validationError", "Meeting name must be between 2 and 256 characters");
const BRIDGE: Words = ("validationError", "Voice bridge must be an integral value");
const RECORD: Words = ("validationError", "Record must be a boolean value (true or false)");
const GUEST: Words = ("validationError", "Guest must be a boolean value (true or false)");
const AUTH: Words = ("validationError", "Auth must be a boolean value (true or false)");
const UPLOAD: Words = ("validationError", "Param 'presentationUploadExternalUrl' is not a valid URL");
const PASSWORD: Words = ("invalidPassword", "Invalid password");
const NO_PARENT: Words =
    ("parentMeetingIDMissing", "No parent meeting ID was provided for the breakout room");
const UNKNOWN_PARENT: Words = ("parentMeetingDoesNotExist", "No parent meeting exists for the breakout room");
const FULL_NAME: Words = ("missingParamFullName", "You must provide your name");
const ROLE: Words = (
    "Params required",
    "You must either send the valid role of the user, or the password, sould the meeting has one.",
);
const NO_MESSAGE: Words = ("validationError", "You must provide the param message");
const MESSAGE_LENGTH: Words = ("validationError", "Param message must be between 1 and 500 characters");
const USER_NAME: Words = ("validationError", "Param userName must not exceed 255 characters");
const NOT_FOUND: Words = ("notFound", "A meeting with that ID does not exist");
const NO_MEETING: Words = ("invalidMeetingIdentifier", "A meeting with that ID does not exist");
const NO_CHAT: Words = ("meetingNotFound", "Meeting not found");
const NO_RECORD_ID: Words = ("missingParamRecordID", "You must specify a recordID.");
const NO_PUBLISH: Words = ("missingParamPublish", "You must specify a publish value true or false.");
const NO_RECORDINGS: Words = ("notFound", "We could not find recordings");

/// Returns every row of the catalogue that needs no server, without checksums and content types.
fn catalogue() -> Vec<(ApiCall, String, Words)> {
    let x = |length: usize| "x".repeat(length);
    let mut rows: Vec<(ApiCall, String, Words)> = Vec::new();
    for (call, rest) in [
        (ApiCall::Create, "name=Room"),
        (ApiCall::Join, "fullName=Ada&role=VIEWER"),
        (ApiCall::IsMeetingRunning, ""),
        (ApiCall::GetMeetingInfo, ""),
        (ApiCall::End, "password=mp"),
        (ApiCall::InsertDocument, ""),
        (ApiCall::SendChatMessage, "message=Hi"),
    ] {
        for (id, words) in [
            (None, MISSING_ID),
            (Some(String::new()), MISSING_ID),
            (Some("%20+".into()), MISSING_ID),
            (Some("a".into()), ID_LENGTH),
            (Some("+a+".into()), ID_LENGTH),
            (Some(x(257)), ID_LENGTH),
            (Some("a%2Cb".into()), ID_COMMA),
            (Some("a,b".into()), ID_COMMA),
            (Some("room&meetingID=room".into()), ID_INVALID),
        ] {
            let id = id.map_or_else(String::new, |id| format!("meetingID={id}"));
            rows.push((call, [rest, &id].join("&").trim_matches('&').to_owned(), words));
        }
    }
    let mut add = |call, query: &str, words| rows.push((call, query.to_owned(), words));
    for id in ["%20room", "room+", "ro%09om", "room%0A"] {
        add(ApiCall::Create, &format!("name=Room&meetingID={id}"), ID_INVALID);
    }
    let create = |more: &str| format!("meetingID=room&name=Room&{more}");
    add(ApiCall::Create, "meetingID=room", NAME);
    add(ApiCall::Create, "meetingID=room&name=", NAME);
    add(ApiCall::Create, "meetingID=room&name=a", NAME_LENGTH);
    add(ApiCall::Create, &format!("meetingID=room&name={}", x(257)), NAME_LENGTH);
    add(ApiCall::Create, &create("voiceBridge=a1"), BRIDGE);
    add(ApiCall::Create, &create("voiceBridge=1.5"), BRIDGE);
    add(ApiCall::Create, &create("record=yes"), RECORD);
    add(ApiCall::Create, &create("presentationUploadExternalUrl=nowhere"), UPLOAD);
    for password in ["attendeePW", "moderatorPW"] {
        add(ApiCall::Create, &create(&format!("{password}=x")), PASSWORD);
        add(ApiCall::Create, &create(&format!("{password}={}", x(65))), PASSWORD);
    }
    add(ApiCall::Create, &create("isBreakout=true"), NO_PARENT);
    add(ApiCall::Create, &create("isBreakout=TRUE&parentMeetingID="), NO_PARENT);
    add(ApiCall::Create, &create("isBreakout=true&parentMeetingID=nowhere"), UNKNOWN_PARENT);
    let join = |more: &str| format!("meetingID=room&{more}");
    add(ApiCall::Join, &join("role=VIEWER"), FULL_NAME);
    add(ApiCall::Join, &join("role=VIEWER&fullName="), FULL_NAME);
    add(ApiCall::Join, &join("fullName=Ada"), ROLE);
    add(ApiCall::Join, &join("fullName=Ada&role=&password="), ROLE);
    add(ApiCall::Join, &join("fullName=Ada&password=x"), PASSWORD);
    add(ApiCall::Join, &join("fullName=Ada&role=VIEWER&guest=perhaps"), GUEST);
    add(ApiCall::Join, &join("fullName=Ada&role=VIEWER&auth=perhaps"), AUTH);
    add(ApiCall::Join, &join("fullName=Ada&role=VIEWER"), NO_MEETING);
    let chat = |more: &str| format!("meetingID=room&{more}");
    add(ApiCall::SendChatMessage, &chat(""), NO_MESSAGE);
    add(ApiCall::SendChatMessage, &chat(&format!("message={}", x(501))), MESSAGE_LENGTH);
    add(ApiCall::SendChatMessage, &chat(&format!("message=Hi&userName={}", x(256))), USER_NAME);
    add(ApiCall::SendChatMessage, &chat("message=Hi"), NO_CHAT);
    for call in [ApiCall::End, ApiCall::GetMeetingInfo] {
        add(call, "meetingID=room", NOT_FOUND);
    }
    for call in [ApiCall::PublishRecordings, ApiCall::DeleteRecordings, ApiCall::UpdateRecordings] {
        for id in ["", "recordID=", "recordID=+"] {
            add(call, &format!("publish=true&meta_a=b&{id}"), NO_RECORD_ID);
        }
        add(call, "publish=true&meta_a=b&recordID=nowhere", NO_RECORDINGS);
    }
    add(ApiCall::PublishRecordings, "recordID=a", NO_PUBLISH);
    add(ApiCall::PublishRecordings, "recordID=a&publish=", NO_PUBLISH);
    add(ApiCall::GetRecordingTextTracks, "", NO_RECORD_ID);
    add(ApiCall::GetRecordingTextTracks, "recordID=a", ("noRecordings", "No recording found for a"));
    let track = |more: &str| format!("{more}&label=English");
    for (query, words) in [
        ("kind=captions&lang=en", ("paramError", "Missing param recordID.")),
        ("recordID=a&lang=en", ("paramError", "Missing param kind.")),
        ("recordID=a&kind=captions", ("paramError", "Missing param lang.")),
        ("recordID=a&kind=captions&lang=en", ("noRecordings", "No recording was found for a")),
    ] {
        add(ApiCall::PutRecordingTextTrack, &track(query), words);
    }
    rows
}

#[tokio::test]
async fn every_refusal_of_the_catalogue_has_its_key_and_words_in_every_way() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    for (call, query, words) in catalogue() {
        for way in ways(call) {
            let answer = caller.call(call, &query, way).await;
            assert_refused(call, &answer, words, &format!("{call} {way:?} {query}"));
            assert!(!answer.headers.contains_key("retry-after"), "{call} {query}: another try is no use");
        }
    }
    let asked: Vec<_> = cluster.sims[0].calls().into_iter().map(|call| call.name).collect();
    assert!(asked.iter().all(|name| name == "getRecordings"), "only to look for recordings: {asked:?}");
}

/// `insertDocument` and `isMeetingRunning` have no key for a meeting that does not exist.
#[tokio::test]
async fn calls_without_a_key_for_missing_meetings_have_their_own_answers() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    let inserted = caller.call(ApiCall::InsertDocument, "meetingID=a%26b", Way::Xml).await;
    assert_eq!(
        inserted.tokens(),
        [
            "<response>",
            "<returncode>",
            "FAILED",
            "</returncode>",
            "<message>",
            "Meeting with id [a&amp;b] not found.",
            "</message>",
            "</response>"
        ]
    );
    for way in ways(ApiCall::IsMeetingRunning) {
        let running = caller.call(ApiCall::IsMeetingRunning, "meetingID=room", way).await;
        assert_eq!((running.is_success(), running.text("running")), (true, "false"), "{way:?}");
    }
}

/// Refusals of a join redirect to the address that the application gave, except for missing roles
/// and passwords.
#[tokio::test]
async fn refused_joins_are_redirected_with_the_same_words() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    for (_, query, (key, message)) in catalogue().into_iter().filter(|(call, ..)| *call == ApiCall::Join) {
        for (name, more) in
            [("errorRedirectUrl", "&logoutURL=https%3A%2F%2Fother.test"), ("logoutURL", "&redirect=false")]
        {
            let query = format!("{query}&{name}=https%3A%2F%2Fapp.test%2Fx%3Fa%3D1{more}");
            let answer = caller.call(ApiCall::Join, &query, Way::Get).await;
            if key == ROLE.0 {
                assert_refused(ApiCall::Join, &answer, (key, message), &query);
                continue;
            }
            let (address, errors) = answer.location();
            assert_eq!(address, "https://app.test/x", "{query}");
            let errors = errors.strip_prefix("a=1&errors=").unwrap_or_else(|| panic!("{query}: {errors}"));
            let errors: serde_json::Value =
                serde_json::from_str(&usher_bbb::query::decode(&errors.replace('+', "%2B")))
                    .expect("is JSON");
            assert_eq!(errors, serde_json::json!([{ "key": key, "message": message }]), "{query}");
        }
    }
}

/// Returns the message about a bad checksum, by the part of BBB that verifies it.
fn checksum_words(call: ApiCall, missing: bool) -> Words {
    match call {
        ApiCall::PutRecordingTextTrack if missing => ("paramError", "Missing param checksum."),
        ApiCall::GetRecordings
        | ApiCall::PublishRecordings
        | ApiCall::DeleteRecordings
        | ApiCall::UpdateRecordings
        | ApiCall::GetRecordingTextTracks
        | ApiCall::PutRecordingTextTrack => ("checksumError", "You did not pass the checksum security check"),
        _ if missing => ("checksumError", "You must provide the checksum"),
        _ => ("checksumError", "Checksums do not match"),
    }
}

#[tokio::test]
async fn every_call_refuses_a_checksum_that_is_missing_wrong_or_there_twice() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    // The query has all parameters that any call needs, so that only the checksum is wrong.
    let query = "meetingID=room&name=Room&fullName=Ada&role=VIEWER&message=Hi&recordID=a&publish=true\
                 &kind=captions&lang=en";
    let mut seen = 0;
    for call in calls() {
        for way in ways(call) {
            let good = match way {
                Way::Get | Way::Xml | Way::File => caller.checksum(call, query),
                _ => caller.checksum(call, ""),
            };
            let spoilt = good.replace(|c: char| c.is_ascii_digit(), "f");
            let (short, foreign) = (&good[1..], caller.checksum(ApiCall::Root, query));
            for (sums, missing) in [
                (&[][..], true),
                (&[""], true),
                (&[&*spoilt], false),
                (&[short], false),
                (&[&*foreign], false),
                (&["g".repeat(64).as_str()], false),
                (&[&*good, &*good], false),
                (&[&*good, &*spoilt], false),
            ] {
                let answer = caller.send(call, query, way, sums).await;
                let what = format!("{call} {way:?} {}", sums.len());
                // If one of two checksums is empty, the other may count as the only one.
                assert_refused(call, &answer, checksum_words(call, missing), &what);
                seen += 1;
            }
        }
    }
    assert!(seen > 250, "{seen}");
    assert!(cluster.sims[0].calls().is_empty());
}

#[tokio::test]
async fn every_call_refuses_methods_and_bodies_it_does_not_take() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    let unsupported = ("unsupportedRequest", "This request is not supported.");
    let content = ("unsupportedContentType", "POST request Content-Type is missing or unsupported");
    for call in calls() {
        let path = format!(
            "{API}/{}?meetingID=room&checksum={}",
            call.name(),
            caller.checksum(call, "meetingID=room")
        );
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let method_is_taken = call.accepts_method(&method.parse().expect("is a method"));
            if !method_is_taken {
                let answer = cluster.client.send(method, &path, &[], "").await;
                assert_refused(call, &answer, unsupported, &format!("{method} {call}"));
                assert_eq!(answer.body.starts_with('{'), call.answers_json(), "{method} {call}");
            }
        }
        if call.accepts_method(&http::Method::POST) {
            for kind in
                ["", "text/plain", "application/json", "application/xmlx", "x", "application/octet-stream"]
            {
                let headers = [("content-type", kind)];
                let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
                let answer = cluster.client.send("POST", &path, headers, "x=1").await;
                assert_refused(call, &answer, content, &format!("{call} {kind}"));
            }
        }
    }
    assert!(cluster.sims[0].calls().is_empty());
}

/// A form beside a signed query is unsigned: the edge ignores it for every call.
#[tokio::test]
async fn parameters_beside_a_signed_query_do_not_count() {
    let cluster = Cluster::start(1).await;
    let caller = Caller::default(&cluster.client);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for call in calls().filter(|call| ways(*call).contains(&Way::Form)) {
        let query = "x=1";
        let path = format!("{API}/{}?{query}&checksum={}", call.name(), caller.checksum(call, query));
        let alone = cluster.client.send("POST", &path, &form, "").await;
        let body = "meetingID=room&name=Room&recordID=a&meta_x=1&publish=true";
        let beside = cluster.client.send("POST", &path, &form, body).await;
        assert_eq!(said(call, &alone), said(call, &beside), "{call}");
        let path = format!("{API}/{}?{query}", call.name());
        let unsigned = format!("{body}&checksum={}", encode(&caller.checksum(call, "")));
        let answer = cluster.client.send("POST", &path, &form, unsigned).await;
        assert_refused(
            call,
            &answer,
            checksum_words(call, true),
            &format!("{call}: the checksum is of another request"),
        );
    }
    assert!(cluster.sims[0].meetings().is_empty());
}
