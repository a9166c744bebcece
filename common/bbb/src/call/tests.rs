use super::*;

#[test]
fn every_call_is_found_by_its_name_and_is_in_its_row() {
    for (index, call) in ApiCall::all().enumerate() {
        assert_eq!(call as usize, index, "{call}");
        assert_eq!(ApiCall::parse(call.name()), Some(call));
    }
    for unknown in ["Create", "create/", "rap/publish", "hooks", "/create", "getmeetings"] {
        assert_eq!(ApiCall::parse(unknown), None, "{unknown}");
    }
}

#[test]
fn join_and_the_get_only_calls_take_no_body() {
    for call in ApiCall::all().filter(|call| !call.accepts_method(&Method::POST)) {
        for kind in [BodyKind::Form, BodyKind::Multipart, BodyKind::Xml, BodyKind::Json] {
            assert!(!call.accepts_body(kind), "{call}");
        }
    }
    assert!(!ApiCall::Join.accepts_method(&Method::POST));
    assert!(!ApiCall::SendChatMessage.accepts_method(&Method::POST));
    assert!(!ApiCall::InsertDocument.accepts_method(&Method::GET));
    assert!(ApiCall::all().all(|call| !call.accepts_method(&Method::PUT)));
}

#[test]
fn bodies_are_taken_as_servers_take_them() {
    for content_type in ["application/xml", "text/xml; charset=UTF-8", " Application/XML ;x"] {
        let kind = BodyKind::parse(content_type).unwrap();
        assert!(ApiCall::Create.accepts_body(kind) && ApiCall::InsertDocument.accepts_body(kind));
        assert!(!ApiCall::End.accepts_body(kind));
    }
    let form = BodyKind::parse("application/x-www-form-urlencoded;charset=utf-8").unwrap();
    assert!(ApiCall::Create.accepts_body(form) && ApiCall::End.accepts_body(form));
    assert!(!ApiCall::InsertDocument.accepts_body(form));
    assert!(
        ApiCall::PutRecordingTextTrack
            .accepts_body(BodyKind::parse("multipart/form-data; boundary=x").unwrap())
    );
    assert_eq!(BodyKind::parse("text/plain"), None);
    assert_eq!(BodyKind::parse(""), None);
}

#[test]
fn checksum_failures_have_the_words_of_each_part_of_bbb() {
    use ChecksumProblem::{Mismatch, Missing};
    let words = |call: ApiCall, problem| call.checksum_refusal(problem).message.into_owned();
    assert_eq!(words(ApiCall::Create, Mismatch), "Checksums do not match");
    assert_eq!(words(ApiCall::GetMeetings, Missing), "You must provide the checksum");
    assert_eq!(words(ApiCall::GetRecordings, Missing), "You did not pass the checksum security check");
    assert_eq!(words(ApiCall::GetRecordings, Mismatch), "You did not pass the checksum security check");
    assert_eq!(words(ApiCall::HooksCreate, Mismatch), "You did not pass the checksum security check.");
    assert_eq!(words(ApiCall::PutRecordingTextTrack, Missing), "Missing param checksum.");
    for call in ApiCall::all().filter(|call| call.is_signed() && *call != ApiCall::PutRecordingTextTrack) {
        for problem in [Missing, Mismatch] {
            assert_eq!(call.checksum_refusal(problem).key, "checksumError", "{call}");
        }
    }
}

#[test]
fn calls_without_a_checksum_are_those_of_sessions_the_root_ping_and_removed_ones() {
    let unsigned: Vec<_> = ApiCall::all().filter(|call| !call.is_signed()).collect();
    assert!(unsigned.iter().all(|call| {
        matches!(call.strategy(), CallStrategy::Session | CallStrategy::Gone | CallStrategy::Local(_))
    }));
    assert_eq!(unsigned.len(), 12);
}

/// The calls of a browser's session answer JSON on several lines, but for `signOut` (BBB 2.5.14).
#[test]
fn calls_that_answer_json_are_those_of_sessions_and_text_tracks() {
    let json: Vec<&str> = ApiCall::all().filter(|call| call.answers_json()).map(ApiCall::name).collect();
    assert_eq!(
        json,
        [
            "getRecordingTextTracks",
            "putRecordingTextTrack",
            "getJoinUrl",
            "learningDashboard",
            "stuns",
            "enter",
            "guestWait",
            "feedback"
        ]
    );
}

#[test]
fn a_call_about_one_meeting_has_an_answer_for_a_missing_one() {
    for call in ApiCall::all() {
        let names_a_meeting = call.parameter_rules().identity() == Some("meetingID");
        assert_eq!(*call.missing_meeting() != MissingMeeting::Inapplicable, names_a_meeting, "{call}");
    }
}

#[test]
fn parameters_are_checked_by_the_part_of_bbb_that_answers() {
    for call in ApiCall::all() {
        let identity = call.parameter_rules().identity();
        let expected: &[Option<&str>] = match call.strategy() {
            CallStrategy::Place | CallStrategy::Redirect | CallStrategy::Owner(_) => &[Some("meetingID")],
            CallStrategy::Recordings(_) => &[Some("recordID"), None],
            CallStrategy::Hooks(_) => &[Some("hookID"), None],
            CallStrategy::Local(_)
            | CallStrategy::EveryServer(_)
            | CallStrategy::Session
            | CallStrategy::Gone => &[None],
        };
        assert!(expected.contains(&identity), "{call}");
    }
}
