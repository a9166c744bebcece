//! The form of the ids of recordings.

/// Returns whether a text has the form of a `recordID`, the only one that BBB's player accepts: 40 characters of a-z and
/// 0-9, a hyphen and 13 digits.
pub fn is_record_id(text: &str) -> bool {
    let Some((hash, time)) = text.split_once('-') else { return false };
    hash.len() == 40
        && hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && time.len() == 13
        && time.bytes().all(|byte| byte.is_ascii_digit())
}
