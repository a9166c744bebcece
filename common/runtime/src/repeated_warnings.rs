//! How often one warning is logged: a fault that hits every request must not fill the log.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::clock;

/// The pause between two warnings for one reason.
const PAUSE: Duration = Duration::from_secs(10);
/// The largest number of reasons that are told apart; while all of them are recent, further ones count as one.
const REASONS: usize = 256;
/// The reason that stands for all reasons beyond the limit.
const OTHERS: &str = "";

/// The warnings that were logged, by reason.
#[derive(Debug, Default)]
pub struct RepeatedWarnings(BTreeMap<String, WarningCount>);

#[derive(Debug)]
struct WarningCount {
    logged: Instant,
    held_back: u64,
}

impl RepeatedWarnings {
    /// Returns whether a warning for `reason` is logged now: the number of warnings for it that
    /// were held back since the last one, or `None` if this one is held back too.
    pub fn admit(&mut self, reason: &str, now: Instant) -> Option<u64> {
        if !self.0.contains_key(reason) && self.0.len() >= REASONS {
            self.0.retain(|_, count| now.saturating_duration_since(count.logged) < PAUSE);
        }
        let known = self.0.contains_key(reason) || self.0.len() < REASONS;
        let reason = if known { reason } else { OTHERS };
        let Some(count) = self.0.get_mut(reason) else {
            self.0.insert(reason.to_owned(), WarningCount { logged: now, held_back: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(count.logged) < PAUSE {
            count.held_back += 1;
            return None;
        }
        count.logged = now;
        Some(std::mem::take(&mut count.held_back))
    }
}

/// The warnings about requests; clones share them. One tenant or client can cause any number of such warnings.
#[derive(Debug, Clone, Default)]
pub struct RequestWarnings(Arc<Mutex<RepeatedWarnings>>);

impl RequestWarnings {
    /// Returns whether a warning of one kind is logged now about `subject`, such as a server or a tenant: the number
    /// of such warnings that were held back since the last one, or `None` if this one is held back too.
    pub fn admit(&self, kind: &'static str, subject: impl Display) -> Option<u64> {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.admit(&format!("{kind} {subject}"), clock::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_at_once_and_then_with_pauses() {
        let (mut warnings, begun) = (RepeatedWarnings::default(), crate::clock::now());
        assert_eq!(warnings.admit("POOL_EMPTY", begun), Some(0));
        assert_eq!(warnings.admit("SATURATED", begun), Some(0), "another reason");
        for second in 1..10 {
            assert_eq!(warnings.admit("POOL_EMPTY", begun + Duration::from_secs(second)), None);
        }
        assert_eq!(warnings.admit("POOL_EMPTY", begun + PAUSE), Some(9), "the number held back is told");
        assert_eq!(warnings.admit("POOL_EMPTY", begun + PAUSE), None);
    }

    #[test]
    fn invented_reasons_take_bounded_memory() {
        let (mut warnings, begun) = (RepeatedWarnings::default(), crate::clock::now());
        let logged = (0..1000).filter(|n| warnings.admit(&format!("R{n}"), begun).is_some()).count();
        assert!(logged <= REASONS + 1 && warnings.0.len() <= REASONS + 1, "{logged}");
        assert_eq!(warnings.admit("later", begun + PAUSE), Some(0), "older ones make room");
    }

    #[test]
    fn each_subject_has_its_warnings() {
        let (warnings, other) = (RequestWarnings::default(), RequestWarnings::default());
        assert_eq!(warnings.admit("unanswered", "a"), Some(0));
        assert_eq!(warnings.clone().admit("unanswered", "a"), None);
        assert_eq!(warnings.admit("unanswered", "b"), Some(0));
        assert_eq!(warnings.admit("unconfirmed", "a"), Some(0));
        assert_eq!(other.admit("unanswered", "a"), Some(0));
    }
}
