//! The meeting that a number belongs to.

use usher_model::meeting::MeetingKey;

/// Assignment of a number to a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceAssignment {
    /// Meeting that has the number.
    pub meeting: MeetingKey,
    /// Wall clock of when the meeting was last created, to the day, milliseconds since 1970.
    pub used_at_ms: i64,
}
