use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

const LIST: &str = "<response>
<returncode>SUCCESS</returncode>
<meetings>
<meeting>
<meetingName>Room &amp; &#39;42&#39;</meetingName>
<meetingID>room&amp;42</meetingID>
<internalMeetingID>6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000</internalMeetingID>
<createTime>1700000000000</createTime>
<attendeePW>ap</attendeePW>
<moderatorPW>mp</moderatorPW>
<running>true</running>
<hasBeenForciblyEnded>false</hasBeenForciblyEnded>
<participantCount>1,234</participantCount>
<maxUsers>2,000</maxUsers>
<attendees>
<attendee><userID>w_1</userID><fullName>Ada</fullName><customdata><my key>1</my key></customdata></attendee>
</attendees>
<metadata>
<usher-tenant>school</usher-tenant>
<usher-size>40</usher-size>
<empty/>
</metadata>
<isBreakout>false</isBreakout>
</meeting>
<meeting>
<meetingID>b</meetingID>
<internalMeetingID>b-1700000000001</internalMeetingID>
<metadata/>
<isBreakout>true</isBreakout>
<parentMeetingID>6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000</parentMeetingID>
</meeting>
</meetings>
</response>";

fn list(body: &str) -> Vec<ListedMeeting<'_>> {
    match meetings(body) {
        Ok(ServerReply::Success(listed)) => listed,
        other => panic!("no list but {other:?}"),
    }
}

#[test]
fn a_list_is_read_with_all_that_is_needed_of_it() {
    let listed = list(LIST);
    let [room, breakout] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(room.meeting_id, "room&42");
    assert_eq!(room.create_time_ms, 1_700_000_000_000);
    assert_eq!((room.participants, room.max_users), (1234, 2000));
    assert_eq!((room.tenant(), room.size_hint()), (Some("school"), 40));
    assert_eq!(room.metadata("empty"), Some(""));
    assert_eq!(room.moderator_password, Some(Secret::new("mp")));
    assert!(room.running && !room.forcibly_ended && !room.is_breakout);
    assert!(room.raw.starts_with("<meeting>\n<meetingName>") && room.raw.ends_with("</meeting>"));
    assert!(breakout.is_breakout && breakout.tenant().is_none());
    assert_eq!(breakout.parent_internal_id.as_deref(), Some(room.internal_id.as_str()));
    assert_eq!(breakout.create_time_ms, 1_700_000_000_001);
}

#[test]
fn a_cut_list_is_an_error_and_never_a_shorter_list() {
    for length in (0..LIST.len()).filter(|length| LIST.is_char_boundary(*length)) {
        assert!(meetings(&LIST[..length]).is_err(), "{length}");
        assert!(outcome(&LIST[..length]).is_err(), "{length}");
    }
}

#[test]
fn empty_lists_are_lists() {
    assert_eq!(list(&crate::reply::meetings([])), []);
    assert_eq!(list("<response><returncode>SUCCESS</returncode><meetings></meetings></response>"), []);
    let without = "<response><returncode>SUCCESS</returncode><messageKey>noMeetings</messageKey></response>";
    assert_eq!(list(without), []);
}

#[test]
fn an_answer_without_a_list_is_an_error() {
    let cases = [
        ("", UnreadableReply::Empty),
        (" \n", UnreadableReply::Empty),
        ("<!DOCTYPE html><html><body>502</body></html>", UnreadableReply::NotAResponse),
        ("<html><body><br></body></html>", UnreadableReply::NotAResponse),
        ("{\"response\":{}}", UnreadableReply::NotAResponse),
        ("<response><returncode>SUCCESS</returncode></response>", UnreadableReply::Missing("meetings")),
        ("<response><meetings/></response>", UnreadableReply::Missing("returncode")),
        (
            "<response><returncode>SUCCESS</returncode><meetings><meeting></meetings></response>",
            UnreadableReply::Malformed,
        ),
        (
            "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID></meeting></meetings></response>",
            UnreadableReply::Missing("internalMeetingID"),
        ),
        (
            "<response><returncode>SUCCESS</returncode><meetings/></response><response/>",
            UnreadableReply::Malformed,
        ),
        (
            "<response><returncode>SUCCESS</returncode><meetings/></response>tail",
            UnreadableReply::NotAResponse,
        ),
    ];
    for (body, error) in cases {
        assert_eq!(meetings(body), Err(error), "{body}");
    }
    let deep = format!("<response>{}", "<a>".repeat(100));
    assert_eq!(outcome(&deep), Err(UnreadableReply::TooDeep));
    assert_eq!(outcome(&" ".repeat(MAX_BYTES + 1)), Err(UnreadableReply::TooLarge));
}

