//! One meeting and its users.

use std::{collections::BTreeMap, time::Duration};

use crate::recording::{SimFormat, SimRecording, SimRecordingState};

/// The role of a user in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserRole {
    Moderator,
    Viewer,
}

impl UserRole {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match () {
            () if text.eq_ignore_ascii_case("moderator") => Some(Self::Moderator),
            () if text.eq_ignore_ascii_case("viewer") => Some(Self::Viewer),
            () => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Moderator => "MODERATOR",
            Self::Viewer => "VIEWER",
        }
    }
}

/// A user who joined.
#[derive(Debug, Clone)]
pub(crate) struct MeetingUser {
    /// The internal id: `w_` and twelve characters.
    pub(crate) internal_id: String,
    /// The id of the user in the application.
    pub(crate) external_id: String,
    pub(crate) full_name: String,
    pub(crate) role: UserRole,
    pub(crate) session_token: String,
    pub(crate) auth_token: String,
    pub(crate) guest_waits: bool,
    /// Whether the client of the user has connected.
    pub(crate) is_connected: bool,
    pub(crate) is_presenter: bool,
    pub(crate) custom_data: Vec<(String, String)>,
}

impl MeetingUser {
    /// Returns whether the user is in the meeting: the client is connected and the user does not
    /// wait for approval.
    pub(crate) fn is_present(&self) -> bool {
        self.is_connected && !self.guest_waits
    }
}

/// A document of a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeetingDocument {
    pub(crate) name: String,
    pub(crate) url: Option<String>,
}

/// The place of a breakout room below its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BreakoutLink {
    pub(crate) parent_internal_id: String,
    pub(crate) sequence: u32,
    pub(crate) free_join: bool,
    /// The voice bridge that the server chooses itself: the parent's, followed by the sequence
    /// number. `None` if the request may choose one.
    pub(crate) voice_bridge: Option<u64>,
}

/// One meeting in the memory of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerMeeting {
    pub(crate) external_id: String,
    pub(crate) internal_id: String,
    pub(crate) name: String,
    pub(crate) create_time_ms: u64,
    pub(crate) attendee_password: String,
    pub(crate) moderator_password: String,
    pub(crate) voice_bridge: u64,
    pub(crate) dial_number: String,
    /// The maximum duration in minutes; 0 means no limit.
    pub(crate) duration: u64,
    pub(crate) record: bool,
    /// The maximum number of users; 0 means no limit.
    pub(crate) max_participants: usize,
    pub(crate) guest_policy: String,
    /// The metadata: keys in lower case, without `meta_`.
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) breakout: Option<BreakoutLink>,
    pub(crate) documents: Vec<MeetingDocument>,
    /// The chat messages: name of the author and text.
    pub(crate) chat: Vec<(String, String)>,
    pub(crate) users: Vec<MeetingUser>,
    /// The number of simulated participants, who count as load and have no names.
    pub(crate) crowd: usize,
    /// The time when the first user was present.
    pub(crate) first_join_ms: Option<u64>,
    /// The time when the apps server confirms the create.
    pub(super) confirmed_at_ms: u64,
    /// The time when the apps server carries out an `end` that was accepted.
    pub(super) end_due_ms: Option<u64>,
    /// The time of the confirmation, 0 before it.
    pub(crate) start_time_ms: u64,
    /// The minutes after which the meeting ends without a join, if the create gave them.
    pub(crate) unjoined_minutes: Option<u64>,
    /// The address of the end callback, `meetingEndedURL`, which no answer shows.
    pub(crate) ended_url: Option<String>,
    pub(crate) keep_events: bool,
    /// Whether the callbacks and events of its end are queued.
    pub(crate) end_is_queued: bool,
    pub(crate) ended_at_ms: Option<u64>,
    pub(crate) removed_at_ms: Option<u64>,
}

impl ServerMeeting {
    /// Returns the users who are in the meeting.
    pub(crate) fn present_users(&self) -> impl Iterator<Item = &MeetingUser> {
        self.users.iter().filter(|user| user.is_present())
    }

    pub(crate) fn has_user_joined(&self) -> bool {
        self.first_join_ms.is_some()
    }

    pub(crate) fn participants(&self) -> usize {
        self.present_users().count() + self.crowd
    }

    pub(crate) fn moderators(&self) -> usize {
        self.present_users().filter(|user| user.role == UserRole::Moderator).count()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.participants() > 0
    }

    /// Returns whether an `end` was accepted, or the meeting has ended without one.
    pub(super) fn end_is_accepted(&self) -> bool {
        self.end_due_ms.is_some() || self.ended_at_ms.is_some()
    }

    /// Notes the confirmation of the create if it is due.
    pub(super) fn confirm(&mut self, now_ms: u64) {
        if self.start_time_ms == 0 && now_ms >= self.confirmed_at_ms {
            self.start_time_ms = self.confirmed_at_ms;
        }
    }

    pub(super) fn end(&mut self, now_ms: u64, delay_ms: u64) {
        self.ended_at_ms.get_or_insert(now_ms);
        self.removed_at_ms.get_or_insert(now_ms.saturating_add(delay_ms));
    }

    /// Returns whether the meeting has left the server's memory: ended, past its duration, or
    /// without a join for too long.
    pub(super) fn has_ended(&self, now_ms: u64, unjoined_expiry: Duration) -> bool {
        let unjoined_ms = match self.unjoined_minutes {
            Some(minutes) => minutes.saturating_mul(60_000),
            None => u64::try_from(unjoined_expiry.as_millis()).unwrap_or(u64::MAX),
        };
        let over = |from: u64, after: u64| now_ms >= from.saturating_add(after);
        self.removed_at_ms.is_some_and(|at| now_ms >= at)
            || (!self.has_user_joined() && over(self.create_time_ms, unjoined_ms))
            || (self.duration > 0
                && self.first_join_ms.is_some_and(|from| over(from, self.duration.saturating_mul(60_000))))
    }

    /// Returns the recording of the meeting, which has just ended. Its processing ends at `ready_at_ms`.
    pub(super) fn recording(&self, now_ms: u64, ready_at_ms: u64) -> SimRecording {
        let start_time_ms = self.create_time_ms;
        SimRecording {
            record_id: self.internal_id.clone(),
            name: self.name.clone(),
            end_time_ms: self.ended_at_ms.unwrap_or(now_ms),
            state: SimRecordingState::Processing,
            ready_at_ms,
            participants: self.users.len(),
            metadata: self.metadata.clone().into_iter().collect(),
            breakout: self
                .breakout
                .as_ref()
                .map(|room| (room.parent_internal_id.clone(), room.sequence, room.free_join)),
            formats: vec![SimFormat {
                kind: "presentation".into(),
                processing_time_ms: ready_at_ms.saturating_sub(now_ms),
                length_minutes: now_ms.saturating_sub(start_time_ms) / 60_000,
                size: 524_288,
            }],
            ..SimRecording::new(&self.external_id, start_time_ms)
        }
    }
}
