//! The call `join`.

use usher_bbb::{
    call::ApiCall,
    reply::{self, Refusal},
};

use super::{
    ids::{ParamFault, meeting_id},
    redirect,
};
use crate::{
    answer::ApiAnswer,
    memory::{MeetingUser, ServerMemory, SimJoinRequest, SimJoinResult},
    options::BbbVersion,
    request::ApiParams,
};

pub(super) fn answer(memory: &mut ServerMemory, base: &str, params: &ApiParams, now_ms: u64) -> ApiAnswer {
    let version = memory.version();
    let refused = |refusal: &Refusal| redirect::with_error(version, base, params, refusal);
    let parsed = match parse(params, version) {
        Ok(parsed) => parsed,
        Err(ParamFault::Refused(refusal)) => return refused(&refusal),
        Err(ParamFault::Exception) => return ApiAnswer::ServerError,
    };
    // An absent parameter means true; every value other than `true` means false.
    let is_redirect = params.get("redirect").is_none_or(|value| value.eq_ignore_ascii_case("true"));
    let (meeting, user) = match memory.join(parsed, now_ms) {
        SimJoinResult::In(meeting, user) => (meeting, user),
        SimJoinResult::NoRole(refusal) => return refusal.into(),
        // Before 3.0 these refusals were a redirect also with `redirect=false`.
        SimJoinResult::Refused(refusal) if !is_redirect && version >= BbbVersion::V3_0 => {
            return refusal.into();
        }
        SimJoinResult::Invalid(refusal)
            if refusal == Refusal::INVALID_MEETING && version == BbbVersion::V2_5 =>
        {
            return refused(&Refusal::FORCIBLY_ENDED);
        }
        SimJoinResult::Refused(refusal) | SimJoinResult::Invalid(refusal) => return refused(&refusal),
    };
    let location = client_address(version, base, user);
    if is_redirect {
        return ApiAnswer::Redirect(location).with_session();
    }
    let (key, message) = match version {
        BbbVersion::V3_0 => ("successfullyJoined", "You have joined successfully."),
        _ if user.guest_waits => ("guestWait", "Guest waiting for approval to join meeting."),
        _ => ("successfullyJoined", "You have joined successfully."),
    };
    let xml = reply::success(|xml| {
        xml.leaf("messageKey", key)
            .leaf("message", message)
            .leaf("meeting_id", &meeting.internal_id)
            .leaf("user_id", &user.internal_id)
            .leaf("auth_token", &user.auth_token)
            .leaf("session_token", &user.session_token)
            .leaf("guestStatus", if user.guest_waits { "WAIT" } else { "ALLOW" })
            .leaf("url", location);
    });
    ApiAnswer::Xml(xml).with_session()
}

/// Returns the address of the client that the browser opens.
fn client_address(version: BbbVersion, base: &str, user: &MeetingUser) -> String {
    let page = match version {
        BbbVersion::V3_0 => "",
        _ if user.guest_waits => "guestWait",
        _ => "join",
    };
    format!("{base}/html5client/{page}?sessionToken={}", user.session_token)
}

fn parse(params: &ApiParams, version: BbbVersion) -> Result<SimJoinRequest, ParamFault> {
    let owned = |name: &str| params.get(name).map(str::to_owned);
    let create_time = params.given("createTime");
    if version == BbbVersion::V2_5 {
        params.get("fullName").ok_or(ParamFault::Exception)?;
        if create_time.is_some_and(|time| time.parse::<i64>().is_err()) {
            return Err(Refusal::validation("Value must be an integral number").into());
        }
    }
    Ok(SimJoinRequest {
        meeting_id: meeting_id(params, version, ApiCall::Join)?.to_owned(),
        full_name: params.given("fullName").ok_or(Refusal::MISSING_FULL_NAME)?.to_owned(),
        role: owned("role"),
        password: owned("password"),
        create_time: create_time.map(str::to_owned),
        user_id: owned("userID"),
        guest: boolean(params, "guest", Refusal::GUEST_BOOLEAN)?,
        custom_data: {
            boolean(params, "auth", Refusal::AUTH_BOOLEAN)?;
            params.with_prefix("userdata-").map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        },
    })
}

fn boolean(params: &ApiParams, name: &str, refusal: Refusal) -> Result<bool, Refusal> {
    match params.given(name) {
        None | Some("0" | "1") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(refusal),
    }
}
