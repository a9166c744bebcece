//! The call `create`.

use std::collections::BTreeMap;

use usher_bbb::{
    call::ApiCall,
    reply::{self, Refusal},
    text_length::utf16_length,
};

use super::{
    ids::{ParamFault, meeting_id},
    modules,
};
use crate::{
    answer::ApiAnswer,
    memory::{MeetingDocument, ServerMemory, SimBreakoutRequest, SimCreateRequest, SimCreateResult},
    options::BbbVersion,
    render,
    request::{ApiParams, ApiRequest},
};

pub(super) fn answer(
    memory: &mut ServerMemory,
    request: &ApiRequest,
    params: &ApiParams,
    now_ms: u64,
) -> ApiAnswer {
    let version = memory.version();
    let mut parsed = match parse(params, version) {
        Ok(parsed) => parsed,
        Err(fault) => return fault.into(),
    };
    if let Some(refused) = parsed.breakout.as_ref().and_then(|room| refused_breakout(memory, room)) {
        return refused;
    }
    let brought = request.xml(version).map_or(Ok(Vec::new()), |xml| modules::documents(&xml));
    let is_broken = brought.is_err();
    parsed.documents = brought.unwrap_or_default();
    if let Some(url) = params.given("preUploadedPresentation") {
        let name = params.get("preUploadedPresentationName").unwrap_or("default.pdf").to_owned();
        parsed.documents.push(MeetingDocument { name, url: Some(url.to_owned()) });
    }
    let (meeting, key, message) = match memory.create(parsed, now_ms) {
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

/// Returns the answer of versions that refuse breakout rooms in their own way. 2.5 does not check
/// the parent and fails with an exception; 2.6 looks for it under a misspelt name and never finds
/// one.
fn refused_breakout(memory: &ServerMemory, room: &SimBreakoutRequest) -> Option<ApiAnswer> {
    match memory.version() {
        BbbVersion::V2_5 => {
            let parent = room.parent.as_deref().and_then(|parent| memory.find_live(parent));
            parent.is_none().then_some(ApiAnswer::ServerError)
        }
        BbbVersion::V2_6 => {
            Some(Refusal::new("parentMeetingIdMissing", Refusal::PARENT_ID_MISSING.message).into())
        }
        _ => None,
    }
}

fn parse(params: &ApiParams, version: BbbVersion) -> Result<SimCreateRequest, ParamFault> {
    let breakout = params.is_true("isBreakout").then(|| SimBreakoutRequest {
        parent: params.given("parentMeetingID").map(str::to_owned),
        sequence: params.number("sequence"),
        free_join: params.is_true("freeJoin"),
        is_of_moderators: false,
    });
    let attendee_password = password(params, "attendeePW");
    let moderator_password = password(params, "moderatorPW");
    if version == BbbVersion::V2_5 {
        // Of several faults an arbitrary one is reported; this order is that of a genuine server.
        attendee_password.clone()?;
        moderator_password.clone()?;
        name(params, version)?;
    }
    Ok(SimCreateRequest {
        meeting_id: meeting_id(params, version, ApiCall::Create)?.to_owned(),
        name: name(params, version)?,
        attendee_password: attendee_password?,
        moderator_password: moderator_password?,
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

fn name(params: &ApiParams, version: BbbVersion) -> Result<String, Refusal> {
    let own = |key: &'static str, refusal: Refusal| match version {
        BbbVersion::V2_5 => Refusal::new(key, refusal.message),
        _ => refusal,
    };
    let name = params.get("name").ok_or_else(|| own("nullError", Refusal::MISSING_MEETING_NAME))?;
    match utf16_length(name) {
        0 => Err(own("emptyError", Refusal::MISSING_MEETING_NAME)),
        2..=256 => Ok(name.to_owned()),
        _ => Err(own("sizeError", Refusal::MEETING_NAME_LENGTH)),
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
