//! The call `getRecordings`, with the defects of real servers: list entries are decoded twice,
//! paging counts formats instead of recordings, and an offset out of range is an exception.

use usher_bbb::{
    query::decode,
    reply::xml::{XmlDocument, push_escaped},
};

use super::selection::{entries, metadata};
use crate::{
    answer::ApiAnswer,
    memory::ServerMemory,
    options::{BbbVersion, SimOptions},
    recording::{SimFormat, SimRecording, SimRecordingState},
    request::ApiParams,
};

/// Most recordings on one page.
const LIMIT_MAX: usize = 100;

pub(in crate::calls) fn list(
    memory: &ServerMemory,
    options: &SimOptions,
    base: &str,
    params: &ApiParams,
) -> ApiAnswer {
    let version = memory.version();
    if metadata(params).any(|(_, value)| value.is_empty()) {
        return ApiAnswer::ServerError;
    }
    let limit = params.given("limit").and_then(|limit| limit.trim().parse::<i64>().ok());
    let by_id = params.given("recordID").is_some() || params.given("meetingID").is_some();
    if !by_id && limit.is_none() && !options.fetch_all {
        return no_recordings(
            false,
            "No recordings found. This may occur if you attempt to retrieve all recordings.",
        );
    }
    let found: Vec<_> =
        memory.recordings().iter().filter(|recording| is_selected(recording, params)).collect();
    let Some(limit) = limit else { return answer(version, base, &found, None) };
    let limit = usize::try_from(limit).unwrap_or(1).clamp(1, LIMIT_MAX);
    let offset = params.given("offset").and_then(|offset| offset.trim().parse().ok()).unwrap_or(0_usize);
    let rows: Vec<_> = found.iter().flat_map(|found| found.formats.iter().map(move |_| *found)).collect();
    if offset > rows.len() {
        return ApiAnswer::ServerError;
    }
    let mut page: Vec<_> = rows[offset..].iter().copied().take(limit).collect();
    page.dedup_by_key(|recording| &recording.record_id);
    answer(version, base, &page, Some((offset, limit, rows.len())))
}

fn no_recordings(listed: bool, message: &str) -> ApiAnswer {
    let list = if listed { "  <recordings></recordings>\n" } else { "" };
    ApiAnswer::Xml(format!(
        "<response>\n  <returncode>SUCCESS</returncode>\n{list}  <messageKey>noRecordings</messageKey>\n  \
         <message>{message}</message>\n</response>\n"
    ))
}

fn answer(
    version: BbbVersion,
    base: &str,
    found: &[&SimRecording],
    page: Option<(usize, usize, usize)>,
) -> ApiAnswer {
    if found.is_empty() {
        return no_recordings(true, "There are no recordings for the meeting(s).");
    }
    let mut xml = XmlDocument::new();
    xml.element("response", |xml| {
        xml.leaf("returncode", "SUCCESS");
        xml.element("recordings", |xml| {
            for recording in found {
                xml.element("recording", |xml| write(xml, recording, base));
            }
        });
        match page {
            None => {}
            Some((.., total)) if version == BbbVersion::V2_4 => {
                xml.leaf("totalElements", total.to_string());
            }
            Some((offset, limit, total)) => {
                xml.element("pagination", |xml| {
                    xml.element("pageable", |xml| {
                        xml.leaf("offset", offset.to_string())
                            .leaf("limit", limit.to_string())
                            .leaf("paged", "true")
                            .leaf("unpaged", "false");
                    });
                    xml.leaf("totalElements", total.to_string()).leaf("empty", "false");
                });
            }
        }
    });
    ApiAnswer::Xml(xml.finish())
}

