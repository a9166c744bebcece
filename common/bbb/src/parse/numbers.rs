//! Reads numbers and times in the forms of servers.

/// Reads a number in the forms of servers, such as `1,234`. A text without a digit is 0.
pub(super) fn digits(text: &str) -> i64 {
    text.bytes()
        .filter(u8::is_ascii_digit)
        .fold(0i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

/// Returns the create time at the end of an internal id, or 0.
pub(super) fn create_time_of(internal_id: &str) -> i64 {
    internal_id.rsplit_once('-').map_or(0, |(_, time)| digits(time))
}
