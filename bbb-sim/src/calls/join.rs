//! The call `join`.

use usher_bbb::{
    query::encode,
    reply::{self, Refusal},
};

use super::CallContext;
use crate::{
    answer::ApiAnswer,
    memory::{SimJoinRequest, SimJoinResult},
    request::ApiParams,
};

pub(super) fn answer(context: &mut CallContext<'_>, params: &ApiParams) -> ApiAnswer {
    let error_url = params.given("errorRedirectUrl").or_else(|| params.given("logoutURL"));
    let parsed = match parse(params) {
        Ok(parsed) => parsed,
        Err(refusal) => return redirect_with_error(context.base, error_url, &refusal),
    };
    // An absent parameter means true; every value other than `true` means false.
    let redirect = params.get("redirect").is_none_or(|value| value.eq_ignore_ascii_case("true"));
    let (meeting, user) = match context.memory.join(parsed, context.now_ms) {
        SimJoinResult::In(meeting, user) => (meeting, user),
        SimJoinResult::NoRole(refusal) => return refusal.into(),
        SimJoinResult::Refused(refusal) if !redirect => return refusal.into(),
        SimJoinResult::Refused(refusal) | SimJoinResult::Invalid(refusal) => {
            return redirect_with_error(context.base, error_url, &refusal);
        }
    };
    let location = format!("{}/html5client/?sessionToken={}", context.base, user.session_token);
    if redirect {
        return ApiAnswer::Redirect { location, session: Some(user.auth_token.to_ascii_uppercase()) };
    }
    ApiAnswer::Xml(reply::success(|xml| {
        xml.leaf("messageKey", "successfullyJoined")
            .leaf("message", "You have joined successfully.")
            .leaf("meeting_id", &meeting.internal_id)
            .leaf("user_id", &user.internal_id)
            .leaf("auth_token", &user.auth_token)
            .leaf("session_token", &user.session_token)
            .leaf("guestStatus", if user.guest_waits { "WAIT" } else { "ALLOW" })
            .leaf("url", location);
    }))
}

/// Redirects the browser to `target` with the refusal in the address. bbb-web does so even with
/// `redirect=false`.
pub(super) fn redirect_with_error(base: &str, target: Option<&str>, refusal: &Refusal) -> ApiAnswer {
    let errors = serde_json::json!([{ "key": refusal.key, "message": refusal.message }]).to_string();
    let target = target.unwrap_or(base);
    let separator = if target.contains('?') { '&' } else { '?' };
    let slash = if target == base { "/" } else { "" };
    ApiAnswer::Redirect {
        location: format!("{target}{slash}{separator}errors={}", encode(&errors)),
        session: None,
    }
}

fn parse(params: &ApiParams) -> Result<SimJoinRequest, Refusal> {
    let owned = |name: &str| params.get(name).map(str::to_owned);
    Ok(SimJoinRequest {
        meeting_id: super::meeting_id(params)?.to_owned(),
        full_name: params.given("fullName").ok_or(Refusal::MISSING_FULL_NAME)?.to_owned(),
        role: owned("role"),
        password: owned("password"),
        create_time: params.given("createTime").map(str::to_owned),
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
