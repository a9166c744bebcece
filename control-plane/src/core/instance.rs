//! The time of creation in an internal meeting id (wire-contract 4).

use usher_model::id::InternalMeetingId;

/// Returns the `createTime` in an internal id (`sha1-createTime`), milliseconds since 1970; 0 if the
/// id has no time.
pub(in crate::core) fn create_time_of(id: &InternalMeetingId) -> i64 {
    id.as_str().rsplit_once('-').and_then(|(_, time)| time.parse().ok()).unwrap_or(0)
}
