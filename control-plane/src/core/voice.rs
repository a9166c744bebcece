//! Numbers by which callers reach meetings: which meeting has which, over the whole fleet.
//!
//! `voice/NUMBER` names the meeting whose number it is, and stays when the meeting's meeting ends, so that
//! the next one has it again. A record with a number is never without that entry: both are written
//! in one transaction, an entry that is taken from a meeting is guarded by the absence of its record,
//! and a record is only made where the entry is as it was seen. So no number is two meetings' at once,
//! whichever replicas give them out (ADR 14).

mod assign;
mod assignment;
mod index;

#[cfg(test)]
mod tests;

pub(in crate::core) use assign::{adopt, assign, expired, held};
pub use assignment::VoiceAssignment;
pub use index::VoiceIndex;
use usher_model::voice::VoiceBridge;

/// What a create wants of its number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VoiceWish {
    /// What the application asks for.
    pub wanted: Option<VoiceBridge>,
    /// What servers just refused, as a meeting there has it.
    pub refused: Vec<VoiceBridge>,
}
