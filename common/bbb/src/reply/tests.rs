use super::*;
use crate::parse;

#[test]
fn answers_are_byte_for_byte_those_of_a_server() {
    assert_eq!(
        Refusal::CHECKSUM_MISMATCH.to_xml(),
        "<response>\n<returncode>FAILED</returncode>\n<messageKey>checksumError</messageKey>\n\
         <message>Checksums do not match</message>\n</response>\n"
    );
    assert_eq!(
        Refusal::VOICE_BRIDGE_TAKEN.to_errors_xml(),
        "<response>\n<returncode>FAILED</returncode>\n<errors>\n<error>\n<key>nonUniqueVoiceBridge</key>\n\
         <message>The selected voice bridge is already in use.</message>\n</error>\n</errors>\n</response>\n"
    );
    assert_eq!(
        running(false),
        "<response>\n<returncode>SUCCESS</returncode>\n<running>false</running>\n</response>\n"
    );
    assert_eq!(
        meetings([]),
        "<response>\n<returncode>SUCCESS</returncode>\n<meetings/>\n<messageKey>noMeetings</messageKey>\n\
         <message>no meetings were found on this server</message>\n</response>\n"
    );
    assert_eq!(
        Refusal::RECORDINGS_NOT_FOUND.to_json(),
        r#"{"response":{"returncode":"FAILED","messageKey":"notFound","message":"We could not find recordings"}}"#
    );
    assert_eq!(
        Refusal::missing_param("kind").to_json_lines(),
        "{\n    \"response\": {\n        \"returncode\": \"FAILED\",\n        \"messageKey\": \"paramError\",\n        \
         \"message\": \"Missing param kind.\"\n    }\n}"
    );
    assert_eq!(
        recordings([], None),
        "<response>\n<returncode>SUCCESS</returncode>\n<recordings></recordings>\n\
         <messageKey>noRecordings</messageKey>\n<message>There are no recordings for the meeting(s).</message>\n\
         </response>\n"
    );
    assert_eq!(
        changed("published", "<x>"),
        "<response>\n<returncode>SUCCESS</returncode>\n<published>&lt;x&gt;</published>\n</response>\n"
    );
    assert_eq!(
        sessions([]),
        "<response>\n<returncode>SUCCESS</returncode>\n<sessions/>\n<messageKey>noSessions</messageKey>\n\
         <message>no sessions were found on this serverr</message>\n</response>\n"
    );
}

#[test]
fn merged_lists_hold_every_meeting_as_it_came() {
    let one = "<meeting><meetingID>a</meetingID><internalMeetingID>i-1</internalMeetingID></meeting>";
    let two = "<meeting>\n<meetingID>b</meetingID><internalMeetingID>j-2</internalMeetingID></meeting>";
    let merged = meetings([one, two]);
    let parse::ServerReply::Success(listed) = parse::meetings(&merged).unwrap() else { panic!("failed") };
    assert_eq!(listed.iter().map(|meeting| meeting.raw).collect::<Vec<_>>(), [one, two]);
}

#[test]
fn every_refusal_of_the_catalogue_reads_back() {
    for refusal in Refusal::CATALOGUE {
        for xml in [refusal.to_xml(), refusal.to_errors_xml()] {
            let outcome = parse::outcome(&xml).unwrap();
            assert!(!outcome.success);
            assert_eq!((outcome.key.as_str(), outcome.message.as_str()), (refusal.key, &*refusal.message));
        }
    }
}

#[test]
fn reserved_characters_are_escaped_and_forbidden_ones_left_out() {
    let refusal = Refusal::validation("<a b=\"c\">&'\u{0}\u{b}é");
    assert!(refusal.to_xml().contains("<message>&lt;a b=&quot;c&quot;&gt;&amp;&#39;é</message>"));
    assert_eq!(parse::outcome(&refusal.to_xml()).unwrap().message, "<a b=\"c\">&'é");
}

#[test]
fn root_and_end_have_the_texts_that_clients_compare() {
    assert!(root().contains("<version>2.0</version>"));
    assert!(ended().contains("<messageKey>sentEndMeetingRequest</messageKey>"));
    assert!(parse::outcome(&root()).unwrap().success && parse::outcome(&ended()).unwrap().success);
}

#[test]
fn pages_are_described_in_both_forms() {
    let one = "<recording><recordID>a-1</recordID></recording>";
    let page = recordings([one], Some(RecordingPage { offset: 2, limit: 1, total: 5 }));
    let parse::ServerReply::Success(list) = parse::recordings(&page).unwrap() else { panic!("failed") };
    assert_eq!((list.total, list.recordings.map(|listed| listed.len())), (Some(5), Some(1)));
    let bare = page.replace("<pagination>", "<x>").replace("</pagination>", "</x>");
    assert!(bare.ends_with("<totalElements>5</totalElements>\n</response>\n"), "{bare}");
    assert!(
        page.contains("<offset>2</offset>\n<limit>1</limit>\n<paged>true</paged>\n<unpaged>false</unpaged>")
    );
}
