//! The part of a key that names a meeting.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
};

use crate::store::key_error::KeyPartError;

/// The characters that a key holds unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Returns `TENANT/ID`, with the id percent-encoded.
pub(super) fn write(key: &MeetingKey) -> String {
    format!("{}/{}", key.tenant, utf8_percent_encode(key.meeting.as_str(), ENCODED))
}

/// Reads the two parts.
///
/// # Errors
/// One of them is not an identifier, or the id is not percent-encoded text.
pub(super) fn parse(tenant: &str, id: &str) -> Result<MeetingKey, KeyPartError> {
    let decoded = percent_decode_str(id).decode_utf8().map_err(|_| KeyPartError::Form)?;
    Ok(MeetingKey::new(TenantId::parse(tenant)?, MeetingId::parse(&decoded)?))
}
