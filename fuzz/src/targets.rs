//! The targets. Input becomes text as in the servers: bytes that are not UTF-8 become U+FFFD.

use usher::core::server_list;
use usher_bbb::{
    call::ApiCall,
    checksum::{self, ChecksumAlgorithm},
    parse::{self, ServerReply},
    query::{ChecksumFault, QueryEdit, RawQuery, decode, encode, rebuilt_form, rewrite},
    secret::Secret,
};
use usher_control_plane::notifications::rules::hooks::event;
use usher_edge_proxy::core::document_body::DocumentBody;
use usher_model::callback::{CallbackKey, HookState, jwt, webhook::WebhookPost};

/// A target and inputs to begin with.
pub struct FuzzTarget {
    /// The name of the target in `cargo fuzz`.
    pub name: &'static str,
    /// The function that checks the law for an input.
    pub run: fn(&[u8]),
    /// Valid inputs, and parts of them.
    pub seeds: &'static [&'static str],
}

/// Every target, in the order of the runs.
pub const ALL: [FuzzTarget; 7] = [
    FuzzTarget { name: "raw_query", run: raw_query, seeds: QUERIES },
    FuzzTarget { name: "checksum_removal", run: checksum_removal, seeds: QUERIES },
    FuzzTarget { name: "server_xml", run: server_xml, seeds: ANSWERS },
    FuzzTarget { name: "server_list", run: server_list, seeds: LISTS },
    FuzzTarget { name: "federated_lists", run: federated_lists, seeds: FEDERATED },
    FuzzTarget { name: "callback", run: callback, seeds: CALLBACKS },
    FuzzTarget { name: "document_body", run: document_body, seeds: BODIES },
];

const QUERIES: &[&str] = &[
    "name=J%C3%BCrgen%27s+R%C3%A4ume&meetingID=%E6%9D%B1%E4%BA%AC-01&checksum=8fca5183f5cb69b98789a8f02bf0ca25a78cf0d4",
    "&redirect=true&meetingID=room-42&checksum=abc&",
    "checksum=abc&meetingID=x&meeting%49D=y",
    "meta_Usher-Tenant=a&meta_usher-tenant=b&create",
    "checksum=",
    "&&=&=",
    "%zz%4",
];

const ANSWERS: &[&str] = &[
    "<response>\n<returncode>SUCCESS</returncode>\n<meetings>\n<meeting>\n<meetingID>room</meetingID>\n\
     <internalMeetingID>6fea-1700000000000</internalMeetingID>\n<createTime>1,700</createTime>\n\
     <participantCount>1,234</participantCount>\n<metadata>\n<usher-tenant>a</usher-tenant>\n<x/>\n</metadata>\n\
     <isBreakout>false</isBreakout>\n</meeting>\n</meetings>\n</response>\n",
    "<response><returncode>FAILED</returncode><errors><error><key>k</key><message>m</message></error></errors></response>",
    "<response><returncode>SUCCESS</returncode><meetingID>a</meetingID><internalMeetingID>b-1</internalMeetingID>\
     <messageKey>duplicateWarning</messageKey></response>",
    "<customdata><a b>1</a b></customdata>",
    "<!DOCTYPE html><html><body>&nbsp;&#x41;&amp;<![CDATA[x]]><!-- y --></body></html>",
    "</meeting>",
    "<meeting>",
];

const LISTS: &[&str] = &[
    "servers:\n  bbb-1:\n    url: https://bbb1.example.org/bigbluebutton/api/\n    secret: s\n    enabled: true\n",
    "servers:\n  a: &a\n    url: http://b/\n    secret: s\n  b: *a\n",
    "servers: {a: {url: http://b/, secret: s, load_multiplier: 2.5}}\n",
    "- a\n- b: [1, 2, {c: d}]\n",
    "---\n",
    "\"\\u0000\"",
];

