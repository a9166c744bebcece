//! Joining a meeting: the role of the user, and the refusals (wire-contract 5).

use std::collections::HashSet;

use usher_bbb::reply::Refusal;

use super::{MeetingUser, ServerMeeting, ServerMemory, UserRole};
use crate::chance;

/// A validated request to join.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimJoinRequest {
    pub(crate) meeting_id: String,
    pub(crate) full_name: String,
    pub(crate) role: Option<String>,
    pub(crate) password: Option<String>,
    /// The text of the request; a text that is not a number fits no meeting.
    pub(crate) create_time: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) guest: bool,
    /// The keys without `userdata-`, and the values.
    pub(crate) custom_data: Vec<(String, String)>,
}

/// The result of `join`.
#[derive(Debug)]
pub(crate) enum SimJoinResult<'w> {
    In(&'w ServerMeeting, &'w MeetingUser),
    /// The refusal is a redirect, even with `redirect=false`.
    Invalid(Refusal),
    /// The refusal is XML, even with `redirect=true`.
    NoRole(Refusal),
    /// The refusal has the form that the request selects.
    Refused(Refusal),
}

impl ServerMemory {
    pub(crate) fn join(&mut self, request: SimJoinRequest, now_ms: u64) -> SimJoinResult<'_> {
        let Some(meeting) = self.find_mut(&request.meeting_id) else {
            return SimJoinResult::Invalid(Refusal::INVALID_MEETING);
        };
        if meeting.ended_at_ms.is_some() {
            return SimJoinResult::Invalid(Refusal::FORCIBLY_ENDED);
        }
        let role = match role_in(meeting, &request) {
            Ok(role) => role,
            Err(refusal) => return SimJoinResult::NoRole(refusal),
        };
        let create_time = request.create_time.as_ref().map(|given| given.parse());
        if create_time.is_some_and(|given| given != Ok(meeting.create_time_ms)) {
            return SimJoinResult::Refused(Refusal::CREATE_TIME_MISMATCH);
        }
        let internal_id = format!("w_{}", chance::lower_alphanumeric(12));
        let external_id = request.user_id.filter(|id| !id.is_empty()).unwrap_or_else(|| internal_id.clone());
        if is_full(meeting, &external_id) {
            return SimJoinResult::Refused(Refusal::FULL);
        }
        let Some(guest_waits) = guest_outcome(meeting, role, request.guest) else {
            return SimJoinResult::Refused(Refusal::GUEST_DENIED);
        };
        let session_token = chance::lower_alphanumeric(16);
        meeting.users.push(MeetingUser {
            internal_id,
            external_id,
            full_name: request.full_name.chars().filter(|c| !c.is_control()).collect(),
            role,
            session_token: session_token.clone(),
            auth_token: chance::lower_alphanumeric(12),
            guest_waits,
            is_connected: false,
            is_presenter: false,
            custom_data: request.custom_data,
        });
        if self.clients_connect_at_once {
            self.connect(&session_token, now_ms);
        }
        let joined = self.session(&session_token);
        let Some((meeting, user)) = joined else { return SimJoinResult::Invalid(Refusal::INTERNAL_ERROR) };
        SimJoinResult::In(meeting, user)
    }
}

/// Returns the role of a user. A valid `role` parameter wins over a password.
fn role_in(meeting: &ServerMeeting, request: &SimJoinRequest) -> Result<UserRole, Refusal> {
    if let Some(role) = request.role.as_deref().and_then(UserRole::parse) {
        return Ok(role);
    }
    match request.password.as_deref() {
        None | Some("") => Err(Refusal::JOIN_ROLE),
        Some(password) if password == meeting.moderator_password => Ok(UserRole::Moderator),
        Some(password) if password == meeting.attendee_password => Ok(UserRole::Viewer),
        Some(_) => Err(Refusal::JOIN_PASSWORD),
    }
}

/// Returns whether the meeting is full. BBB counts each external user who is present once, and such
/// a user may join again.
fn is_full(meeting: &ServerMeeting, external_id: &str) -> bool {
    let present: HashSet<_> = meeting.present_users().map(|user| user.external_id.as_str()).collect();
    meeting.max_participants > 0
        && !present.contains(external_id)
        && present.len() + meeting.crowd >= meeting.max_participants
}

/// Returns whether the user must wait for approval; `None` if the policy denies guests.
fn guest_outcome(meeting: &ServerMeeting, role: UserRole, guest: bool) -> Option<bool> {
    if role == UserRole::Moderator {
        return Some(false);
    }
    match meeting.guest_policy.as_str() {
        "ALWAYS_DENY" => None,
        "ASK_MODERATOR" => Some(true),
        "ALWAYS_ACCEPT_AUTH" => Some(guest),
        _ => Some(false),
    }
}
