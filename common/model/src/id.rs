//! Identifiers. Text from outside is parsed into them once, and the rest of the code uses no bare strings
//! (style P10).
//!
//! The copies of an identifier share one text, and each takes one word: a million meetings are in many
//! indexes, so that the second word of an `Arc<str>` would cost more than the texts.

use std::{borrow::Borrow, fmt};

use arcstr::ArcStr;
use usher_bbb::text_length::utf16_length;

/// The reason why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{value}` {problem}")]
pub struct IdError {
    kind: &'static str,
    value: String,
    problem: &'static str,
}

/// The largest length of a [`TenantId`], [`ServerId`], [`EdgeId`] or [`CellName`], bytes.
const NAME_MAX: usize = 64;

fn check_name(kind: &'static str, value: &str) -> Result<(), IdError> {
    let problem = if value.is_empty() {
        "is empty"
    } else if value.len() > NAME_MAX {
        "is longer than 64 characters"
    } else if !value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        "may hold only A-Z a-z 0-9 - _ ."
    } else {
        return Ok(());
    };
    Err(IdError { kind, value: value.chars().take(NAME_MAX).collect(), problem })
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ArcStr);

        impl $name {
            /// Parses the text of an identifier.
            pub fn parse(value: &str) -> Result<Self, IdError> {
                let check: fn(&'static str, &str) -> Result<(), IdError> = $check;
                check($kind, value)?;
                Ok(Self(ArcStr::from(value)))
            }

            /// Returns the identifier exactly as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::parse(value)
            }
        }
    };
}

identifier!(
    /// An application with its own secrets: `[A-Za-z0-9._-]{1,64}`.
    TenantId, "tenant id", check_name
);
identifier!(
    /// One BBB server: `[A-Za-z0-9._-]{1,64}`.
    ServerId, "server id", check_name
);
identifier!(
    /// One running edge: `[A-Za-z0-9._-]{1,64}`.
    EdgeId, "edge id", check_name
);
identifier!(
    /// One cell, a control-plane cluster that edges follow beside others (ADR 39): `[A-Za-z0-9._-]{1,64}`.
    CellName, "cell name", check_name
);
identifier!(
    /// The BBB API's `meetingID`, decoded: 1 to 256 UTF-16 units, kept exactly.
    /// A create additionally needs two units and no comma, which the edge checks for creates.
    MeetingId, "meeting id", |kind, value| {
        let problem = match utf16_length(value) {
            0 => "is empty",
            1..=256 => return Ok(()),
            _ => "is longer than 256 characters (UTF-16)",
        };
        Err(IdError { kind, value: value.chars().take(NAME_MAX).collect(), problem })
    }
);
identifier!(
    /// The `meetingID` that a server lists, as it is written there: with the name of its tenant, of a breakout
    /// room, or with altered white space.
    ListedMeetingId, "listed meeting id", |_, _| Ok(())
);
identifier!(
    /// The internal id, by which a server names one instance of a meeting: `sha1(meetingID)-createTime`.
    InternalMeetingId, "internal meeting id", |kind, value| {
        let problem = match value.len() {
            0 => "is empty",
            1..=256 => return Ok(()),
            _ => "is longer than 256 bytes",
        };
        Err(IdError { kind, value: value.chars().take(NAME_MAX).collect(), problem })
    }
);

impl From<&str> for ListedMeetingId {
    fn from(text: &str) -> Self {
        Self(ArcStr::from(text))
    }
}

impl From<&MeetingId> for ListedMeetingId {
    /// Returns the same text without a copy of it.
    fn from(id: &MeetingId) -> Self {
        Self(id.0.clone())
    }
}

impl ServerId {
    /// The id that sorts before all others, to begin a range with.
    pub const LEAST: Self = Self(arcstr::literal!("-"));
}

impl MeetingId {
    /// The id that sorts before all others, to begin a range with.
    pub const LEAST: Self = Self(arcstr::literal!("\0"));
}

impl TenantId {
    /// The id of the tenant that owns requests without host or path of another tenant.
    pub const DEFAULT: &'static str = "default";

    /// Tells whether a text, such as a part of a scoped id, is a valid tenant id.
    pub(crate) fn is_name(text: &str) -> bool {
        check_name("tenant id", text).is_ok()
    }

    /// Returns the tenant `default`.
    pub fn default_tenant() -> Self {
        Self(arcstr::literal!(TenantId::DEFAULT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_the_error_names_the_fault() {
        assert!(ServerId::parse("bbb-1.example_org").is_ok());
        for (value, part) in [("", "empty"), ("a/b", "only"), (&"x".repeat(65), "longer")] {
            let error = ServerId::parse(value).expect_err("is refused").to_string();
            assert!(error.contains(part) && error.contains("server id"), "{error}");
        }
    }

    #[test]
    fn the_least_ids_sort_before_all_others() {
        for character in (0..=u8::MAX).map(char::from) {
            let text = character.to_string();
            assert!(ServerId::parse(&text).map_or(true, |id| id >= ServerId::LEAST), "{text}");
            assert!(MeetingId::parse(&text).is_ok_and(|id| id >= MeetingId::LEAST), "{text}");
        }
    }

    #[test]
    fn meeting_ids_keep_every_character() {
        assert_eq!(MeetingId::parse("東京 /+%-01").map(|id| id.to_string()), Ok("東京 /+%-01".into()));
        assert!(MeetingId::parse(&"é".repeat(256)).is_ok());
        assert!(MeetingId::parse(&"é".repeat(257)).is_err());
    }

    #[test]
    fn meeting_ids_are_as_long_as_their_utf16_form() {
        assert!(MeetingId::parse("😀").is_ok());
        assert!(MeetingId::parse(&"😀".repeat(128)).is_ok());
        assert!(MeetingId::parse(&"😀".repeat(129)).is_err());
    }
}
