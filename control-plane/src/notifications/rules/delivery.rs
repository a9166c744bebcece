//! Deliveries on their way to applications: their order, and the time of each attempt.
//!
//! ```text
//!            ┌──────── failed: later, and longer each time ────────┐
//!            ▼                                                     │
//! accepted → waiting ── first of its lane, due ──► trying ─────────┤
//!            │  ▲                                    │             │
//!            │  └── an operator requests a try       ├─ 2xx ─► taken, removed
//!            │                                       ├─ 410 ─► refused for good, removed
//!            └── dropped (*): removed                └─ failed, and `retry_for` has passed ─► expired, removed
//! ```
//!
//! (*) An operator drops a delivery, the leader the events of a deleted hook, and the replica that
//! accepts a delivery the oldest events of its tenant if there is no space (ADR 37).
//!
//! **D1** At most one delivery of a lane (one meeting's callbacks to one target, or its events for one
//! hook) is under way, and they are tried in the order in which they happened or were accepted.
//! **D2** A delivery is removed only by one of the ends above, and expires only after `retry_for`
//! of attempts by a running clock. **D3** No target has more than its share of attempts under way.
//! **D4** A target that fails delays no other target. **D5** Each waiting delivery has a time of its
//! next action, or waits for the end of an attempt. **D6** No tenant has more attempts under way than
//! it leaves free for others.

pub mod address;
mod hook_fence;
mod queue;
pub mod shares;

use std::{fmt, time::Duration};

use bytes::Bytes;
pub use hook_fence::{HookFence, HookKey, HookStanding};
pub use queue::{DeliveryLimits, DeliveryQueue, DeliveryStep, QueueWork, StoredDelivery, TryOutcome};
use url::Url;
use usher_model::{callback::CallbackKind, id::ServerId, meeting::MeetingKey};

use super::ids::HookId;

/// In which form an application gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryForm {
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
    /// Kind of the callback.
    pub kind: CallbackKind,
    /// How it is sent.
    pub form: DeliveryForm,
    /// Where to; never to be shown.
    pub url: String,
    /// Body of the callback; never to be shown.
    pub body: Bytes,
    /// Wall clock of its acceptance, milliseconds since 1970; for operators only.
    pub accepted_at_ms: i64,
    /// Number of attempts that failed.
    pub attempts: u32,
    /// Time it was tried for.
    pub waited: Duration,
    /// Error of the last attempt.
    pub last_error: String,
    /// Number of attempts at once that operators requested.
    pub retries_asked: u32,
    /// The hook that the event is for; none for a callback.
    pub hook: Option<HookId>,
    /// Time of the event by its server's clock, milliseconds since 1970; 0 for callbacks. Servers send
    /// events at the same time and not one after the other, so that the events of a hook are sent in
    /// this order.
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
    /// Returns the lane that keeps this delivery in order.
    pub fn lane(&self) -> DeliveryLane {
        DeliveryLane { meeting: self.meeting.clone(), target: target(&self.url), hook: self.hook.clone() }
    }

    /// Returns the hook that the event is for; `None` for a callback.
    pub fn hook_key(&self) -> Option<HookKey> {
        Some((self.meeting.tenant.clone(), self.hook.clone()?))
    }
}

/// A sequence that keeps its order: one meeting's callbacks to one target, or its events for one hook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryLane {
    /// Meeting, as its application knows it.
    pub meeting: MeetingKey,
    /// Scheme, host and port.
    pub target: String,
    /// The hook of the events; none for callbacks.
    pub hook: Option<HookId>,
}

/// Returns scheme, host and port of an address, and no part of it that could grant access.
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
