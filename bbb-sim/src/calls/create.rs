//! The call `create`.

use std::collections::BTreeMap;

use usher_bbb::{
    reply::{self, Refusal},
    text_length::utf16_length,
};

use super::{CallContext, modules};
use crate::{
    answer::ApiAnswer,
    memory::{MeetingDocument, SimBreakoutRequest, SimCreateRequest, SimCreateResult},
    render,
    request::{ApiParams, ApiRequest},
};

pub(super) fn answer(context: &mut CallContext<'_>, request: &ApiRequest, params: &ApiParams) -> ApiAnswer {
    let mut parsed = match parse(params) {
        Ok(parsed) => parsed,
        Err(refusal) => return refusal.into(),
    };
    let brought = request.xml().map_or(Ok(Vec::new()), |xml| modules::documents(&xml));
    let is_broken = brought.is_err();
    parsed.documents = brought.unwrap_or_default();
    if let Some(url) = params.given("preUploadedPresentation") {
        let name = params.get("preUploadedPresentationName").unwrap_or("default.pdf").to_owned();
        parsed.documents.push(MeetingDocument { name, url: Some(url.to_owned()) });
    }
    let (meeting, key, message) = match context.memory.create(parsed, context.now_ms) {
        SimCreateResult::New(meeting) => (meeting, "", ""),
        SimCreateResult::Duplicate(meeting) => (
            meeting,
            "duplicateWarning",
            "This conference was already in existence and may currently be in progress.",
        ),
        SimCreateResult::Refused(refusal) if refusal == Refusal::VOICE_BRIDGE_TAKEN => {
            return ApiAnswer::Xml(refusal.to_errors_xml());
        }
        SimCreateResult::Refused(refusal) => return refusal.into(),
    };
    if is_broken {
        return ApiAnswer::ServerError; // BBB reads the body after it has created the meeting
    }
    ApiAnswer::Xml(reply::success(|xml| {
        render::created(xml, meeting);
        xml.leaf("messageKey", key).leaf("message", message);
    }))
}

fn parse(params: &ApiParams) -> Result<SimCreateRequest, Refusal> {
    let breakout = params.is_true("isBreakout").then(|| SimBreakoutRequest {
        parent: params.given("parentMeetingID").map(str::to_owned),
        sequence: params.number("sequence"),
        free_join: params.is_true("freeJoin"),
    });
    Ok(SimCreateRequest {
        meeting_id: meeting_id(params)?,
        name: name(params)?,
        attendee_password: password(params, "attendeePW")?,
        moderator_password: password(params, "moderatorPW")?,
        voice_bridge: voice_bridge(params)?,
        dial_number: params.get("dialNumber").unwrap_or("613-555-1234").to_owned(),
        duration: params.number("duration"),
        record: record(params)?,
        max_participants: params.number("maxParticipants"),
        guest_policy: params.get("guestPolicy").unwrap_or("ALWAYS_ACCEPT").to_owned(),
        metadata: metadata(params),
        documents: Vec::new(),
        unjoined_minutes: params
            .get("meetingExpireIfNoUserJoinedInMinutes")
            .and_then(|minutes| minutes.parse().ok()),
        ended_url: params.given("meetingEndedURL").map(str::to_owned),
        keep_events: params.is_true("meetingKeepEvents"),
        breakout,
    })
}

/// Returns the `meetingID`. Only `create` refuses white space around it (wire-contract 4).
fn meeting_id(params: &ApiParams) -> Result<String, Refusal> {
    let id = super::meeting_id(params)?;
    if params.get("meetingID") == Some(id) { Ok(id.to_owned()) } else { Err(Refusal::MEETING_ID_INVALID) }
}

fn name(params: &ApiParams) -> Result<String, Refusal> {
    let name = params.given("name").ok_or(Refusal::MISSING_MEETING_NAME)?;
    match utf16_length(name) {
        2..=256 => Ok(name.to_owned()),
        _ => Err(Refusal::MEETING_NAME_LENGTH),
    }
}

fn password(params: &ApiParams, name: &str) -> Result<String, Refusal> {
    let password = params.get(name).unwrap_or_default();
    match utf16_length(password) {
        0 | 2..=64 => Ok(password.to_owned()),
        _ => Err(Refusal::INVALID_PASSWORD),
    }
}

fn voice_bridge(params: &ApiParams) -> Result<Option<u64>, Refusal> {
    params
        .given("voiceBridge")
        .map(|bridge| bridge.parse().map_err(|_| Refusal::VOICE_BRIDGE_NUMBER))
        .transpose()
}

/// Returns the value of `record`. BBB accepts 0 and 1, and both mean false.
fn record(params: &ApiParams) -> Result<bool, Refusal> {
    match params.given("record") {
        None | Some("0" | "1") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Refusal::RECORD_BOOLEAN),
    }
}

/// Returns the metadata with lower-case keys. BBB drops keys that are not `[a-zA-Z][a-zA-Z0-9-]*`
/// without an error.
fn metadata(params: &ApiParams) -> BTreeMap<String, String> {
    params
        .with_prefix("meta_")
        .filter(|(key, _)| {
            key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        .collect()
}
