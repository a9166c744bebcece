//! Webhooks for the whole fleet: the registrations of applications, the hooks that each server needs,
//! the owner of an event, and the event as its application gets it (ADR 13).

pub mod event;
pub mod keeper;
mod mapping;
mod owner;

use std::fmt;

pub use mapping::{EventWording, in_own_words};
pub use owner::{EventOwner, may_settle, owner_of};
use sha2::{Digest as _, Sha256};
use url::Url;
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    request_mark::RequestMark,
};

use super::ids::{DeliveryId, HookId};

/// Longest address, bytes; it is stored with every event that waits.
const URL_MAX: usize = 2048;
/// Events that one hook may name.
const EVENTS_MAX: usize = 64;
/// Longest name of an event, bytes.
const EVENT_MAX: usize = 64;

/// A webhook that an application registered.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredHook {
    /// The tenant of the application.
    pub tenant: TenantId,
    /// Where its events go; never to be shown.
    pub url: String,
    /// The meeting it is for; none when it is for all of the tenant's.
    pub meeting: Option<MeetingId>,
    /// The events it is for, in lower case; empty when it is for all.
    pub events: Vec<String>,
    /// Whether it wants events as they are on the servers' bus.
    pub raw: bool,
    /// Wall clock of the registration, milliseconds since 1970; for operators only.
    pub created_at_ms: i64,
    /// The request that registered the hook, if it is known (ADR 35).
    pub created_by: Option<RequestMark>,
}

impl fmt::Debug for RegisteredHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("tenant", &self.tenant)
            .field("meeting", &self.meeting)
            .field("events", &self.events)
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

/// A registration that is refused: the field and the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct UnfitRegistration {
    /// Field of the request: `callback_url` or `event_ids`.
    pub field: &'static str,
    /// Problem, and the value to write instead.
    pub problem: &'static str,
}

impl RegisteredHook {
    /// Returns the id that follows from tenant and address.
    pub fn id(&self) -> HookId {
        HookId::of(&self.tenant, &self.url)
    }

    /// Checks the values that an application gave.
    ///
    /// # Errors
    /// The first value that cannot be registered.
    pub fn check(&self) -> Result<(), UnfitRegistration> {
        let is_web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let unfit = |field, problem| Err(UnfitRegistration { field, problem });
        if !Url::parse(&self.url).is_ok_and(is_web) {
            return unfit("callback_url", "is no web address; write it as https://HOST/PATH");
        }
        if self.url.len() > URL_MAX {
            return unfit("callback_url", "is longer than 2048 bytes");
        }
        if self.events.len() > EVENTS_MAX || self.events.iter().any(|event| event.len() > EVENT_MAX) {
            return unfit("event_ids", "may be 64, of 64 characters each");
        }
        Ok(())
    }

    /// Returns whether the hook is for an event of a meeting. The meeting's tenant must be the hook's.
    pub fn wants(&self, meeting: &MeetingKey, event: &str, raw: bool) -> bool {
        self.tenant == meeting.tenant
            && self.raw == raw
            && self.meeting.as_ref().is_none_or(|wanted| *wanted == meeting.meeting)
            && (self.events.is_empty() || self.events.iter().any(|wanted| wanted.eq_ignore_ascii_case(event)))
    }
}

/// Returns the events that a parameter names: lower case, without empty ones.
pub fn events_of(parameter: &str) -> Vec<String> {
    let events = parameter.split(',').map(|event| event.trim().to_ascii_lowercase());
    events.filter(|event| !event.is_empty()).collect()
}

/// Names the delivery of an event to a hook: sent again by its server, it is the same as long as it waits.
pub fn delivery_of(hook: &HookId, server: &str, event: &str) -> DeliveryId {
    let digest = Sha256::new().chain_update(hook.as_str()).chain_update(server).chain_update([0]);
    let digest = digest.chain_update(event).finalize();
    DeliveryId::of_digest(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(url: &str) -> RegisteredHook {
        RegisteredHook {
            tenant: TenantId::default_tenant(),
            url: url.into(),
            meeting: None,
            events: Vec::new(),
            raw: false,
            created_at_ms: 0,
            created_by: None,
        }
    }

    fn key(tenant: &str, id: &str) -> MeetingKey {
        MeetingKey::new(TenantId::parse(tenant).expect("is a name"), MeetingId::parse(id).expect("is an id"))
    }

    #[test]
    fn a_value_that_cannot_be_called_or_stored_is_refused_by_name() {
        assert_eq!(registration("https://app.test/cb?x=1").check(), Ok(()));
        let long = format!("https://app.test/{}", "x".repeat(URL_MAX));
        for url in ["", "app.test/cb", "ftp://app.test/", "javascript:alert(1)", long.as_str()] {
            assert_eq!(registration(url).check().map_err(|unfit| unfit.field), Err("callback_url"), "{url}");
        }
        let many = RegisteredHook { events: vec!["x".into(); 65], ..registration("https://app.test/") };
        assert_eq!(many.check().map_err(|unfit| unfit.field), Err("event_ids"));
    }

    #[test]
    fn a_hook_hears_only_the_events_it_was_registered_for() {
        let all = registration("https://app.test/");
        let room = key("default", "room");
        assert!(all.wants(&room, "user-joined", false));
        assert!(!all.wants(&room, "user-joined", true), "it wants no raw events");
        assert!(!all.wants(&key("school", "room"), "user-joined", false), "another tenant's");
        let one = RegisteredHook { meeting: Some(room.meeting.clone()), ..all.clone() };
        assert!(one.wants(&room, "user-joined", false) && !one.wants(&key("default", "r"), "x", false));
        let some = RegisteredHook { events: events_of("Meeting-Ended, ,user-left"), ..all };
        assert_eq!(some.events, ["meeting-ended", "user-left"]);
        assert!(some.wants(&room, "meeting-ended", false) && !some.wants(&room, "user-joined", false));
    }

    #[test]
    fn i14_a_hook_prints_no_address() {
        let text = format!("{:?}", registration("https://app.test/cb?token=abc"));
        assert!(!text.contains("token"), "{text}");
    }
}
