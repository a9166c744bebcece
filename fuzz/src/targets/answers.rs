//! Answers of servers, and the lists that are merged from them.

use usher_bbb::parse::{self, ServerReply};

/// Parses the answers of servers: a truncated list is never read as a shorter list.
pub(super) fn server_xml(input: &[u8]) {
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

/// Parses the lists that are merged from several servers: a truncated list is never read as a
/// shorter one, and every listed entry is in the answer.
pub(super) fn federated_lists(input: &[u8]) {
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
