//! The stem of an internal meeting id: the part before the time of its creation.

use usher_model::{
    meeting::{MeetingKey, MeetingRecord},
    scope::TenantScope,
};

/// Returns the part before the time of the internal id that a record has. The server of an
/// unconfirmed meeting will make it of the `meetingID` that it gets (wire-contract 4.2).
pub(super) fn stem(key: &MeetingKey, record: &MeetingRecord) -> String {
    match record.state.internal_id() {
        Some(instance) => stem_of(instance.as_str()).to_owned(),
        None => TenantScope::of(&key.tenant).instance_stem(key.meeting.as_str()),
    }
}

/// Returns the part before the time of an internal id.
pub(super) fn stem_of(instance: &str) -> &str {
    instance.rsplit_once('-').map_or(instance, |(stem, _)| stem)
}