/// Returns whether a request selects a recording. `recordID` wins over `meetingID` and matches by
/// prefix; both are lists whose entries are decoded once more.
fn is_selected(recording: &SimRecording, params: &ApiParams) -> bool {
    let by_id = match (params.given("recordID"), params.given("meetingID")) {
        (Some(ids), _) => entries(ids).iter().any(|id| recording.record_id.starts_with(&*decode(id))),
        (None, Some(ids)) => entries(ids).iter().any(|id| recording.meeting_id == decode(id)),
        (None, None) => true,
    };
    let by_state = match params.given("state") {
        None => matches!(recording.state, SimRecordingState::Published | SimRecordingState::Unpublished),
        Some(states) => {
            entries(states).iter().any(|state| matches!(*state, "any") || *state == recording.state.name())
        }
    };
    let by_meta =
        metadata(params).all(|(key, value)| recording.metadata(&key).is_some_and(|held| fits(held, value)));
    by_id && by_state && by_meta
}

/// Compares metadata with a pattern: `%` at either end matches any text.
fn fits(held: &str, wanted: &str) -> bool {
    match (wanted.strip_prefix('%'), wanted.strip_suffix('%')) {
        (Some(rest), Some(_)) => held.contains(rest.strip_suffix('%').unwrap_or(rest)),
        (Some(end), None) => held.ends_with(end),
        (None, Some(start)) => held.starts_with(start),
        (None, None) => held == wanted,
    }
}

fn write(xml: &mut XmlDocument, recording: &SimRecording, base: &str) {
    let published = recording.state == SimRecordingState::Published;
    let size: u64 = recording.formats.iter().map(|format| format.size).sum();
    xml.leaf("recordID", &recording.record_id)
        .leaf("meetingID", &recording.meeting_id)
        .leaf("internalMeetingID", &recording.record_id)
        .leaf("name", rewritten_name(recording))
        .leaf("isBreakout", recording.breakout.is_some().to_string())
        .leaf("published", published.to_string())
        .leaf("state", recording.state.name())
        .leaf("startTime", recording.start_time_ms.to_string())
        .leaf("endTime", recording.end_time_ms.to_string())
        .leaf("participants", recording.participants.to_string())
        .leaf("rawSize", (size * 2).to_string())
        .element("metadata", |xml| {
            xml.leaf("meetingName", &recording.name)
                .leaf("isBreakout", recording.breakout.is_some().to_string())
                .leaf("meetingId", &recording.meeting_id);
            for (key, value) in &recording.metadata {
                xml.leaf(key, value);
            }
        });
    if let Some((parent, sequence, free_join)) = &recording.breakout {
        xml.element("breakout", |xml| {
            xml.leaf("parentId", parent)
                .leaf("sequence", sequence.to_string())
                .leaf("freeJoin", free_join.to_string());
        });
    }
    xml.leaf("size", size.to_string())
        .element("playback", |xml| {
            for format in &recording.formats {
                xml.element("format", |xml| playback(xml, format, recording, base));
            }
        })
        .element("data", |_| {});
}

fn playback(xml: &mut XmlDocument, format: &SimFormat, recording: &SimRecording, base: &str) {
    let record_id = &recording.record_id;
    let address = |url: String| match recording.rewrites {
        0 => url,
        // The file is written anew, indented.
        _ => format!("\n        {url}\n      "),
    };
    xml.leaf("type", &format.kind)
        .leaf("url", address(format!("{base}/playback/{}/2.3/{record_id}", format.kind)))
        .leaf("processingTime", format.processing_time_ms.to_string())
        .leaf("length", format.length_minutes.to_string())
        .leaf("size", format.size.to_string());
    let thumbnail = address(format!("{base}/presentation/{record_id}/thumb-1.png"));
    let image = format!("<image alt=\"Welcome\" height=\"136\" width=\"176\">{thumbnail}</image>");
    xml.element("preview", |xml| {
        xml.element("images", |xml| {
            xml.raw(&image);
        });
    });
}

/// Returns the name of a recording: each change of its state escapes the name once more.
fn rewritten_name(recording: &SimRecording) -> String {
    (0..recording.rewrites).fold(recording.name.clone(), |name, _| {
        let mut escaped = String::with_capacity(name.len());
        push_escaped(&mut escaped, &name);
        escaped
    })
}