#[test]
fn a_refused_list_tells_why() {
    let body = crate::reply::Refusal::CHECKSUM_MISMATCH.to_xml();
    let Ok(ServerReply::Failed(failure)) = meetings(&body) else { panic!("no failure") };
    assert_eq!((failure.key.as_str(), failure.message.as_str()), ("checksumError", "Checksums do not match"));
}

#[test]
fn users_cannot_break_a_list_by_the_names_they_choose() {
    for name in ["a b", "a/b", "x/", "1", "a&b", "meeting", "meetings", "response", "attendee", "é"] {
        let element = format!("<{name}>v</{name}>");
        let broken = LIST.replace("<my key>1</my key>", &element);
        let listed = list(&broken);
        assert_eq!(listed.len(), 2, "{name}");
        assert_eq!(listed[0].tenant(), Some("school"), "{name}");
    }
}

#[test]
fn replies_to_create_are_read() {
    let body = |key: &str| {
        format!(
            "<response>\n<returncode>SUCCESS</returncode>\n<meetingID>room-42</meetingID>\n\
             <internalMeetingID>6fea-1700000000000</internalMeetingID>\n<createTime>1700000000000</createTime>\n\
             <messageKey>{key}</messageKey>\n<message></message>\n</response>\n"
        )
    };
    let read = |body: &str| match create_reply(body) {
        Ok(ServerReply::Success(reply)) => reply,
        other => panic!("{other:?}"),
    };
    let new = read(&body(""));
    assert_eq!((new.internal_id.as_str(), new.create_time_ms), ("6fea-1700000000000", 1_700_000_000_000));
    assert!(!new.duplicate && read(&body("duplicateWarning")).duplicate);
    let of = |parent: &str| {
        let parent = format!("<parentMeetingID>{parent}</parentMeetingID>\n<createTime>");
        read(&body("").replacen("<createTime>", &parent, 1))
    };
    assert!(of("6fea-1").breakout && !of("bbb-none").breakout && !of("").breakout && !new.breakout);
    let refused = crate::reply::Refusal::VOICE_BRIDGE_TAKEN.to_errors_xml();
    let Ok(ServerReply::Failed(failure)) = create_reply(&refused) else { panic!("no failure") };
    assert_eq!(failure.key, "nonUniqueVoiceBridge");
    let whole = body("");
    let end = whole.trim_end().len();
    assert!((0..end).all(|length| create_reply(&whole[..length]).is_err()));
}

#[test]
fn a_key_in_user_data_is_not_the_answers_own() {
    let body = "<response><returncode>SUCCESS</returncode><attendees><attendee><customdata><messageKey>x</messageKey>\
                <returncode>FAILED</returncode></customdata></attendee></attendees></response>";
    let outcome = outcome(body).unwrap();
    assert!(outcome.success && outcome.key.is_empty());
}

#[test]
fn only_the_metadata_of_usher_is_removed() {
    let stripped = strip_usher_metadata(LIST);
    assert_eq!(
        stripped,
        LIST.replace("<usher-tenant>school</usher-tenant>\n<usher-size>40</usher-size>\n", "")
    );
    let without = "<response><metadata><a>1</a></metadata></response>";
    assert!(matches!(strip_usher_metadata(without), std::borrow::Cow::Borrowed(_)));
    let users = "<m><customdata><usher-x>1</usher-x></customdata><metadata><usher-x/><b/></metadata></m>";
    assert_eq!(
        strip_usher_metadata(users),
        "<m><customdata><usher-x>1</usher-x></customdata><metadata><b/></metadata></m>"
    );
}

#[test]
fn the_metadata_of_usher_is_found_beside_any_names_of_applications() {
    let mark = "<usher-tenant>school</usher-tenant>\n";
    for (before, after) in [
        ("<metadata>\n<metadata>a</metadata>\n", "</metadata>"),
        ("<metadata>\n<metadata/>\n<x>1</x>\n", "</metadata>"),
        ("<metadata>\n<customdata>a</customdata>\n", "</metadata>"),
        ("<metadata>\n<a>&lt;/metadata></a>\n", "<b>1</b>\n</metadata>"),
        ("<customdata><metadata>a</metadata></customdata><metadata>\n", "</metadata>"),
        ("<customdata><x><metadata>>a</x><metadata>></customdata><metadata>\n", "</metadata>"),
        ("<customdata></metadata>>a<//metadata>></customdata><metadata>\n", "</metadata>"),
        ("<customdata><usher-x>1</usher-x></customdata><metadata>\n", "</metadata>"),
    ] {
        for (open, close) in [("<meeting>", "</meeting>"), ("\u{feff}\n<response>\n", "\n</response>\n")] {
            let expected = format!("{open}{before}{after}{close}");
            assert_eq!(strip_usher_metadata(&format!("{open}{before}{mark}{after}{close}")), expected);
        }
    }
    let broken = format!("<a><b></a><metadata>{mark}</metadata><usher-x");
    assert_eq!(strip_usher_metadata(&broken), "<a><b></a><metadata></metadata><usher-x");
    let none = "<a><usher-x<usher-y></usher-y>";
    assert_eq!(strip_usher_metadata(none), "<a><usher-x");
}

