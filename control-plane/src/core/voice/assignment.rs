//! The room that a number belongs to.

use usher_model::meeting::MeetingKey;

/// Whose number it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The room.
    pub room: MeetingKey,
    /// Wall clock of when the room was last created, to the day, milliseconds since 1970.
    pub used_at_ms: i64,
}
