//! The keys of metadata that a recording may have.

/// The prefix of the marks of Usher.
const MARKS: &str = "usher-";
/// The metadata with addresses of applications, which only the application may know.
const ADDRESSES: [&str; 6] = [
    "bbb-recording-ready-url",
    "bn-recording-ready-url",
    "canvas-recording-ready-url",
    "analytics-callback-url",
    "endcallbackurl",
    "bbb-anonymize-chat-callback-url",
];

/// Returns whether a key is one of an application's own: a name that every reader of XML accepts as that of an
/// element, and neither a mark of Usher nor an address.
pub fn is_own(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    is_name(key) && !lower.starts_with(MARKS) && !ADDRESSES.contains(&lower.as_str())
}

fn is_name(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_addresses_and_texts_that_are_no_names_are_not_own() {
        for key in ["course", "gl-listed", "meetingId", "a_b.c"] {
            assert!(is_own(key), "{key}");
        }
        for key in ["", "1a", "-a", "a b", "a&b", "ü", "a<b", "usher-tenant", "Usher-Id", "endCallbackUrl"] {
            assert!(!is_own(key), "{key}");
        }
    }
}
