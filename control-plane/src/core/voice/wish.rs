//! The number that a create wants.

use usher_model::voice::VoiceBridge;

/// The number that a create wants, and the numbers that it cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VoiceWish {
    /// Number that the application requests.
    pub wanted: Option<VoiceBridge>,
    /// Numbers that servers just refused, because a meeting there has them.
    pub refused: Vec<VoiceBridge>,
}
