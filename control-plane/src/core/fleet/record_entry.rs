//! A record as a fleet holds it.

use std::time::Instant;

use usher_model::meeting::{MeetingKey, MeetingRecord};

use crate::core::plan::Stored;

/// A record with the times and the reservation that this replica derives for it.
#[derive(Debug, Clone)]
pub struct RecordEntry {
    /// The meeting.
    pub(super) key: MeetingKey,
    /// The record with the store revisions that wrote it.
    pub stored: Stored<MeetingRecord>,
    /// When this replica first saw the placement, known by its server and token.
    pub placed_at: Instant,
    /// When this replica saw the last change of the record.
    pub changed_at: Instant,
    /// Users that the record adds to its server's load because the last sample cannot contain its
    /// meeting.
    pub(super) reserved: u32,
    /// Whether the record is counted among the PENDING records of its server.
    pub(super) pending: bool,
    /// Whether the record is counted among the creates that its server has not answered.
    pub(super) unanswered: bool,
}
