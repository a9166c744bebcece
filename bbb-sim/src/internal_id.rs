//! The internal ids of meetings, which are also the ids of their recordings.

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    secret::Secret,
};

/// Returns the SHA-1 of a `meetingID`, the first half of an internal id.
pub(crate) fn hash_of(meeting_id: &str) -> String {
    sign(ChecksumAlgorithm::Sha1, meeting_id, "", &Secret::new(""))
}
