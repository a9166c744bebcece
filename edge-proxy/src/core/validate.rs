//! Checks parameters that a server would refuse, and refuses them in the server's words
//! (wire-contract 8).

use std::borrow::Cow;

use usher_bbb::{
    call::{ApiCall, ParameterRules},
    query::{ListedParameter, ParameterList},
    reply::Refusal,
    text_length::utf16_length,
};

/// Checks the parameters of a call and returns its `meetingID`, if the call has one.
///
/// # Errors
/// The refusal that the caller gets.
pub fn check<'p>(call: ApiCall, parameters: &'p ParameterList<'_>) -> Result<Option<Cow<'p, str>>, Refusal> {
    let rules = call.parameter_rules();
    match rules {
        ParameterRules::Create => create(parameters).map(Some),
        ParameterRules::Join => join(parameters).map(Some),
        ParameterRules::ChatMessage => {
            let id = meeting_id(parameters)?;
            chat(parameters)?;
            Ok(Some(id))
        }
        ParameterRules::Meeting => meeting_id(parameters).map(Some),
        ParameterRules::RecordingFilter
        | ParameterRules::RecordingList
        | ParameterRules::RecordingPublication
        | ParameterRules::OneRecording
        | ParameterRules::TextTrack => super::recordings::validate::check(rules, parameters).map(|()| None),
        // `core::hooks` checks the parameters of hooks where it reads them.
        ParameterRules::HookRegistration | ParameterRules::HookFilter | ParameterRules::OneHook => Ok(None),
        ParameterRules::Unchecked => Ok(None),
    }
}

fn meeting_id<'p>(parameters: &'p ParameterList<'_>) -> Result<Cow<'p, str>, Refusal> {
    let mut found = None;
    for at in parameters.positions("meetingID") {
        take_meeting_id(&mut found, &parameters.get(at))?;
    }
    sound_id(found)
}

/// Reads `meetingID` once. A second value is refused, because servers may differ in the value they
/// use.
fn take_meeting_id<'p>(found: &mut Option<Cow<'p, str>>, given: &ListedParameter<'p>) -> Result<(), Refusal> {
    match found.replace(given.value()) {
        None => Ok(()),
        Some(_) => Err(Refusal::MEETING_ID_INVALID),
    }
}

fn sound_id(found: Option<Cow<'_, str>>) -> Result<Cow<'_, str>, Refusal> {
    let id = found.ok_or(Refusal::MISSING_MEETING_ID)?;
    let trimmed = id.trim();
    if trimmed.is_empty() {
        Err(Refusal::MISSING_MEETING_ID)
    } else if !length_within(trimmed, 2, 256) {
        Err(Refusal::MEETING_ID_LENGTH)
    } else if trimmed.contains(',') {
        Err(Refusal::MEETING_ID_COMMA)
    } else {
        Ok(id)
    }
}

fn create<'p>(query: &'p ParameterList<'_>) -> Result<Cow<'p, str>, Refusal> {
    let id = meeting_id(query)?;
    if id.trim() != id || id.chars().any(char::is_control) {
        return Err(Refusal::MEETING_ID_INVALID);
    }
    let name = given(query, "name").ok_or(Refusal::MISSING_MEETING_NAME)?;
    if !length_within(&name, 2, 256) {
        return Err(Refusal::MEETING_NAME_LENGTH);
    }
    for password in ["attendeePW", "moderatorPW"] {
        sound_password(given(query, password))?;
    }
    if given(query, "voiceBridge").is_some_and(|bridge| !bridge.bytes().all(|b| b.is_ascii_digit())) {
        return Err(Refusal::VOICE_BRIDGE_NUMBER);
    }
    sound_boolean(query, "record", Refusal::RECORD_BOOLEAN)?;
    let is_breakout = given(query, "isBreakout").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_breakout && given(query, "parentMeetingID").is_none() {
        return Err(Refusal::PARENT_ID_MISSING);
    }
    let is_web =
        |url: Cow<'_, str>| url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if given(query, "presentationUploadExternalUrl").is_some_and(|url| !is_web(url)) {
        return Err(Refusal::PRESENTATION_URL);
    }
    Ok(id)
}

/// Checks the parameters of a join in one pass, because joins are the hot path.
fn join<'p>(parameters: &'p ParameterList<'_>) -> Result<Cow<'p, str>, Refusal> {
    let (mut id, mut named, mut admitted) = (None, false, false);
    for given in parameters.iter() {
        match given.name {
            "meetingID" => take_meeting_id(&mut id, &given)?,
            "fullName" => named |= !given.value().trim().is_empty(),
            "role" => admitted |= !given.raw_value.is_empty(),
            "password" => {
                admitted |= !given.raw_value.is_empty();
                sound_password(Some(given.value()).filter(|value| !value.is_empty()))?;
            }
            "guest" if !is_boolean(&given.value()) => return Err(Refusal::GUEST_BOOLEAN),
            "auth" if !is_boolean(&given.value()) => return Err(Refusal::AUTH_BOOLEAN),
            _ => {}
        }
    }
    let id = sound_id(id)?;
    if !named {
        return Err(Refusal::MISSING_FULL_NAME);
    }
    if !admitted {
        return Err(Refusal::JOIN_ROLE);
    }
    Ok(id)
}

fn chat(query: &ParameterList<'_>) -> Result<(), Refusal> {
    let message = query.first("message").ok_or(Refusal::MISSING_CHAT_MESSAGE)?;
    if !length_within(&message, 1, 500) {
        return Err(Refusal::CHAT_MESSAGE_LENGTH);
    }
    match query.first("userName") {
        Some(name) if !length_within(&name, 0, 255) => Err(Refusal::CHAT_USER_NAME_LENGTH),
        _ => Ok(()),
    }
}

/// Returns a parameter that is present and not empty.
fn given<'p>(query: &'p ParameterList<'_>, name: &str) -> Option<Cow<'p, str>> {
    query.first(name).filter(|value| !value.trim().is_empty())
}

fn sound_password(password: Option<Cow<'_, str>>) -> Result<(), Refusal> {
    match password {
        Some(password) if !length_within(&password, 2, 64) => Err(Refusal::INVALID_PASSWORD),
        _ => Ok(()),
    }
}

fn sound_boolean(query: &ParameterList<'_>, name: &str, refusal: Refusal) -> Result<(), Refusal> {
    if query.first(name).is_none_or(|value| is_boolean(&value)) { Ok(()) } else { Err(refusal) }
}

/// Returns whether the validator of BBB accepts a boolean: it also accepts 0 and 1, and an empty
/// value.
fn is_boolean(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || matches!(value, "0" | "1")
        || value.eq_ignore_ascii_case("true")
        || value.eq_ignore_ascii_case("false")
}

/// Returns whether a text has a length that BBB accepts, UTF-16 units.
fn length_within(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&utf16_length(text))
}

#[cfg(test)]
mod tests;