/// An application may choose names that hide further names. After several of them the brackets are removed.
#[test]
fn names_within_names_leave_no_metadata_of_usher() {
    for depth in [1, 3, 4, 5, 50] {
        let built =
            format!("<a>{}<usher-x></usher-x>{}", "<ush".repeat(depth), "er-x></usher-x>".repeat(depth));
        let stripped = strip_usher_metadata(&built);
        assert!(!stripped.contains("<usher-") && stripped.starts_with("<a>"), "{depth}: {stripped}");
    }
}

/// Returns documents that are almost well-formed, which random bytes never are.
fn near_answers() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("<response>".to_owned()),
        Just("</response>".to_owned()),
        Just("<meetings>".to_owned()),
        Just("</meetings>".to_owned()),
        Just("<meeting><meetingID>a</meetingID><internalMeetingID>b</internalMeetingID>".to_owned()),
        Just("</meeting>".to_owned()),
        Just("<metadata><usher-tenant>".to_owned()),
        Just("</usher-tenant></metadata>".to_owned()),
        Just("<returncode>SUCCESS</returncode>".to_owned()),
        "[<>&;/!\\[\\]?a-z\"' -]{0,6}",
    ];
    prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

/// A part of a meeting in a list.
fn listed_part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<meetingID>a</meetingID>",
        "<meetingID>a b</meetingID>",
        "<meetingID>a<b>c</b></meetingID>",
        "<internalMeetingID>i-1</internalMeetingID>",
        "\n  <internalMeetingID> i-2 </internalMeetingID>",
        "<participantCount>1,234</participantCount>",
        "<participantCount/>",
        "<attendees><attendee><role>VIEWER</role><meetingID>x</meetingID></attendee></attendees>",
        "<attendees/>",
        "<empty/><isBreakout>true</isBreakout>",
        "<metadata>",
        "</metadata>",
        "<metadata><a>1</a><my key>2</my key><b>3</b></metadata>",
        "<metadata/>",
        "<metadata>text</metadata>",
        "<usher-tenant>school</usher-tenant>",
        "<meeting>",
        "</meeting>",
        "<a>&amp;</a>",
        "<moderatorPW>a\r\nb</moderatorPW>",
        "<x y=\"1\">z</x>",
        "<-a>1</-a>",
        "text",
        "</stray>",
        "<open>",
        "é",
    ])
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(body in prop_oneof![near_answers(), ".{0,200}"]) {
        let (_, _, _) = (outcome(&body), create_reply(&body), meetings(&body).is_ok());
        let stripped = strip_usher_metadata(&body);
        prop_assert!(stripped.len() <= body.len());
        prop_assert_eq!(strip_usher_metadata(&stripped), stripped.as_ref());
    }

    /// An element with a comment is read step by step.
    #[test]
    fn plain_elements_read_as_they_do_step_by_step(parts in prop::collection::vec(listed_part(), 0..12)) {
        let body = format!(
            "<response><returncode>SUCCESS</returncode><meetings><meeting>{}</meeting>\n</meetings></response>",
            parts.concat()
        );
        let stepwise = body.replace("</", "<!----></");
        let read = |body| {
            meetings(body).map(|reply| match reply {
                ServerReply::Success(listed) => {
                    let whole = |listed: ListedMeeting<'_>| {
                        let at = &listed.raw[listed.meeting_id_at..];
                        assert!(at.starts_with(listed.meeting_id.split(['&', '<']).next().unwrap_or_default()));
                        ListedMeeting { raw: "", meeting_id_at: 0, ..listed }
                    };
                    listed.into_iter().map(whole).collect()
                }
                ServerReply::Failed(_) => Vec::new(),
            })
        };
        prop_assert_eq!(read(&body), read(&stepwise), "{}", body);
    }

    #[test]
    fn a_list_with_a_hole_is_never_read_as_another_number_of_whole_meetings(
        from in 0..LIST.len(), length in 1..200usize,
    ) {
        let to = (from + length).min(LIST.len());
        let holed = format!("{}{}", &LIST[..from], &LIST[to..]);
        if let Ok(ServerReply::Success(listed)) = meetings(&holed) {
            prop_assert!(listed.len() <= 2);
            for meeting in listed {
                prop_assert!(!meeting.meeting_id.is_empty() && !meeting.internal_id.is_empty());
                prop_assert!(meeting.raw.starts_with("<meeting>") && meeting.raw.ends_with("</meeting>"));
            }
        }
    }
}
