//! Fields that values of several families have.

use usher_model::id::InternalMeetingId;

use crate::store::value_error::ValueError;

/// Reads an enumeration that is stored as a plain number.
///
/// # Errors
/// The number is not a value of the enumeration.
pub(super) fn enumeration<E: TryFrom<i32>>(field: &'static str, number: u32) -> Result<E, ValueError> {
    i32::try_from(number).ok().and_then(|number| E::try_from(number).ok()).ok_or(ValueError::Field(field))
}

/// Reads the internal id of a meeting.
///
/// # Errors
/// The text is not such an id.
pub(super) fn internal_id(text: &str) -> Result<InternalMeetingId, ValueError> {
    InternalMeetingId::parse(text).map_err(|source| ValueError::Id { field: "internal_id", source })
}

/// Reads an internal id that may be missing.
///
/// # Errors
/// The text is neither empty nor such an id.
pub(super) fn optional_internal_id(text: &str) -> Result<Option<InternalMeetingId>, ValueError> {
    if text.is_empty() { Ok(None) } else { internal_id(text).map(Some) }
}
