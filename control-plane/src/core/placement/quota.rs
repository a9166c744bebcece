//! How many meetings a tenant may have at a time.
//!
//! Records count, PENDING and ACTIVE ones, and this replica's own choices that its fleet does not show
//! yet. So one replica is exact; several together may admit as many too many as they place within the
//! milliseconds that the store's watch takes from one to the other.

use usher_model::meeting::{MeetingKey, MeetingRecord, RecordState};

use super::InflightPlacements;
use crate::core::fleet::Fleet;

/// Returns whether a new meeting would exceed the limit of its tenant. A meeting that goes on, also on
/// another server, is no new one.
pub fn has_all_its_meetings(fleet: &Fleet, inflight: &InflightPlacements, key: &MeetingKey) -> bool {
    let limit = fleet.tenant(&key.tenant).map_or(0, |stored| stored.value.policy.max_meetings);
    let goes_on =
        |record: &MeetingRecord| !record.breakout && !matches!(record.state, RecordState::Ending { .. });
    if limit == 0 || fleet.record(key).is_some_and(|stored| goes_on(&stored.value)) {
        return false;
    }
    let meetings = fleet.meeting_count_of(&key.tenant) + inflight.unseen_of_tenant(key);
    meetings >= usize::try_from(limit).unwrap_or(usize::MAX)
}
