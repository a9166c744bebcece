//! Callbacks on their way to applications: what waits, in which order, and when each is tried.
//!
//! ```text
//!            ┌──────── failed: later, and longer each time ────────┐
//!            ▼                                                     │
//! accepted → waiting ── first of its lane, due ──► trying ─────────┤
//!            │  ▲                                    │             │
//!            │  └── an operator asks for a try       ├─ 2xx ─► taken, removed
//!            │                                       ├─ 410 ─► refused for good, removed
//!            └── an operator drops it: removed       └─ failed, and `retry_for` is over ─► expired, removed
//! ```
//!
//! **D1** of a lane (one meeting's callbacks to one target, or its events for one hook) at most one is
//! under way, and they are tried in the order in which they happened or were accepted. **D2** nothing is removed but by one of the four
//! ends above, and nothing expires that has not been tried for `retry_for` by a running clock. **D3**
//! no target has more than its share under way. **D4** a target that fails delays no other target's.
//! **D5** what waits has a time at which something is done about it.

pub mod address;
mod queue;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
pub use queue::{Limits, Next, Outcome, Queue, Seen, Work};
use url::Url;
use usher_model::{callback::CallbackKind, id::ServerId, meeting::MeetingKey};

use crate::notifications::rules::hooks::HookId;

/// Names a delivery: 32 hexadecimal digits that follow from what is delivered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(Arc<str>);

/// A text that names no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not 32 hexadecimal digits in lower case")]
pub struct NotAnId;

impl DeliveryId {
    /// Reads an id.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(hex) { Ok(Self(Arc::from(text))) } else { Err(NotAnId) }
    }

    /// Returns the id of 16 bytes that follow from what is delivered.
    pub fn of_digest(bytes: &[u8]) -> Self {
        let digits: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self(Arc::from(format!("{digits:0<32}")))
    }

    /// Returns its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In which form an application gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A GET of the address.
    Get,
    /// A form with the claims of the body, signed.
    SignedForm,
    /// The body, JSON, with a bearer token.
    BearerJson,
    /// The body, a form, with its checksum in the address.
    Webhook,
}

/// A callback as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The meeting, as its application knows it.
    pub meeting: MeetingKey,
    /// The server that called.
    pub server: ServerId,
    /// What it is about.
    pub kind: CallbackKind,
    /// How it is sent.
    pub form: Form,
    /// Where to; never to be shown.
    pub url: String,
    /// What it says; never to be shown.
    pub body: Bytes,
    /// When it was accepted, milliseconds since 1970; for people.
    pub accepted_at_ms: i64,
    /// Tries that failed.
    pub attempts: u32,
    /// Time it was tried for.
    pub waited: Duration,
    /// What the last try died of.
    pub last_error: String,
    /// How often an operator asked for a try at once.
    pub retries_asked: u32,
    /// The hook it is for, if one asked for it.
    pub hook: Option<HookId>,
    /// When it happened by its server's clock, milliseconds since 1970. Servers send events at the same
    /// time and not one after the other; what waits for a hook goes out in this order. 0 for callbacks.
    pub order_ms: i64,
    /// How often its server said it again while it waited.
    pub said_again: u32,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("meeting", &self.meeting)
            .field("kind", &self.kind)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// Returns what it is queued by.
    pub fn lane(&self) -> Lane {
        Lane { meeting: self.meeting.clone(), target: target(&self.url), hook: self.hook.clone() }
    }
}

/// What keeps its order: one meeting's callbacks to one target, its events for one hook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The meeting.
    pub meeting: MeetingKey,
    /// Scheme, host and port.
    pub target: String,
    /// The hook, if one asked for it.
    pub hook: Option<HookId>,
}

/// Returns scheme, host and port of an address, and nothing that could let somebody in.
pub fn target(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "invalid".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i14_a_target_says_where_and_no_more() {
        assert_eq!(target("https://u:p@App.test:8443/cb/secret?token=x"), "https://app.test:8443");
        assert_eq!(target("https://app.test/cb"), "https://app.test");
        assert_eq!(target("nonsense"), "invalid");
    }

    #[test]
    fn ids_are_digits_and_nothing_else() {
        assert!(DeliveryId::parse(&"0a".repeat(16)).is_ok());
        for text in ["", "abc", &"0A".repeat(16), &"0g".repeat(16), &"0".repeat(33)] {
            assert_eq!(DeliveryId::parse(text), Err(NotAnId), "{text}");
        }
    }
}
