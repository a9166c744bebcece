//! The changes of a memory that callbacks and webhooks report.

use super::meeting::{MeetingUser, ServerMeeting};
use crate::recording::SimRecording;

/// The two ids of a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeetingIds {
    pub(crate) internal_id: String,
    pub(crate) external_id: String,
}

impl From<&ServerMeeting> for MeetingIds {
    fn from(meeting: &ServerMeeting) -> Self {
        Self { internal_id: meeting.internal_id.clone(), external_id: meeting.external_id.clone() }
    }
}

/// One change that other programs may be told.
#[derive(Debug, Clone)]
pub(crate) enum MemoryChange {
    /// A meeting was created.
    Created(Box<ServerMeeting>),
    /// A user is present.
    Joined(MeetingIds, Box<MeetingUser>),
    /// A user who was present is gone.
    Left(MeetingIds, Box<MeetingUser>),
    /// A meeting has ended.
    Ended(Box<ServerMeeting>),
    /// The processing of a recording has ended and it was published.
    RecordingReady(Box<SimRecording>),
    /// A call has published, unpublished or deleted a recording.
    RecordingState(Box<SimRecording>),
}

/// A change and the time when it happened.
#[derive(Debug, Clone)]
pub(crate) struct TimedChange {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) change: MemoryChange,
}