const FEDERATED: &[&str] = &[
    "<response><returncode>SUCCESS</returncode><recordings><recording><recordID>6fea-1</recordID>\
     <meetingID>school~room</meetingID><startTime>1700000000000</startTime><metadata><usher-tenant>school</usher-tenant>\
     <bbb-recording-ready-url>https://app.example.org/r</bbb-recording-ready-url></metadata><playback/></recording>\
     </recordings><pagination><totalElements>1</totalElements></pagination></response>",
    "<response><returncode>SUCCESS</returncode><sessions><meeting><meetingID>6fea-1</meetingID></meeting></sessions></response>",
    "<response><returncode>SUCCESS</returncode><hooks><hook><hookID>1</hookID><callbackURL><![CDATA[https://a/cb]]>\
     </callbackURL><meetingID><![CDATA[room]]></meetingID><rawData>false</rawData></hook></hooks></response>",
    "<response><returncode>SUCCESS</returncode><recordings></recordings><messageKey>noRecordings</messageKey></response>",
    "{\"response\":{\"returncode\":\"SUCCESS\",\"tracks\":[{\"href\":\"https://a/t.vtt\",\"lang\":\"en\"}]}}",
    "</recording>",
    "<recording>",
];

const CALLBACKS: &[&str] = &[
    "domain=bbb1.example.org&event=%5B%7B%22data%22%3A%7B%22id%22%3A%22meeting-ended%22%7D%7D%5D&timestamp=1700000000000",
    "event=[{\"data\":{}}]&timestamp=x&domain=",
    "eyJhbGciOiJIUzI1NiJ9.eyJtZWV0aW5nX2lkIjoicm9vbSJ9.c2ln",
    "eyJhbGciOiJub25lIn0.e30.",
    "1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "hAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "&checksum=",
];

const BODIES: &[&str] = &[
    "<?xml version=\"1.0\"?><modules><module name=\"presentation\"><document url=\"https://a/b.pdf\" filename=\"b.pdf\"/>\
     <document name=\"c.pdf\">aGVsbG8=</document></module></modules>",
    "<modules><module name=\"clientSettingsOverride\"><![CDATA[{\"public\":{}}]]></module></modules>",
    "<m:modules xmlns:m=\"urn:x\"><m:module/></m:modules>",
    "<!-- a --><modules/>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
    "<a><b></a></b>",
    "&#x41;&amp;]]>",
];

/// Parses and rewrites queries: only the requested parameters are removed, added or moved.
pub fn raw_query(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    assert_eq!(rewrite(&text, &[]), text);
    assert_eq!(decode(&encode(&text)), text);
    let rest = |query: &str| -> Vec<String> {
        let others = RawQuery::new(query).pairs().filter(|pair| !pair.is("meetingID"));
        others.map(|pair| pair.text.to_owned()).collect()
    };
    let set = rewrite(&text, &[QueryEdit::Set("meetingID", "a b&c=é"), QueryEdit::Remove("meta_usher-size")]);
    let query = RawQuery::new(&set);
    assert_eq!(query.count("meetingID"), 1);
    assert_eq!(query.first("meetingID").as_deref(), Some("a b&c=é"));
    assert_eq!(query.count("meta_usher-size"), 0);
    assert_eq!(rest(&set), rest(&rewrite(&text, &[QueryEdit::Remove("meta_usher-size")])));
    let rebuilt = rebuilt_form(&text);
    assert!(RawQuery::new(&rebuilt).pairs().count() <= 1 + rebuilt.matches('&').count());
    let parsed = ApiCall::parse(&text).map(ApiCall::name);
    assert!(parsed.is_none_or(|name| name == text));
}

/// Removes checksums from queries and adds them: the rest is unchanged.
pub fn checksum_removal(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let count = RawQuery::new(&text).count("checksum");
    match RawQuery::new(&text).take_checksum() {
        Ok(signed) => {
            assert_eq!(count, 1);
            assert_eq!(RawQuery::new(&signed.query).count("checksum"), 0);
            assert!(!signed.checksum.is_empty() && signed.query.len() < text.len());
            assert!(!checksum::verify("create", &signed.query, &signed.checksum, []));
        }
        Err(ChecksumFault::Missing) => assert!(count <= 1),
        Err(ChecksumFault::Repeated) => assert!(count > 1),
    }
    if count == 0 {
        let secret = Secret::new("secret");
        for algorithm in ChecksumAlgorithm::ALL {
            let with = checksum::sign_query(algorithm, "create", text.clone().into_owned(), &secret);
            let signed =
                RawQuery::new(&with).take_checksum().unwrap_or_else(|fault| panic!("{fault}: {with}"));
            assert_eq!(signed.query, text);
            assert!(checksum::verify("create", &signed.query, &signed.checksum, [&secret]));
        }
    }
}

