//! The meeting that needs a server.

use usher_model::{id::ServerId, meeting::MeetingKey};

use super::tag::TagWish;

/// The meeting that needs a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementRequest {
    /// Key of the meeting.
    pub key: MeetingKey,
    /// `maxParticipants`; 0 means no limit.
    pub max_users: u32,
    /// Expected users; 0 means unknown.
    pub size_hint: u32,
    /// Servers that just refused it.
    pub excluded: Vec<ServerId>,
    /// Which servers are to take it, of those its tenant may use.
    pub tag: TagWish,
    /// Behaviour if the best server has as many pending creates as it may.
    pub when_full: WhenFull,
}

/// Behaviour towards servers that have as many pending creates as they may (F5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Wait for the best one as long as its creates move, so that a burst stays level (F1).
    #[default]
    Wait,
    /// Choose another server instead.
    PassOver,
    /// Wait no longer: where every online server is full, and few are online, one that is unhealthy is
    /// better than none (E5).
    LastResort,
}
