//! The names of recordings, formats and generations, parsed once from text of outside.

use std::fmt;

use serde::{Deserialize, Serialize};
use usher_model::recording::is_record_id;

/// The reason why a text is no name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {problem}")]
pub struct RecordingNameError {
    kind: &'static str,
    problem: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $problem:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the text of a name.
            pub fn parse(text: &str) -> Result<Self, RecordingNameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(RecordingNameError { kind: $kind, problem: $problem })
            }

            /// Returns the text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = RecordingNameError;
            fn try_from(text: String) -> Result<Self, RecordingNameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// The `recordID` of a recording: the internal id of its meeting. BBB's player accepts no other form, so that a
    /// library never renames a recording.
    RecordId,
    "the recordID",
    "must have 40 characters of a-z and 0-9, a hyphen and 13 digits",
    is_record_id
);

name!(
    /// The name of a playback format: `presentation`, `video`, `podcast`, ….
    FormatName,
    "the format",
    "must have 1 to 32 characters of a-z, 0-9, - and _, and begin with a letter",
    is_format_name
);

name!(
    /// The name of a generation: the beginning of the SHA-256 of its manifest, 32 hexadecimal digits. Equal files have
    /// the same name, by any way on which they arrive (R14).
    GenerationId,
    "the generation",
    "must have 32 hexadecimal digits",
    |text| text.len() == 32 && text.bytes().all(is_lower_hex)
);

name!(
    /// A SHA-256 as 64 hexadecimal digits.
    Sha256Hex,
    "the SHA-256",
    "must have 64 hexadecimal digits in lower case",
    |text| text.len() == 64 && text.bytes().all(is_lower_hex)
);

impl GenerationId {
    /// Returns the name that begins the digest of a manifest.
    pub(super) fn of_digest(digest: &[u8]) -> Self {
        Self(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_format_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_forms_are_refused() {
        let hash = "6fea8cf5c91f71a844862ead37a54d70198c664e";
        assert!(RecordId::parse(&format!("{hash}-1700000000000")).is_ok());
        for text in ["", "-", hash, &format!("{hash}-170000000000"), &format!("{hash}-1700000000000/..")] {
            assert!(RecordId::parse(text).is_err(), "{text}");
        }
        assert!(FormatName::parse("presentation").is_ok());
        for text in ["", "..", "Video", "a/b", "a.b", "-a", &"a".repeat(33)] {
            assert!(FormatName::parse(text).is_err(), "{text}");
        }
    }
}