/// Parses the answers of servers: a truncated list is never read as a shorter list.
pub fn server_xml(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let stripped = parse::strip_usher_metadata(&text);
    assert!(stripped.len() <= text.len());
    assert_eq!(parse::strip_usher_metadata(&stripped), stripped);
    if let Ok(ServerReply::Success(reply)) = parse::create_reply(&text) {
        assert!(!reply.internal_id.is_empty());
    }
    let outcome = parse::outcome(&text);
    if let Ok(ServerReply::Success(meetings)) = parse::meetings(&text) {
        assert!(outcome.is_ok_and(|outcome| outcome.success));
        for meeting in &meetings {
            assert!(!meeting.meeting_id.is_empty() && !meeting.internal_id.is_empty());
            assert!(text.contains(meeting.raw) && meeting.raw.starts_with("<meeting"));
        }
        let whole = text.trim_end();
        for cut in (0..whole.len()).rev().take(64).filter(|cut| whole.is_char_boundary(*cut)) {
            assert!(parse::meetings(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}

/// Parses lists of servers: a parsed list can be written and parsed again.
pub fn server_list(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match server_list::parse(&text) {
        Ok(servers) => {
            let written = server_list::write(&servers);
            let again = server_list::parse(&written).unwrap_or_else(|faults| panic!("{faults}\n{written}"));
            assert_eq!(again, servers);
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// Parses the lists that are merged from several servers: a truncated list is never read as a
/// shorter one, and every listed entry is in the answer.
pub fn federated_lists(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let is_read = |text: &str| {
        let recordings = parse::recordings(text).is_ok_and(|read| matches!(read, ServerReply::Success(_)));
        let sessions = parse::sessions(text).is_ok_and(|read| matches!(read, ServerReply::Success(_)));
        let hooks = parse::hooks(text).is_ok_and(|read| matches!(read, ServerReply::Success(_)));
        recordings || sessions || hooks
    };
    if let Ok(ServerReply::Success(listed)) = parse::sessions(&text) {
        assert!(listed.iter().all(|session| text.contains(session.raw)));
    }
    if let Ok(ServerReply::Success(listed)) = parse::recordings(&text) {
        for recording in listed.recordings.iter().flatten() {
            assert!(recording.shown("school~").len() <= text.len());
        }
    }
    if is_read(&text) {
        let whole = text.trim_end();
        for cut in (0..whole.len()).rev().take(64).filter(|cut| whole.is_char_boundary(*cut)) {
            assert!(!is_read(&whole[..cut]), "cut at {cut}");
        }
    }
    let _ = parse::json_outcome(&text); // every outcome is permitted; the call must not panic
}

/// Parses callbacks of servers: the function accepts no text that this key did not seal or sign,
/// and forwards a form unchanged.
pub fn callback(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(posted) = WebhookPost::read(&text) {
        assert!(WebhookPost::read(&posted.form()).is_some_and(|again| again == posted));
        for event in event::split(&posted.events).unwrap_or_default() {
            let facts = event::facts(event);
            assert!(facts.external.is_none_or(|id| !id.is_empty()) && posted.events.contains(event));
        }
    }
    let key = CallbackKey::parse(&CallbackKey::encode([7; 32])).expect("is a key");
    assert!(key.open(&text).is_err() && HookState::open(&key, &text).is_none());
    assert!(jwt::verify(&text, [&Secret::new("secret")], 0).is_err());
}

/// Checks the body of a create: the verdict does not depend on the division of the body into parts.
pub fn document_body(input: &[u8]) {
    let verdict = |parts: Vec<&[u8]>| {
        let mut body = DocumentBody::default();
        parts.into_iter().try_for_each(|part| body.read(part)).and_then(|()| body.end())
    };
    let whole = verdict(vec![input]);
    for length in [1, 2, 7] {
        assert_eq!(verdict(input.chunks(length).collect()), whole, "in parts of {length}");
    }
}
