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

use std::{fmt, time::Duration};

use bytes::Bytes;
pub use queue::{DeliveryLimits, DeliveryQueue, DeliveryStep, QueueWork, StoredDelivery, TryOutcome};
use url::Url;
use usher_model::{callback::CallbackKind, id::ServerId, meeting::MeetingKey};

use super::ids::HookId;

/// In which form an application gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackForm {
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
    pub form: CallbackForm,
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
    pub fn lane(&self) -> DeliveryLane {
        DeliveryLane { meeting: self.meeting.clone(), target: target(&self.url), hook: self.hook.clone() }
    }
}

/// What keeps its order: one meeting's callbacks to one target, its events for one hook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryLane {
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
}
