//! The time in an internal meeting id.

use usher_model::id::InternalMeetingId;

/// Returns the `createTime` in an internal id (`sha1-createTime`); 0 when there is none.
pub(in crate::core) fn create_time_of(id: &InternalMeetingId) -> i64 {
    id.as_str().rsplit_once('-').and_then(|(_, time)| time.parse().ok()).unwrap_or(0)
}
