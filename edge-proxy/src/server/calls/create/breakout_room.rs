//! Breakout rooms that an application creates itself (wire-contract 4.8, ADR 15).
//!
//! A server makes a room beside its parent, and accepts only its own meetings as parents: the create goes to
//! the parent's server, without placement. From then on the room is a meeting like any other, known by the
//! id that its application gave it. The server takes that id for the whole internal id, by which others could
//! find the room. So the room gets an internal id in the form of other meetings, made of the id and the time.
//!
//! The parent has to be a meeting of the same tenant, whichever meetings the server runs.

use usher_bbb::{
    call::ApiCall,
    query::{EditedParameters, ParameterEdit},
    reply::Refusal,
};
use usher_model::{id::MeetingId, meeting::MeetingKey};
use usher_runtime::clock::WallClock;

use crate::{
    control::meetings::sha1_hex,
    core::rules::as_room,
    server::{
        fleet::meeting_locator::{MeetingLocation, MeetingLocator},
        reply::CallReply,
        request::VerifiedRequest,
    },
};

const PARENT: &str = "parentMeetingID";

/// A breakout room that is to be created.
#[derive(Debug)]
pub(super) struct BreakoutRoom {
    /// The parent, by the id that the tenant knows.
    pub(super) parent: MeetingId,
    /// The changes of the parameters: the ids by which the server is to know the room and its parent.
    pub(super) edits: Vec<ParameterEdit<'static>>,
}

/// Returns the breakout room that a create is about; `None` for any other create. `parameters` are those for
/// the server.
///
/// # Errors
/// Returns the refusal if the tenant has no such parent, and the retryable one if that is unknown.
pub(super) async fn breakout_room(
    locator: &MeetingLocator,
    request: &VerifiedRequest,
    key: &MeetingKey,
    parameters: &EditedParameters<'_>,
) -> Result<Option<BreakoutRoom>, CallReply> {
    // If the parameter is repeated, the server may use any of the values.
    if !parameters.values("isBreakout").any(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let unknown = || CallReply::refused(&Refusal::PARENT_UNKNOWN);
    if parameters.is_repeated(PARENT) {
        return Err(unknown());
    }
    let given = parameters.first(PARENT).unwrap_or_default();
    let id = MeetingId::parse(&given).map_err(|_| unknown())?;
    let parent = match locator.find(request, &id, ApiCall::GetMeetingInfo).await {
        MeetingLocation::At(owner) => owner,
        MeetingLocation::Missing | MeetingLocation::EndLater(_) => return Err(unknown()),
        MeetingLocation::Unreachable => return Err(CallReply::unavailable()),
    };
    let scoped = request.meetings.scope().scoped(key.meeting.as_str()).to_string();
    let instance = format!("{}-{}", sha1_hex(&scoped), WallClock::system().now_ms());
    let mut edits = Vec::from(as_room(&key.meeting, instance));
    // An internal id stays as it is.
    if parent.key.meeting.as_str() == given && parent.address() != given {
        edits.push(ParameterEdit::Set(PARENT.into(), parent.address().to_owned().into()));
    }
    Ok(Some(BreakoutRoom { edits, parent: parent.key.meeting }))
}
