//! How often one warning is logged: a fault that hits every request must not fill the log.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The pause between two warnings for one reason.
const PAUSE: Duration = Duration::from_secs(10);
/// The largest number of reasons that are told apart; all further ones count as one.
const REASONS: usize = 32;
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
    }
}
