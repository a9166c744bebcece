//! `getRecordings`, over the list of the options.

use usher_common::bbb::reply::xml::Xml;

use super::ApiAnswer;
use crate::{
    options::{SimOptions, SimRecording},
    request::Params,
};

pub(super) fn answer(options: &SimOptions, params: &Params) -> ApiAnswer {
    let found: Vec<_> =
        options.recordings.iter().filter(|recording| is_asked_for(recording, params)).collect();
    let mut xml = Xml::new();
    xml.element("response", |xml| {
        xml.leaf("returncode", "SUCCESS");
        xml.element("recordings", |xml| {
            for recording in &found {
                xml.element("recording", |xml| write(xml, recording));
            }
        });
        if found.is_empty() {
            xml.leaf("messageKey", "noRecordings")
                .leaf("message", "There are no recordings for the meeting(s).");
        }
    });
    ApiAnswer::Xml(xml.finish())
}

/// `recordID` wins over `meetingID` and matches by prefix; both are lists.
fn is_asked_for(recording: &SimRecording, params: &Params) -> bool {
    let by_id = match (params.given("recordID"), params.given("meetingID")) {
        (Some(ids), _) => ids.split(',').any(|id| recording.record_id.starts_with(id.trim())),
        (None, Some(ids)) => ids.split(',').any(|id| recording.meeting_id == id.trim()),
        (None, None) => true,
    };
    let state = if recording.published { "published" } else { "unpublished" };
    let by_state = params.given("state").is_none_or(|states| {
        states.split(',').any(|asked| matches!(asked.trim(), "any") || asked.trim() == state)
    });
    let by_meta = params.with_prefix("meta_").all(|(key, value)| {
        recording.metadata.iter().any(|(name, held)| name.eq_ignore_ascii_case(key) && held == value)
    });
    by_id && by_state && by_meta
}

fn write(xml: &mut Xml, recording: &SimRecording) {
    xml.leaf("recordID", &recording.record_id)
        .leaf("meetingID", &recording.meeting_id)
        .leaf("internalMeetingID", &recording.record_id)
        .leaf("name", &recording.name)
        .leaf("isBreakout", "false")
        .leaf("published", recording.published.to_string())
        .leaf("state", if recording.published { "published" } else { "unpublished" })
        .leaf("startTime", recording.start_time_ms.to_string())
        .leaf("endTime", recording.end_time_ms.to_string())
        .leaf("participants", "1")
        .element("metadata", |xml| {
            xml.leaf("meetingName", &recording.name)
                .leaf("isBreakout", "false")
                .leaf("meetingId", &recording.meeting_id);
            for (key, value) in &recording.metadata {
                xml.leaf(key, value);
            }
        })
        .element("playback", |_| {})
        .element("data", |_| {});
}
