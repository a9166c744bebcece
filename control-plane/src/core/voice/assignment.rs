//! The meeting that a number belongs to.

use usher_model::meeting::MeetingKey;

/// Whose number it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceAssignment {
    /// The meeting.
    pub meeting: MeetingKey,
    /// Wall clock of when the meeting was last created, to the day, milliseconds since 1970.
    pub used_at_ms: i64,
}
